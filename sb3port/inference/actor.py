"""A port in a rollout."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.environments.rollouts import Action, as_batch
from sb3port.families.features import mask_size
from sb3port.inference.port import Port, load_port
from sb3port.inference.replay_port import ReplayPort
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
        seed_choices(self._port, seed)
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


def seed_choices(port: Port | ReplayPort, seed: int) -> None:
    """Seed what DQN and QR-DQN explore with: NumPy's global generator, and that of the space."""
    if isinstance(port, ReplayPort):
        np.random.seed(seed)
        port.policy.seed(seed)


class PortCrowd:
    """A port in several episodes at once; the arguments are those of `PortActor`.

    A batch of another size may be computed otherwise in the last bits.
    """

    def __init__(self, folder: Path, spec: PolicySpec, deterministic: bool = True) -> None:
        torch.set_num_threads(1)
        self.spec, self.deterministic = spec, deterministic
        self._port = load_port(folder)
        self._memories: dict[int, LSTMState] = {}

    def reset(self, seed: int) -> None:
        """Begin; gSDE draws one exploration matrix for all, as SB3's `predict` has one."""
        torch.manual_seed(seed)
        seed_choices(self._port, seed)
        self._memories = {}
        if self.spec.use_sde:
            self._port.policy.reset_noise()

    def forget(self, row: int) -> None:
        """Begin another episode in a row."""
        self._memories.pop(row, None)

    def act(
        self, rows: Sequence[int], observations: Sequence[dict[str, Array]], masks: Sequence[Array | None]
    ) -> list[Action]:
        """Choose an action for each of some rows."""
        batch = Observations(
            {key: np.stack([seen[key] for seen in observations]) for key in observations[0]},
            masks=np.stack([self._allowed(mask) for mask in masks]) if self.spec.maskable else None,
        )
        raw, given, state = self._port.act(batch, self.deterministic, self._memory(rows))
        if state is not None:
            self._memories |= {row: (state[0][:, [i]], state[1][:, [i]]) for i, row in enumerate(rows)}
        return [Action(given[i], raw[i]) for i in range(len(rows))]

    def _allowed(self, mask: Array | None) -> Array:
        return np.ones(mask_size(self.spec), bool) if mask is None else mask

    def _memory(self, rows: Sequence[int]) -> LSTMState | None:
        if self.spec.lstm_hidden_size is None:
            return None
        zeros = torch.zeros(self.spec.n_lstm_layers, 1, self.spec.lstm_hidden_size)
        states = [self._memories.get(row, (zeros, zeros)) for row in rows]
        hidden, cell = (torch.cat([state[part] for state in states], 1) for part in (0, 1))
        return hidden, cell
