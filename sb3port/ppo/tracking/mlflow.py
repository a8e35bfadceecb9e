"""MLflow: a run on the server or in the store that `MLFLOW_TRACKING_URI` names, or in MLflow's own.

The names are all that SB3 logs, those of the clock included: SB3's recipe for MLflow leaves none out.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from sb3port.ppo.tracking.base import TrackedRun, Tracker

_EVERY = 1.0  # seconds between two writings, of which each takes as long as a small update
_MOST = 1000  # numbers that are taken at once


class Mlflow(Tracker):
    """A run of the experiment `MLFLOW_EXPERIMENT_NAME`, or else "sb3port"."""

    def __init__(self, run: TrackedRun) -> None:
        self._client, self._waiting, self._written = MlflowClient(), list[Metric](), time.monotonic()
        if run.known is not None:
            self.known = run.known
            self._client.update_run(self.known, status="RUNNING")
            return
        experiment = _experiment(self._client, os.environ.get("MLFLOW_EXPERIMENT_NAME", "sb3port"))
        self.known = str(self._client.create_run(experiment, run_name=run.name).info.run_id)
        params = [Param(name, str(value)) for name, value in run.settings.items()]
        self._client.log_batch(self.known, params=params)

    def log(self, values: Mapping[str, float | int], step: int) -> None:
        """Keep a row, and write what is kept every second."""
        now = int(1000 * time.time())
        self._waiting += [Metric(name, float(value), now, step) for name, value in values.items()]
        if time.monotonic() - self._written > _EVERY or len(self._waiting) > _MOST // 2:
            self._write()

    def checkpoint(self, port: Path, step: int) -> None:
        """Log the port below `checkpoints/<step>`."""
        self._write()
        self._client.log_artifacts(self.known, str(port), f"checkpoints/{step}")

    def film(self, film: Path, step: int) -> None:  # noqa: ARG002 (its name has it)
        """Log the film below `videos`, where MLflow shows it."""
        self._client.log_artifact(self.known, str(film), "videos")

    def finish(self, failed: bool) -> None:
        """Write what is left, and end the run."""
        self._write()
        self._client.set_terminated(self.known, "FAILED" if failed else "FINISHED")

    def _write(self) -> None:
        if self._waiting:
            self._client.log_batch(self.known, metrics=self._waiting)
        self._waiting, self._written = [], time.monotonic()


def _experiment(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id) if found else str(client.create_experiment(name))
