"""What goes up of a port, and what its card says."""

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from sb3port.commands.convert import ConvertOptions, convert
from sb3port.commands.publishing.contents import prepare
from sb3port.commands.publishing.uploading import push
from sb3port.errors import NotPortable, UsageError, VerificationFailed
from sb3port.ports.card.card import MARK

from ..state import LoopbackHub
from .pushing import FIXTURES, PORT_FILES, REPO, RETURNS, SOURCE, pushed, tree


def test_one_commit_brings_the_port_its_report_and_its_card(hub: LoopbackHub, port: Path) -> None:
    (port / "notes.txt").write_text("mine")
    (port / "runs").mkdir()
    (port / "runs" / "events.out").write_text("mine")
    (port / ".secret").write_text("mine")
    upload = prepare(port, REPO)
    assert upload.left_out == ("notes.txt", "runs/events.out")
    done = push(upload)
    files = tree(hub)
    assert set(files) == PORT_FILES | {"parity.json", "parity.md", "parity.html"}
    for name in PORT_FILES - {"README.md", "sb3port.json"}:
        assert files[name] == (port / name).read_bytes()
    assert sum("/commit/" in request.path for request in hub.requests) == 1
    assert (done.changed, done.pull_request, done.url) == (True, None, f"{hub.endpoint}/{REPO}")
    assert done.commit == hub.repos[REPO].refs["main"]


def test_no_path_of_this_machine_goes_up(hub: LoopbackHub, port: Path, tmp_path: Path) -> None:
    home = Path.home()
    content = json.loads((port / "sb3port.json").read_text())
    content["warnings"] = [f"{FIXTURES / SOURCE}/vec_normalize.pkl is odd", f"{home}/.cache holds more"]
    content["source"]["files"]["statistics"]["name"] = str(FIXTURES / SOURCE / "vec_normalize.pkl")
    (port / "sb3port.json").write_text(json.dumps(content))
    private = [str(FIXTURES), str(port), str(tmp_path), *([str(home)] if len(home.parts) > 1 else [])]
    assert any(path.encode() in (port / "sb3port.json").read_bytes() for path in private)
    upload = prepare(port, REPO)
    for name, uploaded in upload.files.items():
        found = uploaded if isinstance(uploaded, bytes) else uploaded.read_bytes()
        assert [path for path in private if path.encode() in found] == [], name
    public = json.loads(bytes(upload.files["sb3port.json"]))
    assert public["source"]["location"] == "ppo-Pendulum-v1"
    assert public["source"]["files"]["statistics"]["name"] == "vec_normalize.pkl"
    assert "OS" in content["source"]["system_info"]
    assert "OS" not in public["source"]["system_info"]
    assert public["warnings"] == ["vec_normalize.pkl is odd", "~/.cache holds more"]
    assert "- vec&#95;normalize.pkl is odd." in upload.card


def test_the_card_has_the_metadata_of_the_hub(port: Path, tmp_path: Path) -> None:
    (tmp_path / "returns.json").write_text(json.dumps(RETURNS))
    pushed(port, returns=tmp_path / "returns.json")
    card = ModelCard.load(REPO)
    assert (card.data.library_name, card.data.pipeline_tag) == ("lerobot", "robotics")
    assert {"lerobot", "ppo", "stable-baselines3", "Pendulum-v1"} <= set(card.data.tags)
    assert card.data.base_model is None  # the source is on this machine
    assert card.data.license is None
    (result,) = card.data.eval_results
    assert (result.task_type, result.dataset_type) == ("reinforcement-learning", "Pendulum-v1")
    assert (result.metric_type, result.metric_value) == ("mean_reward", "-400.00 +/- 81.65")
    assert result.metric_args == {"episodes": 3, "seeds": "3 to 5", "deterministic": True}
    for text in (
        "# pendulum",
        "| trained for | 102,400 steps |",
        "| episodes | 3, seeds 3 to 5, deterministic actions |",
        "| `observation.state` | `Box([-1. -1. -8.], [1. 1. 8.], (3,), float32)` |",
        "VecNormalize, observations over 102,404 samples",
        "## Parity\n\n### ✅ `port`: bit-exact",
        "Not stated.",
    ):
        assert text in card.text, text


def test_the_card_names_source_and_licence(hub: LoopbackHub, root: Path, tmp_path: Path) -> None:
    (root / SOURCE / "README.md").write_text(
        "---\nlicense: other\nlicense_name: mine\nlicense_link: x\n---\n"
    )
    revision = hub.commit(SOURCE)
    convert(SOURCE, tmp_path / "port", ConvertOptions(verify=False), lambda *_: None)
    pushed(tmp_path / "port")
    card = ModelCard.load(REPO)
    assert (card.data.base_model, card.data.license, card.data.license_name) == (SOURCE, "other", "mine")
    assert f"/{SOURCE}/tree/{revision}" in card.text
    assert "`other`, as its model card says" in card.text


@pytest.mark.parametrize(
    "card",
    [
        "",
        "# Only words",
        "license: [a, b]",
        ": {",
        "license: 'no such | thing'",
        "- license:",
    ],
)
def test_a_source_that_states_no_licence(hub: LoopbackHub, root: Path, tmp_path: Path, card: str) -> None:
    (root / SOURCE / "README.md").write_text(f"---\n{card}\n---\n" if ":" in card else card)
    hub.commit(SOURCE)
    convert(SOURCE, tmp_path / "port", ConvertOptions(verify=False), lambda *_: None)
    assert "names no licence" in prepare(tmp_path / "port", REPO).card


def test_a_source_that_is_gone_states_nothing(hub: LoopbackHub, tmp_path: Path) -> None:
    convert(SOURCE, tmp_path / "port", ConvertOptions(verify=False), lambda *_: None)
    del hub.repos[SOURCE]
    assert "could not be asked" in prepare(tmp_path / "port", REPO).card


def test_a_card_of_ones_own_goes_up_as_it_is(hub: LoopbackHub, port: Path) -> None:
    own = (port / "README.md").read_text().replace(f"{MARK}\n", "") + "\nMine.\n"
    (port / "README.md").write_text(own)
    upload = prepare(port, REPO)
    assert upload.own_card
    push(upload)
    assert tree(hub)["README.md"].decode() == own


def test_a_card_of_ours_is_written_anew(hub: LoopbackHub, port: Path) -> None:
    assert MARK in (port / "README.md").read_text()
    (port / "README.md").write_text("---\n---\n" + MARK)
    assert "## Limits" in prepare(port, REPO).card
    (port / "README.md").unlink()
    assert "## Limits" in prepare(port, REPO).card


def test_the_report_must_be_of_this_port(port: Path, tmp_path: Path) -> None:
    assert prepare(port, REPO).verdict == "bit-exact"
    reports = tmp_path / "reports"
    with pytest.raises(UsageError, match=r"reports/parity\.json is not a file"):
        prepare(port, REPO, report_dir=reports)
    reports.mkdir()
    (port / "parity.json").rename(reports / "parity.json")
    assert prepare(port, REPO).verdict is None
    assert "Not compared with its source yet" in prepare(port, REPO).card
    assert prepare(port, REPO, report_dir=reports).verdict == "bit-exact"
    report = json.loads((reports / "parity.json").read_text())
    report["port"]["files"]["config.json"] = "0" * 64
    (port / "parity.json").write_text(json.dumps(report))
    with pytest.raises(UsageError, match=r"is about other files than .* has: config\.json"):
        prepare(port, REPO)


def test_a_port_that_failed_stays_at_home(port: Path) -> None:
    report = json.loads((port / "parity.json").read_text())
    (port / "parity.json").write_text(json.dumps({**report, "verdict": "fail"}))
    with pytest.raises(VerificationFailed, match="does not compute"):
        prepare(port, REPO)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no json", "is not JSON"),
        ("[]", "does not hold what"),
        ('{"schema": "sb3port.eval", "version": 2}', "does not hold what"),
        (json.dumps(RETURNS | {"episodes": []}), "is damaged"),
        (json.dumps(RETURNS | {"episodes": [{"seed": 0, "return": "inf", "length": 1}]}), "is damaged"),
        (json.dumps(RETURNS | {"sb3": {"episodes": []}}), "is damaged"),
        (None, "cannot be read"),
    ],
)
def test_returns_that_are_none(port: Path, tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "returns.json").write_text(content)
    with pytest.raises(UsageError, match=words):
        prepare(port, REPO, returns=tmp_path / "returns.json")


def test_returns_of_another_port(port: Path, tmp_path: Path) -> None:
    run = {"port": {"name": "port", "files": {"model.safetensors": "0" * 64}}}
    (tmp_path / "returns.json").write_text(json.dumps(RETURNS | run))
    with pytest.raises(UsageError, match="holds the returns of another port"):
        prepare(port, REPO, returns=tmp_path / "returns.json")


def test_returns_of_sb3_beside_those_of_the_port(port: Path, tmp_path: Path) -> None:
    (tmp_path / "returns.json").write_text(json.dumps(RETURNS | {"sb3": RETURNS}))
    assert (
        "the same return in 3 of these 3 episodes"
        in prepare(port, REPO, returns=tmp_path / "returns.json").card
    )


def test_what_is_no_port(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        prepare(tmp_path / "absent", REPO)
    with pytest.raises(NotPortable, match="is not a port"):
        prepare(FIXTURES / SOURCE, REPO)


def test_a_broken_port(port: Path) -> None:
    (port / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(NotPortable, match=r"model\.safetensors cannot be read"):
        prepare(port, REPO)
