"""`--env.type=gymnasium`: Gymnasium environments for LeRobot's commands.

    lerobot-eval --policy.path=PORT --env.type=gymnasium --env.task=Pendulum-v1

The policy sees the numbers that SB3 would show it (rounded to float32, as LeRobot does with all of them), and
each episode counts until its end and no further.
"""

import importlib
import logging
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from lerobot.envs.configs import EnvConfig
from lerobot.envs.utils import NEW_ROLLOUT_OPTION
from lerobot.processor import PolicyProcessorPipeline, RenameObservationsProcessorStep
from numpy.typing import NDArray

from lerobot_policy_ppo.env_policy import Meeting
from lerobot_policy_ppo.env_spaces import (
    check_spaces,
    features_of,
    renamed_keys,
    seen_action_space,
    seen_observation,
    seen_observation_space,
)
from sb3port.environments.making import EPISODE_LENGTH, time_limit
from sb3port.environments.masks import ActionMasks
from sb3port.environments.wrappers import wrap
from sb3port.errors import UsageError
from sb3port.files.texts.terminal import TerminalText, terminal

GYM_ID = "lerobot_policy_ppo/LeRobotGymnasium-v0"
_BLANK_FRAME_SHAPE = (64, 64, 3)

_Pipeline: TypeAlias = PolicyProcessorPipeline[dict[str, Any], dict[str, Any]]

_logger = logging.getLogger(__name__)


class LeRobotGymnasium(gym.Env[dict[str, Any], NDArray[Any]]):
    """A Gymnasium environment in the form that LeRobot's rollout expects.

    Observations are `{"agent_pos": flattened vector}` or `{"pixels": image}`; those of a Dict have its keys
    (see `lerobot_policy_ppo.env_spaces`). `action_mask` (`policy.action_mask` where an observation has that
    name) says which choices are allowed, if the environment does. Actions are vectors: a Box gets its shape
    back, a Discrete comes as one integer. After the end of an episode the environment stays in its last
    state, with reward 0, until a reset with a seed or with LeRobot's option for a new rollout: LeRobot steps
    environments on until all of a batch are done. `info` holds `is_success` and nothing else, always.

    Args:
        task: Gymnasium id, `module:Id-v0` to import a module first.
        render_mode: `rgb_array` or None.
        episode_length: Time limit in steps, or None for the one that the environment is registered with.
        success_threshold: Return from which an episode counts as a success, or None to take only the
            environment's own `info["is_success"]`.
        env_kwargs: Keyword arguments of the environment.
        wrappers: What to put around it, innermost first: arguments by the name of a wrapper (see
            `sb3port.environments.wrappers`).
        use_masking: Whether maskable policies are told which actions are allowed.

    Raises:
        ValueError: The observation or action space is not supported, or a wrapper does not fit.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012 (Gymnasium's own declaration)
    observation_space: spaces.Dict

    def __init__(
        self,
        task: str,
        render_mode: str | None = None,
        episode_length: int | None = None,
        success_threshold: float | None = None,
        env_kwargs: dict[str, Any] | None = None,
        wrappers: dict[str, Any] | None = None,
        use_masking: bool = True,
    ) -> None:
        # Not every environment takes `render_mode`, so it is not passed when there is none.
        kwargs: dict[str, Any] = dict(env_kwargs or {}) | (
            {"render_mode": render_mode} if render_mode else {}
        )
        self.env = _make(task, episode_length, kwargs, wrappers or {})
        check_spaces(task, self.env)
        self._masks = masks_of(self.env)
        self._shows_masks = self._masks is not None and use_masking
        self.task = self.task_description = task
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": _render_fps(self.env)}
        self._max_episode_steps = time_limit(self.env) or EPISODE_LENGTH
        self._success_threshold = success_threshold
        self._return = 0.0
        self._last: tuple[dict[str, Any], dict[str, Any], bool, bool] | None = None
        self.observation_space = seen_observation_space(self.env, self._shows_masks)
        self.action_space = seen_action_space(self.env.action_space)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode, unless this is a vector environment's automatic reset after the end of one."""
        options = dict(options or {})
        new_rollout = options.pop(NEW_ROLLOUT_OPTION, False)
        if self._last is not None and not new_rollout and seed is None:
            return self._last[0], self._last[1]
        self._last, self._return = None, 0.0
        observation, info = self.env.reset(seed=seed, options=options or None)
        return self._observation(observation, info, False), {"is_success": False}

    def step(self, action: NDArray[Any]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Step the environment, or repeat the end of an episode that is over."""
        if self._last is not None:
            observation, info, terminated, truncated = self._last
            return observation, 0.0, terminated, truncated, info
        raw, reward, terminated, truncated, raw_info = self.env.step(self._action(action))
        self._return += float(reward)
        done = bool(terminated or truncated)
        observation = self._observation(raw, raw_info, done)
        info = {"is_success": self._is_success(raw_info, done)}
        if done:
            self._last = (observation, info, bool(terminated), bool(truncated))
        return observation, float(reward), bool(terminated), bool(truncated), info

    def render(self) -> NDArray[Any]:
        """The current frame, or a black one when the environment cannot draw any: LeRobot always films."""
        try:
            frame = self.env.render() if self.render_mode else None
        except gym.error.DependencyNotInstalled as error:
            _warn(terminal("{} cannot be rendered, frames stay black: {}", self.task, error))
            self.render_mode = frame = None
        return np.zeros(_BLANK_FRAME_SHAPE, np.uint8) if frame is None else np.asarray(frame)

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def _observation(self, raw: Any, info: dict[str, Any], done: bool) -> dict[str, Any]:
        return seen_observation(self.env.observation_space, raw, self._mask(info, done))

    def _mask(self, info: dict[str, Any], done: bool) -> NDArray[np.int8] | None:
        """1 where a choice is allowed: after the end of an episode all are, and no action follows."""
        if self._masks is None or not self._shows_masks:
            return None
        try:
            return (self._masks.all_allowed() if done else self._masks.read(info)).astype(np.int8)
        except UsageError as error:
            raise ValueError(f"{error.message}; do without masks with --env.use_masking=false.") from error

    def _action(self, action: NDArray[Any]) -> Any:
        space = self.env.action_space
        if isinstance(space, spaces.Discrete):
            return int(np.asarray(action).item())
        if isinstance(space, spaces.MultiBinary) and self._masks is None:
            # What SB3's `predict` gives; sb3-contrib's gives integers.
            action = np.asarray(action, np.float32)
        return np.reshape(action, space.shape or ())

    def _is_success(self, info: dict[str, Any], done: bool) -> bool:
        if self._success_threshold is None:
            return bool(info.get("is_success", False))
        return bool(done and self._return >= self._success_threshold)


gym.register(
    id=GYM_ID, entry_point=f"{__name__}:LeRobotGymnasium", disable_env_checker=True, order_enforce=False
)


@EnvConfig.register_subclass("gymnasium")
@dataclass
class GymnasiumEnvConfig(EnvConfig):
    """Configuration of `--env.type=gymnasium`.

    The environment is built once when this is, to learn its spaces, its frame rate and whether it has masks
    of actions; `features` and `features_map` follow from that.

    Args:
        task: Gymnasium id, `module:Id-v0` to import a module first.
        render_mode: How to draw frames, `rgb_array` or None; environments that cannot give black frames.
        episode_length: Time limit in steps, or None for the one that the environment is registered with.
        success_threshold: Return from which an episode counts as a success, or None to take only the
            environment's own `info["is_success"]`.
        env_kwargs: Keyword arguments of the environment.
        wrappers: What to put around it, innermost first: arguments by the name of a wrapper (see
            `sb3port.environments.wrappers`).
        use_masking: Whether maskable policies are told which actions are allowed.

    Raises:
        ValueError: The observation or action space is not supported, or a wrapper does not fit.
        gymnasium.error.Error: The environment cannot be made.
    """

    task: str | None = "Pendulum-v1"
    render_mode: str | None = "rgb_array"
    episode_length: int | None = None
    success_threshold: float | None = None
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    wrappers: dict[str, Any] = field(default_factory=dict)
    use_masking: bool = True

    def __post_init__(self) -> None:
        if not self.task:
            raise ValueError("The gymnasium environment needs a task, a Gymnasium id like Pendulum-v1.")
        env = _make(self.task, self.episode_length, self.env_kwargs, self.wrappers)
        try:
            self._describe(env)
        finally:
            env.close()

    @property
    def gym_id(self) -> str:
        """Id of the wrapper around the task."""
        return GYM_ID

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        """Arguments of `LeRobotGymnasium`."""
        return {
            "task": self.task,
            "render_mode": self.render_mode if self._can_render else None,
            "episode_length": self.episode_length,
            "success_threshold": self.success_threshold,
            "env_kwargs": self.env_kwargs,
            "wrappers": self.wrappers,
            "use_masking": self.use_masking,
        }

    def get_env_processors(self) -> tuple[_Pipeline, _Pipeline]:
        """Give keys of a Dict that LeRobot keeps for itself their names back; actions stay as they are."""
        rename = [RenameObservationsProcessorStep(rename_map=self._renamed)] if self._renamed else []
        return PolicyProcessorPipeline(steps=rename), PolicyProcessorPipeline(steps=[])

    def _describe(self, env: gym.Env[Any, Any]) -> None:
        check_spaces(str(self.task), env)
        meeting = Meeting.of(str(self.task), env, masks_of(env) is not None, self.use_masking)
        self.features, self.features_map = features_of(meeting)
        self._renamed = renamed_keys(env.observation_space)
        self.fps = _render_fps(env)
        self._can_render = self.render_mode in (env.metadata.get("render_modes") or [])
        if time_limit(env) is None:
            _warn(
                terminal(
                    "{} has no time limit: episodes are cut after {} steps, or set --env.episode_length.",
                    self.task,
                    EPISODE_LENGTH,
                )
            )


def _warn(text: TerminalText) -> None:
    _logger.warning("%s", text.plain)


def _make(
    task: str, episode_length: int | None, kwargs: dict[str, Any], wrappers: dict[str, Any]
) -> gym.Env[Any, Any]:
    """Make an environment with its wrappers."""
    _import_module(task)
    env = gym.make(task, max_episode_steps=episode_length, **kwargs)
    for name, arguments in wrappers.items():
        env = wrap(env, name, arguments or {})
    return env


def _import_module(task: str) -> None:
    """Import the module of a task such as `module:Id-v0`, which may lie in the working folder."""
    module, colon, _ = task.partition(":")
    if not colon:
        return
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        with suppress(ImportError):  # of which Gymnasium complains in its own words
            importlib.import_module(module)
    finally:
        sys.path.remove(folder)


def masks_of(env: gym.Env[Any, Any]) -> ActionMasks | None:
    """The masks of an environment, which is reset once to see whether it has any; None without."""
    if isinstance(env.action_space, spaces.Box):  # only choices have masks
        return None
    masks = ActionMasks(env)
    return masks if masks.are_there({}) or masks.are_there(env.reset()[1]) else None


def _render_fps(env: gym.Env[Any, Any]) -> int:
    return int(env.metadata.get("render_fps") or 30)
