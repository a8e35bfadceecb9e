"""Environments that raise: it is theirs, and not called a bug of ours; what was finished is kept."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from .conftest import Cli


class Failing(gym.Env[Any, Any]):
    """Like a pendulum to the policy; raises where it is told to."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012 (as Gymnasium wants it)
    observation_space = spaces.Box(-np.array([1, 1, 8], np.float32), np.array([1, 1, 8], np.float32))
    action_space = spaces.Box(-2, 2, (1,), np.float32)

    def __init__(self, where: str = "", render_mode: str | None = None) -> None:
        self.where, self.render_mode = where, render_mode

    def fail(self, where: str) -> None:
        if self.where == where:
            raise ZeroDivisionError(f"my own mistake in {where}")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.fail("reset")
        return np.zeros(3, np.float32), {}

    def step(self, _: Any) -> Any:
        self.fail("step")
        return np.zeros(3, np.float32), 1.0, True, False, {}

    def render(self) -> Any:
        if self.where == "display":
            raise RuntimeError("GLFW: could not open a display")
        self.fail("render")
        return np.zeros((8, 8, 3), np.uint8)


MODULE = """
import gymnasium as gym
from gymnasium.envs.classic_control import PendulumEnv

class Failing(PendulumEnv):
    def step(self, action):
        raise ZeroDivisionError("my own mistake in step")

gym.register("FailingThere-v0", Failing)
"""
for _name in ("", "reset", "step", "render", "display"):
    gym.register(f"Failing{_name}-v0", Failing, kwargs={"where": _name}, disable_env_checker=True)


@pytest.mark.parametrize("where", ["reset", "step"])
@pytest.mark.parametrize("command", ["eval", "record"])
def test_it_is_named_as_the_environments(where: str, command: str, cli: Cli, port: Any) -> None:
    out = ("--out", "a.npz") if command == "record" else ()
    ended = cli(command, port, "--env", f"Failing{where}-v0", "--episodes", 1, *out)
    assert (ended.code, ended.out) == (2, "")
    assert f"the environment failed: ZeroDivisionError: my own mistake in {where} (" in ended.err
    assert "test_failing_environments.py:" in ended.err
    assert "bug in sb3port" not in ended.err


@pytest.mark.parametrize("vec_env", ["dummy", "subproc"])
def test_in_training(vec_env: str, cli: Cli, here: Path) -> None:
    """Also in a process of its own, which imports the module."""
    (here / f"failing_{vec_env}.py").write_text(MODULE)
    where = ("--env", f"failing_{vec_env}:FailingThere-v0", "--vec-env", vec_env)
    ended = cli("train", *where, "--steps", 64, "--out", "run")
    assert (ended.code, ended.out) == (2, "")
    assert "the environment failed: ZeroDivisionError: my own mistake in step (" in ended.err
    assert "bug in sb3port" not in ended.err


@pytest.mark.parametrize("where", ["render", "display"])
def test_returns_are_kept_though_the_film_fails(where: str, cli: Cli, port: Any) -> None:
    ended = cli("eval", port, "--env", f"Failing{where}-v0", "--episodes", 2, "--video", "a.gif")
    assert ended.code == 2
    assert "1.00 ± 0.00" in ended.out
    assert ("MUJOCO_GL=egl" in ended.err) == (where == "display")
    assert "bug in sb3port" not in ended.err


def test_our_own_mistakes_are_bugs(cli: Cli, port: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("sb3port.commands.policies.find_policy", broken)
    ended = cli("eval", port, "--env", "Failing-v0", "--episodes", 1)
    assert ended.code == 70
    assert "bug in sb3port" in ended.err
