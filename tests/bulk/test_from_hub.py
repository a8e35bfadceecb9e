"""Bulk runs on the Hub: an owner's models, repositories of several, and all that goes wrong on the way."""

import shutil
import time
from pathlib import Path

import pytest

from sb3port.commands.bulk.job import Job
from tests.hub.loopback import HubHandler, serve
from tests.hub.state import LoopbackHub

from .conftest import point_to
from .organisation import FIXTURES, VARIANTS, model
from .runs import bulk, by_model, ledger, tree


def test_an_owner_s_models(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.page = 2
    for number, name in enumerate(("ppo-a", "ppo-b", "PPO-c", "sac-d")):
        model(VARIANTS[number], hub.root / "org" / name, number)
        hub.commit(f"org/{name}")
    several = hub.root / "org" / "ppo-runs"
    for number in range(3):
        model(VARIANTS[0], several / "runs" / f"seed{number}", number)
    hub.commit("org/ppo-runs")
    out = tmp_path / "out"
    hub.retry_after = "0.1"
    hub.fail_next(429, 0, 0, 0, 429, 0, 503, 429)
    progress = bulk(out, author="org", wanted="ppo")
    found = by_model(out)
    assert progress.failed_in_all == 0, [line["reason"] for line in found.values()]
    members = {f"org/ppo-runs/runs/seed{number}/seed{number}.zip" for number in range(3)}
    assert set(found) == {"org/ppo-a", "org/ppo-b", "org/PPO-c", "org/ppo-runs", *members}
    assert found["org/ppo-runs"]["status"] == "several"
    assert {found[name]["out"] for name in members} == {f"org/ppo-runs/runs/seed{n}" for n in range(3)}
    commits = {found[name]["source"]["revision"] for name in members}
    assert commits == {hub.repos["org/ppo-runs"].refs["main"]}
    assert found["org/ppo-a"]["fetched"][0] > 0
    # The second run asks for the list of models, and for nothing else.
    asked, content = len(hub.requests), tree(out)
    bulk(out, author="org", wanted="ppo")
    assert {request.path for request in hub.requests[asked:]} == {"/api/models"}
    assert tree(out) == content


def test_a_poisoned_organisation(hub: LoopbackHub, tmp_path: Path) -> None:
    """What is gated, gone, cut or no checkpoint is told of, each with its reason; the rest is ported."""
    names = [f"org/good-{number}" for number in range(4)]
    for number, name in enumerate(names):
        model(VARIANTS[number], hub.root / name, number)
        hub.commit(name)
    zipped = (FIXTURES / "ppo-CartPole-v1" / "ppo-CartPole-v1.zip").read_bytes()
    for name, content in (("cut", zipped[:9000]), ("text", b"hello"), ("gated", zipped)):
        folder = hub.root / "org" / name
        folder.mkdir()
        (folder / f"{name}.zip").write_bytes(content)
        hub.commit(f"org/{name}")
    (hub.root / "org" / "empty").mkdir()
    (hub.root / "org" / "empty" / "README.md").write_text("soon")
    hub.commit("org/empty")
    hub.gated.add("org/gated")
    listed = tmp_path / "models.txt"
    listed.write_text(
        "\n".join(["# mine", *names, "org/cut", "org/text", "org/gated", "org/empty", "org/gone@v1"])
    )
    bulk(tmp_path / "out", listed)
    kinds = {
        name: line["reason"]["kind"] for name, line in by_model(tmp_path / "out").items() if line["reason"]
    }
    assert kinds == {
        "org/cut": "not portable",
        "org/text": "not portable",
        "org/gated": "unreachable",
        "org/empty": "not portable",
        "org/gone@v1": "unreachable",
    }
    assert all((tmp_path / "out" / name / "sb3port.json").is_file() for name in names)
    assert len(ledger(tmp_path / "out")) == 9


class Hanging(HubHandler):
    """A Hub that never ends to send some files."""

    def send_file(self, content: bytes, headers: dict[str, str]) -> None:
        if "/hang" in self.path:
            time.sleep(60)
        super().send_file(content, headers)


def test_downloads_that_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [*(f"org/good-{number}" for number in range(6)), "org/hang-1", "org/hang-2"]
    for number, name in enumerate(names):
        model(VARIANTS[number], tmp_path / "hub" / name, number)
    with serve(tmp_path / "hub", handler=Hanging) as hub:
        point_to(hub, tmp_path / "home", monkeypatch)
        bulk(tmp_path / "out", author="org", timeout=5.0)
    found = by_model(tmp_path / "out")
    kinds = {name: line["reason"]["kind"] for name, line in found.items() if line["reason"]}
    assert kinds == {"org/hang-1": "time", "org/hang-2": "time"}
    assert len(found) == len(names)


def test_straight_to_the_hub(hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(FIXTURES / "ppo-CartPole-v1", tmp_path / "models" / "cartpole")
    monkeypatch.setenv("HF_TOKEN", hub.token)
    bulk(tmp_path / "out", tmp_path / "models", job=Job(verify=False, owner="me", private=True))
    (line,) = ledger(tmp_path / "out")
    assert line["status"] == "done", line["reason"]
    repo = hub.repos["me/cartpole-ppo-CartPole-v1"]
    assert line["url"] == f"{hub.endpoint}/me/cartpole-ppo-CartPole-v1"
    assert "sb3port.json" in repo.commits[repo.refs["main"]]
