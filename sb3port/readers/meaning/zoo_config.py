"""rl_zoo3's hyperparameters: the `config.yml` beside a model, or a file of many environments.

The keys and their meanings are those of `rl_zoo3/exp_manager.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sb3port.checkpoint.checkpoint import Scalar, Wrapper
from sb3port.checkpoint.schedules import ConstantSchedule, Schedule
from sb3port.errors import NotPortable, UsageError, did_you_mean
from sb3port.readers.formats.zoo_yaml import read_yaml
from sb3port.readers.meaning.zoo_values import read_kwargs, read_wrappers, read_zoo_schedule

_SCHEDULES = ("learning_rate", "clip_range", "clip_range_vf")
_WHOLE = (
    "n_steps",
    "batch_size",
    "n_epochs",
    "sde_sample_freq",
    "seed",
    "cg_max_steps",
    "line_search_max_iter",
    "n_critic_updates",
    "sub_sampling_factor",
)
_REAL = (
    "gamma",
    "gae_lambda",
    "ent_coef",
    "vf_coef",
    "max_grad_norm",
    "target_kl",
    "rms_prop_eps",
    "cg_damping",
    "line_search_shrinking_factor",
)
_FLAGS = ("use_sde", "normalize_advantage", "use_rms_prop")
# They say nothing of what is computed.
_IGNORED = ("monitor_kwargs", "stats_window_size", "tensorboard_log", "verbose", "device")
_OWN = (
    "normalize",
    "normalize_kwargs",
    "frame_stack",
    "env_wrapper",
    "vec_env_wrapper",
    "callback",
    "env_kwargs",
    "n_timesteps",
    "n_envs",
    "policy",
    "policy_kwargs",
)
KEYS = (*_SCHEDULES, *_WHOLE, *_REAL, *_FLAGS, *_IGNORED, *_OWN)


@dataclass(frozen=True)
class ZooConfig:
    """The hyperparameters of one training.

    Args:
        normalize: Whether a VecNormalize wraps the environments.
        normalize_kwargs: Its arguments, with the `gamma` of the algorithm as rl_zoo3 adds it.
        frame_stack: How many observations a VecFrameStack puts together, after normalising; None for no such
            wrapper.
        env_wrapper: Wrappers of each environment, innermost first.
        vec_env_wrapper: Wrappers of the vector environment, below VecNormalize.
        callback: Callbacks of the training, with their arguments.
        env_kwargs: Arguments of the environment.
        n_timesteps: Steps of the training, over all environments.
        n_envs: Environments that run side by side.
        policy: Name or dotted name of the policy, such as "MlpPolicy".
        policy_kwargs: Its arguments as plain values, classes by their short names.
        schedules: `learning_rate`, `clip_range` and `clip_range_vf` where given.
        hyperparameters: The other arguments of the algorithm under SB3's own names, where given.
        unknown: Keys that no on-policy algorithm of SB3's or sb3-contrib's takes.
    """

    normalize: bool = False
    normalize_kwargs: Mapping[str, Any] = field(default_factory=dict)
    frame_stack: int | None = None
    env_wrapper: tuple[Wrapper, ...] = ()
    vec_env_wrapper: tuple[Wrapper, ...] = ()
    callback: tuple[Wrapper, ...] = ()
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    n_timesteps: int | None = None
    n_envs: int = 1
    policy: str | None = None
    policy_kwargs: Mapping[str, Any] = field(default_factory=dict)
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    hyperparameters: Mapping[str, Scalar] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    @property
    def normalizes_observations(self) -> bool:
        """Whether the policy sees observations that VecNormalize has normalised."""
        return self.normalize and self.normalize_kwargs.get("norm_obs", True) is not False


def read_zoo_config(source: Path | bytes, env_id: str | None = None, where: str | None = None) -> ZooConfig:
    """Read the hyperparameters of one training; nothing in the file is run.

    Args:
        source: The file or its content.
        env_id: Whose hyperparameters to take from a file of many environments, by rl_zoo3's rules: its own,
            those of "atari", or "default".
        where: What to call the file in an error message; its path by default.

    Raises:
        NotPortable: It is damaged, or a value in it is of the wrong kind.
        Unsafe: It would run code when loaded with rl_zoo3.
        UsageError: It is of many environments, and `env_id` is not given or not among them.
    """
    where = where or (str(source) if isinstance(source, Path) else "config.yml")
    content = read_yaml(source, where)
    if not isinstance(content, dict) or not content:
        raise NotPortable(f"{where} is not a file of hyperparameters")
    if _is_of_many(content):
        content = _of_environment(content, env_id, where)
    return _config(content, where)


def _is_of_many(content: Mapping[str, Any]) -> bool:
    return content.keys().isdisjoint(KEYS) and all(isinstance(value, dict) for value in content.values())


def _of_environment(content: Mapping[str, Any], env_id: str | None, where: str) -> dict[str, Any]:
    known = f"it has {', '.join(content)[:1000]}"
    if env_id is None:
        raise UsageError(f"{where} has hyperparameters of many environments, and none is named", known)
    is_atari = env_id.startswith("ALE/") or "NoFrameskip" in env_id
    for name in (env_id, *(["atari"] if is_atari else []), "default"):
        if name in content:
            return dict(content[name])
    raise UsageError(f"{where} has no hyperparameters for {env_id}", did_you_mean(env_id, content, known))


def _config(content: Mapping[str, Any], where: str) -> ZooConfig:
    def named(key: str) -> str:
        return f"{where}: {key}"

    def kwargs(key: str) -> dict[str, Any]:
        return read_kwargs(content.get(key), named(key))

    hyperparameters = _hyperparameters(content, where)
    normalize, normalize_kwargs = _normalization(content, hyperparameters, where)
    return ZooConfig(
        normalize=normalize,
        normalize_kwargs=normalize_kwargs,
        frame_stack=_frame_stack(content.get("frame_stack"), named("frame_stack")),
        env_wrapper=read_wrappers(content.get("env_wrapper"), named("env_wrapper")),
        vec_env_wrapper=read_wrappers(content.get("vec_env_wrapper"), named("vec_env_wrapper")),
        callback=read_wrappers(content.get("callback"), named("callback")),
        env_kwargs=kwargs("env_kwargs"),
        n_timesteps=_optional(content.get("n_timesteps"), _whole, named("n_timesteps")),
        n_envs=_optional(content.get("n_envs"), _whole, named("n_envs")) or 1,
        policy=_optional(content.get("policy"), _text, named("policy")),
        policy_kwargs=kwargs("policy_kwargs"),
        schedules=_schedules(content, where),
        hyperparameters=hyperparameters,
        unknown=tuple(sorted(content.keys() - {*KEYS})),
    )


def _normalization(
    content: Mapping[str, Any], hyperparameters: Mapping[str, Scalar], where: str
) -> tuple[bool, dict[str, Any]]:
    """Read `normalize`: a flag, or VecNormalize's arguments."""
    value = content.get("normalize") or False
    more = {} if isinstance(value, bool) else read_kwargs(value, f"{where}: normalize")
    kwargs = read_kwargs(content.get("normalize_kwargs"), f"{where}: normalize_kwargs") | more
    gamma = {"gamma": hyperparameters["gamma"]} if "gamma" in hyperparameters else {}
    return (True, kwargs | gamma) if value else (False, {})


def _schedules(content: Mapping[str, Any], where: str) -> dict[str, Schedule]:
    """Read schedules; a negative clip range of the value function is how SB2 said that there is none."""
    given = {name: content[name] for name in _SCHEDULES if content.get(name) is not None}
    schedules = {name: read_zoo_schedule(value, f"{where}: {name}") for name, value in given.items()}
    return {name: schedule for name, schedule in schedules.items() if not _is_negative(schedule)}


def _is_negative(schedule: Schedule) -> bool:
    return isinstance(schedule, ConstantSchedule) and schedule.val < 0


def _hyperparameters(content: Mapping[str, Any], where: str) -> dict[str, Scalar]:
    kinds = dict.fromkeys(_WHOLE, _whole) | dict.fromkeys(_REAL, _real) | dict.fromkeys(_FLAGS, _flag)
    return {
        name: _optional(value, kinds[name], f"{where}: {name}")
        for name, value in content.items()
        if name in kinds and not (name == "ent_coef" and str(value).startswith("auto"))
    }


def _frame_stack(value: Any, where: str) -> int | None:
    count: int | None = _optional(value, _whole, where)
    if count is not None and not 0 <= count <= 1000:
        raise NotPortable(f"{where} is {count}, which is no number of observations to stack")
    return count or None


def _optional(value: Any, read: Any, where: str) -> Any:
    try:
        return None if value is None else read(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise NotPortable(f"{where} is of the wrong kind: {str(value)[:200]!r}") from error


def _whole(value: Any) -> int:
    """Read a whole number, which YAML may spell `1e6`."""
    if isinstance(value, bool) or float(value) != int(float(value)):
        raise ValueError
    return int(value) if isinstance(value, int) else int(float(value))


def _real(value: Any) -> int | float:
    if isinstance(value, bool):
        raise TypeError
    return value if isinstance(value, int | float) else float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value[:200]
