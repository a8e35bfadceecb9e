"""trackio: a run in its local store, which `trackio show` draws.

The store is where trackio keeps it, `TRACKIO_DIR` or a folder in Hugging Face's cache.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import trackio

from sb3port.ppo.tracking.base import FILM, TrackedRun, Tracker, of_tensorboard


class Trackio(Tracker):
    """A run of the project `TRACKIO_PROJECT`, or else "sb3port"."""

    def __init__(self, run: TrackedRun) -> None:
        self._run = trackio.init(
            project=os.environ.get("TRACKIO_PROJECT", "sb3port"),
            name=run.known,  # a new one gets a name of trackio's, which no other run has
            config={**run.settings, "folder": run.name},
            resume="must" if run.known else "never",
            embed=False,
            auto_log_gpu=False,
        )
        self.known = str(self._run.name)

    def log(self, values: Mapping[str, float | int], step: int) -> None:
        """Log a row."""
        self._run.log(of_tensorboard(values), step=step)

    def checkpoint(self, port: Path, step: int) -> None:
        """Log the port as a model, of which trackio keeps the versions."""
        artefact = trackio.Artifact(f"{self.known}-port", "model", metadata={"step": step})
        artefact.add_dir(str(port))
        self._run.log_artifact(artefact)

    def film(self, film: Path, step: int) -> None:
        """Log the film as a video."""
        self._run.log({FILM: trackio.Video(str(film), format="mp4")}, step=step)

    def finish(self, failed: bool) -> None:  # noqa: ARG002 (it has no such word)
        """End the run."""
        self._run.finish()
