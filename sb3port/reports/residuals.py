"""Where everything in a plot of residuals lies: what a port is off by, and how much it may be.

Within the tolerance the axis of the differences is linear, beyond it logarithmic, so that the band of what is
allowed can be seen whether a port is off by half of it or by a billion times as much.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sb3port.reports.numbers import number, size_text
from sb3port.reports.plots import Frame, Tick, power_text
from sb3port.reports.words import Check


@dataclass(frozen=True)
class Band:
    """What is within the tolerance: from the top down."""

    y: float
    height: float


@dataclass(frozen=True)
class Residuals:
    """Reference against port minus reference: path data of the points within the tolerance, and beyond it.

    Args:
        frame: The area of the plot.
        zero: Where the port gives the very same number.
        band: None where nothing but that is allowed.
        x_ticks: Of the reference.
        y_ticks: Of the difference.
        points: Those within the tolerance.
        beyond: The others.
        left_out: How many pairs are not finite.
    """

    frame: Frame
    zero: float
    band: Band | None
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    points: str
    beyond: str
    left_out: int


_FRAME = Frame(width=270, height=236, left=68, top=42, right=260, bottom=186)
_SMALLEST, _LARGEST = 1e-300, 1e300  # beyond which axes cannot be drawn
_ROOM = 1.15  # of the height on one side, in units of what is drawn there
_LABEL = 14  # how high a label is
_BEYOND = 3.0  # how high all powers beyond the tolerance are at most, in units of it


def residuals(check: Check, tolerance: float | None) -> Residuals | None:
    """Lay out the residuals of a check, None where there is no pair to draw."""
    pairs = [(number(reference), number(candidate)) for reference, candidate in check["pairs"]]
    finite = [(one, other - one) for one, other in pairs if abs(one) < _LARGEST and abs(other) < _LARGEST]
    if not finite:
        return None
    across = _Across(min(one for one, _ in finite), max(one for one, _ in finite))
    up = _Up(max(abs(off) for _, off in finite), tolerance or 0.0)
    allowed = tolerance or (0.0 if check["verdict"] == "fail" else math.inf)
    within = [pair for pair in finite if abs(pair[1]) <= allowed]
    beyond = [pair for pair in finite if not abs(pair[1]) <= allowed]
    return Residuals(
        frame=_FRAME,
        zero=up.y(0.0),
        band=up.band(),
        x_ticks=across.ticks(),
        y_ticks=list(up.ticks()),
        points=_path(across, up, within),
        beyond=_path(across, up, beyond),
        left_out=len(pairs) - len(finite),
    )


class _Up:
    """The axis of the differences, with zero in the middle.

    Args:
        largest: The largest of them.
        tolerance: Up to which it is linear; 0 for all the way.
    """

    def __init__(self, largest: float, tolerance: float) -> None:
        self._unit = tolerance if _SMALLEST < tolerance < _LARGEST else 0.0
        self._largest = largest
        self._powers = math.log10(largest / self._unit) if self._unit and largest > self._unit else 0.0
        self._per_power = min(1.0, _BEYOND / self._powers) if self._powers else 0.0
        self._half = _ROOM * (1 + self._powers * self._per_power)

    def y(self, value: float) -> float:
        middle = (_FRAME.top + _FRAME.bottom) / 2
        return round(middle - self._place(value) / self._half * (_FRAME.bottom - _FRAME.top) / 2, 1)

    def _place(self, value: float) -> float:
        unit = self._unit or self._largest
        if abs(value) <= unit:
            return value / unit if unit > _SMALLEST else math.copysign(float(value != 0), value)
        return math.copysign(1 + math.log10(abs(value) / unit) * self._per_power, value)

    def band(self) -> Band | None:
        if not self._unit:
            return None
        top = self.y(self._unit)
        return Band(top, round(self.y(-self._unit) - top, 1))

    def ticks(self) -> Iterator[Tick]:
        """Give zero, the ends of what is linear, and beyond it at most two powers of ten on each side."""
        yield Tick(self.y(0.0), "0")
        if end := self._unit or self._largest:
            yield from self._both(end, size_text(end))
        if not self._powers:
            return
        first, last = (math.floor(math.log10(value)) for value in (end, self._largest))
        lowest = self.y(end)
        for power in range(last, first, -max(1, math.ceil((last - first) / 2))):
            if lowest - self.y(10.0**power) > _LABEL:
                yield from self._both(10.0**power, power_text(power))

    def _both(self, value: float, label: str) -> Iterator[Tick]:
        yield Tick(self.y(value), label)
        yield Tick(self.y(-value), f"−{label}")


class _Across:
    """The axis of the reference, with some room at the ends."""

    def __init__(self, low: float, high: float) -> None:
        room = (high - low) * 0.06 if high - low > _SMALLEST else max(abs(low), 1.0) * 0.5
        self.low, self.high = low - room, high + room

    def x(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(_FRAME.left + share * (_FRAME.right - _FRAME.left), 1)

    def ticks(self) -> list[Tick]:
        """Give three to six round numbers."""
        rough = (self.high - self.low) / 4
        power = 10.0 ** math.floor(math.log10(rough))
        step = next((step * power for step in (1, 2, 2.5, 5) if step * power >= rough), 10 * power)
        first = math.ceil(self.low / step)
        values = [index * step for index in range(first, math.floor(self.high / step) + 1)]
        return [Tick(self.x(value), f"{value:.4g}".replace("-", "−")) for value in values]


def _path(across: _Across, up: _Up, pairs: Sequence[tuple[float, float]]) -> str:
    """Draw points as strokes of no length with round ends, each place once."""
    places = dict.fromkeys((across.x(reference), up.y(off)) for reference, off in pairs)
    return "".join(f"M{x:g} {y:g}h0" for x, y in places)
