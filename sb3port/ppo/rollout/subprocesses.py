"""Environments in processes of their own, for those whose steps take longer than a message.

Source: `stable_baselines3/common/vec_env/subproc_vec_env.py`. Rewards keep the type that the environment
gives them, mostly float64, where `environments.InProcess` rounds them to float32: as with SB3, VecNormalize
sees the difference in the last bits.
"""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array
from sb3port.environments.failures import failure_of_others
from sb3port.environments.making import time_limit
from sb3port.errors import Sb3portError, UsageError
from sb3port.ppo.rollout.environments import Environments, Observations, Step, seeds_of
from sb3port.ppo.rollout.episodes import Episodes, MakeEnv, Recording


class Subprocesses(Environments):
    """One process per environment.

    Args:
        make: Makes one environment; it is pickled, so it is a function of a module, or a `partial` of one.
        count: How many.

    Raises:
        Sb3portError: The environment cannot be made.
    """

    def __init__(self, make: MakeEnv, count: int) -> None:
        context: Any = multiprocessing.get_context(_start_method())
        self._pipes: list[Connection] = []
        self._processes: list[BaseProcess] = []
        self.count = count
        for index in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, make, index), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        told = self._ask([("environment",)] * count)[0]
        self.observation_space, self.action_space, self.time_limit = told

    def reset(self, seed: int | None) -> Observations:
        """Begin the first episodes; environment i gets the seed `seed + i`."""
        return self.stacked(self._ask([("reset", s) for s in seeds_of(seed, self.count)]))

    def step(self, actions: Array) -> Step:
        """Step all environments at once, with rewards `(n_envs,)` of the environment's own type."""
        rows, rewards, ends = zip(*self._ask([("step", action) for action in actions]), strict=True)
        return Step(self.stacked(rows), np.array(rewards), [end for end in ends if end])

    def check_masks(self) -> None:
        """Refuse environments that do not say which choices are allowed."""
        self._ask([("check_masks",)] * self.count)

    def masks(self) -> Array:
        """Ask every environment which choices are allowed, bool `(n_envs, choices)`."""
        return np.stack(self._ask([("mask",)] * self.count))

    def recordings(self) -> list[Recording]:
        """Give what `play` needs to come back to this point, for each environment."""
        return self._ask([("recording",)] * self.count)

    def play(self, recordings: Sequence[Recording]) -> Observations:
        """Play the recorded episodes again, and give what is seen at their end."""
        return self.stacked(self._ask([("play", recording) for recording in recordings]))

    def close(self) -> None:
        """End all processes, by force those that take more than five seconds."""
        for pipe in self._pipes:
            pipe.close()  # which ends the process
        for process in self._processes:
            process.join(timeout=5)
            process.kill()

    def _ask(self, requests: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send every process its request, then wait for all answers."""
        try:
            for pipe, request in zip(self._pipes, requests, strict=True):
                pipe.send(request)
            answers = [pipe.recv() for pipe in self._pipes]
        except (EOFError, OSError) as error:
            raise UsageError("a process with an environment has ended") from error
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers


def _start_method() -> str:
    """How processes begin: as in SB3, from a server that was forked early, else anew."""
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def _serve(pipe: Connection, make: MakeEnv, index: int) -> None:
    """Answer requests until the other end closes; it is the training that a Ctrl-C ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        episodes = Episodes(make(), index)
    except Sb3portError as error:
        pipe.recv()
        pipe.send(UsageError(error.message, error.hint))
        return
    except Exception as error:  # whatever the environment raises
        pipe.recv()
        pipe.send(failure_of_others(error) or error)
        return
    env = episodes.env
    methods: dict[str, Callable[..., Any]] = {
        "environment": lambda: (env.observation_space, env.action_space, time_limit(env)),
        "reset": episodes.reset,
        "step": episodes.step,
        "check_masks": episodes.check_masks,
        "mask": episodes.mask,
        "recording": episodes.recording,
        "play": episodes.play,
    }
    while True:
        try:
            name, *arguments = pipe.recv()
        except (EOFError, OSError):
            break
        try:
            pipe.send(methods[name](*arguments))
        except Exception as error:  # it is raised again where it was asked for
            pipe.send(failure_of_others(error) or error)
    episodes.close()
