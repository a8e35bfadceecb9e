"""LeRobot's environments: what `--env.type=pusht` makes in LeRobot's commands, as `lerobot:pusht`.

The type is one that LeRobot or a plugin of it registers (`EnvConfig.register_subclass`); in
`lerobot:my_module:mine` the module is imported first. Arguments of the environment are the fields of its
configuration. LeRobot makes the environment (`create_envs`), and a policy sees of it what `lerobot-eval`
would show it.

This is the third of the places that import LeRobot, which they do when such an environment is made.
"""

import contextlib
import importlib
import io
from collections.abc import Mapping
from importlib.metadata import metadata
from typing import Any

import draccus
import gymnasium
import numpy as np
import torch
from lerobot.configs.parser import load_plugin
from lerobot.envs.configs import EnvConfig, HubEnvConfig
from lerobot.envs.utils import NEW_ROLLOUT_OPTION, preprocess_observation
from lerobot.utils.constants import ACTION
from lerobot.utils.import_utils import register_third_party_plugins

from sb3port.environments.lerobot_observations import AsProcessed, AsShown, Seen
from sb3port.errors import UsageError, did_you_mean
from sb3port.families.environment_ids import LeRobotId
from sb3port.files.importing import working_folder_first

# Arguments of `gymnasium.make` that LeRobot's configurations have as fields, under these names.
_FIELDS = {"render_mode": "render_mode", "max_episode_steps": "episode_length"}


def open_lerobot_env(found: LeRobotId, fields: Mapping[str, Any], **given: Any) -> "LeRobotEnv":
    """Make an environment of LeRobot.

    Args:
        found: Its type, and the module that registers it.
        fields: Of its configuration, as LeRobot's commands take them after `--env.`.
        given: Arguments of `gymnasium.make`: `render_mode` and `max_episode_steps` become fields where the
            configuration has those, others are not for it.

    Raises:
        UsageError: There is no such type or field, what it needs is not installed, or it is several.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # it says there what it imports
        config = _configured(found, fields, given)
        env = _made(found, config)
    try:
        return LeRobotEnv(env, config, found.text)
    except UsageError:
        env.close()
        raise


class LeRobotEnv(gymnasium.Wrapper[Seen, Any, Any, Any]):
    """An environment of LeRobot, of which is seen what `lerobot-eval` would show a policy.

    Args:
        env: One of those that its configuration made.
        config: The configuration.
        name: What messages call it.

    Raises:
        UsageError: It shows something that no policy of SB3's takes.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], config: EnvConfig, name: str) -> None:
        super().__init__(env)
        self._succeeded = False
        self._before, self._after = config.get_env_processors()
        if self._before.steps:
            first, _ = self._reset(None, None)
            self._seen: AsShown | AsProcessed = AsProcessed(self._batch, first, name)
        else:
            self._seen = AsShown(env.observation_space, name)
        self.observation_space = self._seen.space  # type: ignore[assignment]  # of either kind

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Seen, dict[str, Any]]:
        """Begin an episode, as `lerobot-eval` does."""
        self._succeeded = False
        raw, info = self._reset(seed, options)
        return self._seen(raw), info

    def step(self, action: Any) -> tuple[Seen, Any, bool, bool, dict[str, Any]]:
        """Take a step; an episode that was a success once is one, as LeRobot counts."""
        raw, reward, terminated, truncated, info = self.env.step(self._given(action))
        if "is_success" in info:
            self._succeeded |= bool(info["is_success"])
            info = {**info, "is_success": self._succeeded}
        return self._seen(raw), reward, terminated, truncated, info

    def _reset(self, seed: int | None, options: dict[str, Any] | None) -> tuple[Any, dict[str, Any]]:
        return self.env.reset(seed=seed, options={**(options or {}), NEW_ROLLOUT_OPTION: True})

    def _batch(self, raw: Any) -> Mapping[str, Any]:
        batch = preprocess_observation(_of_one(raw))
        batch["task"] = [str(_attribute(self.env, "task_description") or _attribute(self.env, "task") or "")]
        processed: Mapping[str, Any] = self._before(batch)
        return processed

    def _given(self, action: Any) -> Any:
        if not self._after.steps:
            return action
        changed = self._after({ACTION: torch.as_tensor(np.asarray(action)[None])})[ACTION]
        return changed.cpu().numpy()[0]


def _configured(found: LeRobotId, fields: Mapping[str, Any], given: Mapping[str, Any]) -> EnvConfig:
    if found.module is not None:
        _import(found)
    if found.kind not in EnvConfig.get_known_choices():
        register_third_party_plugins()
    known = EnvConfig.get_known_choices()
    if found.kind not in known:
        hint = did_you_mean(found.kind, known, f"known: {', '.join(sorted(known))}; name the module of yours "
                            "before it, as lerobot:module:type")  # fmt: skip
        raise UsageError(f"LeRobot has no environment of the type {found.kind}", hint)
    if "type" in fields:  # it would take the place of the one that was named, which alone was checked
        raise UsageError(f"{found.text} is of one type, and type is no argument of it", "name it in the id")
    chosen = EnvConfig.get_choice_class(found.kind)
    if issubclass(chosen, HubEnvConfig):
        raise UsageError(
            f"{found.text} is made by code from the Hub, which sb3port does not run",
            "install that code as a package of yours, and name its environment",
        )
    try:
        config: EnvConfig = draccus.decode(
            EnvConfig, {"type": found.kind, **fields, **_as_fields(chosen, found, given)}
        )
    except (draccus.utils.DraccusException, ValueError, TypeError) as error:
        raise UsageError(f"{found.text} cannot be made: {_reason(error)}", _fields_hint(chosen)) from error
    return config


def _as_fields(chosen: type, found: LeRobotId, given: Mapping[str, Any]) -> dict[str, Any]:
    """Give what of the arguments of `gymnasium.make` the configuration has a field for."""
    has = set(getattr(chosen, "__dataclass_fields__", {}))
    wanted = {field: given[name] for name, field in _FIELDS.items() if given.get(name) is not None}
    if "episode_length" in wanted and "episode_length" not in has:
        raise UsageError(f"{found.text} has no field episode_length, so that its time limit is its own")
    return {field: value for field, value in wanted.items() if field in has}


def _made(found: LeRobotId, config: EnvConfig) -> gymnasium.Env[Any, Any]:
    try:
        suites = config.create_envs(n_envs=1, use_async_envs=False)
    except ModuleNotFoundError as error:
        raise UsageError(f"{found.text} cannot be made: {_reason(error)}", _extra(found.kind)) from error
    except (gymnasium.error.Error, ImportError, TypeError, ValueError) as error:
        raise UsageError(f"{found.text} cannot be made: {_reason(error)}") from error
    vectors = [(f"{suite}/{task}", env) for suite, tasks in suites.items() for task, env in tasks.items()]
    if len(vectors) != 1:
        raise UsageError(
            f"{found.text} is {len(vectors)} tasks: {', '.join(name for name, _ in vectors)[:500]}",
            "choose one by its fields, such as task and task_ids",
        )
    ((_, vector),) = vectors
    single: list[gymnasium.Env[Any, Any]] = list(getattr(vector, "envs", ()))
    if len(single) != 1:
        raise UsageError(f"{found.text} does not show its environments one by one", "train with LeRobot")
    return single[0]


def _import(found: LeRobotId) -> None:
    try:
        with working_folder_first():
            module = importlib.import_module(found.module or "")
            if hasattr(module, "__path__"):  # LeRobot imports what is in a package, too
                load_plugin(found.module or "")
    except Exception as error:  # whatever the user's code raises
        raise UsageError(
            f"{found.text} cannot be made: {found.module} cannot be imported: {error!r}"
        ) from error


def _of_one(raw: Any) -> Any:
    """Give an observation as a vector environment of one gives it."""
    if isinstance(raw, Mapping):
        return {key: _of_one(value) for key, value in raw.items()}
    return np.asarray(raw)[None]


def _attribute(env: gymnasium.Env[Any, Any], name: str) -> Any:
    return env.get_wrapper_attr(name) if env.has_wrapper_attr(name) else None


def _extra(kind: str) -> str | None:
    """Name the extra of LeRobot that brings an environment, where there is one."""
    extras = metadata("lerobot").get_all("Provides-Extra") or []
    return f"pip install 'lerobot[{kind}]'" if kind in extras else None


def _fields_hint(chosen: type) -> str:
    hidden = {"features", "features_map", "max_parallel_tasks", "disable_env_checker"}
    names = [name for name in getattr(chosen, "__dataclass_fields__", {}) if name not in hidden]
    return f"its fields are {', '.join(names)}"


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [repr(error)])[0][:500]
