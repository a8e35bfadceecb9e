"""The geometry of plots: what is where, and that nothing leaves its frame."""

import itertools
import math
import re
from typing import Any

import pytest

from sb3port.reports.plots import Histogram, gauge_position, histogram
from sb3port.reports.residuals import Residuals, residuals

from . import examples

NOISE = 8.1e-7
TOLERANCE = 8 * NOISE


def _histogram(**changes: Any) -> Histogram:
    check = {**examples.output_check("network.value:edge", 0.3, 1), **changes}
    found = histogram(check, TOLERANCE)
    assert found is not None
    return found


def _residuals(pairs: list[Any], tolerance: float | None = TOLERANCE) -> Residuals:
    found = residuals({**examples.output_check("network.value:edge", 0.3, 1), "pairs": pairs}, tolerance)
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
    assert above.label == "2 from 0.001 to 0.0032"
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


def test_the_tolerance_is_a_band() -> None:
    plot = _residuals([[-1.0, -1.0], [0.5, 0.5 + TOLERANCE / 2], [2.0, 2.0 - 0.9 * TOLERANCE], [0.0, 1.0]])
    band = plot.band
    assert band is not None
    assert band.y < plot.zero < band.y + band.height
    within = _points(plot.points)
    assert len(within) == 3
    assert all(band.y <= y <= band.y + band.height for _, y in within)
    assert [y < plot.zero for _, y in within] == [False, True, False]  # what is larger is higher up
    ((_, y),) = _points(plot.beyond)
    assert plot.frame.top <= y < band.y


@pytest.mark.parametrize("off", [TOLERANCE * 1.1, 1e-5, 1e-2, 1.0, 1e9, 1e290])
def test_the_band_is_seen_however_far_a_port_is_off(off: float) -> None:
    plot = _residuals([[0.0, off], [1.0, 1.0], [0.0, -off]])
    assert plot.band is not None
    assert plot.band.height > 0.2 * (plot.frame.bottom - plot.frame.top)
    (_, above), (_, below) = _points(plot.beyond)
    assert plot.frame.top <= above < plot.band.y
    assert plot.band.y + plot.band.height < below <= plot.frame.bottom


def test_powers_beyond_the_tolerance_are_marked() -> None:
    plot = _residuals([[0.0, 1.5], [1.0, 1.0]])
    labels = {tick.label: tick.at for tick in plot.y_ticks}
    assert {"0", "6.5e-6", "−6.5e-6", "10⁰", "−10⁰"} <= set(labels)
    assert labels["10⁰"] < labels["6.5e-6"] < labels["0"] < labels["−6.5e-6"] < labels["−10⁰"]
    heights = sorted(labels.values())
    assert all(after - before > 10 for before, after in itertools.pairwise(heights))


def test_where_nothing_is_allowed_there_is_no_band() -> None:
    plot = _residuals([[0.0, 0.0], [1.0, 3.0]], None)
    assert plot.band is None
    assert [(len(_points(path))) for path in (plot.points, plot.beyond)] == [1, 1]
    assert [tick.label for tick in plot.y_ticks] == ["0", "2", "−2"]
    assert _residuals([[0.0, 0.0]], 0.0).band is None


def test_what_is_not_finite_is_counted() -> None:
    plot = _residuals([[1.0, "nan"], ["-inf", 1.0], [1.0, 1e305], [10**400, 1.0], [3.0, 3.0]])
    assert plot.left_out == 4
    assert len(_points(plot.points)) == 1
    check = {**examples.output_check("network.value:edge", 0.3, 1), "pairs": [["nan", "nan"]]}
    assert residuals(check, None) is None


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
    plot = _residuals(pairs)
    assert 2 <= len(plot.x_ticks) <= 8
    assert all(plot.frame.left <= tick.at <= plot.frame.right for tick in plot.x_ticks)
    assert all(plot.frame.top <= tick.at <= plot.frame.bottom for tick in plot.y_ticks)


def test_ticks_are_round() -> None:
    plot = _residuals([[-3.1, -3.1], [0.4, 0.4]])
    assert [tick.label for tick in plot.x_ticks] == ["−3", "−2", "−1", "0"]


@pytest.mark.parametrize(
    ("value", "place"),
    [(None, None), (0.0, None), (1e-10, 1), (1e-5, 50), (1.0, 100), (1e9, 100), ("inf", 100), ("nan", 100)],
)
def test_gauge(value: Any, place: float | None) -> None:
    found = gauge_position(value)
    assert found == place if place is None else math.isclose(found or 0, place)
