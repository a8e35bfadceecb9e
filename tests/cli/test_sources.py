"""Sources that cannot be ported: each has its exit code, its message and no traceback."""

import shlex
import shutil
import zipfile
from pathlib import Path

import pytest
from stable_baselines3 import DQN, SAC

from sb3port.errors import SourceUnreachable
from sb3port.files import untrusted
from sb3port.readers.places import hub

from ..readers.laying import lay
from . import files
from .conftest import CARTPOLE, PENDULUM, STATISTICS, ZIP, Cli

COMMANDS = pytest.mark.parametrize("command", ["convert", "inspect"])


@COMMANDS
@pytest.mark.parametrize("source", ["absent", "absent.zip", "absent/absent.zip"])
def test_absent_path(cli: Cli, command: str, source: str) -> None:
    cli(command, source).fails(2, f"error: {source} is neither a file or folder on this machine nor")


@COMMANDS
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "model.zip is not a whole zip archive"),
        (b"no zip\n", "model.zip is not a whole zip archive"),
        (ZIP.read_bytes()[:5000], "model.zip is not a whole zip archive"),
        (files.POINTER, "model.zip is a Git LFS pointer"),
    ],
    ids=["empty", "text", "truncated", "pointer"],
)
def test_no_zip(cli: Cli, here: Path, command: str, content: bytes, message: str) -> None:
    (here / "model.zip").write_bytes(content)
    cli(command, "model.zip").fails(4, message, "hint: ")


@COMMANDS
def test_zip_of_something_else(cli: Cli, here: Path, command: str) -> None:
    files.zip_of(here / "train_eval_metrics.zip", {"evaluations.npz": b""})
    cli(command, "train_eval_metrics.zip").fails(4, "is not an SB3 checkpoint", "evaluations.npz")
    cli(command, ".").fails(4, "error: . holds no SB3 checkpoint", "train_eval_metrics.zip")


@COMMANDS
def test_stable_baselines_2(cli: Cli, here: Path, command: str) -> None:
    files.zip_of(here / "sb2.zip", {"data": b"{}", "parameters": b"", "parameter_list": b"[]"})
    cli(command, "sb2.zip").fails(4, "Stable Baselines 2", "hint: ")


@COMMANDS
def test_several_candidates(cli: Cli, here: Path, command: str) -> None:
    for name in ("best", "last"):
        shutil.copy(CARTPOLE / "ppo-CartPole-v1.zip", here / f"{name}.zip")
    arguments = ["port"] if command == "convert" else []
    cli(command, ".", *arguments).fails(2, "best.zip", "last.zip", "--filename")
    cli(command, ".", *arguments, "--filename", "absent.zip").fails(2, "best.zip", "last.zip")
    cli(command, ".", *arguments, "--filename", "last.zip", "-q").succeeds()


@COMMANDS
def test_missing_statistics(cli: Cli, here: Path, command: str) -> None:
    shutil.copy(ZIP, here / "alone.zip")
    cli(command, "alone.zip").refuses(2, "VecNormalize", "--vecnormalize", "--no-stats")
    cli(command, "alone.zip", "--vecnormalize", "absent.pkl").fails(2, "absent.pkl")
    cli(command, "alone.zip", "--vecnormalize", STATISTICS, "-q").succeeds()


@pytest.mark.parametrize(
    ("files", "source"),
    [
        ("zip run/a.zip\nstats vec_normalize.pkl\nagain vecnormalize.pkl", ["run/a"]),
        ("zip run/a.zip\nstats vec_normalize.pkl\nagain vecnormalize.pkl", ["run"]),
        ("zip a.zip b.zip\nstats x.pkl\nagain y.pkl", [".", "--filename", "a.zip"]),
        ("zip a.zip b.zip\nstats b_vec.pkl", [".", "--filename", "a"]),
    ],
)
def test_the_command_in_a_hint_runs(cli: Cli, here: Path, files: str, source: list[str]) -> None:
    """Whether it names statistics or leaves them out."""
    lay(here, files)
    refused = cli("convert", *source)
    assert refused.code == 2
    words = shlex.split(refused.err.rstrip().rpartition(": ")[2])
    assert words[:2] == ["sb3port", "convert"]
    cli(*words[1:], "--no-verify").succeeds()


def test_statistics_of_another_model(cli: Cli) -> None:
    source = CARTPOLE / "ppo-CartPole-v1.zip"
    cli("convert", source, "--vecnormalize", STATISTICS).fails(2, "(3,)", "(4,)", "--vecnormalize")


@COMMANDS
def test_off_policy_algorithm(cli: Cli, command: str) -> None:
    SAC("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [4]}, buffer_size=1).save("sac")
    assert "SAC" in cli(command, "sac.zip").out


@COMMANDS
def test_off_policy(cli: Cli, command: str) -> None:
    DQN("MlpPolicy", "CartPole-v1", buffer_size=10, policy_kwargs={"net_arch": [4]}).save("greedy")
    assert "DQN" in cli(command, "greedy.zip").out


@COMMANDS
def test_nan_weights(cli: Cli, here: Path, command: str) -> None:
    files.with_weight(ZIP, here / "nan.zip", float("nan"))
    cli(command, "nan.zip", "--no-stats").refuses(4, "NaN", "action_net.weight")


@COMMANDS
def test_hostile_pickle(cli: Cli, here: Path, command: str) -> None:
    files.with_pickle(ZIP, here / "evil.zip", "note", b"cos\nsystem\n(S'touch ran'\ntR.")
    cli(command, "evil.zip", "--no-stats").refuses(5, "system")
    assert not (here / "ran").exists()


def test_unreachable_repository(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise SourceUnreachable("no such repository", "check the name")

    monkeypatch.setattr(hub, "list_repo", away)
    cli("convert", "org/name").fails(3, "error: no such repository\nhint: check the name\n")


def test_unreadable_file(cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ZIP, here / "locked.zip")

    def refuse(path: str, *_: object) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(untrusted, "_opener", refuse)
    cli("convert", "locked.zip").fails(2, "error: locked.zip: Permission denied\n")


@COMMANDS
def test_options_that_do_not_apply(cli: Cli, command: str) -> None:
    cli(command, PENDULUM, "--revision", "main").fails(2, "--revision")
    cli(command, ZIP, "--filename", "a.zip").fails(2, "--filename")


def test_names_in_a_file_cannot_steer_the_terminal(cli: Cli, here: Path) -> None:
    name = "\x1b[31m[bold]\x1b]0;owned\x07.zip"
    shutil.copy(CARTPOLE / "ppo-CartPole-v1.zip", here / name)
    result = cli("inspect", name)
    result.succeeds()
    assert r"\x1b[31m[bold]\x1b]0;owned\x07.zip" in result.out
    assert "\x1b" not in result.out + result.err


def test_truncated_member(cli: Cli, here: Path) -> None:
    with zipfile.ZipFile(ZIP) as archive:
        half = archive.read("policy.pth")[:5000]
    files.rewrite(ZIP, here / "half.zip", {"policy.pth": half})
    cli("convert", "half.zip", "--no-stats").fails(4, "policy.pth")
