"""`eval` and `inspect`."""

import base64
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO

from tests.readers.making import BOX, change, save

from .conftest import CARTPOLE, PENDULUM, Cli


def test_eval_prints_returns(cli: Cli, port: Path) -> None:
    result = cli("eval", port, "--env", "Pendulum-v1", "--episodes", 3, "--seed", 5)
    result.succeeds()
    assert "environment  Pendulum-v1\n" in result.out
    assert "episodes     3, seeds 5 to 7\n" in result.out
    assert "(mean ± standard error)\n" in result.out
    assert "length       200.0 steps (mean)\n" in result.out
    assert result.err == ""


def test_eval_of_one_episode_has_no_error(cli: Cli, port: Path) -> None:
    result = cli("eval", port, "--env", "Pendulum-v1", "--episodes", 1)
    result.succeeds()
    assert "nan" not in result.out
    assert "±" not in result.out


def test_eval_json_and_quiet_agree(cli: Cli, port: Path) -> None:
    arguments = ("eval", port, "--env", "Pendulum-v1", "--episodes", 2)
    result = cli(*arguments, "--json")
    result.succeeds()
    content = json.loads(result.out)
    assert (content["schema"], content["version"], content["env"]) == ("sb3port.eval", 1, "Pendulum-v1")
    assert [episode["seed"] for episode in content["episodes"]] == [0, 1]
    quiet = cli(*arguments, "-q")
    assert (quiet.out, quiet.err) == (f"{content['mean_return']:g}\n", "")


def test_eval_shows_ten_returns_and_all_with_verbose(
    cli: Cli, here: Path, port: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_step(env: object, actor: object, seed: int, use_masking: bool) -> list[SimpleNamespace]:
        return [SimpleNamespace(reward=float(seed), success=None, cut=False)]

    monkeypatch.setattr("sb3port.commands.evaluate.run_episode", one_step)
    arguments = ("eval", port, "--env", "Pendulum-v1", "--episodes", 12)
    assert "9.00 and 2 more" in cli(*arguments).out
    assert cli(*arguments, "-v").out.count("11.00\n") == 1


@pytest.mark.parametrize("env", ["Nope-v1", "nomodule:Nope-v1", "Pendulum", "not an id"])
def test_unknown_environment(cli: Cli, port: Path, env: str) -> None:
    result = cli("eval", port, "--env", env)
    if env == "Pendulum":  # Gymnasium takes the latest version
        result.succeeds()
    else:
        result.fails(2, f"error: the environment {env} cannot be made: ")


def test_environment_with_other_spaces(cli: Cli, port: Path) -> None:
    result = cli("eval", port, "--env", "CartPole-v1")
    result.fails(2, "Box([-4.8 -inf -0.41887903 -inf]", "(3,), float32)", "hint: ")
    cli("convert", CARTPOLE, "cart", "--no-verify").succeeds()
    cli("eval", "cart", "--env", "Acrobot-v1").fails(2, "observations")


def test_eval_of_no_port(cli: Cli) -> None:
    cli("eval", "absent", "--env", "Pendulum-v1").fails(2, "absent is neither a file or folder")
    cli("eval", PENDULUM.parent, "--env", "Pendulum-v1").fails(2, "several checkpoints")


def test_inspect_tells_everything(cli: Cli) -> None:
    result = cli("inspect", PENDULUM, "-v")
    result.succeeds()
    assert result.err == ""
    for text in (
        "Box([-1. -1. -8.], [1. 1. 8.], (3,), float32)",
        "Box(-2, 2, (1,), float32), gSDE",
        "policy [64, 64], value [64, 64], Tanh",
        "n_steps              1024",
        "written by         SB3 2.9.2",
        "mlp_extractor.value_net.2.weight",
        "stable_baselines3.common.policies.ActorCriticPolicy",
    ):
        assert text in result.out


def test_inspect_json_and_quiet(cli: Cli) -> None:
    result = cli("inspect", PENDULUM, "--json")
    content = json.loads(result.out)
    assert (content["schema"], content["version"]) == ("sb3port.inspect", 1)
    assert {"name": "log_std", "shape": [64, 1], "dtype": "float32"} in content["tensors"]
    assert "torch._utils._rebuild_tensor_v2" in content["imports"]
    assert cli("inspect", PENDULUM, "-q").out.count("\n") == 1


def test_inspect_shows_no_width_of_convolutions_that_are_not_there(cli: Cli) -> None:
    vectors = spaces.Dict({"a": BOX, "b": spaces.Discrete(3)})
    images = spaces.Dict({"a": BOX, "b": spaces.Box(0, 255, (36, 36, 3), np.uint8)})
    for observation, shown in (
        (vectors, "CombinedExtractor, policy [4]"),
        (images, "CombinedExtractor 256,"),
    ):
        save(PPO, Path("model.zip"), "MultiInputPolicy", observation)
        assert f"networks      {shown}" in cli("inspect", "model.zip").out


def test_json_is_strict_where_bounds_are_infinite(cli: Cli) -> None:
    shown = cli("inspect", CARTPOLE, "--json")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    content = json.loads(shown.out, parse_constant=refuse)
    assert content["spec"]["observation_space"]["high"][1] == "Infinity"


def test_inspect_tells_own_code(cli: Cli, tmp_path: Path) -> None:
    save(PPO, tmp_path / "model.zip")
    kept = base64.b64encode(b"cmy_runs.config\nConfig\n)R.").decode()
    setting = {":type:": "x", ":serialized:": kept}
    path = change(tmp_path / "model.zip", tmp_path / "kept.zip", {"run_config": setting})
    result = cli("inspect", path, "--json")
    result.succeeds()
    assert json.loads(result.out)["own_code"] == ["my_runs.config.Config"]
    assert "run_config (my_runs.config.Config)" in result.err
    assert "my_runs.config.Config (code that is not SB3's)" in cli("inspect", path).out
