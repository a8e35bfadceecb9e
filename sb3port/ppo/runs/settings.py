"""What a training run is told, and how that is kept for resuming it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sb3port.checkpoint.checkpoint import EnvironmentSpec, Normalizer
from sb3port.checkpoint.schedules import ConstantSchedule
from sb3port.errors import NotPortable, UsageError
from sb3port.files.untrusted import read_json
from sb3port.ports.manifest import environment_from_json
from sb3port.ppo.hyperparameters import SCHEDULES, Hyperparameters, changed, hyperparameters_from_json
from sb3port.ppo.runs.state_schema import check_settings

VALUES = "training.json"  # where they are, in the state of a training


@dataclass(frozen=True)
class RunSettings:
    """A training run.

    Args:
        environment: What to train in; its id is known, but for one that a script handed over.
        until: It ends when so many environment steps are done, those of an earlier training included.
        hyperparameters: SB3's.
        n_envs: How many environments.
        vec_env: "dummy" for environments in this process, "subproc" for one process each, "vector" and
            "envpool" for all at once; "auto" until `stepping.chosen` chose one of them.
        seed: Of all random numbers.
        device: Where to compute, a name of torch's.
        engine: A name of `engines.table`.
        normalise: Flags and limits of VecNormalize, without statistics; None for no normalisation.
        norm_obs_keys: Which parts of a Dict observation are normalised, None for all.
        save_every: Environment steps between checkpoints.
        eval_episodes: Episodes of an evaluation; 0 for none.
        use_masking: Whether a maskable policy is told which actions are allowed.
        eval_every: Environment steps between evaluations, None for one of each checkpoint.
        eval_seed: Of the first episode of an evaluation; the next count up.
        video_every: Environment steps between films of an episode, None for none.
        track: Names of `tracking.table.TRACKERS`.
        mixed_precision: Whether networks are computed in numbers of 16 bits.
        actor_from: At how many environment steps in all the actor begins to learn.
        kl_coef: Weight of the divergence from the policy that PPO began with.
        demonstrations: Name of the recording that was cloned before PPO began, None for none.
        bc_epochs: Passes over it.
    """

    environment: EnvironmentSpec
    until: int
    hyperparameters: Hyperparameters
    n_envs: int = 1
    vec_env: str = "dummy"
    seed: int | None = 0
    device: str = "cpu"
    engine: str = "exact"
    normalise: Normalizer | None = None
    norm_obs_keys: tuple[str, ...] | None = None
    save_every: int = 0
    eval_episodes: int = 5
    use_masking: bool = True
    eval_every: int | None = None
    eval_seed: int = 10_000
    video_every: int | None = None
    track: tuple[str, ...] = ()
    mixed_precision: bool = False
    actor_from: int = 0
    kl_coef: float = 0.0
    demonstrations: str | None = None
    bc_epochs: int = 0

    @property
    def env(self) -> str:
        """The id of the environment, or what to call one that has none."""
        return self.environment.env_id or "the environment"

    def to_json(self) -> dict[str, Any]:
        """Give the settings as JSON values."""
        flags = None
        if self.normalise is not None:
            flags = {name: value for name, value in vars(self.normalise).items() if name not in _STATISTICS}
        return {
            **vars(self),
            "environment": asdict(self.environment),
            "hyperparameters": self.hyperparameters.to_json(),
            "normalise": flags,
        }


_STATISTICS = ("obs_rms", "ret_rms")
_BEGINNING = ("actor_from", "kl_coef", "demonstrations", "bc_epochs")  # named where they were asked for
_FORMER = "own_wrappers"  # which earlier versions wrote; `environment` has them, too


def settings_from_json(data: Mapping[str, Any]) -> RunSettings:
    """Read what `RunSettings.to_json` gave.

    Raises:
        ValueError, LookupError, TypeError, AttributeError, OverflowError: It is something else.
    """
    check_settings(data)
    flags, keys = data["normalise"], data["norm_obs_keys"]
    parsed = {
        "environment": environment_from_json(data["environment"]),
        "hyperparameters": _checked(hyperparameters_from_json(data["hyperparameters"])),
        "normalise": None if flags is None else Normalizer(None, None, **flags),
        "norm_obs_keys": None if keys is None else tuple(keys),
        "track": tuple(data.get("track", ())),
    }
    known = {name: value for name, value in data.items() if name != _FORMER}
    return RunSettings(**{**known, **parsed})


def _checked(given: Hyperparameters) -> Hyperparameters:
    """Give hyperparameters each in its kind, in which JSON need not have them: 0 for 0.0.

    Raises:
        ValueError: One is impossible.
    """
    try:
        return changed(Hyperparameters(), vars(given), "it")
    except UsageError as error:
        raise ValueError(error.message) from error


def overshoot(settings: RunSettings, done: int) -> str:
    """Say why more steps will be done than were asked for, where whole rollouts do not end there.

    Args:
        settings: The run.
        done: How many steps are done already.
    """
    n_steps, n_envs, steps = settings.hyperparameters.n_steps, settings.n_envs, settings.until - done
    rollouts = -(-steps // (n_steps * n_envs))
    if rollouts * n_steps * n_envs == steps:
        return ""
    return (
        f"{steps:,} is not a multiple of n_steps * n_envs = {n_steps:,} * {n_envs:,}: trains "
        f"{rollouts * n_steps * n_envs:,}"
    )


def flat_settings(settings: RunSettings) -> dict[str, float | int | str | bool]:
    """Give what a run was told as names and plain values; schedules that change as text."""
    given = settings.hyperparameters
    values: dict[str, Any] = {
        "env_id": settings.env,
        "n_envs": settings.n_envs,
        "total_timesteps": settings.until,
        "seed": settings.seed,
        "engine": settings.engine,
        "device": settings.device,
        "normalize": settings.normalise is not None,
        **{name: value for name in _BEGINNING if (value := getattr(settings, name))},
        **vars(given),
    }
    for name in SCHEDULES:
        schedule = getattr(given, name)
        values[name] = schedule.val if isinstance(schedule, ConstantSchedule) else schedule
    return {
        name: value if isinstance(value, bool | int | float | str) else str(value)
        for name, value in values.items()
    }


def read_settings(folder: Path) -> RunSettings:
    """Read what a run was told from the state of its training, and nothing else of that.

    Raises:
        NotPortable: It is absent or damaged.
    """
    try:
        return settings_from_json(read_json(folder / VALUES, within=folder)["settings"])
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise NotPortable(f"the state of the training in {folder} cannot be read ({error!r})") from error


def without_statistics(normalizer: Normalizer) -> Normalizer:
    """Give the flags and limits alone."""
    return replace(normalizer, obs_rms=None, ret_rms=None)
