"""Places that files name: only what the user named, the Hub, or the very source that was ported is read."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sb3port.commands.verify import VerifyOptions, verify
from sb3port.errors import NotPortable, Unsafe
from sb3port.files.untrusted import open_untrusted, read_untrusted
from sb3port.ports.manifest import hash_files, recorded_files
from sb3port.ports.reading import read_port
from sb3port.readers.places.source import SourceOptions, resolve

from ..ports import port_of
from .hostile import Victim, bounded


@pytest.fixture
def port(victim: Victim, tmp_path: Path) -> Path:
    """A port of the victim."""
    return port_of(victim.folder, tmp_path / "port", verify=False).port


def change(port: Path, **source: Any) -> None:
    """Change what a port says of its source."""
    content = json.loads((port / "sb3port.json").read_text())
    content["source"].update(source)
    (port / "sb3port.json").write_text(json.dumps(content))


@pytest.mark.parametrize("place", ["/dev/zero", "/dev/tty", "fifo", "/proc/self/environ", "folder"])
def test_only_regular_files_are_opened(place: str, tmp_path: Path) -> None:
    path = tmp_path / place
    if place == "fifo":
        os.mkfifo(path)
    elif place == "folder":
        path.mkdir()
    with bounded():
        if place == "/proc/self/environ":  # it says that it has nothing, and then it has nothing
            assert read_untrusted(path) == b""
            return
        with pytest.raises(NotPortable, match=r"not a regular file|cannot be read"):
            open_untrusted(path)


@pytest.mark.parametrize(
    "place", ["/dev/zero", "/proc/self/environ", "fifo", "secret", "../secret", "relative"]
)
def test_a_port_does_not_choose_what_is_read(place: str, port: Path, tmp_path: Path) -> None:
    """What lies there is not opened unless it has the recorded size, nor used unless it is the source."""
    (tmp_path / "secret").write_text("hunter2")
    if place == "fifo":
        os.mkfifo(tmp_path / "fifo")
    location = place if place.startswith(("/", "..", "relative")) else str(tmp_path / place)
    change(port, kind="file", location=location, no_stats=True)
    with bounded():
        report = verify(port, options=VerifyOptions(reload=False))
    assert report.verdict == "inconclusive"
    assert "hunter2" not in json.dumps(report.to_json())


def test_a_source_that_has_changed_is_not_read(port: Path, victim: Victim) -> None:
    assert verify(port, options=VerifyOptions(reload=False)).verdict == "bit-exact"
    victim.zip.write_bytes(b"PK" + bytes(victim.zip.stat().st_size - 2))
    report = verify(port, options=VerifyOptions(reload=False))
    assert report.verdict == "inconclusive"
    assert "with the recorded SHA-256 not found" in report.checks[0].comparison.reason


def test_no_file_outside_of_a_port_is_hashed(port: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    names = [str(tmp_path / "secret"), "../secret", "/etc/hostname"]
    assert hash_files(port, names) == {}
    content = json.loads((port / "sb3port.json").read_text())
    content["files"].update(dict.fromkeys(names, "0" * 64))
    (port / "sb3port.json").write_text(json.dumps(content))
    for read in (read_port, recorded_files):
        with pytest.raises(NotPortable, match="a key of files"):
            read(port)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "sb3port.json"])
def test_a_link_out_of_a_port(name: str, port: Path, tmp_path: Path) -> None:
    (port / name).rename(tmp_path / name)
    (port / name).symlink_to(tmp_path / name)
    with pytest.raises(Unsafe, match="leads out of"):
        read_port(port)


@pytest.mark.parametrize("name", ["vec_normalize.pkl", "config.yml", "args.yml"])
def test_a_link_out_of_a_source(name: str, victim: Victim, tmp_path: Path) -> None:
    (victim.folder / name).rename(tmp_path / name)
    (victim.folder / name).symlink_to(tmp_path / name)
    with pytest.raises(Unsafe, match="leads out of"):
        victim.read()


def test_links_that_the_user_named_and_links_within(victim: Victim, tmp_path: Path) -> None:
    expected = victim.read().provenance.files
    (tmp_path / "linked").symlink_to(victim.folder)
    (victim.folder / "inner").mkdir()
    victim.zip.rename(victim.folder / "inner" / "real.bin")
    victim.zip.symlink_to("inner/real.bin")
    victim.folder = tmp_path / "linked"
    assert victim.read().provenance.files == expected


def test_links_to_folders_are_not_followed(victim: Victim, tmp_path: Path) -> None:
    for number in range(40):
        (victim.folder / f"d{number}").symlink_to(".")
    with bounded():
        victim.read()
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "models").symlink_to(victim.folder)
    with pytest.raises(NotPortable) as caught:
        resolve(str(empty), SourceOptions())
    assert "links to folders are not followed: models" in (caught.value.hint or "")
