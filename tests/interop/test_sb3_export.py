"""Repaired and exported checkpoints in environments without sb3port: today's SB3, and SB3 2.3 on Python 3.11.

The originals are judged by SB3's own classes here, built from the source; the zip is loaded there.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import __version__ as gymnasium_version
from sb3_contrib import __version__ as contrib_version
from stable_baselines3 import __version__ as sb3_version

from sb3port.checkpoint.checkpoint import Checkpoint, PolicySpec
from sb3port.checkpoint.spaces import MultiBinary
from sb3port.commands.policies import read_policy
from sb3port.exports.vecnormalize import STATISTICS
from sb3port.families.hyperparameters import true_settings
from sb3port.networks.outputs import Outputs
from sb3port.parity.checks.checks import one_thread
from sb3port.parity.comparison.verdicts import DEFAULT
from sb3port.parity.observations.drawn import drawn_observations
from sb3port.parity.oracle.noise import NoiseMeter
from sb3port.parity.oracle.oracle import Oracle
from tests.conformance.building import saved
from tests.conformance.test_exports import CASES
from tests.conftest import FIXTURES
from tests.exports import REFUSED, repaired, zip_of
from tests.golden.test_eras import ERAS, NAMES
from tests.golden.test_zoo import MODELS
from tests.interop.environments import environment, run

pytestmark = pytest.mark.interop

TORCH = f"torch=={torch.__version__.partition('+')[0]}"
NEWEST = (
    f"stable-baselines3=={sb3_version}",
    f"sb3-contrib=={contrib_version}",
    f"gymnasium=={gymnasium_version}",
    f"numpy=={np.__version__}",
    TORCH,
)
OLD = ("stable-baselines3==2.3.2", "sb3-contrib==2.3.0", "numpy<2", TORCH)


@cache
def newest() -> Path:
    return environment("sb3-newest", NEWEST)


@cache
def old() -> Path:
    return environment("sb3-2.3", OLD, "3.11")


class Batch:
    """Checkpoints repaired into a folder, what SB3's classes compute for them here, and jobs for there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoints: dict[str, Checkpoint] = {}
        self.expected: dict[str, Outputs] = {}
        self.noise: dict[str, dict[str, float]] = {}
        self.jobs: list[dict[str, Any]] = []

    def add(self, name: str, source: Path) -> None:
        done = repaired(source, self.folder / name, verify=False)
        checkpoint = self.checkpoints[name] = read_policy(source)
        spec = checkpoint.spec
        observations = next(drawn_observations(spec, checkpoint.normalizer).batches())
        with one_thread():
            oracle = Oracle(checkpoint)
            sample = oracle.sample(observations)
            self.expected[name] = {**oracle.outputs(observations, sample), "sample": sample}
            self.noise[name] = NoiseMeter(oracle).measure(observations, self.expected[name], sample)
        arrays = {**observations.inputs, "sample": _as_sb3_has(spec, sample)}
        np.savez(done.folder / "inputs.npz", **arrays)
        statistics = done.folder / STATISTICS
        self.jobs.append(
            {
                "name": name,
                "zip": str(zip_of(done)),
                "algorithm": spec.algorithm,
                "statistics": str(statistics) if statistics.exists() else None,
                "channels_last": checkpoint.normalizer.channels_last if checkpoint.normalizer else (),
                "inputs": str(done.folder / "inputs.npz"),
                "outputs": str(done.folder / "outputs.npz"),
                # sb3-contrib itself fails to train recurrent policies of binary actions
                "trains": not (spec.algorithm == "ppo_lstm" and isinstance(spec.action_space, MultiBinary)),
            }
        )

    def load_with(self, python: Path) -> dict[str, dict[str, Any]]:
        """Load all of them there; give the outputs' differences and what else is to be known."""
        (self.folder / "jobs.json").write_text(json.dumps(self.jobs))
        script = Path(__file__).with_name("sb3_loads.py")
        results: dict[str, dict[str, Any]] = json.loads(run(python, script, self.folder / "jobs.json"))
        for job in self.jobs:
            with np.load(job["outputs"]) as found:
                results[job["name"]]["outputs"] = dict(found)
        return results


def _as_sb3_has(spec: PolicySpec, sampled: np.ndarray) -> np.ndarray:
    """`evaluate_actions` takes flat actions, binary ones in floating point."""
    flat = sampled.reshape(len(sampled), -1) if sampled.ndim > 1 else sampled
    return flat.astype(np.float32) if isinstance(spec.action_space, MultiBinary) else flat


@pytest.fixture(scope="module")
def fixtures(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    batch = Batch(tmp_path_factory.mktemp("fixtures"))
    for name in NAMES:
        if name not in REFUSED:
            batch.add(name, ERAS / name)
    for folder in sorted(FIXTURES.iterdir()):
        batch.add(folder.name, folder)
    return batch


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    batch = Batch(tmp_path_factory.mktemp("cases"))
    for name, case in CASES.items():
        source = tmp_path_factory.mktemp("original") / name
        saved(case, source)
        batch.add(name, source)
    return batch


@pytest.fixture(scope="module")
def models(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Batch:
    batch = Batch(tmp_path_factory.mktemp("zoo"))
    for name in MODELS:
        batch.add(name, zoo / name)
    return batch


def assert_bit_exact(batch: Batch, results: dict[str, dict[str, Any]]) -> None:
    assert results.keys() == batch.checkpoints.keys()
    for name, result in results.items():
        assert result["lost"] == [], name
        for output, array in result["outputs"].items():
            expected = batch.expected[name][output]
            assert np.array_equal(array.reshape(expected.shape), expected), (name, output)


def assert_within_noise(batch: Batch, results: dict[str, dict[str, Any]]) -> None:
    assert results.keys() == batch.checkpoints.keys()
    for name, result in results.items():
        for output, array in result["outputs"].items():
            expected = batch.expected[name][output]
            gap = np.abs(array.reshape(expected.shape).astype(np.float64) - expected).max()
            assert gap <= DEFAULT.allowed(batch.noise[name][output]), (name, output, gap)


def assert_settings(batch: Batch, results: dict[str, dict[str, Any]], linear: bool = True) -> None:
    """The rates are the true ones, and training goes on; SB3 before 2.7 has no class for linear schedules."""
    for name, result in results.items():
        for setting, schedule in true_settings(batch.checkpoints[name]).schedules.items():
            if setting in result and (linear or type(schedule).__name__ == "ConstantSchedule"):
                assert result[setting] == schedule(1.0), (name, setting)
        assert result["steps"] in (None, 16), name


def test_todays_sb3_computes_the_same_bits_from_fixtures(fixtures: Batch) -> None:
    results = fixtures.load_with(newest())
    assert_bit_exact(fixtures, results)
    assert_settings(fixtures, results)


@pytest.mark.thorough
def test_sb3_2_3_is_within_noise_on_fixtures(fixtures: Batch) -> None:
    results = fixtures.load_with(old())
    assert_within_noise(fixtures, results)
    assert_settings(fixtures, results, linear=False)


@pytest.mark.thorough
def test_todays_sb3_computes_the_same_bits_from_every_case(cases: Batch) -> None:
    results = cases.load_with(newest())
    assert_bit_exact(cases, results)
    assert_settings(cases, results)


@pytest.mark.thorough
def test_sb3_2_3_is_within_noise_on_every_case(cases: Batch) -> None:
    results = cases.load_with(old())
    assert_within_noise(cases, results)
    assert_settings(cases, results, linear=False)


@pytest.mark.zoo
def test_todays_sb3_computes_the_same_bits_from_the_zoo(models: Batch) -> None:
    results = models.load_with(newest())
    assert_bit_exact(models, results)
    assert_settings(models, results)


@pytest.mark.zoo
def test_sb3_2_3_is_within_noise_on_the_zoo(models: Batch) -> None:
    results = models.load_with(old())
    assert_within_noise(models, results)
    assert_settings(models, results, linear=False)
