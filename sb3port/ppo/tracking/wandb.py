"""Weights & Biases: a run whose charts are those that `sync_tensorboard` makes of SB3's.

Project, entity and mode are wandb's own environment variables: `WANDB_PROJECT`, `WANDB_MODE=offline`.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import wandb

from sb3port.ppo.tracking.base import FILM, TrackedRun, Tracker, of_tensorboard

_STEP = "global_step"  # as `sync_tensorboard` calls it


class WeightsAndBiases(Tracker):
    """A run of wandb; its files lie in `DIR/wandb`, unless `WANDB_DIR` says otherwise."""

    def __init__(self, run: TrackedRun) -> None:
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "sb3port"),
            dir=os.environ.get("WANDB_DIR", str(run.out)),
            name=run.name,
            config=dict(run.settings),
            id=run.known,
            resume="allow" if run.known else None,
            reinit="create_new",  # a script may have a run of its own, or train twice
            settings=wandb.Settings(console="off"),
        )
        self.known = str(self._run.id)
        self._artefact = f"{run.algorithm.lower()}-{self.known}"
        self._run.define_metric("*", step_metric=_STEP)

    def log(self, values: Mapping[str, float | int], step: int) -> None:
        """Log a row, with the environment step as `global_step`."""
        self._run.log({**of_tensorboard(values), _STEP: step})

    def checkpoint(self, port: Path, step: int) -> None:
        """Log the port as a model, of which wandb keeps the versions."""
        artefact = wandb.Artifact(self._artefact, "model", metadata={_STEP: step})
        artefact.add_dir(str(port))
        self._run.log_artifact(artefact)

    def film(self, film: Path, step: int) -> None:
        """Log the film as a video."""
        self._run.log({FILM: wandb.Video(str(film), format="mp4"), _STEP: step})

    def finish(self, failed: bool) -> None:
        """End the run, which waits for what is on its way."""
        self._run.finish(exit_code=int(failed))
