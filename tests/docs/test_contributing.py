"""What CONTRIBUTING.md shows of the code is in the code, and the list of fixtures is complete."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIFFS = re.findall(r"```diff\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL)
FILES = dict(re.findall(r"^\+\+\+ b/(.+)\n((?:(?!---).*\n)*)", "".join(DIFFS), re.MULTILINE))


@pytest.mark.parametrize("name", FILES)
def test_the_diff_is_in_the_files(name: str) -> None:
    """Every hunk stands in the file as it is after the change; one of a new file is all of it."""
    content = (ROOT / name).read_text(encoding="utf-8")
    hunks = re.split(r"^@@ (.+) @@\n", FILES[name], flags=re.MULTILINE)
    for place, lines in zip(hunks[1::2], hunks[2::2], strict=True):
        after = "".join(line[1:] for line in lines.splitlines(keepends=True) if not line.startswith("-"))
        assert after in content
        if place.startswith("-0,0"):
            assert after == content


def test_an_extractor_is_one_file_and_one_row() -> None:
    folder = "sb3port/families/extractors"
    files = {name for name in FILES if name.startswith(folder)}
    assert files == {f"{folder}/__init__.py", f"{folder}/normalize_features.py"}


def test_an_algorithm_is_one_file_and_one_row() -> None:
    files = {name for name in FILES if "extractors" not in name}
    assert files == {"sb3port/families/registry.py", "sb3port/families/replay/tqc.py"}


@pytest.mark.parametrize(
    "eras", [ROOT / "fixtures/eras", ROOT / "fixtures/off_policy_eras"], ids=lambda path: path.name
)
def test_the_table_of_fixtures_is_complete(eras: Path) -> None:
    text = (ROOT / "fixtures/README.md").read_text(encoding="utf-8")
    table = text.partition(f"<!-- {eras.name}: made by")[2].partition(f"<!-- {eras.name}: end")[0]
    folders = {str(path.parent.relative_to(eras)) for path in eras.glob("*/*/reference.npz")}
    assert set(re.findall(r"^\| `([\d.]+/[\w-]+)` \|", table, re.MULTILINE)) == folders
    assert f"| {len(folders)} folders |" in table


@pytest.mark.parametrize(("eras", "most"), [("eras", 200_000), ("off_policy_eras", 60_000)])
def test_fixtures_are_small(eras: str, most: int) -> None:
    folders = [path.parent for path in (ROOT / "fixtures" / eras).glob("*/*/reference.npz")]
    assert folders
    assert {str(folder) for folder in folders if size_of(folder) > most} == set()


def test_all_fixtures_together_are_small() -> None:
    assert size_of(ROOT / "fixtures") <= 8_000_000


def size_of(folder: Path) -> int:
    """The bytes of all files in a folder."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sum(path.stat().st_size for path in files)
