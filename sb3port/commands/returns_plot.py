"""Returns as a picture: one row for the port, one for SB3, one for what its authors published."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sb3port.commands.evaluate import Evaluation
from sb3port.files.staging import staged_file
from sb3port.files.texts.plot_text import PlotText, plot_text
from sb3port.readers.meaning.published import PublishedResult

_COLOURS = {"port": "#0072b2", "SB3": "#d55e00", "published": "#555555"}


@dataclass(frozen=True)
class Returns:
    """What is drawn.

    Args:
        title: Above the picture.
        port: Of the port.
        sb3: Of SB3 on the same seeds, or None.
        published: By the authors of the checkpoint, or None.
    """

    title: PlotText
    port: Evaluation
    sb3: Evaluation | None = None
    published: PublishedResult | None = None


def plot_returns(returns: Returns, path: Path, force: bool = False) -> None:
    """Draw the return of every episode, and the mean with its standard error.

    Where SB3 got the very same returns as the port, one row stands for both, and says so.

    Raises:
        UsageError: `path` exists and `force` is false, or it cannot be written.
    """
    from matplotlib.figure import Figure

    rows = list(_rows(returns))
    figure = Figure(figsize=(7, 1.3 + 0.8 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for number, row in enumerate(rows):
        _draw(axes, number, row)
    axes.set_yticks([])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("return of an episode")
    axes.set_title(returns.title.text, loc="left", wrap=True)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right", "left"]].set_visible(False)
    with staged_file(path, force) as staged:
        figure.savefig(staged, dpi=150)


@dataclass(frozen=True)
class _Row:
    """One row: its name and its mean, what is drawn beside the mean, and single episodes."""

    label: PlotText
    mean: float
    spread: float
    marker: str
    colour: str
    episodes: Sequence[float] = ()


def _rows(returns: Returns) -> Iterator[_Row]:
    port, sb3, published = returns.port, returns.sb3, returns.published
    if sb3 is not None and list(sb3.returns) == list(port.returns):
        yield _row_of("port and SB3, identical in every episode", "port", port)
    else:
        yield _row_of("port", "port", port)
        if sb3 is not None:
            same = sum(one == other for one, other in zip(port.returns, sb3.returns, strict=True))
            yield _row_of(f"SB3, identical in {same} of {len(sb3.returns)} episodes", "SB3", sb3)
    if published is not None:
        spread = f" ± {published.std:.2f} (standard deviation)" if published.std is not None else ""
        label = plot_text("published ({}): {:.2f}{}", published.file, published.mean, spread)
        yield _Row(label, published.mean, published.std or 0.0, "D", _COLOURS["published"])


def _row_of(name: str, colour: str, evaluation: Evaluation) -> _Row:
    several = len(evaluation.returns) > 1
    error = evaluation.standard_error if several else 0.0
    spread = f" ± {error:.2f} (standard error)" if several else ""
    label = plot_text("{}: {:.2f}{}", name, evaluation.mean, spread)
    return _Row(label, evaluation.mean, error, "o", _COLOURS[colour], evaluation.returns)


def _draw(axes: Any, number: int, row: _Row) -> None:
    """Draw a label, below it the mean and its spread, and below that a dot for each episode.

    The dots are apart from each other, so that equal ones show.
    """
    text = {"transform": axes.get_yaxis_transform(), "va": "center", "color": row.colour}
    axes.text(0, number - 0.36, row.label.text, **text)
    axes.errorbar(row.mean, number - 0.08, xerr=row.spread, fmt=row.marker, color=row.colour, capsize=4)
    apart = number + 0.12 + 0.2 * np.random.default_rng(0).random(len(row.episodes))
    axes.scatter(row.episodes, apart, s=16, color=row.colour, alpha=0.45, linewidths=0)
