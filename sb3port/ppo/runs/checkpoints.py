"""The checkpoints of a training, in LeRobot's layout: each is a port that can be run, and resumed.

`checkpoints/<steps>/pretrained_model` is the port, `checkpoints/<steps>/training_state` what resuming needs;
`checkpoints/last` and `checkpoints/best` are links to two of them.
"""

import hashlib
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save

from sb3port.checkpoint.checkpoint import Array, Checkpoint, Provenance, SourceFile, TrainingSettings
from sb3port.errors import RankLost, UsageError
from sb3port.files.staging import CHECKPOINT, link_target, put_link, staged_folder
from sb3port.ports.finding import CHECKPOINTS, LAST, PORT, STATE
from sb3port.ports.writing import write_port
from sb3port.ppo.hyperparameters import SCHEDULES, as_training_values

if TYPE_CHECKING:  # a run is found without torch
    from sb3port.ppo.runs.trainer import Trainer


def checkpoint_of(trainer: "Trainer", origin: Checkpoint | None) -> Checkpoint:
    """Give the policy in training as a checkpoint.

    Args:
        trainer: The training.
        origin: What it went on from, None where it began from scratch.
    """
    settings, given = trainer.settings, trainer.settings.hyperparameters
    tensors = trainer.engine.tensors()
    values = as_training_values(given) | {
        "n_envs": settings.n_envs,
        "num_timesteps": trainer.counters.num_timesteps,
        "seed": settings.seed,
    }
    schedules = {name: getattr(given, name) for name in SCHEDULES if getattr(given, name) is not None}
    before = origin.training if origin else TrainingSettings({}, {}, trainer.optimizer_class)
    return Checkpoint(
        trainer.spec,
        tensors,
        None if trainer.normaliser is None else trainer.normaliser.normalizer(),
        replace(before, schedules=schedules, hyperparameters=values),
        trainer.engine.optimizer(),
        _provenance(settings.env, tensors, origin),
        environment=settings.environment,
    )


def save_checkpoint(trainer: "Trainer", origin: Checkpoint | None, out: Path) -> Path:
    """Write a checkpoint, whole or not at all, and let `last` point to it.

    Of several processes the first one writes it, with what all of them hand over.
    """
    from sb3port.ppo.runs.training_state import state_of, write_state

    state, ranks = state_of(trainer), trainer.ranks
    folder = out / CHECKPOINTS / step_name(trainer)
    if ranks.is_first:
        with staged_folder(folder, force=True, kind=CHECKPOINT) as staging:
            for name in (PORT, STATE):
                (staging / name).mkdir()
            write_port(checkpoint_of(trainer, origin), staging / PORT)
            write_state(state, staging / STATE)
        point(folder, LAST)
    ranks.gather(b"")  # the others wait until it is there
    return folder


def step_name(trainer: "Trainer") -> str:
    """Give the steps that are done as the name of a file, in the order of which they are."""
    digits = max(6, len(str(trainer.settings.until)))
    return f"{trainer.counters.num_timesteps:0{digits}d}"


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder is a checkpoint of a training."""
    return (folder / PORT).is_dir() and (folder / STATE).is_dir()


def point(folder: Path, name: str) -> None:
    """Make a link beside a checkpoint that points to it, in one step."""
    put_link(folder.parent / name, folder.name)


def pointed(checkpoints: Path, name: str) -> Path | None:
    """Give the checkpoint that a link points to, None where there is no such link."""
    target = link_target(checkpoints / name)
    return None if target is None else checkpoints / target


@contextmanager
def telling_what_is_kept(out: Path) -> Iterator[None]:
    """Say, where a process is lost, from where the others can go on."""
    try:
        yield
    except RankLost as error:
        kept = pointed(out / CHECKPOINTS, LAST)
        command = shlex.join(("sb3port", "train", "--resume", str(out)))
        hint = f"the last checkpoint is {kept}; go on, in any number of processes, with: {command}"
        raise RankLost(error.message, hint if kept else "nothing was saved") from error


def find_checkpoint(path: Path) -> Path:
    """Find what to resume: a checkpoint itself, or the last one of a run.

    Raises:
        UsageError: There is none, or it is not where a run keeps its checkpoints.
    """
    for folder in (path, pointed(path / CHECKPOINTS, LAST), path.parent):
        if folder is not None and is_checkpoint(folder):
            if folder.resolve().parent.name == CHECKPOINTS:
                return folder.resolve()
            command = f"sb3port finetune {shlex.quote(str(folder / PORT))} --steps N --out DIR"
            raise UsageError(
                f"{folder} is not in the {CHECKPOINTS} folder of a run, in which the training would go on",
                f"begin a run from it with: {command}",
            )
    raise UsageError(f"{path} holds no checkpoint of a training", "name the folder that --out was")


def _provenance(env: str, tensors: dict[str, Array], origin: Checkpoint | None) -> Provenance:
    """Say that it was trained here, from what on the Hub if from anything there, and which weights it has."""
    content = save({name: np.asarray(array, order="C") for name, array in tensors.items()})
    file = SourceFile("model.safetensors", len(content), hashlib.sha256(content).hexdigest())
    base = "@".join((origin and origin.provenance.base_model) or ())
    return Provenance("training", env, None, {"checkpoint": file}, base=base)
