"""MLflow and trackio, from an environment of their own: what their own readers find of a tracked run."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from stable_baselines3 import __version__ as sb3_version

from tests.interop.environments import ROOT, environment, run

pytestmark = pytest.mark.interop

TORCH = f"torch=={torch.__version__.partition('+')[0]}"
PACKAGES = (
    "--editable",
    f"{ROOT}[mlflow,trackio,video]",
    f"stable-baselines3=={sb3_version}",
    "gymnasium[classic-control]",
    TORCH,
)


@cache
def found(folder: Path) -> dict[str, Any]:
    python = environment("trackers", PACKAGES)
    variables = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TRACKIO_DIR": str(folder / "trackio"),
        "HF_HUB_OFFLINE": "1",
    }
    script = Path(__file__).with_name("track_and_read.py")
    run(python, script, folder, cwd=folder, **variables)
    answer: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return answer


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return found(tmp_path_factory.mktemp("tracked"))


@pytest.mark.parametrize(("tracker", "kind"), [("mlflow", "all"), ("trackio", "tensorboard")])
def test_names_are_those_of_sb3(read: dict[str, Any], tracker: str, kind: str) -> None:
    """Ours has no successes where SB3 has none; the first episodes of Pendulum end after 200 steps."""
    assert read[tracker]["names"] == read["sb3"][kind]


@pytest.mark.parametrize("tracker", ["mlflow", "trackio"])
def test_one_run_from_its_beginning_to_its_end(read: dict[str, Any], tracker: str) -> None:
    noted = read[tracker]
    assert noted["steps"] == [128, 256, 384, 512]
    assert str(noted["settings"]["n_steps"]) == "64"
    assert noted["settings"]["env_id"] == "Pendulum-v1"
    assert noted["files"] == read["port"]
    assert noted["artefacts"] == 4
    assert noted["films"] == 2
    assert noted.get("status", "FINISHED") == "FINISHED"
