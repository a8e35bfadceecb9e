"""The examples of docs/api.md run, one after the other."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sb3port
from tests.hub.loopback import serve

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
CHECKS = """
assert "bit-exact" == done.report.verdict == report.verdict
assert content["schema"] == "sb3port.parity" and action.shape == (1,) and mean < 0 < std
"""


@pytest.mark.long
def test_examples_run(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "fixtures/hub/sb3port/ppo-Pendulum-v1", tmp_path / "hub/sb3/ppo-Pendulum-v1")
    script = tmp_path / "example.py"
    examples = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    script.write_text("\n".join([*examples, CHECKS]))
    with serve(tmp_path / "hub") as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf")}
        done = subprocess.run(
            [sys.executable, script.name],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    promised = re.findall(r"^print\(.*# (.*)$", PAGE, re.MULTILINE)
    lines = done.stdout.splitlines()
    assert lines[: len(promised)] == promised
    assert lines[-1] == "3"
    assert "no such repository" in lines[-3]


def test_the_page_names_everything_that_is_public() -> None:
    functions = [name for name in sb3port.__all__ if not name.startswith("__")]
    assert [name for name in functions if f"{name}(" not in PAGE] == []
    for name in functions:
        function = getattr(sb3port, name)
        assert function.__doc__
        documented = re.findall(r"^ {8}(?:\*\*)?(\w+): ", function.__doc__, re.MULTILINE)
        assert {*documented, "return"} >= set(function.__annotations__)
