"""What a checkpoint was trained with, as far as that can be believed, for going on with it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sb3port.checkpoint import Checkpoint, Normalizer, TrainingSettings
from sb3port.ppo.fresh import ALGORITHMS
from sb3port.ppo.hyperparameters import NAMES, SCHEDULES, Hyperparameters, changed, defaults
from sb3port.schedules import ConstantSchedule, CustomSchedule

# What PPO makes of a policy that another algorithm trained.
_SAME_POLICY = {"a2c": "ppo", "trpo": "ppo"}


def as_ppo(checkpoint: Checkpoint) -> tuple[Checkpoint, list[str]]:
    """Give a checkpoint as one of PPO's, with sentences on what that leaves out."""
    algorithm = checkpoint.spec.algorithm
    if algorithm in ALGORITHMS:
        return checkpoint, []
    spec = replace(checkpoint.spec, algorithm=_SAME_POLICY[algorithm])
    steps = checkpoint.training.hyperparameters.get("num_timesteps", 0)
    kept = {"num_timesteps": steps, "gamma": checkpoint.training.hyperparameters.get("gamma", 0.99)}
    training = TrainingSettings({}, kept, "Adam")
    warning = (
        f"{algorithm.upper()} trained this policy: PPO goes on with its weights, its gamma and SB3's other "
        "defaults, and with a new optimiser"
    )
    return replace(checkpoint, spec=spec, training=training, optimizer=None), [warning]


def believed(
    checkpoint: Checkpoint, given: Mapping[str, Any]
) -> tuple[Hyperparameters, dict[str, Any], list[str]]:
    """Give the hyperparameters to go on with.

    A learning rate or a clip range of exactly 0, and a function of the author's own, are not believed.

    Args:
        checkpoint: The checkpoint, of an algorithm of `ALGORITHMS`.
        given: What the user gives, which is believed.

    Returns:
        The hyperparameters; the other settings of the training (`n_envs`, `seed`, ...); and a sentence for
        each value that was not believed.

    Raises:
        UsageError: A value is impossible.
    """
    training = checkpoint.training
    known = {**training.hyperparameters, **training.schedules}
    base, warnings = defaults(checkpoint.spec.algorithm), []
    for name in SCHEDULES:
        reason = _doubt(known.get(name))
        if reason is not None:
            known.pop(name)
            if name not in given:
                warnings.append(f"{name} is {reason}; SB3's default of {getattr(base, name)} is taken for it")
    settings = {name: value for name, value in known.items() if name in NAMES}
    kept = {name: value for name, value in settings.items() if value is not None or name in _MAY_BE_NONE}
    # Early versions of SB3 saved neither.
    kept["use_sde"] = checkpoint.spec.use_sde
    others = {name: value for name, value in known.items() if name not in NAMES}
    read = changed(base, kept, "the checkpoint")
    return changed(read, given, "the command line"), others, warnings


_MAY_BE_NONE = ("clip_range_vf", "target_kl")


def _doubt(schedule: object) -> str | None:
    if schedule == ConstantSchedule(0.0):
        return "0 in the checkpoint, which no training had"
    return f"a {schedule}" if isinstance(schedule, CustomSchedule) else None


def normaliser_of(checkpoint: Checkpoint, given: Mapping[str, Any]) -> tuple[Normalizer | None, list[str]]:
    """Give the normaliser to go on with, flags replaced by what the user gives.

    Returns:
        The normaliser, and a sentence where rewards may have been normalised in the training.
    """
    normalizer = checkpoint.normalizer
    if normalizer is None:
        return None, []
    rewards = normalizer.ret_rms
    doubtful = not normalizer.norm_reward and rewards is not None and rewards.count > 1
    warnings = [
        "rewards are not normalised, as the statistics say, which is also how evaluations save them; if the "
        'training did, say --normalize-kwargs "dict(norm_reward=True)"'
    ]
    return replace(normalizer, **given), warnings if doubtful and "norm_reward" not in given else []
