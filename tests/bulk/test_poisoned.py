"""An organisation of which one model in twenty is broken, hostile, out of reach, or ends who works on it."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from tests.cli.files import zip_of
from tests.hub.loopback import HubHandler, serve
from tests.hub.state import LoopbackHub

from .conftest import point_to
from .organisation import VARIANTS, model
from .runs import bulk, by_model, ledger, poisoned
from .test_runs import SCHEMA


def _cut(folder: Path) -> None:
    (path,) = folder.glob("*.zip")
    path.write_bytes(path.read_bytes()[:5000])


def _text(folder: Path) -> None:
    (path,) = folder.glob("*.zip")
    path.write_text("soon")


def _hostile(folder: Path) -> None:
    (path,) = folder.glob("*.zip")
    payload = '{"policy_class": {":type:": "x", ":serialized:": "Y3Bvc2l4CnN5c3RlbQooUydpZCcKdFIu"}}'
    zip_of(path, {"data": payload.encode(), "policy.pth": b""})


def _nothing(folder: Path) -> None:
    """Leave it as it is: its name says to others what they do with it."""


POISON: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut": (_cut, "not portable"),
    "text": (_text, "not portable"),
    "hostile": (_hostile, "unsafe"),
    "gated": (_nothing, "unreachable"),
    "gone": (_nothing, "unreachable"),
    "slow": (_nothing, "time"),
    "crash": (_nothing, "crashed"),
    "hang": (_nothing, "time"),
    "eat": (_nothing, "memory"),
    "bug": (_nothing, "bug"),
}


class Slow(HubHandler):
    """A Hub that never ends to send some files."""

    def send_file(self, content: bytes, headers: dict[str, str]) -> None:
        if "/slow" in self.path:
            time.sleep(120)
        super().send_file(content, headers)


def organisation_of(hub: LoopbackHub, count: int) -> list[str]:
    """Publish models, and give the names of all."""
    names, kinds = [], list(POISON)
    for number in range(count):
        kind = kinds[number // 20 % len(kinds)] if number % 20 == 7 else "good"
        name = f"org/{kind}-{number:05d}"
        names.append(name)
        folder = hub.root / name
        model(VARIANTS[number % len(VARIANTS)], folder, number)
        if kind != "good":
            POISON[kind][0](folder)
        if kind == "gated":
            hub.gated.add(name)
        if kind != "gone":
            hub.commit(name)
    return names


@pytest.mark.thorough
@pytest.mark.parametrize("count", [200, 2000])
def test_every_good_one_is_ported(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And every other one is told of, with its reason, once."""
    monkeypatch.setattr("sb3port.commands.bulk.crew.serve", poisoned)
    (tmp_path / "hub").mkdir()
    with serve(tmp_path / "hub", handler=Slow) as hub:
        point_to(hub, tmp_path / "home", monkeypatch)
        names = organisation_of(hub, count)
        hub.retry_after = "0.1"
        hub.fail_next(*[429, *[0] * 19, 503, *[0] * 19] * (count // 20))
        listed = tmp_path / "models.txt"
        listed.write_text("\n".join(names))
        out = tmp_path / "out"
        bulk(out, listed, timeout=20.0, memory=2 << 30)
    found = by_model(out)
    assert set(found) == set(names)
    assert len(ledger(out)) == count
    told = {name: line["reason"]["kind"] for name, line in found.items() if line["reason"]}
    kind_of = {name: name.split("/")[1].partition("-")[0] for name in names}
    assert told == {name: POISON[kind][1] for name, kind in kind_of.items() if kind != "good"}
    good = [name for name in names if kind_of[name] == "good"]
    assert all((out / name / "sb3port.json").is_file() for name in good)
    assert Counter(len(list((out / name).iterdir())) > 5 for name in good) == {True: len(good)}
    assert not (out / ".bulk").exists()
    for line in found.values():
        jsonschema.validate(line, SCHEMA)
