"""How long one action takes on this machine, by everything that is installed and can run a policy."""

import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np

from sb3port.checkpoint.checkpoint import Array, Checkpoint
from sb3port.checkpoint.spaces import Dict, parts
from sb3port.commands.own_code import blaming
from sb3port.commands.policies import Policy
from sb3port.errors import Sb3portError, missing, need
from sb3port.families.features import mask_size
from sb3port.inference.policy import Backend, PortedPolicy
from sb3port.parity.observations.drawn import draw, statistics_of

Predict: TypeAlias = Callable[[], Array]

_ROUND = 50


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Args:
        checkpoint: The policy.
        observation: One raw observation by key, "" where observations are no Dict.
        folder: For what only lasts as long as the measurement.
    """

    checkpoint: Checkpoint
    observation: Mapping[str, Array]
    folder: Path

    @property
    def raw(self) -> Any:
        """The observation as an environment gives it."""
        is_dict = isinstance(self.checkpoint.spec.observation_space, Dict)
        return dict(self.observation) if is_dict else self.observation[""]


@dataclass(frozen=True)
class Latency:
    """Microseconds of one call: the median, and what one of a hundred takes longer than."""

    p50: float
    p99: float


@dataclass(frozen=True)
class Latencies:
    """What was measured.

    Args:
        checkpoint: The policy.
        measured: By the names of `BACKENDS`, the fastest first.
        absent: Why others were not, by name: what is not installed, or what they have no form of.
    """

    checkpoint: Checkpoint
    measured: Mapping[str, Latency]
    absent: Mapping[str, str]


def measure_latency(policy: Policy, calls: int) -> Latencies:
    """Measure `predict` for one observation, deterministic, on one thread.

    Args:
        policy: Read here.
        calls: How many are timed of each, after some that are not.

    Raises:
        Sb3portError: The policy cannot be read.
    """
    checkpoint = policy.runnable
    if not missing("torch"):
        import torch

        torch.set_num_threads(1)
    with TemporaryDirectory() as folder, blaming(checkpoint.spec):
        predicts, absent = contestants(Subject(checkpoint, _observation(checkpoint), Path(folder)))
        times = _times(predicts, calls)
    latencies = {name: Latency(*np.percentile(values, (50, 99)).tolist()) for name, values in times.items()}
    by_speed = sorted(latencies, key=lambda name: latencies[name].p50)
    return Latencies(checkpoint, {name: latencies[name] for name in by_speed}, absent)


def contestants(subject: Subject) -> tuple[dict[str, Predict], dict[str, str]]:
    """Give what chooses an action for the observation, by name, and why others do not."""
    predicts, absent = {}, {}
    for name, make in BACKENDS.items():
        try:
            predicts[name] = make(subject)
        except Sb3portError as error:
            absent[name] = f"{error.message} ({error.hint})" if error.hint else error.message
    return predicts, absent


def _observation(checkpoint: Checkpoint) -> dict[str, Array]:
    spec, rng = checkpoint.spec, np.random.default_rng(0)
    statistics = statistics_of(spec, checkpoint.normalizer)
    spaces = parts(spec.observation_space)
    return {key: draw(space, statistics.get(key), 1, rng)[0] for key, space in spaces.items()}


def _times(predicts: Mapping[str, Predict], calls: int) -> dict[str, list[float]]:
    """Time all calls in turns, so that a busy moment hits all alike; in microseconds."""
    times: dict[str, list[float]] = {name: [] for name in predicts}
    for predict in predicts.values():
        for _ in range(_ROUND):
            predict()
    for done in range(0, calls, _ROUND):
        for name, predict in predicts.items():
            for _ in range(min(_ROUND, calls - done)):
                start = time.perf_counter_ns()
                predict()
                times[name].append((time.perf_counter_ns() - start) / 1000)
    return times


def _ported(backend: Backend) -> Callable[[Subject], Predict]:
    def make(subject: Subject) -> Predict:
        policy, raw, state = PortedPolicy(subject.checkpoint, backend), subject.raw, None

        def predict() -> Array:
            nonlocal state
            action, state = policy.predict(raw, state)
            return action

        return predict

    return make


def _state(checkpoint: Checkpoint) -> dict[str, Array]:
    """Give the memory that a graph of a recurrent policy begins with."""
    spec = checkpoint.spec
    if spec.lstm_hidden_size is None:
        return {}
    zeros = np.zeros((spec.n_lstm_layers, 1, spec.lstm_hidden_size), np.float32)
    return {"hidden_state": zeros, "cell_state": zeros}


def _onnxruntime(subject: Subject) -> Predict:
    need("onnx", "onnxruntime")
    from sb3port.exports.graphs import GraphOptions
    from sb3port.exports.onnx import load_onnx, write_onnx

    spec, path = subject.checkpoint.spec, subject.folder / "policy.onnx"
    write_onnx(subject.checkpoint, path, GraphOptions())
    run, state = load_onnx(path), _state(subject.checkpoint)
    feeds = {
        f"observation.{key}" if key else "observation": a[None] for key, a in subject.observation.items()
    }
    feeds |= {"action_mask": np.ones((1, mask_size(spec)), np.bool_)} if spec.maskable else {}
    feeds |= {"episode_start": np.zeros(1, np.bool_)} if state else {}

    def predict() -> Array:
        outputs = run({**feeds, **state})
        for name in state:
            state[name] = outputs[f"next_{name}"]
        return np.asarray(outputs["action"][0])

    return predict


def _lerobot(subject: Subject) -> Predict:
    need("lerobot", "LeRobot")
    from sb3port.networks.observations import Observations
    from sb3port.parity.checks.fresh import load_with_lerobot
    from sb3port.ports.writing import write_port

    folder, spec, state = subject.folder / "port", subject.checkpoint.spec, None
    folder.mkdir()
    write_port(subject.checkpoint, folder)
    with redirect_stdout(StringIO()):  # LeRobot prints while it loads
        port = load_with_lerobot(folder)
    masks = np.ones((1, mask_size(spec)), np.bool_) if spec.maskable else None
    rows = Observations({key: array[None] for key, array in subject.observation.items()}, masks=masks)

    def predict() -> Array:
        nonlocal state
        _, given, state = port.act(rows, True, state)
        return np.asarray(given[0])

    return predict


def _sb3(subject: Subject) -> Predict:
    need("sb3", "SB3")
    from sb3port.parity.oracle.oracle import Oracle

    oracle, raw = Oracle(subject.checkpoint), subject.raw
    return lambda: oracle.act(raw)


BACKENDS: dict[str, Callable[[Subject], Predict]] = {
    "numpy": _ported("numpy"),
    "torch": _ported("torch"),
    "onnxruntime": _onnxruntime,
    "LeRobot": _lerobot,
    "SB3": _sb3,
}
