"""Whose fault an exception is that nobody expected: ours, or that of an environment."""

import sys
import traceback
from types import FrameType

from sb3port.errors import EnvironmentFailed

_OURS = ("sb3port", "lerobot_policy_ppo")
_LINES = 3
_NO_DISPLAY = ("display", "glfw", "egl", "osmesa", "opengl", "glx", "x11")


def failure_of_others(error: BaseException) -> EnvironmentFailed | None:
    """Give the error for what an environment raised; None where it is our bug.

    It is the environment's if it came out of one of its methods, and not out of what that called of ours.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    last = max((index for index, frame in enumerate(frames) if _is_ours(frame)), default=-1)
    if last < 0 or not any(map(_is_of_an_environment, frames[last + 1 :])):
        return None
    told = "; ".join(
        f"{row.filename}:{row.lineno}: {row.line}"
        for row in traceback.extract_tb(error.__traceback__)[last + 1 :][-_LINES:]
    )
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return EnvironmentFailed(f"the environment failed: {said[:500]} ({told})", _hint(said))


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in _OURS


def _is_of_an_environment(frame: FrameType) -> bool:
    gymnasium = sys.modules.get("gymnasium")
    return gymnasium is not None and isinstance(frame.f_locals.get("self"), gymnasium.Env)


def _hint(said: str) -> str | None:
    if any(word in said.lower() for word in _NO_DISPLAY):
        return "where there is no display, MuJoCo draws with: MUJOCO_GL=egl"
    return None
