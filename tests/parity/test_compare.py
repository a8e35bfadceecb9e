"""The comparison: what is bit-exact, what is noise, what fails, and where the worst difference is."""

import numpy as np
import pytest

from sb3port.parity.compare import NOISE_FACTOR, Verdict, compare, tolerance

REFERENCE = np.linspace(-2, 2, 12, dtype=np.float32).reshape(4, 3)


def moved(by: float) -> np.ndarray:
    candidate = REFERENCE.copy()
    candidate[2, 1] += np.float32(by)
    return candidate


def test_same_bits() -> None:
    outcome = compare(REFERENCE, REFERENCE.copy(), noise=0.0)
    assert outcome.verdict is Verdict.BIT_EXACT
    assert (outcome.max_abs, outcome.max_ulp, outcome.worst) == (0.0, 0, None)


def test_noise_is_the_oracle_s_own() -> None:
    noise = 1e-4
    within, beyond = 0.9 * NOISE_FACTOR * noise, 1.1 * NOISE_FACTOR * noise
    assert compare(REFERENCE, moved(within), noise).verdict is Verdict.WITHIN_NOISE
    assert compare(REFERENCE, moved(beyond), noise).verdict is Verdict.FAIL
    assert compare(REFERENCE, moved(within)).verdict is Verdict.FAIL
    assert tolerance(0.0) == 1e-6


def test_an_oracle_that_is_unsure_of_itself_proves_nothing() -> None:
    assert compare(REFERENCE, moved(1e-3), noise=1e-2).verdict is Verdict.INCONCLUSIVE


def test_worst_case() -> None:
    outcome = compare(REFERENCE, moved(0.5), noise=0.0)
    assert outcome.worst is not None
    assert outcome.worst.index == (2, 1)
    assert outcome.worst.candidate - outcome.worst.reference == pytest.approx(0.5)
    assert outcome.max_abs == pytest.approx(0.5)
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
    assert compare(np.float32(1.0), np.float32(1.0)).verdict is Verdict.BIT_EXACT
    assert compare(np.array(1.0), np.array(2.0), noise=0.0).max_abs == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_fail(bad: float) -> None:
    assert compare(REFERENCE, moved(bad), noise=1.0).verdict is Verdict.FAIL
    assert compare(moved(bad), moved(bad), noise=1.0).verdict is Verdict.FAIL


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
