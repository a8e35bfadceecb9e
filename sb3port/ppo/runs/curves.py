"""Learning curves as pictures."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sb3port.files.staging import staged_file
from sb3port.files.texts.plot_text import PlotText

TRAINING, EVALUATION = "#0072b2", "#d55e00"
COLOURS = (TRAINING, EVALUATION, "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f", "#000000")
_INK, _FAINT = "#333333", "#9a9a9a"
_WIDEST = 22  # characters of a line of a label


class Curve(NamedTuple):
    """One line.

    Args:
        label: Written at its end.
        colour: Of all of it.
        steps: `(n,)`, ascending.
        middle: `(n,)`.
        low, high: `(n,)` each, a band around it; None for none.
        dots: Whether the points are marked.
    """

    label: PlotText
    colour: str
    steps: Sequence[float]
    middle: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    dots: bool = False


def draw(
    curves: Sequence[Curve],
    title: PlotText,
    subtitle: PlotText,
    path: Path,
    mark: tuple[float, float, PlotText] | None = None,
    force: bool = True,
) -> None:
    """Draw curves of returns over steps.

    Args:
        curves: Lines, the most important one last.
        title: Above the picture.
        subtitle: Below that.
        path: A picture, by its suffix.
        mark: A point, steps and return, with what it is.
        force: Replace what is there.

    Raises:
        UsageError: `path` exists and `force` is false, or it cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for curve in curves:
        _line(axes, curve)
    if mark is not None:
        _mark(axes, *mark)
    _frame(axes, title, subtitle)
    steps = [step for curve in curves for step in curve.steps]
    first, last = min(steps, default=0), max(steps, default=1)
    axes.set_xlim(first if first > last / 4 else 0, max(last, first + 1))
    _labels(axes, curves)
    with staged_file(path, force) as staged:
        figure.savefig(staged, dpi=150)


def _line(axes: Any, curve: Curve) -> None:
    if curve.low is not None:
        axes.fill_between(
            curve.steps, curve.low, curve.high, color=curve.colour, alpha=0.15, linewidth=0, zorder=2
        )
    many = len(curve.steps) > 60
    marker = "o" if (curve.dots and not many) or len(curve.steps) == 1 else None
    axes.plot(
        curve.steps,
        curve.middle,
        color=curve.colour,
        linewidth=1.8,
        marker=marker,
        markersize=4,
        solid_capstyle="round",
        zorder=3,
    )


def _mark(axes: Any, steps: float, value: float, text: PlotText) -> None:
    axes.plot(
        [steps], [value], marker="o", markersize=9, markerfacecolor="none", color=_INK, linestyle="", zorder=4
    )
    axes.annotate(
        text.text,
        (steps, value),
        xytext=(0, 9),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=9,
        color=_INK,
        zorder=5,
    )


def _frame(axes: Any, title: PlotText, subtitle: PlotText) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, length=0, labelsize=9)
    axes.xaxis.set_major_formatter(lambda value, _: _steps(value))
    axes.set_xlabel("environment steps", color=_INK, fontsize=9)
    axes.margins(y=0.08)
    axes.set_title(f"{title.text}\n", loc="left", fontsize=13, color=_INK, fontweight="bold", pad=10)
    axes.text(0, 1.03, subtitle.text, transform=axes.transAxes, fontsize=9.5, color="#666666", va="bottom")


def _steps(value: float) -> str:
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _labels(axes: Any, curves: Sequence[Curve]) -> None:
    """Write names at the right ends of lines, moved apart where they would touch."""
    ends = sorted(
        ((curve.middle[-1], curve) for curve in curves if len(curve.middle)), key=lambda end: end[0]
    )
    if not ends:
        return
    low, high = axes.get_ylim()
    texts = [textwrap.fill(curve.label.text, _WIDEST) for _, curve in ends]
    rooms = [(high - low) * 0.06 * (1 + text.count("\n")) for text in texts]
    right = axes.get_xlim()[1]
    places = _apart([value for value, _ in ends], rooms)
    for place, text, (_, curve) in zip(places, texts, ends, strict=True):
        axes.annotate(
            text,
            (right, place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
            color=curve.colour,
            annotation_clip=False,
        )


def _apart(wanted: Sequence[float], rooms: Sequence[float]) -> list[float]:
    """Move ascending places as little as it takes for each to have its room."""
    places = list(wanted)
    for _ in range(200):
        moved = False
        for index in range(1, len(places)):
            needed = (rooms[index - 1] + rooms[index]) / 2
            lacking = needed - (places[index] - places[index - 1])
            if lacking > needed / 1e6:
                places[index - 1] -= lacking / 2
                places[index] += lacking / 2
                moved = True
        if not moved:
            break
    return places


def thinned(values: Sequence[Any], most: int = 2000) -> list[Any]:
    """Give at most so many values, evenly chosen, with the last one."""
    if len(values) <= most:
        return list(values)
    chosen = np.unique(np.linspace(0, len(values) - 1, most).astype(int))
    return [values[index] for index in chosen]
