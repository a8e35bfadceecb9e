"""What is published beside a checkpoint."""

import hashlib
from pathlib import Path

import pytest

from sb3port.checkpoint.checkpoint import Provenance, SourceFile
from sb3port.readers.meaning.published import PublishedResult, published_result

CARD = """---
library_name: stable-baselines3
model-index:
- name: PPO
  results:
  - metrics:
    - type: mean_reward
      value: {value}
      name: mean_reward
    task:
      type: reinforcement-learning
      name: reinforcement-learning
    dataset:
      name: Pendulum-v1
      type: Pendulum-v1
---

# PPO
"""


def said(folder: Path, **files: str) -> PublishedResult | None:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return published_result(ported_from("folder", folder))


def ported_from(kind: str, place: Path) -> Provenance:
    """What a port records of a source that is there."""
    file = place / "model.zip" if kind == "folder" else place
    file.write_bytes(b"weights")
    files = {"checkpoint": SourceFile("model.zip", 7, hashlib.sha256(b"weights").hexdigest())}
    return Provenance(kind, str(place), None, files)


@pytest.mark.parametrize(
    ("value", "mean", "std"),
    [("-172.23 +/- 104.16", -172.23, 104.16), ("500", 500.0, None), ("1.5e3 ± 2e-1", 1500.0, 0.2)],
)
def test_model_cards(value: str, mean: float, std: float | None, tmp_path: Path) -> None:
    assert said(tmp_path, README_md=CARD.format(value=value)) == PublishedResult(mean, std, None, "README.md")


def test_results_come_first(tmp_path: Path) -> None:
    results = '{"mean_reward": 1, "std_reward": 2.5, "n_eval_episodes": 7}'
    found = said(tmp_path, README_md=CARD.format(value="3"), results_json=results)
    assert found == PublishedResult(1.0, 2.5, 7, "results.json")


def test_beside_a_file(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"mean_reward": 1.5}')
    found = published_result(ported_from("file", tmp_path / "model.zip"))
    assert found == PublishedResult(1.5, None, None, "results.json")


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"results_json": "{"},
        {"results_json": "[]"},
        {"results_json": '{"mean_reward": "much"}'},
        {"results_json": '{"mean_reward": NaN}'},
        {"README_md": "no front matter"},
        {"README_md": "---\n[]\n---\n"},
        {"README_md": CARD.format(value="very good")},
        {"README_md": CARD.format(value="!!python/object/apply:os.system [touch here]")},
    ],
)
def test_what_says_nothing(files: dict[str, str], tmp_path: Path) -> None:
    assert said(tmp_path, **files) is None
    assert not (tmp_path / "here").exists()


def test_a_place_that_is_not_the_source_says_nothing(tmp_path: Path) -> None:
    """A stranger's port can name any folder of this machine."""
    port = ported_from("folder", tmp_path)
    (tmp_path / "results.json").write_text('{"mean_reward": 1}')
    assert published_result(port) is not None
    (tmp_path / "model.zip").write_bytes(b"another")
    assert published_result(port) is None


def test_a_hub_out_of_reach_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda _: None)  # before the client asks again
    assert published_result(Provenance("hub", "nobody/nothing", "0" * 40, {})) is None
