"""What a process with limits hands back is what is read without one: every field, every bit."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.commands.handed_back import Reading
from sb3port.commands.sandboxed import read_guarded
from sb3port.errors import Sb3portError
from sb3port.files.limited_process import can_limit
from sb3port.readers.places.source import SourceOptions, resolve
from tests.conformance.cases import sampled

from .test_zoo import MODELS

pytestmark = pytest.mark.skipif(not can_limit(), reason="the sandbox is for Linux")
FIXTURES = Path(__file__).parents[2] / "fixtures"
FOLDERS = sorted({path.parent for path in FIXTURES.glob("[eh]*/*/*/*.zip")})


def assert_same(one: Any, other: Any, where: str = "checkpoint") -> None:
    """Compare all there is, types, orders and signs of zeros included."""
    assert isinstance(one, Mapping) or type(one) is type(other), where
    if is_dataclass(one):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name), f"{where}.{field.name}")
    elif isinstance(one, np.ndarray):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes()), where
        assert not other.flags.writeable, where
    elif isinstance(one, Mapping):
        assert list(one) == list(other), where
        for key in one:
            assert_same(one[key], other[key], f"{where}[{key!r}]")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where}[{number}]")
    else:
        assert repr(one) == repr(other), where


def read_twice(source: Path | str, **options: Any) -> tuple[Checkpoint, Checkpoint]:
    reading = Reading(resolve(str(source), SourceOptions()), **options)
    return read_guarded(reading, False), read_guarded(reading, True)


@pytest.mark.parametrize("folder", sampled(FOLDERS, 3), ids=lambda folder: str(folder.relative_to(FIXTURES)))
def test_fixtures(folder: Path) -> None:
    assert_same(*read_twice(folder))


OFF_POLICY = sorted({path.parent for path in (FIXTURES / "off_policy_eras").glob("*/*/*.zip")})


@pytest.mark.parametrize(
    "folder", sampled(OFF_POLICY, 20), ids=lambda folder: str(folder.relative_to(FIXTURES))
)
def test_fixtures_of_several_networks(folder: Path) -> None:
    assert_same(*read_twice(folder))


@pytest.mark.zoo
@pytest.mark.parametrize("name", sampled(MODELS, 3))
def test_zoo(name: str, zoo: Path) -> None:
    assert_same(*read_twice(zoo / name))


def test_options_arrive(pendulum: Path) -> None:
    one, other = read_twice(pendulum, use_stats=False)
    assert_same(one, other)
    assert other.normalizer is None


def test_a_comparison_can_fail(pendulum: Path) -> None:
    one, other = read_twice(pendulum)
    with pytest.raises(AssertionError, match="log_std_init"):
        assert_same(one, replace(other, spec=replace(other.spec, log_std_init=-0.5)))


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"version https://git-lfs.github.com/spec/v1\n", b"x" * 9999]
)
def test_errors_are_the_same(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_bytes(content)
    reading = Reading(resolve(str(tmp_path / "model.zip"), SourceOptions()))
    told = []
    for sandbox in (False, True):
        with pytest.raises(Sb3portError) as failed:
            read_guarded(reading, sandbox)
        told.append((failed.type, failed.value.message, failed.value.hint))
    assert told[0] == told[1]


@pytest.mark.long
@pytest.mark.thorough
def test_a_fresh_process_has_imported_all_that_reading_needs(pendulum: Path, cartpole: Path) -> None:
    """Nothing can be imported behind the walls; the tests have imported more than a command has."""
    for folder in (pendulum, cartpole, FOLDERS[0], FIXTURES / "eras" / "2.0.0" / "a2c-dict-statistics"):
        command = [sys.executable, "-m", "sb3port", "inspect", str(folder), "--json"]
        outputs = [
            subprocess.run([*command, option], capture_output=True, text=True, check=True)
            for option in ("--no-sandbox", "--sandbox")
        ]
        assert outputs[0].stdout == outputs[1].stdout
        assert outputs[0].stderr == outputs[1].stderr
