"""Comparing whatever claims to compute what SB3 computes: a port, or an export to another runtime.

`compare_with_oracle` is the one function to call for that.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sb3port.checkpoint.checkpoint import Array
from sb3port.networks.observations import Digest, Observations, ObservationSet
from sb3port.networks.outputs import OBSERVATION as NORMALIZED
from sb3port.networks.outputs import Outputs, by_key, is_observation, stage_of
from sb3port.parity.comparison.compare import Accumulator, Comparison
from sb3port.parity.comparison.report import ORACLE, REFERENCE, Check, ObservationSummary
from sb3port.parity.comparison.verdicts import DEFAULT, NONE, Tolerance, Verdict
from sb3port.parity.oracle.noise import NoiseMeter
from sb3port.parity.oracle.oracle import Oracle


class Candidate(Protocol):
    """What is compared with the oracle."""

    def outputs(self, observations: Observations, actions: Array) -> Outputs:
        """Compute outputs by the names of `sb3port.networks.outputs`, on one batch.

        Args:
            observations: Raw.
            actions: Actions whose log-probability is asked.
        """


@dataclass(frozen=True)
class Outcome:
    """What came of comparing on one set of observations."""

    checks: tuple[Check, ...]
    summary: ObservationSummary


def compare_with_oracle(
    oracle: Oracle,
    candidate: Candidate,
    observations: ObservationSet,
    tolerance: Tolerance = DEFAULT,
    only: Collection[str] | None = None,
    noise: NoiseMeter | None = None,
) -> Outcome:
    """Compare a candidate's outputs with the oracle's, and with recorded ones, batch by batch.

    Args:
        oracle: What is right.
        candidate: What is judged.
        observations: What to compare on; both are given the same batches.
        tolerance: How far apart outputs may be.
        only: The outputs that the candidate gives; None for all that the oracle gives, each of which fails
            where the candidate has none.
        noise: Of that oracle, for whoever compares on several sets: to build one takes as long as a batch.
    """
    sweep = _Sweep(oracle, candidate, observations, only)
    sweep.noise = noise or NoiseMeter(oracle)
    for batch in observations.batches():
        sweep.add(batch)
    return sweep.outcome(tolerance)


class _Sweep:
    """Runs both sides, and keeps what the outcome needs."""

    noise: NoiseMeter

    def __init__(
        self, oracle: Oracle, candidate: Candidate, observations: ObservationSet, only: Collection[str] | None
    ) -> None:
        self._oracle, self._candidate, self._set, self._only = oracle, candidate, observations, only
        self._digest = Digest()
        self._outcomes: dict[tuple[str, str], Accumulator | Comparison] = {}
        self._clipped, self._numbers = 0, 0

    def add(self, batch: Observations) -> None:
        """Compare on one batch."""
        sample = self._oracle.sample(batch)
        actions = batch.recorded.get("sampled_action", sample)
        expected = {**self._oracle.outputs(batch, actions), "sample": sample}
        actual = self._candidate.outputs(batch, actions)
        noise = self.noise.measure(batch, expected, actions)
        self._digest.add(batch)
        self._count_clipped(expected)
        recorded = {name: array for name, array in batch.recorded.items() if name in expected}
        for against, outputs in ((ORACLE, expected), (REFERENCE, recorded)):
            for name, array in outputs.items():
                if self._only is None or name in self._only:
                    self._compare(against, name, array, actual.get(name), noise.get(name), batch)

    def outcome(self, tolerance: Tolerance) -> Outcome:
        """Judge all batches."""
        checks = [
            Check(stage_of(name), _judged(found, name, tolerance), name, self._set.name, against)
            for (against, name), found in self._outcomes.items()
        ]
        share = self._clipped / self._numbers if self._numbers else None
        named = self._set.name, self._set.label, self._set.count, self._digest.hexdigest()
        return Outcome(tuple(checks), ObservationSummary(*named, clipped_share=share))

    def _compare(
        self,
        against: str,
        name: str,
        expected: Array,
        actual: Array | None,
        noise: float | None,
        batch: Observations,
    ) -> None:
        if actual is None:
            missing = Comparison(Verdict.FAIL, "there is no such output", expected.shape)
            self._outcomes[against, name] = missing
            return
        # Binary actions are integers here, and floats in what SB3 recorded.
        expected = expected.astype(actual.dtype) if actual.dtype.kind == "i" else expected
        observe = None if name == "final_states" else batch.shown
        if name == "final_states":  # a row for every sequence
            expected, actual = (np.moveaxis(array, 2, 0) for array in (expected, actual))
        found = self._outcomes.setdefault((against, name), Accumulator(self._set.count))
        if isinstance(found, Accumulator):
            found.add(expected, actual, noise, observe)

    def _count_clipped(self, expected: Outputs) -> None:
        """Count the normalised numbers that are at the bounds, of those keys that are normalised."""
        normalizer = self._oracle.normalizer
        if normalizer is None:
            return
        keys = normalizer.norm_obs_keys or [""]
        for name in by_key(NORMALIZED, dict.fromkeys(keys, np.empty(0))):
            self._numbers += expected[name].size
            self._clipped += int((np.abs(expected[name]) >= normalizer.clip_obs).sum())


def _judged(found: Accumulator | Comparison, name: str, tolerance: Tolerance) -> Comparison:
    """Normalised observations are float64 on both sides, rounded once: there is no noise to allow for."""
    if isinstance(found, Comparison):
        return found
    exact = is_observation(name) and tolerance.atol is None
    return found.result(NONE if exact else tolerance)
