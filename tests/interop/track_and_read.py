"""Run where the trackers are installed: track a training with each, go on with it, and read it back.

Writes `found.json`: for each tracker the names and steps of its numbers, its settings and its artefacts, as
the tool's own reader finds them; and under "sb3" what SB3 logs for the same run, as its own logger is told.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OUT = Path(sys.argv[1])
SETTINGS = {"n_steps": 64, "batch_size": 32, "n_epochs": 2}
ENV, STEPS = "Pendulum-v1", 512


def sb3() -> dict[str, list[str]]:
    """Give the names of SB3's numbers: those that TensorBoard gets, and all."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.logger import KVWriter, Logger

    told: dict[str, set[str]] = {"tensorboard": set(), "all": set()}

    class Noting(KVWriter):
        def write(self, values: dict[str, Any], excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
            told["all"] |= set(values)
            told["tensorboard"] |= {name for name in values if "tensorboard" not in (excluded[name] or ())}

    model = PPO("MlpPolicy", make_vec_env(ENV, 2, seed=0), seed=0, **SETTINGS)
    model.set_logger(Logger(None, [Noting()]))
    model.learn(STEPS)
    return {kind: sorted(names) for kind, names in told.items()}


def ours() -> str:
    """Train half of it, and go on to the end; give the folder of the last port."""
    import sb3port

    trackers = ("mlflow", "trackio")
    half = sb3port.train(
        ENV,
        OUT / "pendulum",
        steps=STEPS // 2,
        n_envs=2,
        hyperparameters=SETTINGS,
        eval_episodes=0,
        video_every=STEPS // 2,
        track=trackers,
    )
    assert half.steps == STEPS // 2
    return str(sb3port.resume(OUT / "pendulum", STEPS).last)


def read_mlflow(known: str) -> Mapping[str, Any]:
    from mlflow import MlflowClient

    client = MlflowClient()
    run = client.get_run(known)
    names = sorted(run.data.metrics)
    steps = [metric.step for metric in client.get_metric_history(known, "train/loss")]
    folders = [item.path for item in client.list_artifacts(known, "checkpoints")]
    files = sorted(Path(item.path).name for item in client.list_artifacts(known, folders[-1]))
    return {
        "names": names,
        "steps": steps,
        "settings": run.data.params,
        "files": files,
        "artefacts": len(folders),
        "films": len([item for item in client.list_artifacts(known, "videos") if item.path.endswith("mp4")]),
        "status": run.info.status,
    }


def read_trackio(known: str) -> Mapping[str, Any]:
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    run = next(run for run in trackio.Api().runs("sb3port") if run.name == known)
    rows = SQLiteStorage.get_logs("sb3port", known, run_id=run.id)
    films = [row.pop("videos/episode") for row in rows if "videos/episode" in row]
    names = sorted({name for row in rows for name in row if "/" in name})
    steps = [row["step"] for row in rows if "train/loss" in row]
    manifest = SQLiteStorage.get_artifact_manifest("sb3port", f"{known}-port", "latest")
    versions = SQLiteStorage.get_run_artifacts("sb3port", known, run.id)["output"]
    files = sorted({entry["path"].partition("/")[0] for entry in manifest["manifest"]})
    return {
        "names": names,
        "steps": steps,
        "settings": run.config,
        "files": files,
        "artefacts": len(versions),
        "films": len([film for film in films if film["_type"] == "trackio.video"]),
    }


if __name__ == "__main__":
    last = ours()
    known = json.loads((OUT / "pendulum" / "tracking.json").read_text())
    found = {
        "mlflow": read_mlflow(known["mlflow"]),
        "trackio": read_trackio(known["trackio"]),
        "sb3": sb3(),
        "port": sorted(path.name for path in (Path(last) / "pretrained_model").iterdir()),
    }
    (OUT / "found.json").write_text(json.dumps(found, default=str))
