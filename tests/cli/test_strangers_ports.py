"""Ports and runs of strangers: nothing that a file names is imported or called, and nothing is removed."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from .conftest import PENDULUM, STATISTICS, ZIP, Cli

PRE, POST = "policy_preprocessor.json", "policy_postprocessor.json"
TOUCH = {"class": "subprocess.Popen", "config": {"args": ["touch", "ran"]}}
TOKENIZER = {"registry_name": "tokenizer_processor", "config": {"tokenizer_name": "x/y"}}
COMMANDS: dict[str, tuple[str, ...]] = {
    "inspect": (),
    "verify": ("--no-reload",),
    "eval": ("--env", "Pendulum-v1", "--episodes", "1"),
    "record": ("--env", "Pendulum-v1", "--episodes", "1", "--out", "r.npz"),
    "finetune": ("--env", "Pendulum-v1", "--steps", "64", "--out", "run"),
    "export": ("out", "--to", "sb3", "--no-verify"),
}


def edit(port: Path, name: str, change: Callable[[Any], object]) -> None:
    """Change a JSON file and its recorded hash, as an attacker would."""
    content = json.loads((port / name).read_text())
    change(content)
    (port / name).write_text(json.dumps(content))
    noted = json.loads((port / "sb3port.json").read_text())
    if name in noted["files"]:
        noted["files"][name] = hashlib.sha256((port / name).read_bytes()).hexdigest()
        (port / "sb3port.json").write_text(json.dumps(noted))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_class_among_the_processors_is_refused(cli: Cli, port: Path, here: Path, command: str) -> None:
    edit(port, PRE, lambda content: content["steps"].insert(0, TOUCH))
    cli(command, port, *COMMANDS[command]).fails(5, "policy_preprocessor.json is not what sb3port writes")
    assert not {"ran", "r.npz", "run", "out"} & {path.name for path in here.iterdir()}


def _of(number: int, **fields: Any) -> Callable[[Any], object]:
    return lambda content: content["steps"][number].update(fields)


def _configured(number: int, **fields: Any) -> Callable[[Any], object]:
    return lambda content: content["steps"][number]["config"].update(fields)


@pytest.mark.parametrize(
    ("name", "change", "named"),
    [
        (PRE, lambda content: content["steps"].append(TOKENIZER), "tokenizer_processor"),
        (PRE, lambda content: content["steps"].__setitem__(0, TOUCH), "subprocess.Popen"),
        (PRE, _of(0, **{"class": "subprocess.Popen"}), "'class'"),
        (PRE, _of(2, state_file="/etc/passwd"), "/etc/passwd"),
        (PRE, _of(0, state_file="x.safetensors"), "x.safetensors"),
        (PRE, _configured(0, overrides="x"), "overrides"),
        (PRE, _configured(2, clip_obs=float("nan")), "clip_obs is nan"),
        (PRE, _configured(2, epsilon="1"), "epsilon is '1'"),
        (PRE, _configured(3, device="/dev/zero"), "/dev/zero"),
        (PRE, _configured(4, norm_map={"STATE": "x"}), "norm_map"),
        (POST, lambda content: content["steps"].reverse(), "instead of 'unnormalizer_processor'"),
        (POST, _configured(-1, low=[[0.0, [1.0]]]), "low is"),
        (POST, _configured(-1, dtype="object"), "dtype is 'object'"),
        (POST, lambda content: content.update(extra=1), "not just a name"),
    ],
)
def test_processors_that_we_would_not_write(
    cli: Cli, port: Path, name: str, change: Callable[[Any], object], named: str
) -> None:
    edit(port, name, change)
    cli("inspect", port).fails(5, name, named)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (PRE, _configured(3, device="cuda:0", float_dtype="bfloat16")),
        (PRE, _configured(0, rename_map={"observation.robot": "observation.state"})),
        (PRE, _of(4, state_file="policy_preprocessor_step_4_normalizer_processor.safetensors")),
        (PRE, _configured(2, clip_obs=5.0)),
        (POST, _configured(-1, high=1.5)),
    ],
)
def test_what_lerobot_or_a_user_changes_is_read(
    cli: Cli, port: Path, name: str, change: Callable[[Any], object]
) -> None:
    edit(port, name, change)
    cli("inspect", port).succeeds()


EVIL = {"task": "evil_module:X-v0"}
OURS = "lerobot_policy_ppo/LeRobotGymnasium-v0"


@pytest.fixture
def evil(here: Path) -> Path:
    (here / "evil_module.py").write_text("open('ran', 'w')")
    return here / "ran"


def train_in(env_id: str, **env_kwargs: Any) -> Callable[[Any], object]:
    return lambda content: content["environment"].update(env_id=env_id, env_kwargs=env_kwargs, wrappers=[])


@pytest.mark.parametrize("command", ["eval", "finetune", "record"])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (train_in(OURS, **EVIL), (f"--env {OURS}", "does not choose places or modules")),
        (train_in("evil_module:X-v0"), ("--env evil_module:X-v0",)),
        (train_in("Ant-v5", xml_file="/tmp/evil.xml"), ("does not choose places or modules",)),
        (train_in("Pendulum-v1", g={"deep": ["a:b"]}), ("does not choose places or modules",)),
    ],
)
def test_a_file_does_not_choose_what_is_imported(
    cli: Cli, port: Path, evil: Path, command: str, change: Callable[[Any], object], told: tuple[str, ...]
) -> None:
    edit(port, "sb3port.json", change)
    arguments = tuple(a for a in COMMANDS[command] if a not in ("--env", "Pendulum-v1"))
    result = cli(command, port, *arguments)
    assert result.code == 2
    assert any(words in result.err for words in told)
    assert not evil.exists()


def test_a_registered_environment_is_no_excuse(cli: Cli, port: Path, evil: Path) -> None:
    gymnasium.register("strangers/Evil-v0", "evil_module:Env")
    try:
        edit(port, "sb3port.json", train_in("strangers/Evil-v0"))
        cli("eval", port).fails(2, "not Gymnasium's own", f"sb3port eval {port} --env strangers/Evil-v0")
    finally:
        del gymnasium.registry["strangers/Evil-v0"]
    assert not evil.exists()


def test_config_yml_does_not_either(cli: Cli, here: Path, evil: Path) -> None:
    shutil.copytree(PENDULUM, here / "model")
    (here / "model" / "args.yml").write_text(f"env: {OURS}\n")
    (here / "model" / "config.yml").write_text(
        "normalize: true\nenv_kwargs: \"dict(task='evil_module:X-v0')\"\n"
    )
    cli("convert", "model", "stranger", "--no-verify").succeeds()
    assert cli("eval", "stranger", "--env", OURS).code == 2
    assert cli("eval", "stranger").code == 2
    assert not evil.exists()


def test_resume_neither_imports_nor_removes_nor_writes_elsewhere(cli: Cli, here: Path, evil: Path) -> None:
    sizes = ("--n-steps", "32", "--batch-size", "32", "--n-envs", "1", "--eval-episodes", "0")
    saves = ("--steps", "64", "--save-every", "32", "--out", "run")
    cli("train", "--env", "CartPole-v1", *saves, *sizes).succeeds()
    project = here / "project"
    shutil.copytree((here / "run/checkpoints/last").resolve(), project / "mine")
    for folder in (project, here / "run/checkpoints"):
        for name in (".git", ".ssh"):
            (folder / name).mkdir()
            (folder / name / "precious").write_text("all my work")
    before = sorted(here.rglob("*"))
    cli("train", "--resume", project / "mine").fails(2, "not in the checkpoints folder", "sb3port finetune")
    assert sorted(here.rglob("*")) == before
    cli("train", "--resume", "run/checkpoints/000032").succeeds()
    assert set(before) <= set(here.rglob("*"))
    state = here / "run/checkpoints/000064/training_state/training.json"
    content = json.loads(state.read_text())
    content["settings"]["environment"].update(env_id=OURS, env_kwargs=EVIL)
    state.write_text(json.dumps(content))
    cli("train", "--resume", "run/checkpoints/000064").fails(2, f"--env {OURS}")
    cli("train", "--resume", "run/checkpoints/000064", "--env", OURS).fails(2, "does not choose places")
    assert not evil.exists()


@pytest.mark.parametrize(
    ("part", "key", "value", "said"),
    [
        ("hyperparameters", "n_epochs", 10**9, "1,000,000,000 epochs"),
        ("hyperparameters", "n_steps", 10**9, "a rollout of 1,000,000,000 steps"),
        ("hyperparameters", "n_envs", 10**7, "in 10,000,000 environments"),
        ("env_kwargs", "max_episode_steps", 10**12, "episodes without an end"),
        ("env_kwargs", "noop_max", 10**6, "episodes without an end"),
        ("env_kwargs", "shape", [8, 10**6], "episodes without an end"),
        ("env_kwargs", "render_mode", "human", "windows"),
    ],
)
def test_what_nobody_waits_for(part: str, key: str, value: Any, said: str, cli: Cli, port: Path) -> None:
    content = json.loads((port / "sb3port.json").read_text())
    place = content["environment"] if part == "env_kwargs" else content["training"]
    place[part][key] = value
    if part == "hyperparameters" and content["configured"]:
        content["configured"] = None
    (port / "sb3port.json").write_text(json.dumps(content))
    cli("finetune", port, "--steps", 10, "--out", "run").fails(2, said)


def test_a_number_of_steps_that_cannot_be_one(cli: Cli, port: Path) -> None:
    content = json.loads((port / "sb3port.json").read_text())
    content["training"]["hyperparameters"]["num_timesteps"] = 10**30
    (port / "sb3port.json").write_text(json.dumps(content))
    ended = cli(
        "finetune", port, "--steps", 10, "--n-steps", 8, "--batch-size", 8, "--n-envs", 1, "--out", "run"
    )
    ended.succeeds()


@pytest.mark.parametrize("name", [".zip", "..zip"])
def test_zips_without_a_name(name: str, cli: Cli, here: Path) -> None:
    shutil.copy(ZIP, here / name)
    shutil.copy(STATISTICS, here / "vec_normalize.pkl")
    cli("convert", here / name, "--no-verify").succeeds()
    assert (here / "ports" / "policy" / "sb3port.json").is_file()


def test_without_arguments_the_help_is_shown(cli: Cli) -> None:
    ended = cli()
    assert (ended.code, ended.err) == (0, "")
    assert "\\n" not in ended.out
    assert len(ended.out.splitlines()) > 20
