"""Every command of the README runs, and prints what the README shows."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.loopback import serve

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"-?\d[\d.,]*(e[+-]\d+)?")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with what the commands name, where the Hub is a loopback one that has a zoo model's name."""
    folder = tmp_path_factory.mktemp("readme")
    fixture = Path(shutil.copytree(ROOT / "fixtures", folder / "fixtures")) / "hub/sb3port/ppo-Pendulum-v1"
    shutil.copytree(fixture, folder / "hub/sb3/ppo-Pendulum-v1")
    shutil.copy(fixture / "ppo-Pendulum-v1.zip", folder / "model.zip")
    shutil.copy(fixture / "vec_normalize.pkl", folder)
    shutil.copy(fixture / "reference.npz", folder / "mine.npz")
    with serve(folder / "hub") as hub:
        (folder / "endpoint").write_text(hub.endpoint)
        (folder / "token").write_text(hub.token)
        yield folder


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "HF_ENDPOINT": (folder / "endpoint").read_text(),
        "HF_HOME": str(folder / "hf"),
        "HF_TOKEN": (folder / "token").read_text(),
        "HF_HUB_DISABLE_XET": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MPLBACKEND": "agg",
        "SDL_VIDEODRIVER": "dummy",
    }
    return subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )


def masked(text: str) -> list[str]:
    """Leave out what differs between machines: numbers, how near the recorded outputs are, and blanks."""
    kept = (line for line in text.strip().splitlines() if not line.startswith("recorded "))
    lines = (NUMBER.sub("N", line) for line in kept)
    return [re.sub(r" +", " ", line).rstrip() for line in lines]


@pytest.mark.long
def test_what_the_readme_shows_is_what_is_printed(sandbox: Path) -> None:
    shown = [block.split("\n", 1) for block in blocks("console")]
    assert len(shown) == 5
    for prompt, expected in shown:
        assert prompt.startswith("$ ")
        done = run(prompt[2:], sandbox)
        assert done.returncode == 0, done.stdout
        assert sorted(masked(done.stdout)) == sorted(masked(expected)), done.stdout


@pytest.mark.long
def test_other_commands_run(sandbox: Path) -> None:
    port = sandbox / "ports" / "ppo-Pendulum-v1"
    if not port.exists():
        assert run("sb3port convert sb3/ppo-Pendulum-v1 --no-verify", sandbox).returncode == 0
    setup, converts, verifies, lerobot_eval, pushes, exports = blocks("sh")
    for command in [*converts.strip().splitlines(), *exports.strip().splitlines()]:
        done = run(f"{command.split('#')[0]} --force", sandbox)
        assert done.returncode == 0, done.stdout
        assert "parity" in done.stdout
    for command in verifies.strip().splitlines():
        done = run(command.split("#")[0], sandbox)
        assert done.returncode == 0, done.stdout
    assert [line.split("#")[0].strip() for line in setup.strip().splitlines()] == ["make demo", "make test"]
    done = run(lerobot_eval, sandbox)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "avg_sum_reward" in done.stdout
    for command in pushes.strip().splitlines():
        done = run(command.split("#")[0], sandbox)
        assert done.returncode == 0, done.stdout
    assert "port         me/ppo-Pendulum-v1\n" in done.stdout


@pytest.mark.long
def test_python_runs(sandbox: Path) -> None:
    port = sandbox / "ports" / "ppo-Pendulum-v1"
    if not port.exists():
        assert run("sb3port convert sb3/ppo-Pendulum-v1 --no-verify", sandbox).returncode == 0
    (snippet,) = blocks("python")
    script = sandbox / "snippet.py"
    script.write_text(snippet + "\nassert action.shape == (1, 1) and value.shape == (1,)\n")
    done = run(f"{sys.executable} snippet.py", sandbox)
    assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_make_demo(tmp_path: Path) -> None:
    """The demo's commands, without setting up again what this very test runs in."""
    make = ["make", "-n", "demo", "RUN=", f"PORT={tmp_path / 'port'}"]
    script = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True)
    commands = [line.strip() for line in script.stdout.splitlines() if line.strip().startswith("sb3port ")]
    assert [command.split()[1] for command in commands] == ["convert", "eval"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in commands:
        done = subprocess.run(
            command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "port" / "parity.json").read_text())["verdict"] == "bit-exact"


def test_exit_codes_are_those_of_the_program() -> None:
    from sb3port.cli.help import EXIT_CODES

    rows = re.findall(r"^\| (\d+) \| (.+) \|$", README, re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == EXIT_CODES
