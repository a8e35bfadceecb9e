"""`--extractor`: features extractors whose code is the user's, and who may have it imported."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO

import sb3port
from lerobot_policy_ppo import register_extractor
from sb3port.errors import UsageError
from sb3port.networks import own_extractors as own
from sb3port.ports.manifest import spec_json
from sb3port.ports.reading import read_port
from tests import own_extractors
from tests.ports import port_of
from tests.readers.making import BOX, Still, save

from .conftest import CARTPOLE, Cli

MATRIX = spaces.Box(-np.inf, np.inf, (2, 3), np.float32)
IMAGE = spaces.Box(0, 255, (40, 48, 3), np.uint8)
DICT = spaces.Dict({"z": spaces.Box(-1, 1, (3,)), "a": spaces.Discrete(5)})
WAVES = {"features_dim": 5, "factors": [[1.0, 3.0], []]}
# Class, policy, observations, arguments.
CASES: dict[str, tuple[str, str, spaces.Space[Any], dict[str, Any]]] = {
    "matrix": ("Waves", "MlpPolicy", MATRIX, WAVES),
    "image": ("Blocks", "CnnPolicy", IMAGE, {}),
    "dict": ("Pair", "MultiInputPolicy", DICT, {"unused": None}),
    "recurrent": ("Waves", "MlpLstmPolicy", MATRIX, WAVES),
}
STRANGE = "strange_nets:Extractor"
gymnasium.register(
    "own/Still-v0", Still, disable_env_checker=True, kwargs={"observation_space": MATRIX, "action_space": BOX}
)


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "_registered", {})
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv(own.VARIABLE, "")


def saved(name: str, folder: Path, by_value: bool = False, **more: Any) -> tuple[Path, str]:
    """A zip of a policy with an extractor of its own, and the name of the class."""
    cls, policy, observation, arguments = CASES[name]
    kwargs = {
        "features_extractor_class": getattr(own_extractors, cls),
        "features_extractor_kwargs": arguments,
    }
    if name == "recurrent":
        kwargs["lstm_hidden_size"] = 4
    algorithm = RecurrentPPO if name == "recurrent" else PPO
    if by_value:
        cloudpickle.register_pickle_by_value(own_extractors)
    try:
        settings = {"n_steps": 8, "batch_size": 8, "n_epochs": 1}
        policy_kwargs = {"net_arch": [4], **kwargs, **more}
        path = save(
            algorithm, folder / "model.zip", policy, observation, policy_kwargs=policy_kwargs, **settings
        )
    finally:
        if by_value:
            cloudpickle.unregister_pickle_by_value(own_extractors)
    return path, f"tests.own_extractors:{cls}"


@pytest.mark.parametrize("by_value", [pytest.param(False, marks=pytest.mark.thorough), True])
@pytest.mark.parametrize("name", CASES)
def test_ports_of_ones_own_code(name: str, by_value: bool, cli: Cli, tmp_path: Path) -> None:
    source, cls = saved(name, tmp_path, by_value)
    ended = cli("convert", source, "port", "--extractor", cls)
    ended.succeeds()
    assert "bit-exact, compared with SB3's own classes and tests.own_extractors:" in ended.out
    cli("verify", "port", "--extractor", cls, "--exact", "--no-reload").succeeds()
    config = json.loads(Path("port/config.json").read_text())
    assert config["features_extractor"] == cls
    assert config["features_extractor_kwargs"] == CASES[name][3]


@pytest.mark.parametrize("by_value", [False, True])
def test_the_command_to_run_is_named(by_value: bool, cli: Cli, tmp_path: Path) -> None:
    source, cls = saved("matrix", tmp_path, by_value)
    name = "MODULE:Waves" if by_value else cls
    ended = cli("convert", source, "port")
    ended.fails(4, f"sb3port convert {source} --extractor {name}")
    cli("inspect", source).refuses(4, "--extractor")
    cli("inspect", source, "--extractor", cls).succeeds()


COMMANDS = [
    ("verify", ("--no-reload",)),
    ("eval", ("--env", "CartPole-v1")),
    ("record", ("--env", "CartPole-v1", "--out", "a.npz")),
    ("finetune", ("--env", "CartPole-v1", "--out", "run", "--steps", 8)),
]


@pytest.mark.parametrize(("command", "more"), COMMANDS)
def test_a_port_of_own_code_runs_on_the_users_word_only(
    command: str, more: tuple[str, ...], cli: Cli, tmp_path: Path
) -> None:
    source, cls = saved("matrix", tmp_path)
    port_of(source, Path("port"), verify=False, extractor=cls)
    cli(command, "port", *more).fails(2, "needs the features extractor", f"--extractor {cls}")
    cli(command, "port", *more, "--extractor", "tests.own_extractors:Pair").fails(2, f"needs {cls}")
    cli("inspect", "port").succeeds()


def test_ports_of_ones_own_code_run(cli: Cli, tmp_path: Path) -> None:
    source, cls = saved("matrix", tmp_path)
    port_of(source, Path("port"), verify=False, extractor=cls)
    run = ("--env", "own/Still-v0", "--episodes", 2, "--extractor", cls)
    cli("eval", "port", *run).succeeds()
    for label in (source, "port"):
        cli("record", label, *run, "--out", "a.npz", "--force").succeeds()
        cli("verify", "port", "--extractor", cls, "--observations", "a.npz", "--no-reload").succeeds()


def test_a_run_goes_on_on_the_users_word_only(cli: Cli, tmp_path: Path) -> None:
    source, cls = saved("matrix", tmp_path)
    port_of(source, Path("port"), verify=False, extractor=cls)
    run = ("--env", "own/Still-v0", "--steps", 16, "--eval-episodes", 1, "--out", "run")
    cli("finetune", "port", *run, "--extractor", cls).succeeds()
    own._registered.clear()
    os.environ[own.VARIABLE] = ""
    cli("train", "--resume", "run", "--env", "own/Still-v0").fails(
        2, "needs the features extractor", f"--extractor {cls}"
    )
    last = "run/checkpoints/last/pretrained_model"
    cli("eval", last, "--env", "own/Still-v0", "--extractor", cls).succeeds()
    cli("verify", last, "--extractor", cls, "--exact", "--no-reload").succeeds()


def test_the_code_may_lie_in_the_working_folder(cli: Cli, tmp_path: Path, here: Path) -> None:
    source, _ = saved("matrix", tmp_path)
    shutil.copy(own_extractors.__file__, here / "my_nets.py")
    ended = cli("convert", source, "port", "--extractor", "my_nets:Waves")
    ended.succeeds()
    assert "networks      my_nets:Waves(features_dim=5, factors=[[1.0, 3.0], []]), policy [4]" in ended.out
    cli("verify", "port", "--extractor", "my_nets:Waves", "--exact").succeeds()  # in another process, too


def test_the_other_process_finds_the_same_module(
    cli: Cli, tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though a package among the installed ones has its name, and stands before it in the path."""
    installed = tmp_path / "installed" / "nets_of_two"
    installed.mkdir(parents=True)
    (installed / "__init__.py").touch()
    (here / "nets_of_two").mkdir()
    shutil.copy(own_extractors.__file__, here / "nets_of_two" / "mine.py")
    (here / "nets_of_two" / "__init__.py").touch()
    source, _ = saved("matrix", tmp_path)
    name = "nets_of_two.mine:Waves"
    monkeypatch.setattr(sys, "path", [str(tmp_path / "installed"), *sys.path])
    cli("convert", source, "port", "--extractor", name).succeeds()


@pytest.mark.parametrize("files", [("config.json", "sb3port.json"), ("sb3port.json", "config.json")])
def test_a_strangers_name_is_not_imported(
    files: tuple[str, str], cli: Cli, tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither from the configuration, nor from what the port says of its source."""
    (here / "strange_nets.py").write_text("open('it-ran', 'w')\nraise RuntimeError('it ran')\n")
    monkeypatch.syspath_prepend(str(here))
    source, cls = saved("matrix", tmp_path)
    port_of(source, here / "port", verify=False, extractor=cls)
    for name in files:
        text = (here / "port" / name).read_text()
        (here / "port" / name).write_text(text.replace(cls, STRANGE))
        cli("verify", "port", "--no-reload").fails(2)
        cli("eval", "port", "--env", "CartPole-v1").fails(2)
        cli("inspect", "port").succeeds()
        with pytest.raises(ValueError, match="register_extractor"):
            PPOPolicy.from_pretrained(here / "port")
        assert not (here / "it-ran").exists()
    cli("verify", "port", "--extractor", STRANGE).fails(2, "cannot be imported: it ran")
    assert (here / "it-ran").exists()


def test_consent_is_given_in_python_or_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, cls = saved("matrix", tmp_path)
    port_of(source, tmp_path / "port", verify=False, extractor=cls)
    with pytest.raises(ValueError, match=own.VARIABLE):
        PPOPolicy.from_pretrained(tmp_path / "port")
    monkeypatch.setenv(own.VARIABLE, f"other:Class,{cls}")
    by_variable = PPOPolicy.from_pretrained(tmp_path / "port")
    monkeypatch.delenv(own.VARIABLE)
    own._registered.clear()
    register_extractor(cls, own_extractors.Waves)
    in_python = PPOPolicy.from_pretrained(tmp_path / "port")
    batch = {"observation.state": torch.randn(4, 6)}
    model = PPO.load(source, device="cpu")
    expected, _ = model.predict(batch["observation.state"].reshape(4, 2, 3).numpy(), deterministic=True)
    for policy in (by_variable, in_python):
        assert np.array_equal(policy.select_action(batch).clamp(-1, 1), expected)


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        ("tests.own_extractors:Plain", "does not compute this policy"),
        ("tests.own_extractors:Pair", "does not work: TypeError"),
        ("tests.own_extractors:Raising", "does not work: RuntimeError('no such device')"),
        ("tests.own_extractors:NotOne", "is no features extractor"),
        ("tests.own_extractors:Absent", "no attribute 'Absent'"),
        ("tests.nowhere:Waves", "No module named"),
        ("Waves", "does not name a class"),
        ("os;system:x", "does not name a class"),
    ],
)
def test_a_wrong_class_is_said_to_be_wrong(cls: str, message: str, cli: Cli, tmp_path: Path) -> None:
    source, _ = saved("matrix", tmp_path)
    cli("convert", source, "port", "--extractor", cls).fails(2, message)
    assert not Path("port").exists()


def test_no_extractor_of_ones_own_is_needed(cli: Cli, tmp_path: Path) -> None:
    cls = "tests.own_extractors:Waves"
    cli("convert", CARTPOLE, "port", "--extractor", cls).fails(2, "leave --extractor out")
    port_of(CARTPOLE, Path("port"), verify=False)
    cli("verify", "port", "--extractor", cls).fails(2, "needs no code of your own")
    cli("inspect", "port", "--extractor", cls).fails(2, "drop the options")


def test_in_python_the_code_is_named_likewise(tmp_path: Path) -> None:
    source, cls = saved("matrix", tmp_path)
    done = sb3port.convert(source, "port", extractor=cls)
    assert done.report is not None
    assert done.report.verdict == "bit-exact"
    own._registered.clear()
    with pytest.raises(UsageError, match=cls):
        sb3port.verify("port", reload=False, extractor="tests.own_extractors:Pair")
    assert sb3port.verify("port", reload=False, extractor=cls).verdict == "bit-exact"


def test_arguments_that_are_no_data_are_refused(cli: Cli, tmp_path: Path) -> None:
    arguments = {**WAVES, "factors": [[torch.nn.ReLU, 3.0]]}
    source, cls = saved("matrix", tmp_path, features_extractor_kwargs=arguments)
    cli("convert", source, "port", "--extractor", cls).fails(4, "features_extractor_kwargs['factors']")


def test_what_is_read_back_is_what_was_read(tmp_path: Path) -> None:
    """In SB3's order, also of tensors that only the user's code knows: the optimiser counts them in it."""
    source, cls = saved("matrix", tmp_path)
    names = [name for name, _ in PPO.load(source, device="cpu").policy.named_parameters()]
    done = port_of(source, tmp_path / "port", verify=False, extractor=cls).checkpoint
    again = read_port(tmp_path / "port")
    assert list(again.tensors) == list(done.tensors) == names
    assert spec_json(again.spec) == spec_json(done.spec)
    assert done.optimizer is not None
    assert not done.warnings


def test_an_optimiser_counts_no_buffers(tmp_path: Path) -> None:
    source, cls = saved("image", tmp_path)
    done = port_of(source, tmp_path / "port", verify=False, extractor=cls).checkpoint
    parameters = list(PPO.load(source, device="cpu").policy.parameters())
    for found in (done.optimizer, read_port(tmp_path / "port").optimizer):
        assert found is not None
        assert found.count == len(parameters) < len(done.tensors)
    assert not done.warnings


def test_nothing_is_imported_to_compare(cli: Cli, tmp_path: Path) -> None:
    """The name that a zip has is enough; a class that it carries is named by the user."""
    source, cls = saved("matrix", tmp_path)
    port_of(source, Path("port"), verify=False, extractor=cls)
    cli("diff", source, "port").succeeds()
    other, _ = saved("matrix", tmp_path / "other", by_value=True)
    cli("diff", other, "port").fails(4, "--extractor MODULE:Waves")
    cli("diff", other, "port", "--extractor", cls).succeeds()
    ended = cli("diff", other, "port", "--extractor", "elsewhere:Waves")
    assert ended.code == 1
    assert "elsewhere:Waves" in ended.out
    assert own._registered == {}


@pytest.mark.long
@pytest.mark.parametrize("name", ["matrix", "dict"])
def test_exports_on_the_users_word(name: str, cli: Cli, tmp_path: Path) -> None:
    source, cls = saved(name, tmp_path / "source")
    port = tmp_path / "port"
    cli("convert", source, port, "--extractor", cls, "--no-verify").succeeds()
    own._registered.clear()
    cli("export", port, "out", "--to", "onnx").fails(2, f"say --extractor {cls}")
    result = cli("export", port, "out", "--to", "onnx", "--outputs", "action,value", "--extractor", cls)
    result.succeeds()
    assert "parity        within noise" in result.out


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_repair_on_the_users_word(name: str, cli: Cli, tmp_path: Path) -> None:
    """The zip names the class as SB3's do, and nothing of it is lost."""
    source, cls = saved(name, tmp_path / "source")
    cli("repair", source, "out").fails(4, "--extractor")
    result = cli("repair", source, "out", "--extractor", cls)
    result.succeeds()
    assert "parity        bit-exact" in result.out
    algorithm = RecurrentPPO if name == "recurrent" else PPO
    original, again = (algorithm.load(path, device="cpu") for path in (source, "out/model.zip"))
    for one, other in zip(original.policy.parameters(), again.policy.parameters(), strict=True):
        assert torch.equal(one, other)
    assert type(again.policy.features_extractor) is type(original.policy.features_extractor)
