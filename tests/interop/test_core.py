"""What `pip install sb3port` brings, on Python 3.10 and 3.13, beside huggingface_sb3, and with the oracle."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.interop.environments import ROOT, environment, find_uv, run

pytestmark = pytest.mark.interop
SOURCE = ROOT / "fixtures" / "hub" / "sb3port" / "ppo-Pendulum-v1"
HEAVY = {"torch", "gymnasium", "stable-baselines3", "sb3-contrib", "lerobot", "lerobot-policy-ppo"}
NAMES = """
import importlib.metadata, json
print(json.dumps([d.metadata["Name"].lower().replace("_", "-") for d in importlib.metadata.distributions()]))
"""
PREDICT = """
import sys, numpy as np, sb3port
action, _ = sb3port.load_policy(sys.argv[1], "numpy").predict(np.zeros(3, np.float32))
assert action.shape == (1,), action
assert not {"torch", "gymnasium", "stable_baselines3", "lerobot"} & set(sys.modules)
"""
ERAS = ROOT / "fixtures" / "eras" / "2.9.2"
# Recurrent, of images, of both kinds: what SB3 recorded, by `load_policy` and by the exported module.
RECORDED = """
import os, runpy, sys, time, numpy as np, sb3port
port, module, recorded = sys.argv[1:]
with np.load(recorded) as file:
    seen = dict(file)
names = [name for name in seen if name.split(".")[0] == "observation"]
rows = {name.partition(".")[2]: seen[name] for name in names}
loaded = sb3port.load_policy(port)
assert loaded.backend == "numpy"
for policy in (loaded, runpy.run_path(module)["load"]()):
    steps, state = 1, None
    if "initial_states" in seen:
        state = tuple(seen["initial_states"][:2])
        steps = len(seen["action"]) // state[0].shape[1]
    for step in range(steps):
        some = {key: part[step::steps] for key, part in rows.items()}
        starts = seen["episode_starts"][step::steps] if steps > 1 else None
        action, state = policy.predict(some if "" not in some else some[""], state, starts)
        assert np.abs(action - seen["action"][step::steps]).max() <= 1e-5, step
assert not {"torch", "gymnasium", "stable_baselines3", "lerobot"} & set(sys.modules)
"""
# Tests that need nothing but the core.
TESTS = (
    "tests/test_house.py",
    "tests/test_docstrings.py",
    "tests/cli/test_report.py",
    "tests/hub/test_hub.py",
    "tests/hub/test_uploads.py",
    "tests/parity/test_compare.py",
    "tests/readers/test_published.py",
    "tests/reports",
    "tests/security/test_hostile_zips.py",
    "tests/writers/test_staging.py",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [find_uv(), "build", "--quiet", "--wheel", "--out-dir", out], cwd=ROOT, check=True, timeout=300
    )
    (found,) = out.glob("*.whl")
    return found.as_uri()


def python_of(version: str) -> str:
    """Find a Python as `fixtures/make_eras.py` does."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = sorted(root.glob(f"versions/{version}.*/bin/python"), reverse=True)
    return str(found[0]) if found else version


def command(python: Path, *words: str | Path, code: int = 0) -> str:
    """Run `sb3port` and give what it printed, on stdout where it ends well."""
    done = subprocess.run(
        [python, "-m", "sb3port", *words], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.mark.parametrize(
    ("version", "beside"),
    [
        ("3.10", ()),
        pytest.param("3.13", (), marks=pytest.mark.thorough),
        ("3.10", ("huggingface_sb3==3.0", "huggingface_hub<1")),
    ],
    ids=["3.10", "3.13", "beside huggingface_sb3"],
)
def test_the_core_alone(version: str, beside: tuple[str, ...], wheel: str, tmp_path: Path) -> None:
    python = environment(
        f"core-{version}{'-hub' if beside else ''}", (f"sb3port @ {wheel}", *beside), python_of(version)
    )
    installed = set(json.loads(run(python, "-c", NAMES)))
    assert not HEAVY & installed or beside
    port = tmp_path / "port"
    assert "PPO" in command(python, "inspect", SOURCE)
    command(python, "convert", SOURCE, port, "--no-verify", "-q")
    assert "equal" in command(python, "diff", port, SOURCE)
    run(python, "-c", PREDICT, port)
    if not beside:
        refused = command(python, "convert", SOURCE, tmp_path / "other", code=2)
        assert "sb3port[sb3]" in refused
        assert "--no-verify" in refused
        assert not (tmp_path / "other").exists()
        for words in (("train", "--env", "X"), ("eval", port), ("record", port, "--out", tmp_path / "r.npz")):
            assert "sb3port[torch]" in command(python, *words, code=2)
        assert "sb3port[sb3]" in command(python, "verify", port, code=2)
        command(python, "export", port, tmp_path / "numpy", "--to", "numpy", "--no-verify", "-q")
        shown = json.loads(command(python, "latency", port, "--calls", "50", "--json"))
        assert set(shown["measured"]) == {"numpy"}
        assert "needs torch" in shown["absent"]["torch"]


@pytest.mark.parametrize("name", ["ppo_lstm-two-layers", "ppo-cnn-rgb", "ppo-dict-unsorted"])
def test_the_core_alone_computes_what_was_recorded(name: str, wheel: str, tmp_path: Path) -> None:
    python = environment("core-3.10", (f"sb3port @ {wheel}",), python_of("3.10"))
    port, out = tmp_path / "port", tmp_path / "out"
    command(python, "convert", ERAS / name, port, "--no-verify", "-q")
    command(python, "export", port, out, "--to", "numpy", "--no-verify", "-q")
    (module,) = out.glob("*.py")
    run(python, "-c", RECORDED, port, module, ERAS / name / "reference.npz")


@pytest.mark.thorough
@pytest.mark.parametrize("version", ["3.10", "3.13"])
def test_tests_of_the_core(version: str, wheel: str) -> None:
    packages = (f"sb3port @ {wheel}", "pytest>=8.4", "jsonschema>=4.23", "xmlschema>=4")
    python = environment(f"core-tests-{version}", packages, python_of(version))
    tests = [str(ROOT / path) for path in TESTS]
    shown = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, cwd=ROOT)
    assert " passed" in shown
    assert "skipped" not in shown


@pytest.mark.thorough
def test_the_oracle_on_python_3_10(wheel: str, tmp_path: Path) -> None:
    python = environment("core-sb3-3.10", (f"sb3port[sb3] @ {wheel}",), python_of("3.10"))
    assert not {"lerobot", "lerobot-policy-ppo"} & set(json.loads(run(python, "-c", NAMES)))
    told = json.loads(command(python, "repair", SOURCE, tmp_path / "repaired", "--json"))
    assert told["verdict"] == "bit-exact"
    told = json.loads(command(python, "convert", SOURCE, tmp_path / "port", "--json"))
    reload = [check for check in told["report"]["checks"] if check["stage"] == "reload"]
    assert [check["verdict"] for check in reload] == ["skipped"]
    assert "sb3port[lerobot]" in reload[0]["reason"]
    command(python, "verify", tmp_path / "port")
    command(python, "verify", tmp_path / "port", "--exact", code=1)
