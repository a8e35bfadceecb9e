"""How the environments of a run are stepped: one after the other, in processes, or all at once."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from sb3port.environments.making import open_wrapped
from sb3port.environments.pools import open_pool
from sb3port.environments.vectors import open_vector
from sb3port.environments.wrapping import wrapping_in
from sb3port.errors import UsageError
from sb3port.ppo.rollout.environments import Environments, InProcess
from sb3port.ppo.rollout.episodes import MakeEnv
from sb3port.ppo.rollout.native import AT_ONCE, NativeVector
from sb3port.ppo.rollout.random_state import undisturbed
from sb3port.ppo.rollout.subprocesses import Subprocesses
from sb3port.ppo.runs.settings import RunSettings

MESSAGE_SECONDS = 1.4e-4
"""What an action to a process and its answer cost; `benchmarks/vector_environments.py` measures it."""

_AUTO = "auto"
_LONG_STEP, _WORTH_SAYING = 1e-3, 1.5
_BUDGET_SECONDS, _MOST_STEPS = 0.05, 100


def maker_of(settings: RunSettings, **more: Any) -> MakeEnv:
    """Give what makes one environment, without Gymnasium's checks, which take as long as a step."""
    wrapping = wrapping_in(settings.environment)
    return partial(open_wrapped, settings.env, wrapping, disable_env_checker=True, **more)


def make_environments(settings: RunSettings, make: MakeEnv | None = None) -> Environments:
    """Make the environments of a run.

    Args:
        settings: What it is told.
        make: Makes one after the other, where a script hands them over.

    Raises:
        UsageError: There is no such environment, or no such way to run several.
    """
    if settings.vec_env not in _WAYS:
        raise UsageError(f"there is no --vec-env {settings.vec_env}", f"known: {', '.join((*_WAYS, _AUTO))}")
    if make is None:
        return _WAYS[settings.vec_env](settings)
    if settings.vec_env in AT_ONCE:
        raise UsageError(
            f"vec_env={settings.vec_env!r} needs the id of an environment, and one is handed over",
            "take dummy or subproc",
        )
    return {"dummy": InProcess, "subproc": Subprocesses}[settings.vec_env](make, settings.n_envs)


def _vector(settings: RunSettings) -> NativeVector:
    return NativeVector(open_vector(settings.env, settings.n_envs, wrapping_in(settings.environment)))


def _pool(settings: RunSettings) -> NativeVector:
    return NativeVector(open_pool(settings.env, settings.n_envs, wrapping_in(settings.environment)))


_WAYS: dict[str, Callable[[RunSettings], Environments]] = {
    "dummy": lambda settings: InProcess(maker_of(settings), settings.n_envs),
    "subproc": lambda settings: Subprocesses(maker_of(settings), settings.n_envs),
    "vector": _vector,
    "envpool": _pool,
}


def chosen(settings: RunSettings, tell: Callable[[str], None]) -> RunSettings:
    """Settle how environments are stepped, where that is left open: the way that takes the least time.

    Args:
        settings: What the run was told.
        tell: Called with a sentence on what is taken, and why; or, of what the user chose, on what would take
            less.
    """
    if settings.vec_env == _AUTO:
        times = _times(settings, _seconds(settings))
        name = min(times, key=times.__getitem__) if times else "dummy"
        found = ", ".join(f"{_short(seconds)} with {way}" for way, seconds in times.items())
        tell(f"--vec-env auto takes {name}: a step of {_in_words(settings)} takes {found or 'unknown time'}")
        return replace(settings, vec_env=name)
    if sentence := _advice(settings):
        tell(sentence)
    return settings


def _advice(settings: RunSettings) -> str:
    """Say what would take less time than what the user chose."""
    if settings.n_envs == 1 or settings.vec_env not in ("dummy", "subproc"):
        return ""
    single = _seconds(settings)
    if single is None:
        return ""
    here, apart = settings.n_envs * single, in_processes(single, settings.n_envs, _cores())
    step = f"a step of {settings.env} takes {_short(single)}"
    if settings.vec_env == "subproc" and here < apart:
        return (
            f"{step}, and a message to a process about {_short(MESSAGE_SECONDS)}: --vec-env dummy would step "
            f"{apart / here:.1f} times as fast"
        )
    if settings.vec_env == "dummy" and single > _LONG_STEP and here > _WORTH_SAYING * apart:
        return f"{step}: --vec-env subproc would step {here / apart:.1f} times as fast"
    return ""


def in_processes(single: float, count: int, cores: int) -> float:
    """Estimate the seconds of a step of all environments in processes of their own.

    Args:
        single: Seconds of a step of one.
        count: How many.
        cores: How many processors there are for them.
    """
    return count * MESSAGE_SECONDS + single * -(-count // cores)


def _times(settings: RunSettings, single: float | None) -> dict[str, float]:
    """Give the seconds of a step of all environments for every way that there is."""
    if single is None:
        return {}
    times = {"dummy": settings.n_envs * single}
    if settings.n_envs > 1:
        times["subproc"] = in_processes(single, settings.n_envs, _cores())
    if (at_once := _seconds_at_once(settings)) is not None:
        times["vector"] = at_once
    return times


def _seconds(settings: RunSettings) -> float | None:
    """Time a few steps of an environment of its own by actions at random; None where that does not go."""
    try:
        with undisturbed():
            env = maker_of(settings)()
            env.action_space.seed(0)
            actions = [env.action_space.sample() for _ in range(8)]
            env.reset(seed=0)

            def step(number: int) -> None:
                *_, terminated, truncated, _ = env.step(actions[number % len(actions)])
                if terminated or truncated:
                    env.reset()

            try:
                return _median_seconds(step)
            finally:
                env.close()
    except Exception:  # whatever it raises, the training will
        return None


def _seconds_at_once(settings: RunSettings) -> float | None:
    """Time a few steps of the vector environment, None where there is none."""
    try:
        with undisturbed():
            envs = _vector(settings)
    except UsageError:
        return None
    envs.action_space.seed(0)
    actions = np.stack([envs.action_space.sample() for _ in range(settings.n_envs)])
    with undisturbed():
        envs.reset(0)
        try:
            return _median_seconds(lambda _: envs.step(actions))
        finally:
            envs.close()


def _median_seconds(step: Callable[[int], object]) -> float:
    times: list[float] = []
    began = time.perf_counter()
    while not times or (time.perf_counter() - began < _BUDGET_SECONDS and len(times) < _MOST_STEPS):
        start = time.perf_counter()
        step(len(times))
        times.append(time.perf_counter() - start)
    return median(times)


def _cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_words(settings: RunSettings) -> str:
    return settings.env if settings.n_envs == 1 else f"{settings.n_envs} {settings.env}"


def _short(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds >= _LONG_STEP else f"{seconds * 1e6:.0f} us"
