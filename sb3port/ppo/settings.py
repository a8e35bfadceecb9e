"""What a training run is told, and how that is kept for resuming it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sb3port.checkpoint import Normalizer
from sb3port.ppo.hyperparameters import Hyperparameters, hyperparameters_from_json


@dataclass(frozen=True)
class RunSettings:
    """A training run.

    Args:
        env: Gymnasium environment id.
        until: It ends when so many environment steps are done, those of an earlier training included.
        hyperparameters: SB3's.
        n_envs: How many environments.
        vec_env: "dummy" for environments in this process, "subproc" for one process each.
        seed: Of all random numbers.
        device: Where to compute, a name of torch's.
        engine: A name of `engines.table`.
        normalise: Flags and limits of VecNormalize, without statistics; None for no normalisation.
        save_every: Environment steps between checkpoints.
        eval_episodes: Episodes with which each checkpoint is evaluated; 0 for no evaluation.
    """

    env: str
    until: int
    hyperparameters: Hyperparameters
    n_envs: int = 1
    vec_env: str = "dummy"
    seed: int | None = 0
    device: str = "cpu"
    engine: str = "exact"
    normalise: Normalizer | None = None
    save_every: int = 0
    eval_episodes: int = 5

    def to_json(self) -> dict[str, Any]:
        """Give the settings as JSON values."""
        flags = None
        if self.normalise is not None:
            flags = {name: value for name, value in vars(self.normalise).items() if name not in _STATISTICS}
        return {**vars(self), "hyperparameters": self.hyperparameters.to_json(), "normalise": flags}


_STATISTICS = ("obs_rms", "ret_rms")


def settings_from_json(data: Mapping[str, Any]) -> RunSettings:
    """Read what `RunSettings.to_json` gave."""
    flags = data["normalise"]
    normalise = None if flags is None else Normalizer(None, None, **flags)
    parsed = hyperparameters_from_json(data["hyperparameters"])
    return RunSettings(**{**data, "hyperparameters": parsed, "normalise": normalise})


def without_statistics(normalizer: Normalizer) -> Normalizer:
    """Give the flags and limits alone."""
    return replace(normalizer, obs_rms=None, ret_rms=None)
