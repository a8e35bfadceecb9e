"""The environment of the training, said on the command line: returns are those of SB3 in the same one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecFrameStack

import sb3port
from sb3port.ports.reading import read_port
from tests.ports import port_of

from .conftest import Cli
from .test_eval_wrappers import sb3_returns

LAST = Path("run/checkpoints/last/pretrained_model")
TINY = ("--n-steps", 32, "--batch-size", 32, "--n-epochs", 1, "--n-envs", 1, "--eval-episodes", 1)


class Turning(gym.Env[Any, Any]):
    """Rewards by what was done and by an argument; tells success, and which actions are allowed."""

    observation_space = spaces.Box(-1, 1, (3,), np.float32)
    action_space = spaces.Discrete(3)

    def __init__(self, scale: float = 1.0, length: int = 6) -> None:
        self.scale, self.length, self.steps = scale, length, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.steps = 0
        self.last = int(self.np_random.integers(3))
        self.length = 3 + int(self.np_random.integers(6))
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps, self.last = self.steps + 1, int(action)
        over = self.steps >= self.length
        reward = self.scale * (self.last + float(self.np_random.random()))
        return self._seen(), reward, over, False, {"is_success": self.length > 5} if over else {}

    def action_masks(self) -> Any:
        return np.arange(3) != (self.last + self.steps) % 3

    def _seen(self) -> Any:
        return self.np_random.uniform(-1, 1, 3).astype(np.float32)


gym.register("Turning-v0", Turning)


def saved(path: Path, env: VecEnv, algorithm: Any = PPO, policy: str = "MlpPolicy") -> Any:
    """Save an untrained model alone, with wide outputs so that it does different things."""
    torch.manual_seed(3)
    lstm = {"lstm_hidden_size": 6} if algorithm is RecurrentPPO else {}
    model = algorithm(policy, env, device="cpu", policy_kwargs={"net_arch": [8], **lstm}, seed=1)
    with torch.no_grad():
        model.policy.action_net.weight.mul_(300)
    model.save(path / "model.zip")
    port_of(path / "model.zip", path / "port", verify=False)
    return model


FORMS = ["{'continuous': True}", '{"continuous": true}', "dict(continuous=True)", "continuous:True"]


@pytest.fixture(scope="module")
def lander(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lander")
    saved(folder, DummyVecEnv([lambda: gym.make("LunarLander-v3", continuous=True)]))
    return folder / "port"


@pytest.mark.parametrize("form", FORMS)
def test_arguments_of_the_environment(cli: Cli, lander: Path, form: str) -> None:
    call = ("eval", lander, "--env", "LunarLander-v3", "--episodes", 1)
    cli(*call).fails(2, "has the actions Discrete(4)", "--env-kwargs")
    result = cli(*call, "--env-kwargs", form)
    result.succeeds()
    assert "arguments    continuous=True\n" in result.out


def test_rl_zoo3s_way_of_several_arguments(cli: Cli, lander: Path) -> None:
    words = ("--env-kwargs", "continuous:True", "gravity:-3.5", lander, "--episodes", 1, "--json")
    found = json.loads(cli("eval", "--env", "LunarLander-v3", *words).out)
    assert found["env_kwargs"] == {"continuous": True, "gravity": -3.5}


def test_ice_that_is_not_slippery_has_one_return(cli: Cli, tmp_path: Path) -> None:
    env = DummyVecEnv([lambda: gym.make("FrozenLake-v1", is_slippery=False)])
    model = saved(tmp_path, env)
    with torch.no_grad():
        model.policy.action_net.weight.mul_(0)
        model.policy.action_net.bias.copy_(torch.tensor([0.0, 9, 0, 0]))  # down, and into a hole
    model.save(tmp_path / "down.zip")
    port_of(tmp_path / "down.zip", tmp_path / "down", verify=False)
    call = ("eval", tmp_path / "down", "--env", "FrozenLake-v1", "--episodes", 5, "--json")
    lengths = {
        kwargs: {episode["length"] for episode in json.loads(cli(*call, *kwargs).out)["episodes"]}
        for kwargs in ((), ("--env-kwargs", "is_slippery=False"))
    }
    assert len(lengths[()]) > 1
    assert lengths["--env-kwargs", "is_slippery=False"] == {3}


@pytest.mark.parametrize(
    "words",
    [
        ("--frame-stack", 4),
        ("--wrapper", "FrameStack(n_stack=4)"),
        ("--wrapper", '{"VecFrameStack": {"n_stack": 4}}'),
        ("--wrapper", "stable_baselines3.common.vec_env.VecFrameStack:{'n_stack': 4}"),
    ],
)
def test_frames_are_stacked_as_sb3_does(cli: Cli, tmp_path: Path, words: tuple[Any, ...]) -> None:
    def make() -> VecEnv:
        return VecFrameStack(DummyVecEnv([lambda: gym.make("CartPole-v1")]), 4)

    model = saved(tmp_path, make())
    call = ("eval", tmp_path / "port", "--env", "CartPole-v1", "--episodes", 3)
    hint = f"run: sb3port eval {tmp_path / 'port'} --env CartPole-v1 --episodes 3 --frame-stack 4"
    cli(*call).fails(2, "has the observations", hint)
    cli(*call, "--frame-stack", 2).fails(2, "--frame-stack 4")
    found = json.loads(cli(*call, *words, "--json").out)
    assert [episode["return"] for episode in found["episodes"]] == sb3_returns(model, make)
    assert found["wrappers"] == ["FrameStack(n_stack=4)"]
    if words[0] == "--frame-stack":
        result = sb3port.evaluate(tmp_path / "port", "CartPole-v1", frame_stack=4, episodes=3)
        assert list(result.returns) == sb3_returns(model, make)


OWN = """
import gymnasium

class Times(gymnasium.RewardWrapper):
    def __init__(self, env, factor=1):
        super().__init__(env)
        self.factor = factor

    def reward(self, reward):
        return reward * self.factor
"""


def test_wrappers_of_ones_own_have_arguments(cli: Cli, here: Path, tmp_path: Path) -> None:
    (here / "times.py").write_text(OWN)
    saved(tmp_path, DummyVecEnv([lambda: gym.make("CartPole-v1")]))
    call = ("eval", tmp_path / "port", "--env", "CartPole-v1", "--episodes", 2, "-q")
    plain = float(cli(*call).out)
    assert float(cli(*call, "--wrapper", 'times:Times:{"factor": 3}').out) == 3 * plain
    assert float(
        cli(*call, "--wrapper", "times.Times(factor=3)", "--wrapper", "times:Times(factor=2)").out
    ) == (6 * plain)
    cli(*call[:-1], "--wrapper", "times:Times(wings=2)").fails(2, "times:Times(wings=2) does not work")


def test_training_notes_what_was_chosen(cli: Cli, here: Path) -> None:
    (here / "times.py").write_text(OWN)
    chosen = ("--env-kwargs", "scale=2", "--wrapper", "FrameSkip(skip=2)", "--frame-stack", 2)
    call = ("train", "--env", "Turning-v0", "--out", "run", "--steps", 64, *TINY)
    result = cli(*call, *chosen)
    result.succeeds()
    assert "Turning-v0 with scale=2, behind FrameSkip, 2 frames stacked" in result.err
    assert result.err.endswith("sb3port train --resume run --steps 128 --env Turning-v0\n")
    assert "hint: run it with: sb3port eval run --env Turning-v0\n" in result.err
    noted = read_port(LAST).environment
    assert (noted.env_kwargs, noted.frame_stack) == ({"scale": 2}, 2)
    found = json.loads(cli("eval", LAST, "--env", "Turning-v0", "--episodes", 1, "--json").out)
    assert found["env_kwargs"] == {"scale": 2}
    assert found["wrappers"] == ["FrameSkip(skip=2)", "FrameStack(n_stack=2)"]
    card = (LAST / "README.md").read_text()
    wrappers = '--env.wrappers=\'{"FrameSkip": {"skip": 2}, "FrameStack": {"n_stack": 2}}\''
    assert f"--env.task=Turning-v0 --env.env_kwargs='{{\"scale\": 2}}' {wrappers}" in card
    cli("train", "--resume", "run").fails(2, "--env Turning-v0")
    cli("train", "--resume", "run", "--env", "Turning-v0").succeeds()
    other = cli("train", "--resume", "run", "--env", "Turning-v0", "--frame-stack", 3)
    other.fails(2, "options name another one", "say no more of it than --env Turning-v0")


def test_own_wrappers_are_named_with_all_that_stood_around(cli: Cli, here: Path) -> None:
    (here / "times.py").write_text(OWN)
    own = ("--wrapper", "FrameSkip(skip=2)", "--wrapper", 'times:Times:{"factor": 3}')
    call = ("train", "--env", "CartPole-v1", "--out", "run", "--steps", 64, *TINY)
    result = cli(*call, *own)
    result.succeeds()
    words = """--wrapper 'FrameSkip:{"skip": 2}' --wrapper 'times:Times:{"factor": 3}'"""
    assert result.err.endswith(f"sb3port train --resume run --steps 128 {words}\n")
    assert f"hint: run it with: sb3port eval run {words}\n" in result.err
    cli("eval", LAST).fails(2, "the training was behind times:Times", f"run: sb3port eval {LAST} {words}")
    cli("finetune", LAST, "--steps", 32, "--out", "more", *TINY).fails(2, words)
    cli("eval", LAST, *own, "--episodes", 1).succeeds()
    cli("train", "--resume", "run").fails(2, words)
    cli("train", "--resume", "run", *own).succeeds()


def test_recordings_tell_their_environment(cli: Cli, lander: Path) -> None:
    words = ("--env", "LunarLander-v3", "--env-kwargs", "continuous=True", "--episodes", 1)
    cli("record", lander, *words, "--out", "a.npz").succeeds()
    with np.load("a.npz") as recorded:
        told = json.loads(recorded["metadata"].tobytes())
    assert told["env_kwargs"] == {"continuous": True}


@pytest.mark.long
def test_verify_compares_in_the_same_environment(cli: Cli, lander: Path) -> None:
    verify = ("verify", lander, "--no-reload", "--observations", "drawn", "--json")
    words = ("--env", "LunarLander-v3", "--env-kwargs", "continuous=True")
    checks = json.loads(cli(*verify, *words).out)["checks"]
    assert [check["verdict"] for check in checks if check["stage"] == "behaviour"] == ["bit-exact"]
    cli(*verify, *words[2:]).fails(2, "name it with: --env ID")


def together(tmp_path: Path, make: Callable[[], VecEnv], algorithm: Any, policy: str) -> list[float]:
    saved(tmp_path, make(), algorithm, policy)
    how = {"env": "Turning-v0", "episodes": 7}
    one, three = (sb3port.evaluate(tmp_path / "port", **how, n_envs=n) for n in (1, 3))  # type: ignore[arg-type]
    assert one.seeds == three.seeds
    assert (one.lengths, one.successes) == (three.lengths, three.successes)
    np.testing.assert_allclose(one.returns, three.returns, rtol=1e-6)
    assert len(set(one.returns)) == 7
    return list(one.returns)


@pytest.mark.parametrize(
    ("algorithm", "policy"),
    [(PPO, "MlpPolicy"), (MaskablePPO, "MlpPolicy"), (RecurrentPPO, "MlpLstmPolicy")],
)
def test_side_by_side_is_the_same(tmp_path: Path, algorithm: Any, policy: str) -> None:
    together(tmp_path, lambda: DummyVecEnv([lambda: gym.make("Turning-v0")]), algorithm, policy)


def test_shares_are_those_of_sb3() -> None:
    from sb3port.environments.together import _shares

    for episodes, n_envs in ((7, 3), (2, 3), (10, 4)):
        shares = [list(share) for share in _shares(range(episodes), n_envs)]
        assert [len(share) for share in shares] == [(episodes + i) // n_envs for i in range(n_envs)]
        assert sorted(seed for share in shares for seed in share) == list(range(episodes))


def test_success_spread_and_sampling(cli: Cli, tmp_path: Path) -> None:
    saved(tmp_path, DummyVecEnv([lambda: gym.make("Turning-v0")]))
    call = ("eval", tmp_path / "port", "--env", "Turning-v0", "--episodes", 8)
    found = json.loads(cli(*call, "--json").out)
    returns = [episode["return"] for episode in found["episodes"]]
    long = [episode["length"] > 5 for episode in found["episodes"]]
    assert [episode["success"] for episode in found["episodes"]] == long
    assert found["success_rate"] == sum(long) / 8
    assert found["standard_deviation"] == pytest.approx(np.std(returns))
    assert found["standard_error"] == pytest.approx(np.std(returns, ddof=1) / 8**0.5)
    out = cli(*call).out
    assert f"success      {sum(long) / 8:.0%} ({sum(long)} of 8 episodes)\n" in out
    assert f"spread       {np.std(returns):.2f} (standard deviation)\n" in out
    random = [cli(*call, "--stochastic", "--json").out for _ in range(2)]
    assert random[0] == random[1]
    assert json.loads(random[0])["deterministic"] is False
    assert json.loads(random[0])["episodes"] != found["episodes"]
    compared = json.loads(cli(*call, "--stochastic", "--compare", "--json").out)
    assert compared["mean_difference"] == 0


def test_windows_are_refused_where_there_are_none(
    cli: Cli, port: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    short = ("--env-kwargs", "max_episode_steps=5")
    call = ("eval", port, "--env", "Pendulum-v1", *short, "--episodes", 1, "--render", "human")
    cli(*call).fails(2, "there is none here", "--video film.mp4")
    cli(*call, "--n-envs", 2).fails(2, "not several")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    cli(*call).succeeds()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--env-kwargs continuous", "--env-kwargs continuous has no arguments"),
        ("--wrapper Framestack", "did you mean FrameStack?"),
        ("--wrapper FrameSkip:{skip", "--wrapper FrameSkip has arguments that cannot be read"),
        ("--env pendulum-v1", "did you mean Pendulum-v1?"),
        ("--env LunarLander-v2 --seed 3", "--seed 3 --env LunarLander-v3"),
        ("--env=HalfCheetah-v3", " --env HalfCheetah-v5"),
        ("--env AntBulletEnv-v0", "pip install pybullet_envs_gymnasium, and then run: "),
        ("--env BreakoutNoFrameskip-v4", "--env ale_py:BreakoutNoFrameskip-v4"),
        ("--env ale_py:ALE/Pong-v5", "pip install ale-py"),
        ("--env nowhere:Its-v0", "there is no module nowhere"),
        ("--compare --n-envs 2", "drop --n-envs"),
    ],
)
def test_what_is_refused_before_anything_is_loaded(
    cli: Cli, words: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("sb3port.commands.policies.find_policy", loaded)
    result = cli("eval", "port", *words.split())
    result.fails(2, said)
    assert "LunarLander-v2" not in result.err.partition("hint: ")[2]


def test_options_of_frames_are_numbers(cli: Cli) -> None:
    for words in (("--frame-stack", 0), ("--frame-stack", "four"), ("--render", "rgb")):
        assert cli("eval", "port", *words).code == 2


@pytest.mark.parametrize("command", ["record", "verify", "train", "finetune"])
def test_all_commands_have_them(cli: Cli, command: str) -> None:
    out = ("--out", "x.npz") if command in ("record", "finetune") else ()
    name = () if command == "train" else ("port",)
    cli(command, *name, *out, "--wrapper", "Framestack").fails(2, "did you mean FrameStack?")
    cli(command, *name, *out, "--env", "Pendulum-v0").fails(2, f"sb3port {command}", "--env Pendulum-v1")


def test_a_name_without_a_version_is_the_newest(cli: Cli) -> None:
    result = cli("train", "--env", "CartPole", "--out", "run", "--steps", 64, *TINY)
    result.succeeds()
    assert "CartPole-v1" in result.err.splitlines()[0]  # whose tuned hyperparameters are taken
    assert read_port(LAST).environment.env_id == "CartPole-v1"


def test_training_from_python(here: Path) -> None:
    tiny = {"n_steps": 32, "batch_size": 32, "n_epochs": 1}
    done = sb3port.train("Turning-v0", here / "a", env_kwargs={"scale": 2}, steps=64, hyperparameters=tiny)
    assert read_port(done.last / "pretrained_model").environment.env_kwargs == {"scale": 2}
    port = done.last / "pretrained_model"
    more = sb3port.finetune(port, here / "b", 32, env="Turning-v0", frame_stack=1, hyperparameters=tiny)
    assert more.steps == done.steps + 32
    assert sb3port.record(port, "Turning-v0", episodes=2).env_kwargs == {"scale": 2}
