"""What only a process of its own can show: imports, pipes and encodings."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reports import examples

from .conftest import PENDULUM, ZIP

HEAVY = ("torch", "lerobot", "stable_baselines3", "gymnasium", "huggingface_hub")
RUNNER = """
import json, sys
from sb3port.cli.app import main
try:
    main()
finally:
    sys.stderr.write("\\n" + json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
PLAIN = "from sb3port.cli.app import main; main()"


def _python(code: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("convert", "--help"),
        ("verify", "--help"),
        ("export", "--help"),
        ("inspect", PENDULUM),
        ("inspect", ZIP, "--json"),
        ("convert", PENDULUM, "port", "--no-verify"),
        ("diff", PENDULUM, PENDULUM),
        ("report", "parity.json", "--out", "reports"),
    ],
    ids=lambda arguments: " ".join(Path(str(a)).name for a in arguments),
)
def test_nothing_heavy_is_imported(arguments: tuple[object, ...]) -> None:
    Path("parity.json").write_text(json.dumps(examples.good()))
    done = _python(RUNNER, *arguments)
    assert done.returncode == 0, done.stderr
    imported = json.loads(done.stderr.splitlines()[-1])
    assert "sb3port" in imported
    asks_only = arguments[-1] in ("--help", "--version")
    assert [name for name in (*HEAVY, *(["numpy"] if asks_only else [])) if name in imported] == []


TRAIN = ("--steps", "32", "--n-steps", "32", "--batch-size", "32", "--n-envs", "1", "--eval-episodes", "0")
ONE = ("--env", "Pendulum-v1", "--episodes", "1")


@pytest.mark.long
@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--env", "Pendulum-v1", *TRAIN, "--out", "run"),
        ("finetune", "port", "--env", "Pendulum-v1", *TRAIN[:6], "--eval-episodes", "0", "--out", "run"),
        ("eval", "port", *ONE),
        ("record", "port", *ONE, "--out", "a.npz"),
        ("export", "port", "out", "--to", "sb3"),
        ("repair", PENDULUM, "out"),
        ("verify", "port", "--no-reload"),
    ],
    ids=lambda arguments: arguments[0],
)
@pytest.mark.usefixtures("port")
def test_neither_lerobot_nor_the_compiler_is_imported(arguments: tuple[object, ...]) -> None:
    done = _python(
        RUNNER.replace('{name.partition(".")[0] for name in sys.modules}', "sys.modules"), *arguments
    )
    assert done.returncode == 0, done.stderr
    imported = json.loads(done.stderr.splitlines()[-1])
    assert "torch" in imported
    unwanted = {"lerobot", "lerobot_policy_ppo", "torch._dynamo"}
    assert unwanted & set(imported) == set()


def test_numpy_export_needs_no_torch(port: Path) -> None:
    done = _python(RUNNER, "export", port, "out", "--to", "numpy", "--no-verify")
    assert done.returncode == 0, done.stderr
    imported = json.loads(done.stderr.splitlines()[-1])
    assert [name for name in HEAVY if name in imported] == []


def test_a_push_imports_no_framework(port: Path) -> None:
    done = _python(RUNNER, "push", port, "me/port", "--dry-run")
    assert done.returncode == 0, done.stderr
    imported = json.loads(done.stderr.splitlines()[-1])
    assert [name for name in HEAVY if name in imported] == ["huggingface_hub"]


@pytest.mark.parametrize("arguments", ["inspect '{}'", "inspect '{}' --json", "--help"])
def test_closed_pipe_ends_quietly(arguments: str) -> None:
    """The reader is gone before the first line is written."""
    command = f"(sleep 1; '{sys.executable}' -c '{PLAIN}' {arguments.format(PENDULUM)}; echo $? >code) | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    # As of a program that SIGPIPE ended: 1 would say that a check failed. Typer prints the help by itself.
    assert Path("code").read_text() == ("1\n" if arguments == "--help" else "141\n")


def test_full_stdout_is_no_bug_of_ours() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this machine has no /dev/full")
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", PLAIN, "inspect", str(PENDULUM)]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 2
    assert done.stderr == "error: No space left on device\n"


def test_closed_stdout_is_no_bug_of_ours() -> None:
    command = f"'{sys.executable}' -c '{PLAIN}' convert '{PENDULUM}' port --no-verify -q >&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert Path("port/config.json").is_file()


def test_names_beyond_the_encoding_of_the_stream(here: Path) -> None:
    source = here / "modèle-→.zip"
    source.write_bytes(ZIP.read_bytes())
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = _python(PLAIN, "convert", source.name, "--no-stats", "--no-verify", env=environment)
    assert done.returncode == 0, done.stderr
    assert r"ports/mod\xe8le-\u2192" in done.stdout
