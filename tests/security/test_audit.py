"""The claim: nothing in a checkpoint is executed. Python's audit events say so for every real file."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.places.source import SourceOptions, resolve

from .hostile import Victim

SCRIPT = Path(__file__).with_name("audited.py")
# What sb3port needs itself to read and write, of what pickles mention.
OWN = {"numpy", "builtins", "collections", "_codecs", "copyreg"}


def _run(folder: Path, sources: list[Path], *flags: str) -> dict[str, Any]:
    command = [
        sys.executable,
        str(SCRIPT),
        *flags,
        str(folder / "fakes"),
        str(folder / "ports"),
        *map(str, sources),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def _mentioned(sources: list[Path]) -> set[str]:
    """Top-level modules that the pickles mention and sb3port does not need."""
    names = {
        name
        for source in sources
        for name in read_checkpoint(resolve(str(source), SourceOptions())).provenance.imports
    }
    return {name.partition(".")[0] for name in names} - OWN


def _plant(folder: Path, modules: set[str]) -> Path:
    """Plant packages of these names, which leave a marker when they are imported."""
    marker = folder / "imported"
    for module in modules:
        package = folder / "fakes" / module
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"open({str(marker)!r}, 'a').write(__name__ + '\\n')\n")
    return marker


def _assert_nothing_ran(folder: Path, sources: list[Path]) -> None:
    mentioned = _mentioned(sources)
    assert {"gymnasium", "stable_baselines3", "torch"} <= mentioned
    marker = _plant(folder, mentioned)
    report = _run(folder, sources)
    assert not [event for event in report["first"] if event[0] == "pickle.find_class"]
    assert not {module.partition(".")[0] for module in report["modules"]} & mentioned
    assert not marker.exists()
    # Now that our own modules are imported, reading and writing run no other code at all.
    assert report["again"] == []
    assert len(list((folder / "ports").iterdir())) == len(sources) + 1


def test_nothing_in_the_fixtures_runs(tmp_path: Path, pendulum: Path, cartpole: Path) -> None:
    _assert_nothing_ran(tmp_path, [pendulum, cartpole])


@pytest.mark.zoo
def test_nothing_in_the_zoo_runs(tmp_path: Path, zoo: Path) -> None:
    sources = sorted(path.parent for path in zoo.glob("*/*.zip"))
    assert len(sources) == 19
    assert {"gym", "cloudpickle"} <= _mentioned(sources)
    _assert_nothing_ran(tmp_path, sources)


def test_a_module_that_only_the_file_names_is_not_imported(tmp_path: Path, victim: Victim) -> None:
    marker = _plant(tmp_path, {"evil_module"})
    victim.put("_last_obs", b"cevil_module\nrun\n(I1\ntR}b.")
    report = _run(tmp_path, [victim.folder])
    assert "evil_module" not in report["modules"]
    assert report["again"] == []
    assert not marker.exists()


def test_the_hook_sees_what_it_should(tmp_path: Path) -> None:
    code = (
        "import sys, pickle\nseen = []\n"
        "sys.addaudithook(lambda event, args: seen.append(event))\n"
        "pickle.loads(b'ccollections\\nOrderedDict\\n)R.')\nexec('1')\n"
        "print({'pickle.find_class', 'exec', 'compile'} <= set(seen))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "True\n"
    )


@pytest.mark.long
def test_verification_does_not_unpickle_the_file_either(tmp_path: Path, pendulum: Path) -> None:
    """Torch, SB3 and LeRobot may unpickle what is their own on import, but nothing that the file names."""
    report = _run(tmp_path, [pendulum], "--verify")
    found = [event for event in report["first"] if event[0] == "pickle.find_class"]
    assert found == []
    assert "torch" in report["modules"]
