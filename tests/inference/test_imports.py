"""The Python API: what it gives, and what it imports on the way."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import sb3port
from sb3port.errors import UsageError

PREDICT = """
import json, sys
import numpy as np
import sb3port
policy = sb3port.load_policy(sys.argv[1], sys.argv[2])
action, _ = policy.predict(np.zeros(3, np.float32))
assert action.shape == (1,)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def imported(code: str, *arguments: object) -> set[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return set(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def test_importing_sb3port_is_cheap() -> None:
    code = "import sb3port, sys, json; print(json.dumps(sorted(sys.modules)))"
    assert imported(code) & {"torch", "lerobot", "stable_baselines3", "numpy", "gymnasium", "typer"} == set()


@pytest.mark.parametrize("backend", ["torch", "numpy"])
def test_predicting_needs_neither_lerobot_nor_sb3(backend: str, pendulum: Path, tmp_path: Path) -> None:
    port = sb3port.convert(pendulum, tmp_path / "port", verify=False).port
    heavy = imported(PREDICT, port, backend) & {"torch", "lerobot", "stable_baselines3", "gymnasium"}
    assert heavy == ({"torch"} if backend == "torch" else set())


# What reads anything else than a port, what compares, writes and prints, and what takes long to import.
NOT_NEEDED = {"email", "huggingface_hub", "importlib.metadata", "jinja2", "rich", "typer", "yaml"}
NOT_NEEDED |= {f"sb3port.{room}" for room in ("exports", "networks", "parity", "reports")}
NOT_NEEDED |= {f"sb3port.readers.{part}" for part in ("formats", "meaning", "places.hub", "places.source")}


def test_a_port_starts_in_numpy_with_little_more(pendulum: Path, tmp_path: Path) -> None:
    """NumPy itself is most of it: on a quiet machine 0.1 of 0.2 seconds."""
    port = sb3port.convert(pendulum, tmp_path / "port", verify=False).port
    everything = PREDICT.replace('{name.partition(".")[0] for name in sys.modules}', "sys.modules")
    assert imported(everything, port, "numpy") & NOT_NEEDED == set()


def test_functions_are_the_commands(pendulum: Path, tmp_path: Path) -> None:
    done = sb3port.convert(str(pendulum), str(tmp_path / "port"))
    assert done.port == tmp_path / "port"
    assert done.report is not None
    assert done.report.verdict == "bit-exact"
    with pytest.raises(UsageError, match="exists"):
        sb3port.convert(pendulum, tmp_path / "port")
    report = sb3port.verify(done.port, source=pendulum, observations=pendulum / "reference.npz")
    assert report.verdict == "bit-exact"
    assert [found.count for found in report.observations if found.set == "recorded"] == [256]
