"""The comparison: what is bit-exact, what is noise, what fails, and where the worst difference is."""

from dataclasses import replace

import numpy as np
import pytest

from sb3port.parity.comparison.compare import MAX_PAIRS, Accumulator, Comparison, compare
from sb3port.parity.comparison.verdicts import NOISE_FACTOR, NONE, Tolerance, Verdict

REFERENCE = np.linspace(-2, 2, 12, dtype=np.float32).reshape(4, 3)


def moved(by: float) -> np.ndarray:
    candidate = REFERENCE.copy()
    candidate[2, 1] += np.float32(by)
    return candidate


def test_same_bits() -> None:
    outcome = compare(REFERENCE, REFERENCE.copy(), noise=0.0)
    assert outcome.verdict is Verdict.BIT_EXACT
    assert (outcome.max_abs, outcome.max_rel, outcome.max_ulp, outcome.worst) == (0.0, 0.0, 0, None)
    assert (outcome.count, outcome.shape) == (4, (4, 3))


def test_noise_is_the_oracle_s_own() -> None:
    noise = 1e-4
    within, beyond = 0.9 * NOISE_FACTOR * noise, 1.1 * NOISE_FACTOR * noise
    assert compare(REFERENCE, moved(within), noise).verdict is Verdict.WITHIN_NOISE
    assert compare(REFERENCE, moved(within), noise).times_noise == pytest.approx(0.9 * NOISE_FACTOR, rel=1e-3)
    assert compare(REFERENCE, moved(beyond), noise).verdict is Verdict.FAIL
    assert compare(REFERENCE, moved(within)).verdict is Verdict.FAIL
    assert Tolerance().allowed(0.0) == 1e-6


def test_a_given_tolerance_is_never_called_noise() -> None:
    given = Tolerance(atol=0.01)
    assert compare(REFERENCE, moved(0.009), 1e-8, given).verdict is Verdict.WITHIN_ATOL
    assert compare(REFERENCE, moved(1e-6), 1e-8, given).verdict is Verdict.WITHIN_ATOL
    assert compare(REFERENCE, moved(0.011), 1.0, given).verdict is Verdict.FAIL
    assert compare(REFERENCE, REFERENCE.copy(), 1e-8, given).verdict is Verdict.BIT_EXACT
    assert compare(REFERENCE, moved(1e-6), 1e-8, Tolerance(atol=0.0)).verdict is Verdict.FAIL


def test_what_has_no_noise_is_the_same_number_or_wrong() -> None:
    assert compare(REFERENCE, moved(5e-7), 0.0, NONE).verdict is Verdict.FAIL


def test_an_oracle_that_is_unsure_of_itself_proves_nothing() -> None:
    assert compare(REFERENCE, moved(1e-3), noise=1e-2).verdict is Verdict.INCONCLUSIVE


def test_worst_case() -> None:
    outcome = compare(REFERENCE, moved(0.5), noise=0.0, observe=lambda row: {"": [float(row)]})
    assert outcome.worst is not None
    assert outcome.worst.index == (2, 1)
    assert outcome.worst.candidate - outcome.worst.reference == pytest.approx(0.5)
    assert outcome.worst.observation == {"": [2.0]}
    assert outcome.max_abs == pytest.approx(0.5)
    assert outcome.max_rel == pytest.approx(0.5 / REFERENCE[2, 1])
    assert outcome.mean_abs == pytest.approx(0.5 / REFERENCE.size)


def test_units_in_the_last_place_cross_zero() -> None:
    smallest = np.float32(1e-45)
    outcome = compare(np.array([-smallest]), np.array([smallest]), noise=0.0)
    assert outcome.max_ulp == 2
    for kind in (np.float32, np.float64):
        one = np.array([1.0], kind)
        assert compare(one, np.nextafter(one, kind(2)), noise=0.0).max_ulp == 1
        assert compare(2 * one, -2 * one, noise=0.0).max_ulp == 2 * int(_bits(2 * one))


def _bits(value: np.ndarray) -> np.integer:
    return value.view(f"i{value.itemsize}")[0]


def test_single_numbers() -> None:
    assert compare(np.array(1.0, np.float32), np.array(1.0, np.float32)).verdict is Verdict.BIT_EXACT
    outcome = compare(np.array(1.0), np.array(2.0), noise=0.0)
    assert (outcome.max_abs, outcome.shape) == (1.0, ())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_fail(bad: float) -> None:
    outcome = compare(REFERENCE, moved(bad), noise=1.0)
    assert outcome.verdict is Verdict.FAIL
    assert not np.isfinite(outcome.max_abs)
    assert outcome.worst is not None
    assert outcome.worst.index == (2, 1)
    assert compare(moved(bad), moved(bad), noise=1.0).verdict is Verdict.FAIL
    assert compare(REFERENCE, moved(bad), noise=1.0, tolerance=Tolerance(atol=1.0)).verdict is Verdict.FAIL


def test_other_shapes_fail_with_a_reason() -> None:
    outcome = compare(REFERENCE, REFERENCE.T, noise=1.0)
    assert outcome.verdict is Verdict.FAIL
    assert "(4, 3) and (3, 4)" in outcome.reason


def test_actions_are_equal_or_not() -> None:
    actions = np.array([0, 1, 2])
    assert compare(actions, actions.astype(np.int32), noise=5.0).verdict is Verdict.BIT_EXACT
    assert compare(actions, np.array([0, 1, 1]), noise=5.0).verdict is Verdict.FAIL


def test_signed_zero_is_a_difference_of_bits_only() -> None:
    outcome = compare(np.array([0.0]), np.array([-0.0]), noise=0.0)
    assert outcome.verdict is Verdict.WITHIN_NOISE
    assert outcome.max_abs == 0.0


def test_histogram_counts_every_number() -> None:
    candidate = REFERENCE.astype(np.float64)
    reference = candidate.copy()
    candidate[0] += (1e-20, 2e-3, 1e9)
    candidate[1, 0] = np.nan
    histogram = compare(reference, candidate).histogram
    assert histogram is not None
    assert histogram.zero + sum(histogram.counts) == REFERENCE.size
    placed = {index: count for index, count in enumerate(histogram.counts) if count}
    assert placed == {18: 1, 27: 2}  # 1e-20 is lost in rounding; 2e-3 is between 1e-3 and 10**-2.5
    assert histogram.to_json()["decades"] == [-12, 2]


@pytest.mark.parametrize("rows", [1, 7, 128, 129, 1000])
def test_pairs_are_spread_over_all_rows(rows: int) -> None:
    reference = np.arange(rows * 4, dtype=np.float64).reshape(rows, 4)
    pairs = compare(reference, reference + 0.5).pairs
    assert rows / 16 < len(pairs) <= min(rows, MAX_PAIRS)
    assert all(candidate == expected + 0.5 for expected, candidate in pairs)
    assert pairs[-1][0] >= reference.size * 0.9 - 8
    assert len({expected % 4 for expected, _ in pairs}) == min(4, rows)


@pytest.mark.parametrize("block", [1, 3, 100, 1000])
def test_blocks_make_no_difference(block: int) -> None:
    rng = np.random.default_rng(0)
    reference = rng.standard_normal((700, 3)).astype(np.float32)
    candidate = reference + (rng.random(reference.shape) < 0.1) * np.float32(1e-4) * reference
    accumulator = Accumulator(len(reference))
    for begin in range(0, len(reference), block):
        rows = slice(begin, begin + block)
        accumulator.add(reference[rows], candidate[rows], 1e-5)
    assert _rounded(accumulator.result()) == _rounded(compare(reference, candidate, 1e-5))


def _rounded(outcome: Comparison) -> Comparison:
    return replace(outcome, mean_abs=float(f"{outcome.mean_abs:.12g}"))  # sums depend on their order
