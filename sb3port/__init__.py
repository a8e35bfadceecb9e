"""Port Stable-Baselines3 checkpoints to LeRobot policies, and prove that nothing changed.

The functions here are the commands of the same names; what they need is imported when they are called.
"""

from typing import TYPE_CHECKING

from sb3port.api.many import bulk
from sb3port.api.porting import convert, export, repair, verify
from sb3port.api.running import evaluate, load_model, load_policy, record
from sb3port.api.sharing import publish
from sb3port.api.training import finetune, resume, train
from sb3port.ppo.runs.callbacks import Training, TrainingCallback

if TYPE_CHECKING:
    from sb3port.checkpoint.version import __version__

__all__ = [
    "Training",
    "TrainingCallback",
    "__version__",
    "bulk",
    "convert",
    "evaluate",
    "export",
    "finetune",
    "load_model",
    "load_policy",
    "publish",
    "record",
    "repair",
    "resume",
    "train",
    "verify",
]

if not TYPE_CHECKING:  # looking the version up takes as long as importing NumPy

    def __getattr__(name: str) -> str:
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from sb3port.checkpoint.version import __version__

        return __version__
