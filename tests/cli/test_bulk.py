"""`sb3port bulk` as it is typed: streams, exit codes, what is refused."""

import json
import shutil
from pathlib import Path

import pytest

from .conftest import CARTPOLE, PENDULUM, Cli


@pytest.fixture
def models(here: Path) -> Path:
    shutil.copytree(CARTPOLE, here / "models" / "cartpole")
    shutil.copytree(PENDULUM, here / "models" / "pendulum")
    return here / "models"


def test_models_are_ported_and_reported(cli: Cli, models: Path, here: Path) -> None:
    done = cli("bulk", models, "--no-verify", "--jobs", "1", "--json")
    done.succeeds()
    summary = json.loads(done.out)
    assert (summary["schema"], summary["models"], summary["done"], summary["failed"]) == (
        "sb3port.bulk.summary",
        2,
        2,
        0,
    )
    assert sorted(path.name for path in (here / "ports").iterdir()) == [
        *("cartpole", "index.csv", "index.html", "junit.xml", "ledger.jsonl", "pendulum"),
    ]
    (models / "broken.zip").write_bytes(b"PK")
    again = cli("bulk", models, "--no-verify", "--jobs", "1")
    assert again.code == 1
    assert "3, of which 2 were tried before" in again.out
    assert "broken.zip" in (here / "ports" / "index.html").read_text()


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        ((), ("bulk needs models",)),
        (("models", "--scan", "--repair"), ("--scan and --repair",)),
        (("models", "--private"), ("--push",)),
        (("models", "--scan", "--evaluate"), ("only ports",)),
        (("models", "--filter", "sac"), ("no model named like sac",)),
        (("./absent",), ("./absent is neither a file",)),
        (("models", "--export", "tflite"), ("--export is 'tflite'", "onnx")),
        (("models", "--jobs", "0"), ("--jobs",)),
        (("models", "--out", "models/cartpole/args.yml"), ("--out", "a file and no folder")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_refused(cli: Cli, models: Path, words: tuple[str, ...], texts: tuple[str, ...]) -> None:
    refused = cli("bulk", *words, "--no-verify")
    assert refused.code in (2, 3)
    for text in texts:
        assert text in refused.err
    assert not (models.parent / "ports").exists()
