"""Returns as a picture: one row for the port, one for SB3, one for what its authors published."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sb3port.commands.evaluate import Evaluation
from sb3port.errors import UsageError, need
from sb3port.files.staging import staged_file
from sb3port.files.texts.plot_text import PlotText, plot_text
from sb3port.readers.meaning.published import PublishedResult

_SUFFIXES = (".png", ".svg", ".pdf")
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


def check_plot(path: Path) -> None:
    """Look whether a picture can be drawn there, before anything takes its time.

    Raises:
        UsageError: The suffix is unknown, or matplotlib is not installed.
    """
    if path.suffix not in _SUFFIXES:
        raise UsageError(f"{path} is none of {', '.join(_SUFFIXES)}", "name the picture by its format")
    need("plot", f"a picture such as {path.name}")


def plot_returns(returns: Returns, path: Path, force: bool = False) -> None:
    """Draw the return of every episode, and the mean with its standard error.

    Raises:
        UsageError: `path` exists and `force` is false, or it cannot be written.
    """
    from matplotlib.figure import Figure

    rows = 1 + (returns.sb3 is not None) + (returns.published is not None)
    figure = Figure(figsize=(7, 1.3 + 0.7 * rows), layout="constrained")
    axes = figure.subplots()
    labels = [_draw_episodes(axes, 0, "port", returns.port)]
    if returns.sb3 is not None:
        labels.append(_draw_episodes(axes, 1, "SB3", returns.sb3))
    if returns.published is not None:
        labels.append(_draw_published(axes, rows - 1, returns.published))
    axes.set_yticks(range(rows), [label.text for label in labels])
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xlabel("return of an episode")
    axes.set_title(returns.title.text, loc="left")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    with staged_file(path, force) as staged:
        figure.savefig(staged, dpi=150)


def _draw_episodes(axes: Any, row: int, name: str, evaluation: Evaluation) -> PlotText:
    """Draw a dot for each episode, apart so that equal ones show, below the mean and its error."""
    count = len(evaluation.returns)
    apart = row + 0.12 + 0.2 * np.random.default_rng(0).random(count)
    axes.scatter(evaluation.returns, apart, s=16, color=_COLOURS[name], alpha=0.45, linewidths=0)
    error = evaluation.standard_error if count > 1 else 0.0
    axes.errorbar(evaluation.mean, row - 0.08, xerr=error, fmt="o", color=_COLOURS[name], capsize=4)
    spread = f" ± {error:.2f} (standard error)" if count > 1 else ""
    return plot_text("{}\n{:.2f}{}", name, evaluation.mean, spread)


def _draw_published(axes: Any, row: int, published: PublishedResult) -> PlotText:
    axes.errorbar(
        published.mean, row, xerr=published.std or 0.0, fmt="D", color=_COLOURS["published"], capsize=4
    )
    spread = f" ± {published.std:.2f} (standard deviation)" if published.std is not None else ""
    return plot_text("published ({})\n{:.2f}{}", published.file, published.mean, spread)
