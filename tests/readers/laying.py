"""Folders in the layouts of the world, made of real files: a zip, its statistics, and their neighbours."""

import io
import pickle
import shutil
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import gymnasium as gym
import numpy as np
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from ..conftest import FIXTURES

PENDULUM = FIXTURES / "ppo-Pendulum-v1"
ZIP = (PENDULUM / "ppo-Pendulum-v1.zip").read_bytes()
STATISTICS = (PENDULUM / "vec_normalize.pkl").read_bytes()
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 141090\n" % (b"0" * 64)


@cache
def kinds() -> Mapping[str, bytes]:
    """Give the contents that layouts are made of."""
    return {
        "zip": ZIP,
        "stats": STATISTICS,
        "rms": pickle.dumps(RunningMeanStd(shape=(3,))),
        "again": other_statistics("Pendulum-v1", 102_404.0),
        "others": other_statistics(),
        "pointer": POINTER,
        "pickle": pickle.dumps(np.zeros(1000)),
        "sb2": zip_of("data", "parameters", "parameter_list"),
        "curves": zip_of("evaluations.npz", "0.monitor.csv"),
        "text": b"text",
    }


def other_statistics(env_id: str = "CartPole-v1", count: float = 1e-4) -> bytes:
    """Give statistics of CartPole, whose observations have another shape; or others of Pendulum."""
    made = VecNormalize(DummyVecEnv([lambda: gym.make(env_id)]))
    made.obs_rms.count = count
    return pickle.dumps(made)


def zip_of(*members: str) -> bytes:
    """Give a zip with members that say nothing."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for member in members:
            archive.writestr(member, b"x")
    return written.getvalue()


def lay(folder: Path, files: str) -> Path:
    """Fill a folder from lines of `kind name name ...`; the kind "unzipped" makes a folder of that name."""
    for line in files.strip().splitlines():
        kind, *names = line.split()
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "unzipped":
                shutil.unpack_archive(PENDULUM / "ppo-Pendulum-v1.zip", path)
            else:
                path.write_bytes(kinds()[kind])
    return folder
