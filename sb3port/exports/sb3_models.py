"""A checkpoint as a model of SB3's in memory: what `load` would give, without unpickling anything."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.utils import check_for_correct_spaces
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecEnv,
    VecFrameStack,
    VecNormalize,
    is_vecenv_wrapped,
)

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.checkpoint.frames import stacks_of
from sb3port.errors import UsageError
from sb3port.exports.sb3 import build_model
from sb3port.exports.sb3_form import sb3_form
from sb3port.exports.vecnormalize import STATISTICS, build_vecnormalize, without_environment
from sb3port.networks.gymnasium_spaces import gymnasium_space, policy_space
from sb3port.parity.oracle.sb3_policies import ALGORITHMS


@dataclass(frozen=True)
class LoadedModel:
    """What `load_model` gives.

    Args:
        model: A `PPO`, `SAC` or what else the algorithm is called, of SB3's or sb3-contrib's.
        vec_normalize: SB3's `VecNormalize` with the statistics of the training, None where it had none. It is
            around the environment that was given, and waits for `set_venv` where none was.
        warnings: What could not be read, or is not as it was, a sentence each.
    """

    model: BaseAlgorithm
    vec_normalize: VecNormalize | None
    warnings: tuple[str, ...] = ()


def load_sb3_model(
    checkpoint: Checkpoint, env: gymnasium.Env[Any, Any] | VecEnv | None = None, device: str = "auto"
) -> LoadedModel:
    """Build the model that a checkpoint is of, and its VecNormalize.

    Args:
        checkpoint: As it was read.
        env: What to go on training in, without VecNormalize and, where frames were normalised and then
            stacked, without the stack; they are put around it. None for a model that only predicts.
        device: As for `PPO.load`.

    Raises:
        NotPortable: SB3 has no such model.
        UsageError: The environment has other spaces, or a VecNormalize; a schedule is a function.
    """
    checkpoint = sb3_form(checkpoint)
    normalizer, wrapped = _environment(checkpoint, env)
    model: Any = build_model(checkpoint, wrapped, device, trains=True)
    if model.use_sde:
        model.policy.reset_noise()  # on its device, as `load` does
    return LoadedModel(model, normalizer, checkpoint.warnings)


def _environment(
    checkpoint: Checkpoint, env: gymnasium.Env[Any, Any] | VecEnv | None
) -> tuple[VecNormalize | None, VecEnv | None]:
    """Put around an environment what was around the training's: statistics, frames, then images."""
    spec, normalizer = checkpoint.spec, checkpoint.normalizer
    if env is None:
        waiting = without_environment(build_vecnormalize(spec, normalizer)) if normalizer else None
        return waiting, None
    around, built = _vectorized(env), None
    try:
        if normalizer is not None:
            built = build_vecnormalize(spec, normalizer, around)
            around = _stacked(built, checkpoint)
        wrapped = ALGORITHMS[spec.algorithm]._wrap_env(around, verbose=0)
        seen, done = policy_space(spec.observation_space), gymnasium_space(spec.action_space)
        check_for_correct_spaces(wrapped, seen, done)
    except (AssertionError, ValueError) as error:
        raise UsageError(
            f"env does not fit {checkpoint.provenance.name}: {str(error)[:500]}",
            "the checkpoint's spaces are those of: sb3port inspect",
        ) from error
    return built, wrapped


def _vectorized(env: gymnasium.Env[Any, Any] | VecEnv) -> VecEnv:
    if not isinstance(env, VecEnv):
        return DummyVecEnv([lambda: env if is_wrapped(env, Monitor) else Monitor(env)])
    if is_vecenv_wrapped(env, VecNormalize):
        raise UsageError(
            "env has a VecNormalize already",
            "pass the environment without it: load_model puts its own around",
        )
    return env


def _stacked(built: VecNormalize, checkpoint: Checkpoint) -> VecEnv:
    """Stack frames that were normalised one by one, as rl_zoo3 does."""
    stacks = stacks_of(checkpoint.normalizer, checkpoint.spec.observation_space)
    if not stacks:
        return built
    orders = {key: "last" if stack.axis == len(stack.frame) - 1 else "first" for key, stack in stacks.items()}
    (count,) = {stack.count for stack in stacks.values()}
    return VecFrameStack(built, count, orders.get("", orders))


def save_sb3_model(
    model: BaseAlgorithm, folder: Path, name: str, normalizer: VecNormalize | None = None
) -> None:
    """Save a live model as SB3's users do: a zip, and the statistics of its VecNormalize beside it.

    Args:
        model: Of SB3's or sb3-contrib's.
        folder: Where to; it is made.
        name: What the zip is called.
        normalizer: None for that of the model's environment, if it has one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / f"{name}.zip")
    normalizer = normalizer or model.get_vec_normalize_env()
    if normalizer is not None:
        normalizer.save(str(folder / STATISTICS))
