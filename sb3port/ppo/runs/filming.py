"""The callback that films an episode every so many steps, which draws no random numbers of the training."""

import os
import tempfile
from pathlib import Path

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.environments.rollouts import Setting
from sb3port.environments.video import check_drawing, film_in
from sb3port.errors import need
from sb3port.inference.actor import PortActor
from sb3port.ports.writing import write_port
from sb3port.ppo.rollout.episodes import MakeEnv
from sb3port.ppo.rollout.random_state import undisturbed
from sb3port.ppo.runs.callbacks import Training, TrainingCallback, is_due
from sb3port.ppo.runs.checkpoints import checkpoint_of, step_name
from sb3port.ppo.runs.trainer import Trainer

FOLDER = "videos"


class Filming(TrainingCallback):
    """Films the first episode of an evaluation into `DIR/videos/step-<steps>.mp4`.

    Args:
        trainer: Whose policy.
        origin: What it went on from, None where it began from scratch.
        make: Makes the environment, so that it gives pictures.
        every: Environment steps between two films; one more at the end.
    """

    def __init__(self, trainer: Trainer, origin: Checkpoint | None, make: MakeEnv, every: int) -> None:
        self._trainer, self._origin, self._make, self._every = trainer, origin, make, every
        self._filmed = trainer.counters.num_timesteps

    def on_training_start(self, training: Training) -> None:
        """Look whether there is something to film.

        Raises:
            UsageError: What films is not installed, or the environment gives no pictures.
        """
        need("video", "--video-every")
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame needs no window to draw
        with undisturbed():
            self._env = self._make()
            check_drawing(self._env, training.settings.env)

    def on_log(self, training: Training) -> None:
        """Film, where it is time."""
        now, training.film = training.num_timesteps, None
        if training.is_over or is_due(self._filmed, now, self._every):
            training.film = training.out / FOLDER / f"step-{step_name(self._trainer)}.mp4"
            with undisturbed():
                self._film(training, training.film)
        self._filmed = now

    def on_training_end(self, training: Training) -> None:  # noqa: ARG002
        """Close the environment."""
        if hasattr(self, "_env"):
            self._env.close()

    def _film(self, training: Training, path: Path) -> None:
        """Film what a port of this moment does: what is seen is what its users will see."""
        settings, spec = training.settings, self._trainer.spec
        setting = Setting(settings.env, [settings.eval_seed], use_masking=settings.use_masking)
        with tempfile.TemporaryDirectory(prefix="sb3port-") as folder:
            write_port(checkpoint_of(self._trainer, self._origin), Path(folder))
            film_in(self._env, PortActor(Path(folder), spec), setting, path, force=True)
