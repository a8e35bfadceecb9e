"""The workflow and the commands of `docs/ci.md` run, with a fixture in place of the Hub's model."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / "docs/parity-workflow.yml").read_text(encoding="utf-8"))
JOB: dict[str, Any] = WORKFLOW["jobs"]["parity"]
STEPS: list[dict[str, Any]] = JOB["steps"]
COMMANDS = [step["run"] for step in STEPS if step.get("run", "").startswith("sb3port ")]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the fixture, and a port of it, under the names that the commands use."""
    tmp_path = tmp_path_factory.mktemp("ci")
    fixture = ROOT / "fixtures/hub/sb3port/ppo-Pendulum-v1"
    shutil.copytree(fixture, tmp_path / "sb3/ppo-Pendulum-v1")
    for name in ("vec_normalize.pkl", "reference.npz"):
        shutil.copy(fixture / name, tmp_path)
    shutil.copy(fixture / "ppo-Pendulum-v1.zip", tmp_path / "model.zip")
    assert _run(COMMANDS[0], tmp_path, **JOB["env"]).returncode == 0
    return tmp_path


def _run(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **variables}
    done = subprocess.run(
        ["bash", "-e", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def test_workflow_is_one() -> None:
    assert set(WORKFLOW) == {"name", True, "permissions", "jobs"}  # YAML reads `on` as true
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert all(("uses" in step) != ("run" in step) for step in STEPS)
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"]) for step in STEPS if "uses" in step)
    upload = STEPS[-1]
    assert upload["uses"].startswith("actions/upload-artifact@")
    assert upload["if"] == "always()"
    assert f"--report-dir {upload['with']['path']}" in COMMANDS[-1]
    assert [command.split()[1] for command in COMMANDS] == ["convert", "verify"]
    (shown,) = re.findall(r"```bash\n(.*?)\n```", DOCS, re.DOTALL)
    assert shown == COMMANDS[1].replace('"$PORT"', JOB["env"]["PORT"])
    installed = next(step["run"] for step in STEPS if "pip install" in step.get("run", ""))
    checkout = next(step["with"]["path"] for step in STEPS if "repository" in step.get("with", {}))
    folders = [ROOT / Path(word).relative_to(checkout) for word in installed.split() if checkout in word]
    assert all((folder / "pyproject.toml").is_file() for folder in folders)
    assert len(folders) == 2


def test_workflow_passes(workspace: Path) -> None:
    """Run the command as GitHub does; those of the page then find its reports."""
    summary = workspace / "summary.md"
    done = _run(COMMANDS[1], workspace, **JOB["env"], GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 0, done
    assert json.loads((workspace / "parity/parity.json").read_text())["verdict"] == "bit-exact"
    assert summary.read_text().startswith("## ✅ `ppo-Pendulum-v1`: bit-exact")


def test_commands_of_the_page(workspace: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", DOCS, re.DOTALL)
    verify, *commands = [line for block in blocks for line in block.splitlines()]
    as_in_the_workflow = COMMANDS[1].replace('"$PORT" --exact', JOB["env"]["PORT"])
    assert verify == as_in_the_workflow
    assert sorted(command.split()[1] for command in commands) == ["diff", "report", "report", "scan", "scan"]
    (workspace / "ports/ppo-CartPole-v1").mkdir()
    shutil.copy(workspace / "parity/parity.json", workspace / "ports/ppo-CartPole-v1")
    for command in commands:
        done = _run(command, workspace)
        assert done.returncode == 0, done
    table = set(re.findall(r"^\| `(parity/.+?)` \|", DOCS, re.MULTILINE))
    assert {str(path.relative_to(workspace)) for path in (workspace / "parity").iterdir()} == table
    assert (workspace / "reports/index.html").is_file()


def test_scanning_in_a_workflow_and_before_a_commit(workspace: Path) -> None:
    workflow, hooks = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL))
    scans = [step["run"] for step in workflow["steps"] if step.get("run", "").startswith("sb3port ")]
    assert len(scans) == 2
    for command in scans:
        done = _run(command, workspace, GITHUB_STEP_SUMMARY=str(workspace / "scanned.md"))
        assert done.returncode == 0, done
    assert "sb3port scan" in (workspace / "scanned.md").read_text()
    assert (
        json.loads((workspace / workflow["steps"][-1]["with"]["sarif_file"]).read_text())["version"]
        == "2.1.0"
    )
    (offered,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert offered["id"] == hooks["repos"][0]["hooks"][0]["id"]
    assert offered["entry"] == "sb3port scan"
    assert all(re.search(offered["files"], name) for name in ("a/model.zip", "vec_normalize.pkl", "args.yml"))
    assert not re.search(offered["files"], "notes.md")


def test_pytest_example(workspace: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    (workspace / "test_ports.py").write_text(code)
    plugin = "-p no:sb3port -p sb3port.cli.pytest_plugin"
    done = _run(f"{sys.executable} -m pytest -q {plugin} test_ports.py", workspace)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_workflow_fails(workspace: Path) -> None:
    shutil.copytree(workspace / JOB["env"]["PORT"], workspace / "wrong")
    model = workspace / "wrong/model.safetensors"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    summary = workspace / "failed.md"
    done = _run(COMMANDS[1], workspace, PORT="wrong", GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 1
    assert "<failure" in (workspace / "parity/junit.xml").read_text()
    assert summary.read_text().startswith("## ❌ `wrong`: fail")
