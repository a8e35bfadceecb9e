"""`inspect` always answers: what can be read is shown, and a refusal comes last, with its exit code."""

import inspect
import json
import shlex
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sb3_contrib
import stable_baselines3
import torch as th
import yaml
from gymnasium import spaces
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import nn

from sb3port.commands.training_plans import plan_for
from sb3port.readers.meaning.zoo_config import read_zoo_config
from tests.readers.making import BOX, Still, change, save

from . import files
from .conftest import CARTPOLE, FIXTURES, PENDULUM, STATISTICS, ZIP, Cli

ERAS = FIXTURES.parents[1] / "eras"
CHOICE = {"action": spaces.Discrete(2)}
OFF_POLICY: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "SAC": (SAC, {"buffer_size": 10}),
    "TD3": (TD3, {"buffer_size": 10}),
    "DDPG": (DDPG, {"buffer_size": 10, "action_noise": NormalActionNoise(np.zeros(3), np.ones(3))}),
    "DQN": (DQN, {"buffer_size": 10, **CHOICE}),
    "QRDQN": (sb3_contrib.QRDQN, {"buffer_size": 10, **CHOICE}),
    "TQC": (sb3_contrib.TQC, {"buffer_size": 10}),
    "CrossQ": (sb3_contrib.CrossQ, {"buffer_size": 10}),
    "ARS": (sb3_contrib.ARS, {}),
}


@pytest.fixture(scope="session")
def off_policy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A zip of each algorithm that is not an actor-critic's."""
    folder = tmp_path_factory.mktemp("off-policy")
    made = OFF_POLICY.items()
    return {name: save(cls, folder / f"{name}.zip", **kwargs) for name, (cls, kwargs) in made}


@pytest.mark.parametrize("name", OFF_POLICY)
def test_off_policy(name: str, off_policy: dict[str, Path], cli: Cli) -> None:
    result = cli("inspect", off_policy[name])
    assert result.code == 0
    for text in (f"algorithm     {name}, SB3 2.9.2", f"observations  {'Box(-1, 1, (3,), float32)'}", "gamma"):
        assert text in result.out or (name, text) == ("ARS", "gamma")
    content = json.loads(cli("inspect", off_policy[name], "--json").out)
    assert content["algorithm"] == name
    assert content["refusal"] is None
    assert content["spec"]["squash_output"] is (name not in ("DQN", "QRDQN"))
    found = content["contents"]
    assert found["action_space"]["type"] == ("Discrete" if "DQN" in name else "Box")
    shapes = {entry["name"]: tuple(entry["shape"]) for entry in found["tensors"]}
    with zipfile.ZipFile(off_policy[name]) as archive:
        saved = th.load(archive.open("policy.pth"), weights_only=True)
    assert {k: tuple(v.shape) for k, v in saved.items()}.items() <= shapes.items()
    model = OFF_POLICY[name][0].load(off_policy[name], device="cpu")
    assert found["settings"]["learning_rate"] == model.learning_rate
    assert found["settings"]["num_timesteps"] == 0
    assert content["loads"]["verdict"] == "yes"
    assert found["policy_class"].endswith(f".{type(model.policy).__name__}")


def test_missing_statistics(cli: Cli, here: Path) -> None:
    shutil.copy(ZIP, here / "alone.zip")
    result = cli("inspect", "alone.zip")
    result.refuses(2, "but no statistics (vec_normalize.pkl) are there")
    assert "networks      policy [64, 64], value [64, 64], Tanh" in result.out
    content = json.loads(cli("inspect", "alone.zip", "--json").out)
    assert content["spec"]["net_arch"] == {"pi": [64, 64], "vf": [64, 64]}
    assert content["refusal"]["exit_code"] == 2
    assert "--no-stats" in content["refusal"]["hint"]
    cli("inspect", PENDULUM).succeeds()
    assert json.loads(cli("inspect", PENDULUM, "--json").out)["refusal"] is None


def test_what_is_unsafe_is_shown_and_refused(cli: Cli, here: Path) -> None:
    files.with_pickle(ZIP, here / "evil.zip", "note", b"cposix\nsystem\n(S'touch ran'\ntR.")
    result = cli("inspect", "evil.zip")
    result.refuses(5, "posix.system")
    assert "posix.system (dangerous)" in result.out
    assert "Box([-1. -1. -8.], [1. 1. 8.], (3,), float32)" in result.out
    assert "n_steps                1024" in result.out
    assert "note is unsafe to unpickle" in result.out
    content = json.loads(cli("inspect", "evil.zip", "--json").out)
    danger = [entry for entry in content["contents"]["globals"] if entry["group"] == "dangerous"]
    assert danger == [{"member": "data", "field": "note", "name": "posix.system", "group": "dangerous"}]
    assert content["refusal"]["exit_code"] == 5
    assert len(content["contents"]["tensors"]) == 13
    assert not (here / "ran").exists()


def test_a_zip_without_tensors_is_looked_through_before_its_layout(cli: Cli, here: Path) -> None:
    files.with_pickle(ZIP, here / "evil.zip", "note", b"cposix\nsystem\n(S'x'\ntR.")
    for name, code in (("evil.zip", 5), ("good.zip", 4)):
        with zipfile.ZipFile("evil.zip" if code == 5 else ZIP) as archive:
            files.zip_of(here / f"bare-{name}", {"data": archive.read("data")})
        result = cli("inspect", f"bare-{name}")
        result.refuses(code, "posix.system" if code == 5 else "it has no policy.pth")
        assert "algorithm     PPO" in result.out


def test_what_is_damaged_hides_nothing(cli: Cli, here: Path) -> None:
    files.with_pickle(ZIP, here / "evil.zip", "note", b"cposix\nsystem\n(S'x'\ntR.")
    with zipfile.ZipFile("evil.zip") as archive:
        data = json.loads(archive.read("data"))
    data = {"broken": {":type:": "x", ":serialized:": "?"}, **data}
    files.zip_of(here / "bare.zip", {"data": json.dumps(data).encode(), "other.pth": b"nothing of torch's"})
    result = cli("inspect", "bare.zip")
    result.refuses(5, "posix.system")
    assert "posix.system (dangerous)" in result.out
    assert "other.pth" in result.out


def test_own_code_is_named_although_it_is_refused(cli: Cli, here: Path) -> None:
    policy = {":type:": "x", ":serialized:": "Y215X3J1bnMucG9saWNpZXMKTWluZQou"}  # my_runs.policies.Mine
    save(PPO, here / "model.zip")
    change(here / "model.zip", here / "mine.zip", {"policy_class": policy})
    result = cli("inspect", "mine.zip")
    result.refuses(4, "my_runs.policies.Mine")
    assert "policy class  my_runs.policies.Mine  (zip)" in result.out
    assert "No module named 'my_runs': policy_class is of my_runs" in result.out
    assert "not by sb3port, which refuses it" in result.out


def test_statistics(cli: Cli, here: Path) -> None:
    result = cli("inspect", STATISTICS)
    result.succeeds()
    for text in (
        "obs_rms      of (3,), over 102,404 samples, mean -0.0137928 to 0.574716",
        "gamma        0.9",
    ):
        assert text in result.out
    found = json.loads(cli("inspect", STATISTICS, "--json").out)["statistics"]
    assert (found["clip_obs"], found["epsilon"], found["norm_obs"], found["norm_reward"]) == (
        10,
        1e-8,
        True,
        True,
    )
    true = VecNormalize.load(str(STATISTICS), DummyVecEnv([lambda: Still(BOX, BOX)]))
    assert found["obs_rms"][""]["mean"] == true.obs_rms.mean.tolist()
    assert found["ret_rms"]["count"] == true.ret_rms.count
    assert cli("inspect", STATISTICS, "-q").out == "VecNormalize (3,)\n"
    keys = cli("inspect", ERAS / "2.0.0" / "a2c-dict-statistics" / "vec_normalize.pkl").out
    assert keys.count("  obs_rms ") == 2


def test_pickles_that_are_no_statistics(cli: Cli, here: Path) -> None:
    (here / "other.pkl").write_bytes(b"cmy_runs.config\nConfig\n)R.")
    result = cli("inspect", "other.pkl")
    result.refuses(4, "is not a saved VecNormalize, but my_runs.config.Config")
    assert "my_runs.config.Config (code that is not SB3's)" in result.out
    (here / "evil.pkl").write_bytes(b"cposix\nsystem\n(S'touch ran'\ntR.")
    result = cli("inspect", "evil.pkl")
    result.refuses(5, "posix.system")
    assert "posix.system (dangerous)" in result.out
    (here / "text.pkl").write_bytes(b"no pickle")
    cli("inspect", "text.pkl").refuses(4, "is not a whole pickle")
    cli("inspect", STATISTICS, "--sandbox").fails(2, "drop --sandbox")


def test_long_lists_are_counted(cli: Cli) -> None:
    result = cli("inspect", PENDULUM)
    assert "13 tensors (-v lists them)" in result.out
    assert "harmless" in result.out
    for text in ("action_net.weight", "numpy.dtype", "Cloudpickle"):
        assert text not in result.out
        assert text in cli("inspect", PENDULUM, "-v").out


def test_each_row_says_what_tells_it(cli: Cli, here: Path) -> None:
    out = cli("inspect", PENDULUM).out
    for row in (
        "gamma                0.9  (zip and config.yml)",
        "batch_size           64  (zip)",
        "n_timesteps          100000  (config.yml)",
        "(vec_normalize.pkl)\n",
        "id       Pendulum-v1  (args.yml)",
    ):
        assert row in out
    save(A2C, here / "a2c-Pendulum-v1.zip", learning_rate=0.0, n_steps=7)
    Path("config.yml").write_text("learning_rate: lin_7e-4\nn_steps: 5\ngamma: 0.99\n")
    out = cli("inspect", "a2c-Pendulum-v1.zip").out
    for row in (
        "learning_rate        linear 0.0007 to 0  (config.yml; the zip has 0)",
        "n_steps              7  (zip; config.yml has 5)",
        "id       Pendulum-v1  (name)",
    ):
        assert row in out
    origins = json.loads(cli("inspect", "a2c-Pendulum-v1.zip", "--json").out)["origins"]
    assert (origins["training"]["learning_rate"], origins["training"]["gae_lambda"]) == ("config.yml", "zip")
    assert origins["environment"]["env_id"] == "name"


MENDED = {
    "1.6.2/ppo-shared": "no",
    "2.0.0/ppo-box-linear": "partly",
    "2.7.0/ppo-compiled": "no",
    "2.7.0/ppo-zoo-linear": "no",
}


@pytest.mark.parametrize("name", MENDED)
def test_the_command_that_mends_a_file_runs(name: str, cli: Cli, here: Path) -> None:
    content = json.loads(cli("inspect", ERAS / name, "--json").out)
    assert content["loads"]["verdict"] == MENDED[name]
    assert f"mend it with  {content['loads']['command']}\n" in cli("inspect", ERAS / name).out
    words = shlex.split(content["loads"]["command"])
    assert words[:2] == ["sb3port", "repair"]
    cli(*words[1:], "--no-verify").succeeds()
    assert json.loads(cli("inspect", words[3], "--json").out)["loads"]["verdict"] == "yes"
    PPO.load(here / words[3] / f"{Path(name).name}.zip", device="cpu")


def test_the_command_says_what_is_missing(cli: Cli, here: Path) -> None:
    """Statistics that nobody has, a rate that nobody can tell, and a policy that SB3 has no more."""
    save(PPO, here / "odd.zip", learning_rate=lambda p: sorted([p, 0.5])[0])
    other = f"- Python: 3.{sys.version_info.minor + 1}.0".encode()
    change(here / "odd.zip", here / "lost.zip", {"_last_original_obs": [[0.0]]}, system_info_txt=other)
    gone = ERAS / "1.0" / "ppo-gsde-features"
    for source, command in (
        ("lost.zip", "sb3port repair lost.zip repaired/lost --no-stats --learning-rate=0.0003"),
        (gone, f"sb3port convert {gone}"),
    ):
        found = json.loads(cli("inspect", source, "--json").out)["loads"]
        assert found["verdict"] == "no"
        assert found["command"] == command
        cli(*shlex.split(command)[1:], "--no-verify").succeeds()


def again(text: str, algorithm: str, env_id: str) -> dict[str, Any]:
    """Read a file of hyperparameters as rl_zoo3 does, and give what it calls the algorithm's class with."""
    given = dict(yaml.safe_load(text)[env_id])
    for key in ("policy_kwargs", "normalize"):
        if isinstance(given.get(key), str):
            given[key] = eval(given[key], {"nn": nn, "th": th})
    for key in ("normalize", "n_envs", "n_timesteps", "frame_stack", "env_wrapper", "vec_env_wrapper"):
        given.pop(key, None)
    cls = getattr(stable_baselines3, algorithm, None) or getattr(sb3_contrib, algorithm)
    assert given.keys() <= inspect.signature(cls).parameters.keys()
    return given


@pytest.mark.parametrize("source", [PENDULUM, CARTPOLE], ids=lambda path: path.name)
def test_yaml_is_what_training_takes(source: Path, cli: Cli, here: Path) -> None:
    result = cli("inspect", source, "--yaml")
    result.succeeds()
    (here / "mine.yml").write_text(result.out)
    env_id = source.name.removeprefix("ppo-")
    plan = plan_for(env_id, here / "mine.yml")
    theirs = read_zoo_config(source / "config.yml")
    assert (plan.n_envs, plan.n_timesteps, plan.policy) == (theirs.n_envs, theirs.n_timesteps, theirs.policy)
    assert {name: plan.settings[name] for name in theirs.schedules} == theirs.schedules
    ours = {k: v for k, v in theirs.hyperparameters.items() if v is not None}
    assert {k: plan.settings.get(k, ours[k]) for k in ours} == ours
    assert (plan.normalize is not None) == theirs.normalize
    again(result.out, "PPO", env_id)
    cli("inspect", source, "--yaml", "--json").fails(2, "drop one of the two")
    cli("inspect", STATISTICS, "--yaml").fails(2, "name its zip")


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        ("PPO", {"policy_kwargs": {"net_arch": {"pi": [4], "vf": [5]}, "activation_fn": nn.ReLU}}),
        ("A2C", {"use_rms_prop": False}),
        ("A2C", {}),
        ("TRPO", {"policy_kwargs": {"net_arch": [4], "ortho_init": False}}),
        ("MaskablePPO", CHOICE),
        (
            "RecurrentPPO",
            {"policy": "MlpLstmPolicy", "policy_kwargs": {"lstm_hidden_size": 3, "net_arch": [4]}},
        ),
    ],
)
def test_yaml_makes_the_same_policy(algorithm: str, options: dict[str, Any], cli: Cli, here: Path) -> None:
    cls = getattr(stable_baselines3, algorithm, None) or getattr(sb3_contrib, algorithm)
    save(cls, here / "model.zip", **options)
    result = cli("inspect", "model.zip", "--yaml")
    result.succeeds()
    given = again(result.out, algorithm, "default")
    model = cls(env=Still(BOX, options.get("action", BOX)), device="cpu", **given)
    saved = cls.load("model.zip", device="cpu")
    shapes = [{k: v.shape for k, v in m.policy.state_dict().items()} for m in (model, saved)]
    assert shapes[0] == shapes[1]
    assert type(model.policy.optimizer) is type(saved.policy.optimizer)
    assert str(model.policy.mlp_extractor) == str(saved.policy.mlp_extractor)


def test_yaml_says_what_has_no_form(cli: Cli, here: Path) -> None:
    save(PPO, here / "model.zip", learning_rate=lambda p: 1e-3 * p * p, policy_kwargs={"net_arch": [4]})
    (here / "config.yml").write_text(
        "env_kwargs: {g: 9.81}\nenv_wrapper: a.Strange\nnormalize: {norm_obs: false}\n"
    )
    result = cli("inspect", "model.zip", "--yaml", "--no-stats")
    assert "# left out: learning_rate is " in result.out
    assert "# the environment's arguments are given on the command line: --env-kwargs g:9.81\n" in result.out
    content = yaml.safe_load(result.out)["default"]
    assert content["env_wrapper"] == ["a.Strange"]
    assert content["normalize"] == "dict(norm_obs=False)"
