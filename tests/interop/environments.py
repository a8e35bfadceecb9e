"""Python environments of other packages, built with uv in `.interop` when a test first asks for them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def environment(name: str, packages: tuple[str, ...], python: str = sys.executable) -> Path:
    """Build an environment unless it is there, and give its Python.

    Args:
        name: Its folder in `.interop`.
        packages: Requirements, as uv takes them.
        python: The interpreter, as uv takes it.
    """
    folder, wanted = ROOT / ".interop" / name, "\n".join((python, *packages))
    note = folder / "requirements"
    if not note.is_file() or note.read_text() != wanted:
        uv = find_uv()
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([uv, "venv", "--quiet", "--no-project", "--python", python, folder], check=True)
        target = folder / "bin" / "python"
        subprocess.run([uv, "pip", "install", "--quiet", "--python", target, *packages], check=True)
        note.write_text(wanted)
    return folder / "bin" / "python"


def run(python: Path, *arguments: str | Path, cwd: Path | None = None, **variables: str) -> str:
    """Run an environment's Python, which sees none of our packages, and give its stdout."""
    foreign = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [python, *arguments],
        cwd=cwd or python.parents[1],
        # What is imported is compiled once; compiling all of torch beforehand takes longer.
        env={**foreign, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def find_uv() -> str:
    """Give the path of uv, or skip the test where there is none."""
    found = shutil.which("uv") or shutil.which("uv", path=ROOT / ".uv" / "bin")
    if found is None:
        pytest.skip("uv is not there to build environments with")
    return found
