"""Bulk runs on folders: every model is found, done once, put in its place, and told of."""

import json
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import sb3port
from sb3port.commands.bulk.job import Action, Job
from sb3port.commands.bulk.ledger import Ledger
from sb3port.errors import UsageError
from tests.cli.files import zip_of

from .organisation import FIXTURES, VARIANTS, model, organisation
from .runs import bulk, by_model, essence, ledger, poisoned, tree

SCHEMA = json.loads(files("sb3port.commands.bulk").joinpath("ledger.schema.json").read_text())


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder as people have them: repositories, rl_zoo3's logs, and what is no checkpoint."""
    root = tmp_path / "models"
    organisation(root, 3)
    run = root / "logs" / "ppo" / "Pendulum-v1_1"
    shutil.copytree(
        FIXTURES / "ppo-Pendulum-v1", run / "Pendulum-v1", ignore=shutil.ignore_patterns("*.zip", "*.np?")
    )
    zipped = FIXTURES / "ppo-Pendulum-v1" / "ppo-Pendulum-v1.zip"
    for name in ("Pendulum-v1.zip", "best_model.zip", "rl_model_1000_steps.zip"):
        shutil.copyfile(zipped, run / name)
    shutil.unpack_archive(zipped, root / "unpacked" / "mine")
    shutil.copy(FIXTURES / "ppo-Pendulum-v1" / "vec_normalize.pkl", root / "unpacked" / "mine")
    (root / "broken.zip").write_bytes(zipped.read_bytes()[:5000])
    zip_of(root / "pictures.zip", {f"{number}.png": b"" for number in range(200)})
    return root


def test_every_model_in_a_folder(models: Path, tmp_path: Path) -> None:
    out = models / "ports"
    progress = bulk(out, models)
    found = by_model(out)
    assert progress.total == len(found) == 8
    assert progress.failed_in_all == 1
    assert found["broken.zip"]["reason"]["kind"] == "not portable"
    assert found["broken.zip"]["out"] is None
    places = {line["model"]: line["out"] for line in found.values() if line["out"]}
    assert places == {
        "logs/ppo/Pendulum-v1_1/Pendulum-v1.zip": "logs/ppo/Pendulum-v1_1/Pendulum-v1",
        "logs/ppo/Pendulum-v1_1/best_model.zip": "logs/ppo/Pendulum-v1_1/best_model",
        "logs/ppo/Pendulum-v1_1/rl_model_1000_steps.zip": "logs/ppo/Pendulum-v1_1/rl_model_1000_steps",
        "org/ppo-CartPole-v1-00001/ppo-CartPole-v1-00001.zip": "org/ppo-CartPole-v1-00001",
        "org/ppo-Pendulum-v1-00000/ppo-Pendulum-v1-00000.zip": "org/ppo-Pendulum-v1-00000",
        "org/ppo-Pendulum-v1-half-00002/ppo-Pendulum-v1-half-00002.zip": "org/ppo-Pendulum-v1-half-00002",
        "unpacked/mine": "unpacked/mine",
    }
    for line in found.values():
        jsonschema.validate(line, SCHEMA)
        assert line["out"] is None or (out / line["out"] / "sb3port.json").is_file()
    # The run of rl_zoo3 has its statistics in a folder beside the zips.
    assert found["logs/ppo/Pendulum-v1_1/best_model.zip"]["policy"]["normalised"]
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []


def test_nothing_is_done_twice(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    bulk(out, models)
    before, content = ledger(out), tree(out)
    again = bulk(out, models)
    assert (again.before, again.statuses.total(), again.failed_in_all) == (8, 0, 1)
    assert (ledger(out), tree(out)) == (before, content)
    # What failed is tried again when that is wanted, and what is new is found.
    shutil.copyfile(models / "logs/ppo/Pendulum-v1_1/best_model.zip", models / "broken.zip")
    model(VARIANTS[1], models / "new", 7)
    last = bulk(out, models, retry=True)
    assert (last.before, last.statuses.total(), last.failed_in_all) == (7, 2, 0)
    assert [(line["model"], line["attempt"]) for line in ledger(out)][-2:] in (
        [("broken.zip", 2), ("new/new.zip", 1)],
        [("new/new.zip", 1), ("broken.zip", 2)],
    )


def test_a_torn_line_is_no_line(models: Path, tmp_path: Path) -> None:
    """After a loss of power the last line may be cut; its port, which is the same again, stays as it is."""
    out = tmp_path / "out"
    bulk(out, models / "org")
    whole, content = essence(out), tree(out)
    path = out / "ledger.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    progress = bulk(out, models / "org")
    assert (progress.before, progress.failed_in_all) == (2, 0)
    assert (essence(out), tree(out)) == (whole, content)


def test_what_somebody_else_has_there_stays(models: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "out" / "ppo-CartPole-v1-00001"
    theirs.mkdir(parents=True)
    (theirs / "thesis.tex").write_text("mine")
    bulk(tmp_path / "out", models / "org")
    refused = by_model(tmp_path / "out")["ppo-CartPole-v1-00001/ppo-CartPole-v1-00001.zip"]
    assert (refused["status"], refused["out"], refused["reason"]["stage"]) == ("failed", None, "place")
    assert [path.name for path in theirs.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    "action", [Action.CONVERT, pytest.param(Action.REPAIR, marks=pytest.mark.long)], ids=str
)
def test_only_results_of_ours_are_replaced(tmp_path: Path, action: Action) -> None:
    """A model that failed and had a result before: in its place is now a folder of the user's, or another."""
    out, name, job = tmp_path / "out", organisation(tmp_path / "models", 1)[0], Job(action, verify=False)
    bulk(out, tmp_path / "models", job=job)
    whole = set(tree(out, ()))
    ledger_path = out / "ledger.jsonl"
    line = ledger(out)[0]
    reason = {"kind": "time", "sentence": "late", "hint": None, "stage": "", "exit_code": 4}
    failing = {**line, "attempt": 2, "status": "failed", "out": None, "reason": reason}
    ledger_path.write_text("".join(f"{json.dumps(one)}\n" for one in (line, failing)))
    shutil.rmtree(out / "org")
    theirs = out / name
    theirs.mkdir(parents=True)
    (theirs / "thesis.tex").write_text("mine")
    assert bulk(out, tmp_path / "models", job=job, retry=True).failed_in_all == 1
    assert ledger(out)[-1]["reason"]["sentence"].endswith("so --retry does not replace it")
    assert [path.name for path in theirs.iterdir()] == ["thesis.tex"]
    # What is of ours is replaced.
    (theirs / "thesis.tex").unlink()
    mark = job.kind.mark
    (theirs / mark).write_text("{}")
    assert bulk(out, tmp_path / "models", job=job, retry=True).failed_in_all == 0
    assert set(tree(out, ())) == whole


def test_ports_are_those_of_convert(tmp_path: Path) -> None:
    """To the byte, though a worker remembers what is the same in models that it reads after one another."""
    names = organisation(tmp_path / "models", 2 * len(VARIANTS))
    bulk(tmp_path / "out", tmp_path / "models", jobs=1)
    for name in names:
        port = tmp_path / "converted" / name
        zipped = tmp_path / "models" / name / f"{name.partition('/')[2]}.zip"
        sb3port.convert(zipped, port, verify=False)
        assert tree(tmp_path / "out" / name) == tree(port), name


def test_the_function_of_the_package(models: Path, tmp_path: Path) -> None:
    """It is the command: a script may call it, whatever else it does when it is run again."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, sb3port\n"
        "done = sb3port.bulk(sys.argv[1], sys.argv[2], verify=False, filter='*ppo*', jobs=1)\n"
        "print(done.models, done.done, done.failed, done.outcomes, done.report[0].name)\n"
    )
    command = [sys.executable, script, models, tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["6", "6", "0", "{'done':", "6}", "index.html"]
    again = sb3port.bulk(models, tmp_path / "out", verify=False)
    assert (again.before, again.tried, again.failed) == (6, 2, 1)
    with pytest.raises(UsageError, match="two things to do"):
        sb3port.bulk(models, tmp_path / "other", scan=True, export="onnx")
    with pytest.raises(UsageError, match="needs models"):
        sb3port.bulk()


@pytest.mark.parametrize(
    ("name", "value"),
    [("jobs", -3), ("jobs", 0), ("timeout", -1), ("timeout", float("nan")), ("memory", "x"), ("episodes", 0)],
)
def test_numbers_with_which_nothing_is_done(name: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"{name} is .*, but it must be a number above 0"):
        sb3port.bulk(tmp_path, tmp_path / "out", **{name: value})


def test_poison_costs_itself_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash of the interpreter, a hang, too much memory, and a bug of ours: each has its reason."""
    names = ["good-1", "crash", "good-2", "hang", "good-3", "eat", "good-4", "bug", "good-5"]
    for number, name in enumerate(names):
        model(VARIANTS[number % 2], tmp_path / "models" / name, number)
    monkeypatch.setattr("sb3port.commands.bulk.crew.serve", poisoned)
    progress = bulk(tmp_path / "out", tmp_path / "models", timeout=4.0, memory=2 << 30)
    found = {name.partition("/")[0]: line for name, line in by_model(tmp_path / "out").items()}
    kinds = {name: line["reason"]["kind"] for name, line in found.items() if line["reason"]}
    assert kinds == {"crash": "crashed", "hang": "time", "eat": "memory", "bug": "bug"}
    assert "SIGSEGV" in found["crash"]["reason"]["sentence"]
    assert "--timeout" in found["hang"]["reason"]["sentence"]
    assert progress.done_in_all == 5
    assert all((tmp_path / "out" / f"good-{number}" / "config.json").is_file() for number in range(1, 6))
    for line in found.values():
        jsonschema.validate(line, SCHEMA)


def test_repair_export_and_scan(tmp_path: Path) -> None:
    organisation(tmp_path / "models", 2)
    bulk(tmp_path / "repaired", tmp_path / "models", job=Job(Action.REPAIR, verify=False))
    bulk(tmp_path / "numpy", tmp_path / "models", job=Job(Action.EXPORT, "numpy", verify=False))
    name = "org/ppo-Pendulum-v1-00000"
    assert sorted(path.suffix for path in (tmp_path / "repaired" / name).iterdir() if "zip" in path.name) == [
        ".zip"
    ]
    assert (tmp_path / "repaired" / name / "vec_normalize.pkl").is_file()
    assert any(path.suffix == ".npz" for path in (tmp_path / "numpy" / name).rglob("*"))
    bulk(tmp_path / "scanned", tmp_path / "models", job=Job(Action.SCAN))
    for line in by_model(tmp_path / "scanned").values():
        jsonschema.validate(line, SCHEMA)
        assert (line["status"], line["verdict"], line["out"]) == ("done", "clean", None)
    assert by_model(tmp_path / "scanned")[f"{name}/ppo-Pendulum-v1-00000.zip"]["scan"]["files"] == 2


def test_one_kind_of_run_in_a_folder(tmp_path: Path) -> None:
    organisation(tmp_path / "models", 1)
    bulk(tmp_path / "out", tmp_path / "models")
    with pytest.raises(UsageError, match="other options"):
        bulk(tmp_path / "out", tmp_path / "models", job=Job(Action.SCAN))
    with (
        Ledger(tmp_path / "out" / "ledger.jsonl"),
        pytest.raises(UsageError, match="another sb3port bulk works"),
    ):
        bulk(tmp_path / "out", tmp_path / "models")
    (tmp_path / "out" / "ledger.jsonl").write_text("{}\n")
    with pytest.raises(UsageError, match="no record"):
        bulk(tmp_path / "out", tmp_path / "models")


@pytest.mark.long
def test_verified_and_evaluated(tmp_path: Path) -> None:
    organisation(tmp_path / "models", 3)
    bulk(tmp_path / "out", tmp_path / "models", job=Job(episodes=2))
    for line in by_model(tmp_path / "out").values():
        assert (line["status"], line["verdict"]) == ("done", "bit-exact"), line["reason"]
        assert line["evaluation"]["episodes"] == 2
        assert (
            json.loads((tmp_path / "out" / line["out"] / "parity.json").read_text())["verdict"] == "bit-exact"
        )
