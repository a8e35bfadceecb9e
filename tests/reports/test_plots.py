"""The geometry of plots: what is where, and that nothing leaves its frame."""

import math
import re
from typing import Any

import pytest

from sb3port.reports.plots import Histogram, Scatter, gauge_position, histogram, scatter

from . import examples

NOISE = 8.1e-7
TOLERANCE = 8 * NOISE


def _histogram(**changes: Any) -> Histogram:
    check = {**examples.output_check("network.value:edge", 0.3, 1), **changes}
    found = histogram(check, TOLERANCE)
    assert found is not None
    return found


def _scatter(pairs: list[Any]) -> Scatter:
    found = scatter({**examples.output_check("network.value:edge", 0.3, 1), "pairs": pairs}, TOLERANCE)
    assert found is not None
    return found


def _content(zero: int, bins: dict[int, int], decades: tuple[int, int] = (-12, 2)) -> dict[str, Any]:
    counts = [bins.get(index, 0) for index in range(2 * (decades[1] - decades[0]))]
    return {"decades": list(decades), "per_decade": 2, "zero": zero, "counts": counts}


def test_bars_stand_on_the_right_side_of_the_tolerance() -> None:
    # 1e-9 to 1e-8.5, and 1e-3 to 1e-2.5.
    plot = _histogram(histogram=_content(5, {6: 3, 18: 2}), max_abs=2e-3)
    zero, below, above = plot.bars
    assert plot.noise
    assert plot.tolerance
    assert zero.x < below.x < plot.noise.x < plot.tolerance.x < above.x
    assert [bar.beyond for bar in plot.bars] == [False, False, True]
    assert zero.label == "5 exactly the same"
    assert above.label == "2 from 1e-3 to 3.2e-3"
    assert zero.height > below.height > above.height > 0


def test_the_bar_that_the_tolerance_cuts() -> None:
    cut = _content(0, {13: 1})  # 1e-5.5 to 1e-5, where the tolerance is 6.48e-6
    assert _histogram(histogram=cut, max_abs=6.4e-6).bars[0].beyond is False
    assert _histogram(histogram=cut, max_abs=6.5e-6).bars[0].beyond is True


def test_no_noise_no_lines() -> None:
    check = {**examples.output_check("network.value:edge", 0.3, 1), "noise": None}
    plot = histogram(check, None)
    assert plot is not None
    assert plot.noise is plot.tolerance is None
    assert [bar.beyond for bar in plot.bars] == [bar != plot.bars[0] for bar in plot.bars]
    passed = histogram({**check, "verdict": "within noise"}, None)
    assert passed is not None
    assert not any(bar.beyond for bar in passed.bars)
    assert histogram({**check, "histogram": None}, None) is None


@pytest.mark.parametrize(
    "content",
    [
        _content(0, {}),
        _content(10**12, {0: 1, 27: 10**12}),
        {"decades": [-12, 2], "per_decade": 2, "zero": 0, "counts": [1] * 28},
        _content(1, {1: 1}, (-330, 330)),
    ],
)
@pytest.mark.parametrize("noise", [1e-300, 1e-12, 1.0, 1e300, "inf", 0.0])
def test_nothing_leaves_the_frame(content: dict[str, Any], noise: Any) -> None:
    check = {**examples.output_check("network.value:edge", 0.3, 1), "histogram": content, "noise": noise}
    plot = histogram(check, 8 * float(noise))
    assert plot is not None
    frame = plot.frame
    for bar in plot.bars:
        assert frame.left <= bar.x <= bar.x + bar.width <= frame.right + 0.1
        assert frame.top - 0.1 <= bar.y < bar.y + bar.height <= frame.bottom + 0.1
    for line in filter(None, (plot.noise, plot.tolerance)):
        assert frame.left < line.x <= frame.right
    assert all(frame.top - 0.1 <= tick.at <= frame.bottom for tick in plot.y_ticks)


def _points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"M([\d.]+) ([\d.]+)h0", path)]


def test_points_lie_on_the_diagonal_or_not() -> None:
    plot = _scatter([[-1.0, -1.0], [0.5, 0.5], [2.0, 2.0], [0.0, 1.0]])
    x0, y0, x1, y1 = plot.diagonal
    off = [(x - x0) / (x1 - x0) - (y - y0) / (y1 - y0) for x, y in _points(plot.points)]
    assert len(off) == 3
    assert max(map(abs, off)) < 0.005
    ((x, y),) = _points(plot.beyond)
    assert (x - x0) / (x1 - x0) < (y - y0) / (y1 - y0)


def test_what_is_not_finite_is_counted() -> None:
    plot = _scatter([[1.0, "nan"], ["-inf", 1.0], [1.0, 1e305], [10**400, 1.0], [3.0, 3.0]])
    assert plot.left_out == 4
    assert len(_points(plot.points)) == 1
    check = {**examples.output_check("network.value:edge", 0.3, 1), "pairs": [["nan", "nan"]]}
    assert scatter(check, None) is None


@pytest.mark.parametrize(
    "pairs",
    [
        [[0.0, 0.0]],
        [[5.0, 5.0]],
        [[1e-30, 2e-30]],
        [[-1e299, 1e299]],
        [[0.0, 5e-324]],
        [[0.0, 1e-322]],
        [[1e15, 1e15 + 1]],
        [[1.0, 1 + 1e-15]],
    ],
)
def test_any_range_has_ticks_within_the_frame(pairs: list[Any]) -> None:
    plot = _scatter(pairs)
    assert 2 <= len(plot.x_ticks) <= 8
    assert all(plot.frame.left <= tick.at <= plot.frame.right for tick in plot.x_ticks)
    assert all(plot.frame.top <= tick.at <= plot.frame.bottom for tick in plot.y_ticks)


def test_ticks_are_round() -> None:
    plot = _scatter([[-3.1, -3.1], [0.4, 0.4]])
    assert [tick.label for tick in plot.x_ticks] == ["−3", "−2", "−1", "0"]


@pytest.mark.parametrize(
    ("value", "place"),
    [(None, None), (0.0, None), (1e-10, 1), (1e-5, 50), (1.0, 100), (1e9, 100), ("inf", 100), ("nan", 100)],
)
def test_gauge(value: Any, place: float | None) -> None:
    found = gauge_position(value)
    assert found == place if place is None else math.isclose(found or 0, place)
