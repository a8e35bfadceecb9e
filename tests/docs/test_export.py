"""The snippets of `docs/export.md` run, on exports of the Pendulum fixture."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.exports import export_of
from tests.ports import port_of

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/export.md").read_text(encoding="utf-8")
SB3, ONNX, NUMPY = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    port_of(ROOT / "fixtures/hub/sb3port/ppo-Pendulum-v1", folder / "port", verify=False)
    for target in ("sb3", "onnx", "numpy"):
        dest = folder / "exports" / f"ppo-Pendulum-v1-{target}"
        export_of(folder / "port", dest, target=target, verify=False)
    return folder


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(SB3 + "assert model.num_timesteps > 4096", marks=pytest.mark.long),
        ONNX + "assert action.shape == (1, 1) and abs(action).max() <= 2",
        NUMPY + "assert action.shape == (1,) and state is None",
    ],
    ids=["sb3", "onnx", "numpy"],
)
def test_snippets_run(script: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
