"""Which factor of the oracle's own noise is allowed: the measurement behind `docs/tolerance.md`.

    python benchmarks/tolerance.py

Models are the fixtures of this repository, large ones that SB3 builds here with random weights, and those of
the folder that SB3PORT_ZOO names. Three differences are measured in units of the noise max|float32 - float64|
on the same observations:

a. one row (or one sequence) at a time against all at once: right, and must pass;
b. statistics and arithmetic of the normaliser in float32: nearly right;
c. a normaliser like LeRobot's MEAN_STD, which divides by std + 1e-8 and does not clip: wrong.
"""

import math
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from gymnasium import Env, spaces
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO

from sb3port.checkpoint.checkpoint import Array, Checkpoint, RunningMeanStd
from sb3port.commands.observation_sets import ObservationContext, observation_sets
from sb3port.commands.verify import reference_of
from sb3port.errors import NotPortable
from sb3port.networks.observations import Observations
from sb3port.networks.outputs import OBSERVATION, Outputs, by_key, is_observation
from sb3port.parity.comparison.verdicts import FLOOR
from sb3port.parity.oracle.noise import NoiseMeter
from sb3port.parity.oracle.oracle import Oracle
from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.places.source import SourceOptions, resolve

FIXTURES = Path(__file__).parents[1] / "fixtures"
FACTORS = (2, 4, 8, 16)
# Those that several calls compute alike; samples and remembered actions are made of them.
OUTPUTS = ("mean", "logits", "value", "mode", "log_prob", "entropy", "action", "final_states")

Normalize: TypeAlias = Callable[[Array, RunningMeanStd, float, float], Array]


@dataclass(frozen=True)
class Ratio:
    """The largest difference of one output, and the oracle's noise there."""

    difference: float
    noise: float

    def passes(self, factor: float) -> bool:
        """Whether the rule with this factor lets it pass."""
        return self.difference <= max(FLOOR, factor * self.noise)

    @property
    def times_noise(self) -> float:
        """The difference in units of the noise; infinite where other choices are made, which have none."""
        if not self.difference:
            return 0.0
        return self.difference / self.noise if self.noise else math.inf


@dataclass(frozen=True)
class Measured:
    """One model: the ratios of each kind of difference by output, empty where there is no normaliser.

    Args:
        differs: By kind, whether the normalised observations differ at all.
    """

    name: str
    kinds: dict[str, dict[str, Ratio]]
    differs: dict[str, bool]

    def passes(self, kind: str, factor: float) -> bool:
        """Whether all outputs pass."""
        return all(ratio.passes(factor) for ratio in self.kinds[kind].values())

    def times_noise(self, kind: str) -> float:
        """The largest difference of an output in units of its noise."""
        return max(ratio.times_noise for ratio in self.kinds[kind].values())

    def is_above_floor(self, kind: str) -> bool:
        """Whether something differs by more than what is always allowed."""
        return not self.passes(kind, 0)


def in_float32(values: Array, rms: RunningMeanStd, epsilon: float, clip: float) -> Array:
    """Normalise in float32 throughout."""
    mean, var = rms.mean.astype(np.float32), rms.var.astype(np.float32)
    std = np.sqrt(var + np.float32(epsilon))
    normalized = (values.astype(np.float32) - mean) / std
    return np.asarray(np.clip(normalized, np.float32(-clip), np.float32(clip)))


def like_mean_std(values: Array, rms: RunningMeanStd, epsilon: float, clip: float) -> Array:  # noqa: ARG001
    """Normalise as LeRobot's MEAN_STD does."""
    return np.asarray((values - rms.mean) / (np.sqrt(rms.var) + 1e-8), np.float32)


def measure(name: str, checkpoint: Checkpoint, batch: Observations) -> Measured:
    """Measure one model on one batch."""
    oracle = Oracle(checkpoint)
    sample = oracle.sample(batch)
    actions = batch.recorded.get("sampled_action", sample)
    right = oracle.outputs(batch, actions)
    noise = NoiseMeter(oracle).measure(batch, {**right, "sample": sample}, actions)
    found = {"a": one_by_one(oracle, batch, actions)}
    if checkpoint.normalizer is not None and checkpoint.normalizer.statistics:
        found["b"] = with_normalizer(checkpoint, batch, actions, in_float32)
        found["c"] = with_normalizer(checkpoint, batch, actions, like_mean_std)
    kinds = {kind: ratios(right, outputs, noise) for kind, outputs in found.items()}
    seen = [output for output in right if is_observation(output)]
    differs = {
        kind: any(not np.array_equal(right[output], outputs[output]) for output in seen)
        for kind, outputs in found.items()
    }
    return Measured(name, kinds, differs)


def ratios(right: Outputs, other: Outputs, noise: dict[str, float]) -> dict[str, Ratio]:
    """Compare all outputs that there are."""
    names = [name for name in OUTPUTS if name in right]
    return {name: Ratio(_largest(right[name], other[name]), noise[name]) for name in names}


def one_by_one(oracle: Oracle, batch: Observations, actions: Array) -> Outputs:
    """Give rows, or sequences, to the oracle one at a time."""
    steps = batch.steps
    outputs = []
    for number, begin in enumerate(range(0, len(batch), steps)):
        rows = slice(begin, begin + steps)
        states = None if batch.states is None else batch.states[:, :, number : number + 1]
        parts = {key: part[rows] for key, part in batch.parts.items()}
        masks, starts = (None if part is None else part[rows] for part in (batch.masks, batch.starts))
        one = replace(batch, parts=parts, masks=masks, starts=starts, states=states)
        outputs.append(oracle.outputs(one, actions[rows]))
    axes = dict.fromkeys(outputs[0], 0) | {"final_states": 2}
    return {name: np.concatenate([one[name] for one in outputs], axes[name]) for name in outputs[0]}


def with_normalizer(
    checkpoint: Checkpoint, batch: Observations, actions: Array, normalize: Normalize
) -> Outputs:
    """Compute outputs behind another normaliser."""
    normalizer = checkpoint.normalizer
    assert normalizer is not None
    settings = normalizer.epsilon, normalizer.clip_obs
    parts = {
        key: normalize(part, normalizer.statistics[key], *settings) if key in normalizer.statistics else part
        for key, part in batch.parts.items()
    }
    bare = Oracle(replace(checkpoint, normalizer=None))
    return bare.outputs(replace(batch, parts=parts), actions) | by_key(OBSERVATION, parts)


def _largest(one: Array, other: Array) -> float:
    return float(np.max(np.abs(one.astype(np.float64) - other.astype(np.float64)), initial=0.0))


class SpacesOnly(Env[Any, Any]):
    """An environment that is never stepped."""

    def __init__(self, observation: spaces.Space[Any], action: spaces.Space[Any]) -> None:
        self.observation_space, self.action_space = observation, action


def large_models(folder: Path) -> Iterator[Path]:
    """Let SB3 build and save models of the sizes that its users train, with random weights."""
    image = spaces.Box(0, 255, (84, 84, 4), np.uint8)
    vector, box, choice = spaces.Box(-1, 1, (24,)), spaces.Box(-1, 1, (4,)), spaces.Discrete(6)
    made = {
        "NatureCNN, 84x84x4": PPO("CnnPolicy", SpacesOnly(image, choice), seed=0, n_steps=8, batch_size=8),
        "NatureCNN, 84x84x4, Box": PPO("CnnPolicy", SpacesOnly(image, box), seed=1, n_steps=8, batch_size=8),
        "LSTM 256": RecurrentPPO("MlpLstmPolicy", SpacesOnly(vector, box), seed=2),
        "LSTM 256, NatureCNN": RecurrentPPO("CnnLstmPolicy", SpacesOnly(image, choice), seed=3, n_steps=8),
    }
    for name, model in made.items():
        with torch.no_grad():  # beyond the first initialisation, where outputs are all near zero
            for parameter in model.policy.action_net.parameters():
                parameter.mul_(100)
        model.save(folder / name)
        yield folder / f"{name}.zip"


def sources(folder: Path) -> Iterator[Path]:
    """Find all models."""
    yield from sorted(path.parent for path in FIXTURES.glob("hub/*/*/reference.npz"))
    yield from sorted(path.parent for path in FIXTURES.glob("eras/*/*/reference.npz"))
    yield from large_models(folder)
    if zoo := os.environ.get("SB3PORT_ZOO"):
        yield from sorted(path.parent for path in Path(zoo).glob("*/reference.npz"))


def measured(path: Path) -> Measured | None:
    """Measure a model, on what was recorded with it or on drawn observations; None for what is not ported."""
    try:
        source = resolve(str(path), SourceOptions())
        checkpoint = read_checkpoint(source)
    except NotPortable:
        return None
    context = ObservationContext(checkpoint, reference_of(source, checkpoint))
    observations, _ = observation_sets((), context)
    name = path.name if path.suffix == ".zip" else f"{path.parent.name}/{path.name}"
    return measure(name.removesuffix(".zip"), checkpoint, next(observations.batches()))


def print_tables(models: list[Measured]) -> None:
    """Print what `docs/tolerance.md` shows."""
    print("| rule | a passes | b passes | c caught |\n|---|---:|---:|---:|")
    normalised = [model for model in models if "c" in model.kinds]
    for factor in FACTORS:
        a = sum(model.passes("a", factor) for model in models)
        b = sum(model.passes("b", factor) for model in normalised)
        c = sum(not model.passes("c", factor) for model in normalised)
        n = len(normalised)
        print(f"| max(1e-6, {factor} x noise) | {a}/{len(models)} | {b}/{n} | {c}/{n} |")
    for kind in ("b", "c"):
        same = [model.name for model in normalised if not model.differs[kind]]
        caught = f"{len(normalised) - len(same)}/{len(normalised)}"
        print(
            f"\n{kind}: the normaliser's check fails in {caught}; the same bits: {', '.join(same) or 'none'}"
        )
    print("\nLargest difference in units of the noise, in brackets where 1e-6 is enough anyway:")
    print("\n| model | a | b | c |\n|---|---:|---:|---:|")
    for model in sorted(models, key=lambda model: (not model.is_above_floor("a"), -model.times_noise("a"))):
        print(f"| {model.name} | {' | '.join(_cell(model, kind) for kind in 'abc')} |")


def _cell(model: Measured, kind: str) -> str:
    if kind not in model.kinds:
        return ""
    text = f"{model.times_noise(kind):.2g}"
    return text if model.is_above_floor(kind) else f"({text})"


def main() -> None:
    """Measure all models and print tables."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = [measured(path) for path in sources(Path(folder))]
    print_tables([model for model in found if model is not None])


if __name__ == "__main__":
    main()
