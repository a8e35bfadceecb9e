"""Real files: every tensor and statistic that we read is what torch and pickle give for it."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3port.readers.formats.tensors import read_torch
from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.meaning.vecnormalize import read_vecnormalize
from sb3port.readers.places.source import SourceOptions, resolve

from .making import Still

ZOO_SIZE = 19
MEMBERS = ("policy.pth", "policy.optimizer.pth", "pytorch_variables.pth")


def _assert_same(ours: Any, theirs: Any) -> int:
    """Compare what was read bit by bit, and count the tensors."""
    if isinstance(theirs, torch.Tensor):
        expected = theirs.numpy()
        assert (ours.dtype, ours.shape) == (expected.dtype, expected.shape)
        assert ours.tobytes() == expected.tobytes()
        return 1
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        return sum(_assert_same(ours[key], theirs[key]) for key in theirs)
    if isinstance(theirs, list | tuple):
        assert (type(ours), len(ours)) == (type(theirs), len(theirs))
        return sum(_assert_same(*pair) for pair in zip(ours, theirs, strict=True))
    assert (type(ours), ours) == (type(theirs), theirs)
    return 0


def _assert_same_zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        counts = []
        for member in MEMBERS:
            raw = archive.read(member)
            theirs = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
            counts.append(_assert_same(read_torch(raw, member)[0], theirs))
    assert counts[0] >= 12, "a policy has at least twelve tensors"


def test_tensors_of_the_fixtures(pendulum: Path, cartpole: Path) -> None:
    _assert_same_zip(pendulum / "ppo-Pendulum-v1.zip")
    _assert_same_zip(cartpole / "ppo-CartPole-v1.zip")


@pytest.mark.zoo
def test_tensors_of_the_zoo(zoo: Path) -> None:
    zips = sorted(zoo.glob("*/*.zip"))
    assert len(zips) == ZOO_SIZE
    for path in zips:
        _assert_same_zip(path)


def test_statistics_of_the_fixture(pendulum: Path) -> None:
    path = pendulum / "vec_normalize.pkl"
    found = read_vecnormalize(path)
    ours, file = found.normalizer, found.file
    observation, action = (
        pickle.loads(path.read_bytes()).__dict__[f"{k}_space"] for k in ("observation", "action")
    )
    theirs = VecNormalize.load(str(path), DummyVecEnv([lambda: Still(observation, action)]))
    _assert_statistics(ours, theirs)
    assert (file.name, file.size) == ("vec_normalize.pkl", path.stat().st_size)


class _Inert:
    """Stands for any class of gym: takes everything, does nothing."""

    def __init__(self, *args: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


class _WithoutGym(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _Inert if module.startswith(("gym.", "numpy.random")) else super().find_class(module, name)


class _Bare(VecNormalize):
    """A VecNormalize whose state is only looked at."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


class _Trusted(_WithoutGym):
    def find_class(self, module: str, name: str) -> Any:
        return _Bare if name == "VecNormalize" else super().find_class(module, name)


def _assert_statistics(ours: Any, theirs: Any) -> None:
    for name in ("obs_rms", "ret_rms"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        assert mine.mean.tobytes() == np.asarray(other.mean, np.float64).tobytes()
        assert mine.var.tobytes() == np.asarray(other.var, np.float64).tobytes()
        assert mine.mean.shape == np.shape(other.mean)
        assert mine.count == float(other.count)
    for name in ("clip_obs", "clip_reward", "gamma", "epsilon", "norm_obs", "norm_reward"):
        assert getattr(ours, name) == getattr(theirs, name), name


@pytest.mark.zoo
def test_statistics_of_the_zoo(zoo: Path) -> None:
    paths = sorted(zoo.glob("*/vec_normalize.pkl"))
    assert len(paths) == 12
    for path in paths:
        _assert_statistics(read_vecnormalize(path).normalizer, _Trusted(io.BytesIO(path.read_bytes())).load())


# Learning rate and clip range as stored, spelled as the schedules print themselves (+ means linear to 0).
TRUE_SCHEDULES = {
    "a2c-CartPole-v1": ("0", None),
    "a2c-Hopper-v3": ("0.0007", None),
    "a2c-LunarLanderContinuous-v2": ("lin 0.0007", None),
    "a2c-MountainCar-v0": ("0.0007", None),
    "a2c-Pendulum-v1": ("0", None),
    "ppo-Acrobot-v1": ("0.0003", "0.2"),
    "ppo-AntBulletEnv-v0": ("3e-05", "0.4"),
    "ppo-BipedalWalker-v3": ("0.00025", "0.2"),
    "ppo-CartPole-v1": ("lin 0.001", "lin 0.2"),
    "ppo-HalfCheetah-v3": ("2.0633e-05", "0.1"),
    "ppo-Hopper-v3": ("9.80828e-05", "0.2"),
    "ppo-LunarLander-v2": ("0.0003", "0.2"),
    "ppo-MountainCarContinuous-v0": ("7.77e-05", "0.1"),
    "ppo-Pendulum-v1": ("0.001", "0.2"),
    "ppo-Swimmer-v3": ("0.0003", "0.2"),
    "trpo-CartPole-v1": ("0.001", None),
    "trpo-LunarLander-v2": ("0.001", None),
    "trpo-Pendulum-v1": ("0.001", None),
    "trpo-Swimmer-v3": ("0.001", None),
}


@pytest.mark.zoo
@pytest.mark.parametrize("name", TRUE_SCHEDULES)
def test_true_schedules_of_the_zoo(zoo: Path, name: str) -> None:
    from sb3port.checkpoint.schedules import ConstantSchedule, SimpleLinearSchedule

    def expected(text: str) -> Any:
        kind = SimpleLinearSchedule if text.startswith("lin ") else ConstantSchedule
        return kind(float(text.removeprefix("lin ")))

    checkpoint = read_checkpoint(resolve(str(zoo / name), SourceOptions()))
    named = zip(("learning_rate", "clip_range"), TRUE_SCHEDULES[name], strict=True)
    assert checkpoint.training.schedules == {key: expected(text) for key, text in named if text is not None}
    assert checkpoint.spec.algorithm == name.partition("-")[0]
