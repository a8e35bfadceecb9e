"""What trackers get, read back with their own readers, beside what SB3 logs for the same run."""

import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import sb3port
from sb3port.errors import Sb3portError, UsageError
from sb3port.ppo.runs import tracked
from sb3port.ppo.tracking import table
from sb3port.ppo.tracking.base import TrackedRun, Tracker
from tests.ppo.sb3 import Case, build_sb3

SMALL = {"n_steps": 64, "batch_size": 32, "n_epochs": 2}
CASES = {
    "Gaussian": Case("Pendulum-v1", 512, 2, settings=SMALL),
    "values clipped": Case("CartPole-v1", 256, 2, settings={**SMALL, "clip_range_vf": 0.2}),
}


def trained(case: Case, out: Path, steps: int | None = None, **more: Any) -> Any:
    return sb3port.train(
        case.env,
        out,
        steps=steps or case.steps,
        n_envs=case.n_envs,
        seed=3,
        hyperparameters={"clip_range": 0.2, "learning_rate": 3e-4, **plain(case), **more.pop("given", {})},
        **{"eval_episodes": 0, "save_every": 128, **more},
    )


def plain(case: Case) -> dict[str, Any]:
    """SB3's defaults, where rl_zoo3's authors tuned something else."""
    return {"gamma": 0.99, "gae_lambda": 0.95, "use_sde": False, **case.settings}


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Read event files as TensorBoard does."""
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    names = accumulator.Tags()["scalars"]
    return {name: [(event.step, event.value) for event in accumulator.Scalars(name)] for name in names}


@pytest.mark.parametrize("name", CASES)
def test_tensorboard_has_what_sb3_writes(name: str, tmp_path: Path) -> None:
    """The same names, folder and numbers; SB3 writes those of an update with the next rollout."""
    case = CASES[name]
    model = build_sb3(case)
    model.tensorboard_log = str(tmp_path / "sb3")
    model.learn(case.steps)
    trained(case, tmp_path / "run", track="tensorboard")
    ours, theirs = scalars(tmp_path / "run/tensorboard/PPO_1"), scalars(tmp_path / "sb3/PPO_1")
    assert {tag for tag in ours if "/" in tag} == set(theirs)
    for tag in set(theirs) - {"time/fps"}:
        if tag.startswith("rollout/"):
            assert ours[tag] == theirs[tag], tag
        else:
            for (_, value), (_, expected) in zip(ours[tag][:-1], theirs[tag], strict=True):
                assert math.isclose(value, expected, rel_tol=2e-5, abs_tol=1e-6), tag


def test_a_run_goes_on_in_its_folder(tmp_path: Path) -> None:
    case, out = CASES["Gaussian"], tmp_path / "run"
    trained(case, out, 256, track=["tensorboard"])
    # As if it had been cut off after its last checkpoint had been begun.
    assert json.loads((out / "tracking.json").read_text()) == {"tensorboard": "PPO_1"}
    sb3port.resume(out / "checkpoints/000128", 384)
    assert [path.name for path in (out / "tensorboard").iterdir()] == ["PPO_1"]
    assert [step for step, _ in scalars(out / "tensorboard/PPO_1")["train/loss"]] == [128, 256, 384]


def test_a_new_run_takes_the_next_number(tmp_path: Path) -> None:
    (tmp_path / "run/tensorboard/PPO_3").mkdir(parents=True)
    trained(CASES["Gaussian"], tmp_path / "run", 128, track="tensorboard")
    assert (tmp_path / "run/tensorboard/PPO_4").is_dir()


def test_hyperparameters_are_those_of_the_run(tmp_path: Path) -> None:
    from tensorboard.plugins.hparams import plugin_data_pb2
    from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG

    given = {"learning_rate": "lin_1e-3"}
    trained(CASES["Gaussian"], tmp_path / "run", 128, track="tensorboard", given=given)
    accumulator = EventAccumulator(str(tmp_path / "run/tensorboard/PPO_1"))
    accumulator.Reload()
    found = plugin_data_pb2.HParamsPluginData.FromString(
        accumulator.summary_metadata[SESSION_START_INFO_TAG].plugin_data.content
    ).session_start_info.hparams
    assert found["gamma"].number_value == 0.99
    assert found["learning_rate"].string_value == "linear 0.001 to 0"
    assert found["env_id"].string_value == "Pendulum-v1"
    assert found["algorithm"].string_value == "PPO"


@pytest.mark.parametrize("films", [False, pytest.param(True, marks=pytest.mark.long)])
def test_watching_changes_no_bit(films: bool, tmp_path: Path) -> None:
    case = CASES["values clipped"]
    plainly = trained(case, tmp_path / "plain", 256)
    how = {"video_every": 128} if films else {}
    watched = trained(
        case, tmp_path / "watched", 256, track="tensorboard", eval_episodes=2, eval_every=128, **how
    )
    for name in ("model.safetensors", "training_state/optimizer_state.safetensors"):
        assert (plainly.port / name).read_bytes() == (watched.port / name).read_bytes()
    seen = sorted(path.name for path in (tmp_path / "watched").glob("videos/*"))
    assert seen == (["step-000128.mp4", "step-000256.mp4"] if films else [])
    accumulator = EventAccumulator(str(tmp_path / "watched/tensorboard/PPO_1"))
    accumulator.Reload()
    shown = accumulator.Images("videos/episode") if films else []
    assert [image.step for image in shown] == ([128, 256] if films else [])
    assert all(image.encoded_image_string.startswith(b"GIF89a") for image in shown)


class Broken(Tracker):
    """Notes what it is told, and fails at the second row."""

    told: ClassVar[list[str]] = []

    def __init__(self, run: TrackedRun) -> None:
        self.known = "known"

    def log(self, values: Mapping[str, float | int], step: int) -> None:
        self.told.append(f"log {step}")
        assert step < 256, "no line"

    def checkpoint(self, port: Path, step: int) -> None:
        self.told.append(f"checkpoint {step}")

    def film(self, film: Path, step: int) -> None:
        self.told.append(f"film {step}")

    def finish(self, failed: bool) -> None:
        self.told.append("finish")


def test_a_tool_that_fails_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.TRACKERS, "wandb", Broken)
    with pytest.warns(UserWarning, match="wandb failed, and the training goes on without it: .*no line"):
        outcome = trained(CASES["Gaussian"], tmp_path / "run", 384, track=("wandb", "tensorboard"))
    assert outcome.steps == 384
    assert Broken.told == ["log 128", "checkpoint 128", "log 256"]
    assert len(scalars(tmp_path / "run/tensorboard/PPO_1")["train/loss"]) == 3


def test_a_tool_that_cannot_begin_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(run: TrackedRun) -> Tracker:
        raise OSError("no route to host\nand more")

    monkeypatch.setitem(table.TRACKERS, "wandb", unreachable)
    with pytest.raises(UsageError, match=r"wandb cannot begin a run: no route to host$") as refused:
        trained(CASES["Gaussian"], tmp_path / "run", 128, track="wandb")
    assert "WANDB_MODE=offline" in str(refused.value.hint)
    assert not (tmp_path / "run/checkpoints").exists()


def test_trackers_there_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="there is no tracker tensorbord") as refused:
        trained(CASES["Gaussian"], tmp_path / "run", 128, track="tensorbord")
    assert refused.value.hint == "did you mean tensorboard?"
    monkeypatch.setattr("sb3port.errors.missing", lambda _: ["mlflow"])
    with pytest.raises(UsageError, match="--track mlflow needs mlflow, which is not installed"):
        trained(CASES["Gaussian"], tmp_path / "run", 128, track="mlflow")


def test_a_note_of_strangers_names_no_other_place(tmp_path: Path) -> None:
    out = tmp_path / "run"
    trained(CASES["Gaussian"], out, 128, track="tensorboard")
    (out / tracked.NOTE).write_text('{"tensorboard": "PPO_1/../../../elsewhere"}')
    with pytest.raises(Sb3portError, match="no name of ours"):
        sb3port.resume(out, 256)


@pytest.mark.long
def test_wandb_has_what_sb3_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, read with wandb's own reader, which versions from 0.28 on have in no Python."""
    datastore = pytest.importorskip("wandb.sdk.internal.datastore")
    import wandb
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    case, out = CASES["Gaussian"], tmp_path / "run"
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        trained(case, out, 256, track="wandb")
    wandb.teardown()  # its process has written all then
    (path,) = (out / "wandb").glob("offline-run-*/*.wandb")
    store = datastore.DataStore()
    store.open_for_scan(str(path))
    rows, settings, files = [], {}, set()
    while (data := store.scan_data()) is not None:
        record = Record.FromString(data)
        rows.append({item.key or "/".join(item.nested_key): item.value_json for item in record.history.item})
        settings |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        files |= {entry.path for entry in record.artifact.manifest.contents}
        files |= {entry.path for entry in record.request.log_artifact.artifact.manifest.contents}
    logged = [row for row in rows if "global_step" in row]
    assert [json.loads(row["global_step"]) for row in logged] == [128, 256]
    model = build_sb3(case)
    model.tensorboard_log = str(tmp_path / "sb3")
    model.learn(case.steps)
    names = {name for row in logged for name in row if "/" in name}
    # No episode of Pendulum, which has 200 steps, ends in this half of the run.
    assert names | {"rollout/ep_rew_mean", "rollout/ep_len_mean"} == set(scalars(tmp_path / "sb3/PPO_1"))
    assert settings["gamma"] == 0.99
    assert {"model.safetensors", "sb3port.json"} <= files
