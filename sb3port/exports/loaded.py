"""A model as SB3 loads it again: `PPO.load` and `VecNormalize.load`, of files that we have just written."""

import warnings
from collections.abc import Collection
from pathlib import Path

from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3port.checkpoint.checkpoint import Array, Checkpoint
from sb3port.networks.gymnasium_spaces import SpacesOnly
from sb3port.networks.observations import Observations, ObservationSet
from sb3port.networks.outputs import Outputs
from sb3port.parity.oracle.oracle import Oracle
from sb3port.parity.oracle.sb3_normalizer import ObservationNormalizer, frame_spec, with_frames
from sb3port.parity.oracle.sb3_policies import ALGORITHMS


class LoadedModel(Oracle):
    """What a zip computes when SB3 itself loads it, with the statistics that lie beside it.

    It is only for zips that we wrote: loading a stranger's would run what it carries.

    Args:
        path: The zip.
        statistics: The pickled VecNormalize, which need not be there.
        checkpoint: What they were written from.
    """

    gives: Collection[str] | None = None

    def __init__(self, path: Path, statistics: Path, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # SB3 only warns of what it cannot read
            env = _goals(checkpoint)
            self.policy = ALGORITHMS[checkpoint.spec.algorithm].load(path, env=env, device="cpu").policy
        self.policy.set_training_mode(False)
        self.normalizer = _normalizer(statistics, checkpoint)

    def outputs(self, observations: Observations, actions: Array) -> Outputs:
        """Compute everything that is compared, on one batch, samples too."""
        return {**super().outputs(observations, actions), "sample": self.sample(observations)}

    def oracle(self, checkpoint: Checkpoint) -> Oracle:
        """Build what it is compared with."""
        return Oracle(checkpoint)

    def shown(self, observations: ObservationSet) -> ObservationSet:
        """Give observations as they are: SB3 takes all of them."""
        return observations


def _goals(checkpoint: Checkpoint) -> DummyVecEnv | None:
    """Give the environment without which SB3 loads no model that has HER's buffer; None for the others."""
    if not str(checkpoint.training.replay.get("replay_buffer_class", "")).endswith(".HerReplayBuffer"):
        return None
    return DummyVecEnv([lambda: SpacesOnly(checkpoint.spec)])


def _normalizer(path: Path, checkpoint: Checkpoint) -> ObservationNormalizer | None:
    if not path.is_file():
        return None
    layout = checkpoint.normalizer.channels_last if checkpoint.normalizer else ()
    spec = frame_spec(checkpoint.spec, checkpoint.normalizer)
    env = DummyVecEnv([lambda: SpacesOnly(spec, layout)])
    normalizer = VecNormalize.load(str(path), env)
    normalizer.training = False
    return with_frames(normalizer, checkpoint.spec, checkpoint.normalizer)
