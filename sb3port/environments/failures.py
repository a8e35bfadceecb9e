"""Whose fault an exception is that nobody expected: ours, or that of an environment or of the user's code."""

import sys
import sysconfig
import traceback
from pathlib import Path
from types import TracebackType

from sb3port.errors import EnvironmentFailed

_OURS = ("sb3port", "lerobot_policy_ppo")
# Packages that call the code of environments, and those of environments themselves.
_ENVIRONMENTS = ("gymnasium", "gym", "ale_py", "mujoco", "pybullet", "pettingzoo", "shimmy", "dm_control")
_LINES = 3
_NO_DISPLAY = ("display", "glfw", "egl", "osmesa", "opengl", "glx", "x11")


def failure_of_others(error: BaseException) -> EnvironmentFailed | None:
    """Give the error for what an environment raised, or the user's own code; None where it is our bug.

    Theirs is what they were called for by us and did not call us for.
    """
    frames = traceback.extract_tb(error.__traceback__)
    modules = _modules(error.__traceback__)
    last = max((index for index, module in enumerate(modules) if module in _OURS), default=-1)
    beyond = list(zip(modules, frames, strict=True))[last + 1 :]
    theirs = [frame for module, frame in beyond if module in _ENVIRONMENTS or _is_of_the_user(frame.filename)]
    if last < 0 or not theirs:
        return None
    told = "; ".join(f"{frame.filename}:{frame.lineno}: {frame.line}" for frame in theirs[-_LINES:])
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    message = f"the environment, or other code that sb3port called, failed: {said[:500]} ({told})"
    return EnvironmentFailed(message, _hint(said))


def _modules(trace: TracebackType | None) -> list[str]:
    """Name the top package of each frame."""
    found = []
    while trace is not None:
        found.append(str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0])
        trace = trace.tb_next
    return found


def _is_of_the_user(filename: str) -> bool:
    """Whether a file is neither Python's own nor of an installed package."""
    places = {*sysconfig.get_paths().values(), sys.base_prefix, sys.prefix}
    path = Path(filename)
    return path.is_absolute() and not any(path.is_relative_to(place) for place in places if place)


def _hint(said: str) -> str | None:
    if any(word in said.lower() for word in _NO_DISPLAY):
        return "where there is no display, MuJoCo draws with: MUJOCO_GL=egl"
    return None
