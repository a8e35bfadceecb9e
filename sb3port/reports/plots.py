"""Where everything in a histogram lies: numbers for the SVG templates, and no markup.

Lengths are in units of the `viewBox`, the origin is at the top left.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sb3port.reports.numbers import maybe, size_text
from sb3port.reports.words import Check

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Frame:
    """The area of a plot within its `viewBox`."""

    width: int
    height: int
    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Tick:
    """A place on an axis, and what stands there."""

    at: float
    label: str


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram; `beyond` says that it is no noise any more."""

    x: float
    y: float
    width: float
    height: float
    beyond: bool
    label: str


@dataclass(frozen=True)
class Line:
    """A vertical line with a label, which stands on the side where there is room."""

    x: float
    label: str
    anchor: str
    label_x: float


@dataclass(frozen=True)
class Histogram:
    """Absolute differences on logarithmic axes; those that are exactly zero stand apart on the left."""

    frame: Frame
    bars: Sequence[Bar]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    noise: Line | None
    tolerance: Line | None
    has_zero: bool


_HISTOGRAM = Frame(width=400, height=236, left=54, top=42, right=388, bottom=186)
_ZERO_WIDTH = 22
_GAP = 30
_SMALLEST_BAR = 0.35  # of a decade: how high a bar of one number is


def histogram(check: Check, tolerance: float | None) -> Histogram | None:
    """Lay out the histogram of a check, None where it has none."""
    content = check["histogram"]
    if content is None:
        return None
    axis, frame = _DecadeAxis(content), _HISTOGRAM
    top = max(content["zero"], *content["counts"], 10)
    noise = maybe(check["noise"])
    powers = range(int(math.log10(top)) + 1)
    return Histogram(
        frame=frame,
        bars=list(_bars(check, axis, top, tolerance)),
        x_ticks=[Tick(_ZERO_X, "0"), *axis.ticks()],
        y_ticks=[Tick(_count_y(10**power, top), f"{10**power:,}") for power in powers],
        noise=_line(axis, noise, "noise"),
        tolerance=_line(axis, tolerance, "tolerance"),
        has_zero=content["zero"] > 0,
    )


def power_text(power: int) -> str:
    """Write a power of ten."""
    return f"10{str(power).translate(_SUPERSCRIPTS)}"


def gauge_position(value: Any) -> float | None:
    """Give the place of a difference on the table's gauge, 0 to 100 for 1e-10 to 1; None for none."""
    size = maybe(value)
    if size is None or size == 0:
        return None
    return 100.0 if math.isnan(size) else round(min(max((_log10(size) + 10) * 10, 1), 100), 1)


_ZERO_X = _HISTOGRAM.left + 6 + _ZERO_WIDTH / 2


class _DecadeAxis:
    """The logarithmic axis of a histogram, right of the bar at zero."""

    def __init__(self, content: Any) -> None:
        self.first: int
        self.last: int
        self.first, self.last = content["decades"]
        self.per_decade: int = content["per_decade"]
        self.left = _HISTOGRAM.left + 6 + _ZERO_WIDTH + _GAP
        self.decade = (_HISTOGRAM.right - self.left) / max(self.last - self.first, 1)

    def x(self, value: float) -> float:
        """Give the place of a positive number, clamped to the axis."""
        return self.left + (min(max(_log10(value), self.first), self.last) - self.first) * self.decade

    def value(self, step: int) -> float:
        """Give the number at the lower end of a bar."""
        return math.pow(10, min(self.first + step / self.per_decade, 308))

    def ticks(self) -> Iterator[Tick]:
        for power in range(self.first, self.last + 1, 3 if self.last - self.first > 8 else 1):
            x = self.left + (power - self.first) * self.decade
            yield Tick(round(x, 1), power_text(power))


def _bars(check: Check, axis: _DecadeAxis, top: int, tolerance: float | None) -> Iterator[Bar]:
    content, largest = check["histogram"], maybe(check["max_abs"])
    if content["zero"]:
        x = _ZERO_X - _ZERO_WIDTH / 2
        yield _bar(x, _ZERO_WIDTH, content["zero"], top, False, "exactly the same")
    width = axis.decade / axis.per_decade
    for index, count in enumerate(content["counts"]):
        if count:
            low, high = (axis.value(index + step) for step in (0, 1))
            beyond = _is_beyond(low, high, tolerance, largest) if tolerance else check["verdict"] == "fail"
            label = f"from {size_text(low)} to {size_text(high)}"
            yield _bar(axis.left + index * width, max(width - 1, 0.5), count, top, beyond, label)


def _is_beyond(low: float, high: float, tolerance: float, largest: float | None) -> bool:
    """Whether a bar is beyond the tolerance; the one that it cuts is, if the largest difference is in it."""
    return low >= tolerance or (largest is not None and tolerance < largest <= high)


def _bar(x: float, width: float, count: int, top: int, beyond: bool, label: str) -> Bar:
    y = _count_y(count, top)
    height = round(_HISTOGRAM.bottom - y, 1)
    return Bar(round(x, 1), y, round(width, 1), height, beyond, f"{count:,} {label}")


def _count_y(count: int, top: int) -> float:
    share = (math.log10(count) + _SMALLEST_BAR) / (math.log10(top) + _SMALLEST_BAR)
    return round(_HISTOGRAM.bottom - share * (_HISTOGRAM.bottom - _HISTOGRAM.top), 1)


def _line(axis: _DecadeAxis, value: float | None, name: str) -> Line | None:
    if value is None or not value > 0:
        return None
    x = round(axis.x(value), 1)
    ends = (name == "noise" and x > axis.left + 80) or x > _HISTOGRAM.right - 120
    return Line(x, f"{name} {size_text(value)}", "end" if ends else "start", x + (-4 if ends else 4))


def _log10(value: float) -> float:
    if value <= 0:
        return -math.inf
    return math.log10(value) if value < math.inf else math.inf
