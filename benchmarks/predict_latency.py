"""How long `predict` takes for one observation: SB3's, that of `sb3port.load_policy`, and onnxruntime's.

    python benchmarks/predict_latency.py [--calls N]

One thread, two hidden layers of 64, deterministic actions. The contestants take turns, so that a busy moment
hits all of them alike. Ratios are of medians, to SB3's `model.predict` on the same policy.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import onnxruntime
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

import sb3port
from sb3port.commands.export import ExportOptions, export
from sb3port.commands.policies import ReadOptions

OBSERVATION = spaces.Box(-np.inf, np.inf, (17,), np.float32)
CASES: dict[str, tuple[spaces.Space[Any], bool]] = {
    "Box": (spaces.Box(-1.0, 1.0, (6,), np.float32), False),
    "Box, VecNormalize": (spaces.Box(-1.0, 1.0, (6,), np.float32), True),
    "Discrete": (spaces.Discrete(4), False),
}
WARM_UP, ROUND = 500, 50


class Stub(gymnasium.Env[Any, Any]):
    """An environment that only has spaces."""

    def __init__(self, action: spaces.Space[Any]) -> None:
        self.observation_space, self.action_space = OBSERVATION, action

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        """Give zeros."""
        super().reset(seed=seed, options=options)
        return np.zeros(OBSERVATION.shape, np.float32), {}


def contestants(action: spaces.Space[Any], normalize: bool, folder: Path) -> dict[str, Callable[[], Any]]:
    """Give what is measured, by name; SB3 first."""
    env: Any = DummyVecEnv([lambda: Stub(action)])
    normalizer = VecNormalize(env, training=False) if normalize else None
    model = PPO("MlpPolicy", normalizer or env, seed=0, device="cpu")
    model.save(folder / "model.zip")
    if normalizer is not None:
        normalizer.save(str(folder / "vec_normalize.pkl"))
    port = sb3port.convert(folder, folder / "port", verify=False).port
    raw = np.random.default_rng(0).normal(size=OBSERVATION.shape).astype(np.float32)

    def with_sb3() -> Any:
        shown = raw if normalizer is None else normalizer.normalize_obs(raw)
        return model.predict(shown, deterministic=True)

    ported = {f"sb3port, {name}": sb3port.load_policy(port, name) for name in ("torch", "numpy")}
    with_ports = {name: lambda policy=policy: policy.predict(raw) for name, policy in ported.items()}
    with_ports["onnxruntime"] = with_onnx(port, folder / "onnx", raw)
    check(with_sb3, with_ports)
    return {"SB3's model.predict": with_sb3, **with_ports}


def with_onnx(port: Path, folder: Path, raw: Any) -> Callable[[], Any]:
    """Export a port, and give what runs it for one observation."""
    export(port, folder, ReadOptions(), ExportOptions("onnx", verify=False), lambda *_: None)
    (path,) = folder.glob("*.onnx")
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    return lambda: session.run(["action"], {"observation": raw[None]})[0]


def check(with_sb3: Callable[[], Any], with_ports: dict[str, Callable[[], Any]]) -> None:
    """What is fast must be right."""
    expected = with_sb3()[0]
    for name, predict in with_ports.items():
        same = np.array_equal if name.endswith("torch") else np.allclose
        assert same(predict()[0], expected), name


def measure(calls: dict[str, Callable[[], Any]], count: int) -> dict[str, Any]:
    """Time every call, in microseconds; `(count,)` for each contestant."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(WARM_UP):
            call()
    for _ in range(count // ROUND):
        for name, call in calls.items():
            for _ in range(ROUND):
                start = time.perf_counter_ns()
                call()
                times[name].append((time.perf_counter_ns() - start) / 1000)
    return {name: np.array(values) for name, values in times.items()}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=20_000)
    count = parser.parse_args().calls
    torch.set_num_threads(1)
    print(f"{'actions':<20}{'':<22}{'p50':>8}{'p99':>10}{'faster':>10}")
    for name, (action, normalize) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            times = measure(contestants(action, normalize, Path(folder)), count)
        first = np.median(next(iter(times.values())))
        for who, values in times.items():
            p50, p99 = np.percentile(values, (50, 99))
            print(f"{name:<20}{who:<22}{p50:>5.1f} us{p99:>7.1f} us{first / p50:>8.1f} x")


if __name__ == "__main__":
    main()
