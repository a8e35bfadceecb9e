"""Changed files are read or refused, and nothing else happens; and what else happens is noticed."""

import secrets
import subprocess
import sys
from pathlib import Path

import pytest

PLANTED = Path(__file__).with_name("planted.py")
REPOSITORY = Path(__file__).parents[2]


def _run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the fuzzer in a process of its own: its hook cannot be removed, nor its limit of memory."""
    command = [sys.executable, *arguments, "--findings", str(folder)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=300)


def test_some_inputs(tmp_path: Path) -> None:
    done = _run("-m", "tests.fuzz", "--seed", "1", "--inputs", "300", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for outcome in ("part: read", "source: read", "source: round trip", "port: read", "port: NotPortable"):
        assert outcome in done.stdout


@pytest.mark.thorough
def test_a_minute_from_a_seed_that_is_drawn(tmp_path: Path) -> None:
    seed = str(secrets.randbelow(2**40) * 10**6)
    print("seed", seed)
    done = _run("-m", "tests.fuzz", "--seed", seed, "--seconds", "60", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


_PLANTED = (
    *(
        "KeyError",
        "import: 'this'",
        "written: '/dev",
        "opened: '/etc/hostname'",
        "os.remove",
        "subprocess.Popen",
    ),
    *("hang", "MemoryError", "SystemExit", "printed", "message too long", "message not printable"),
    *("refused otherwise", "own port refused", "another after writing: tensors"),
    "another after writing: training.hyperparameters.gamma",
)


@pytest.mark.thorough
@pytest.mark.long
def test_planted_faults_are_found_kept_and_replayed(tmp_path: Path) -> None:
    done = _run(str(PLANTED), "--seed", "1", "--inputs", "600", folder=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert [kind for kind in _PLANTED if f"FOUND {kind}" not in done.stdout] == []
    (kept,) = tmp_path.glob("KeyError*.fuzz")
    again = _run(str(PLANTED), "--replay", str(kept), folder=tmp_path)
    assert (again.returncode, "KeyError" in again.stdout, "Traceback" in again.stderr) == (1, True, True)
    assert _run("-m", "tests.fuzz", "--replay", str(kept), folder=tmp_path).returncode == 0
