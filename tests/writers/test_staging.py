"""Folders that appear whole or not at all, whatever interrupts them and when."""

from pathlib import Path

import pytest

from sb3port.writers.staging import staged_folder


def fill(folder: Path, content: str) -> None:
    (folder / "sb3port.json").write_text(content)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("interruption", [SystemExit, KeyboardInterrupt, OSError])
@pytest.mark.parametrize("rename", [1, 2])
def test_the_old_folder_survives_an_interrupted_replacement(
    interruption: type[BaseException], rename: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dest = tmp_path / "port"
    dest.mkdir()
    fill(dest, "old")
    real, calls = Path.rename, []

    def interrupted(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) == rename:
            raise interruption
        return real(self, target)

    def replace() -> None:
        with staged_folder(dest, force=True) as staging:
            fill(staging, "new")
            monkeypatch.setattr(Path, "rename", interrupted)

    with pytest.raises(interruption):
        replace()
    monkeypatch.undo()
    assert (dest / "sb3port.json").read_text() == "old"
    assert names(tmp_path) == ["port"]


def test_replacement(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with staged_folder(tmp_path / "port", force=True) as staging:
            fill(staging, content)
    assert (tmp_path / "port" / "sb3port.json").read_text() == "new"
    assert names(tmp_path) == ["port"]


def test_parents_that_were_made_in_vain_are_removed(tmp_path: Path) -> None:
    def fail() -> None:
        with staged_folder(tmp_path / "a" / "b" / "port") as staging:
            fill(staging, "never")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert names(tmp_path) == []
    with staged_folder(tmp_path / "a" / "b" / "port") as staging:
        fill(staging, "there")
    assert (tmp_path / "a" / "b" / "port" / "sb3port.json").is_file()
