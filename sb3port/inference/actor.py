"""A port in a rollout."""

from pathlib import Path

import torch

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.environments.rollouts import Action, as_batch
from sb3port.inference.port import load_port
from sb3port.networks.observations import Observations
from sb3port.networks.outputs import Outputs
from sb3port.networks.recurrent import LSTMState


class PortActor:
    """A port.

    Args:
        folder: The port.
        spec: Its spec.
        deterministic: Take the most likely action instead of a random one.

    Raises:
        Unsafe: Its processors are not those that we write.
        NotPortable: It is damaged.
    """

    def __init__(self, folder: Path, spec: PolicySpec, deterministic: bool = True) -> None:
        torch.set_num_threads(1)  # faster for small networks, and the same numbers on every machine
        self.spec, self.deterministic = spec, deterministic
        self._port = load_port(folder)
        self._memory: LSTMState | None = None

    def reset(self, seed: int) -> None:
        """Begin an episode; gSDE draws its exploration matrix anew."""
        torch.manual_seed(seed)
        self._memory = None
        if self.spec.use_sde:
            self._port.policy.reset_noise()

    def act(self, observation: dict[str, Array], mask: Array | None) -> Action:
        """Choose an action, as `select_action` does, which knows no random ones."""
        raw, given, self._memory = self._port.act(
            as_batch(observation, mask), self.deterministic, self._memory
        )
        return Action(given[0], raw[0])

    def outputs(self, observations: Observations, sampled: Array) -> Outputs:
        """See `Port.outputs`."""
        return self._port.outputs(observations, sampled)
