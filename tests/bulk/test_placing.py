"""Where results go: as paths say, never in the same place, and never within one another."""

from pathlib import PurePosixPath

import pytest

from sb3port.commands.bulk.job import Item, member
from sb3port.commands.bulk.placing import OURS, Places


def placed(*names: str) -> list[str]:
    places = Places(names)
    return [places.placed(Item(name, name)).dest for name in names]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["sb3/ppo-A"], ["sb3/ppo-A"]),
        (["a/model.zip", "b/model.zip"], ["a/model", "b/model"]),
        (["ppo-A/ppo-A.zip"], ["ppo-A"]),
        (["ppo-A/ppo-A.zip", "ppo-A/best.zip"], ["ppo-A/ppo-A", "ppo-A/best"]),
        (["a.zip", "a/b.zip"], ["a.zip", "a/b"]),
        (["a/b.zip", "a.zip"], ["a/b", "a.zip"]),
        (["Model.zip", "model.zip"], ["Model", "model.zip"]),
        (["m.zip", "m", "M.zip"], ["m", "m-2", "M.zip"]),
        (["index.html.zip", "ledger.jsonl.zip"], ["index.html.zip", "ledger.jsonl.zip"]),
        ([".hidden.zip", "..zip"], ["hidden", "model"]),
        (["org/x", "org/x/x.zip"], ["org/x", "org/x-2/x.zip"]),
    ],
    ids=range(11),
)
def test_places(names: list[str], expected: list[str]) -> None:
    assert placed(*names) == expected


def test_no_place_is_within_another() -> None:
    names = ["a", "a/a.zip", "a/b", "a/b/c.zip", "A.zip", "a.zip", "a.zip.zip", "x/" + "y" * 300, *OURS]
    found = [place.casefold() for place in placed(*names)]
    assert len(set(found)) == len(names)
    for place in found:
        assert not set(found) & {str(parent) for parent in PurePosixPath(place).parents}
        assert all(
            not part.startswith(".") and len(part.encode()) <= 200 for part in PurePosixPath(place).parts
        )


def test_members_of_a_repository_lie_below_its_name() -> None:
    places = Places(["org/runs"])
    repository = places.placed(Item("org/runs", "org/runs", on_hub=True))
    places.release(repository)
    found = [places.placed(member(repository, name, "0" * 40)).dest for name in ("a/best.zip", "b/best.zip")]
    assert found == ["org/runs/a/best", "org/runs/b/best"]
