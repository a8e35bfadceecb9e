"""What a checkpoint was trained with, as far as that can be believed, for going on with it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sb3port.checkpoint.checkpoint import Checkpoint, ConfiguredTraining, Normalizer, TrainingSettings
from sb3port.environments.fresh_spec import ALGORITHMS
from sb3port.errors import UsageError
from sb3port.families.algorithms import algorithm_of, display_name
from sb3port.families.hyperparameters import training_doubts, true_settings
from sb3port.ppo.hyperparameters import NAMES, defaults
from sb3port.ppo.runs.plans import Plan, vec_normalize_flags

# What PPO makes of a policy that another algorithm trained.
_SAME_POLICY = {"a2c": "ppo", "trpo": "ppo"}
_MAY_BE_NONE = ("clip_range_vf", "target_kl")
_BEYOND = 2**50  # a billion steps a second for two weeks; floats count further


def as_ppo(checkpoint: Checkpoint) -> tuple[Checkpoint, list[str]]:
    """Give a checkpoint as one of PPO's, with sentences on what that leaves out."""
    algorithm = checkpoint.spec.algorithm
    if algorithm in ALGORITHMS:
        return checkpoint, []
    if algorithm not in _SAME_POLICY:
        raise UsageError(
            f"sb3port trains policies that learn from rollouts, and {display_name(algorithm)}'s do not",
            "go on with it in SB3: sb3port export PORT DEST --to sb3",
        )
    spec = replace(checkpoint.spec, algorithm=_SAME_POLICY[algorithm])
    kept = {name: checkpoint.training.hyperparameters.get(name) for name in ("num_timesteps", "gamma")}
    training = TrainingSettings({}, kept, "Adam")
    configured = checkpoint.configured and ConfiguredTraining(
        normalize_kwargs=checkpoint.configured.normalize_kwargs
    )
    warning = (
        f"{algorithm.upper()} trained this policy: PPO goes on with its weights, its gamma and SB3's other "
        "defaults, and with a new optimiser"
    )
    ppo = replace(checkpoint, spec=spec, training=training, optimizer=None, configured=configured)
    return ppo, [warning]


def steps_done(checkpoint: Checkpoint) -> int:
    """Give how many steps a checkpoint was trained for, 0 where it says a number that cannot be one."""
    return whole_number(checkpoint, "num_timesteps", _BEYOND)


def whole_number(checkpoint: Checkpoint, name: str, beyond: int) -> int:
    """Give a setting of a checkpoint from 0 to below `beyond`, 0 where what it says can be none."""
    value = checkpoint.training.hyperparameters.get(name)
    return value if isinstance(value, int) and 0 <= value < beyond else 0


def plan_of(checkpoint: Checkpoint, given: Mapping[str, Any]) -> tuple[Plan, list[str]]:
    """Give the plan to go on by: the settings of the checkpoint, and `config.yml`'s for what it has lost.

    A learning rate or a clip range of exactly 0, and a function of the author's own, are not believed.

    Args:
        checkpoint: The checkpoint, of an algorithm of `ALGORITHMS`.
        given: What the user gives, of which nothing needs to be said.

    Returns:
        The plan, and a sentence for each thing that the user should know of it.
    """
    true = true_settings(checkpoint)
    known = {**true.schedules, **true.hyperparameters, "use_sde": checkpoint.spec.use_sde}
    settings = {
        name: value
        for name, value in known.items()
        if name in NAMES and (value is not None or name in _MAY_BE_NONE)
    }
    n_envs = true.hyperparameters.get("n_envs")
    plan = Plan("the checkpoint", n_envs=n_envs if isinstance(n_envs, int) else 1, settings=settings)
    return replace(plan, environment=checkpoint.environment), _sentences(checkpoint, true, given)


def _sentences(checkpoint: Checkpoint, true: TrainingSettings, given: Mapping[str, Any]) -> list[str]:
    """Say what is lost, and where `config.yml` says something else, as far as it matters."""
    base, training = defaults(checkpoint.spec.algorithm), checkpoint.training
    lost = {
        name: schedule
        for name, schedule in training.schedules.items()
        if name not in true.schedules and name not in given
    }
    told = {*lost, *given}
    rest = replace(
        training,
        schedules={name: value for name, value in training.schedules.items() if name not in told},
        hyperparameters={name: value for name, value in training.hyperparameters.items() if name not in told},
    )
    return [
        *(f"{name} is {_loss(value)}; {_default(name, getattr(base, name))}" for name, value in lost.items()),
        *training_doubts(rest, checkpoint.configured, algorithm_of(checkpoint.spec.algorithm)),
    ]


def _loss(schedule: object) -> str:
    text = str(schedule)
    return "0 in the checkpoint, which no training had" if text == "0" else f"a {text}, which is not run"


def _default(name: str, value: object) -> str:
    taken = "no limit" if value is None else f"SB3's default of {value}"
    return f"{taken} is taken for it, unless you give --{name.replace('_', '-')}"


def normaliser_of(checkpoint: Checkpoint, given: Mapping[str, Any]) -> tuple[Normalizer | None, list[str]]:
    """Give the normaliser to go on with, flags replaced by what the user gives.

    Returns:
        The normaliser, and a sentence where it is not, or may not be, as the checkpoint has it.

    Raises:
        UsageError: VecNormalize has no such argument.
    """
    flags = vec_normalize_flags(given, "the command line")
    configured = None if checkpoint.configured is None else checkpoint.configured.normalize_kwargs
    normalizer = checkpoint.normalizer
    if normalizer is None:
        return _of_rewards(configured, flags)
    normalizer, doubts = _rewards(normalizer, configured)
    return replace(normalizer, **flags), doubts if "norm_reward" not in flags else []


def _of_rewards(
    configured: Mapping[str, Any] | None, flags: Mapping[str, Any]
) -> tuple[Normalizer | None, list[str]]:
    """Normalise rewards alone, where `config.yml` or the user says that: no statistics are needed for it."""
    if configured is not None and configured.get("norm_obs", True) is False:
        known = vec_normalize_flags(configured, "config.yml")
        return Normalizer(None, None, **{**known, **flags}), [
            "rewards are normalised, as config.yml says, by statistics that begin anew"
        ]
    if not flags:
        return None, []
    if flags.get("norm_obs", True):
        raise UsageError(
            "the port has no statistics of observations, and its policy knows no normalised ones",
            'normalise rewards alone: --normalize-kwargs "dict(norm_obs=False)"',
        )
    return Normalizer(None, None, **flags), []


def _rewards(normalizer: Normalizer, configured: Mapping[str, Any] | None) -> tuple[Normalizer, list[str]]:
    """Tell whether rewards were normalised: statistics saved by an evaluation say that they were not."""
    if normalizer.norm_reward:
        return normalizer, []
    if configured is not None:
        if configured.get("norm_reward", True) is False:
            return normalizer, []
        return replace(normalizer, norm_reward=True), [_AS_CONFIGURED]
    seen = normalizer.ret_rms is not None and normalizer.ret_rms.count > 1
    return normalizer, [_DOUBTFUL] if seen else []


_AS_CONFIGURED = "rewards are normalised, as config.yml says; an evaluation saved the statistics, it seems"
_DOUBTFUL = (
    "rewards are not normalised, as the statistics say, which is also how evaluations save them; if the "
    'training did, say --normalize-kwargs "dict(norm_reward=True)"'
)
