"""SB3's own policy in a rollout, built from a checkpoint that was read statically."""

from typing import Any, TypeAlias

import numpy as np
import torch

from sb3port.checkpoint.checkpoint import Array, Checkpoint, PolicySpec, ReplaySpec
from sb3port.checkpoint.spaces import Box
from sb3port.environments.rollouts import Action, as_batch
from sb3port.networks.observations import Observations
from sb3port.networks.outputs import Outputs
from sb3port.parity.oracle.oracle import Oracle
from sb3port.parity.oracle.sb3_networks import show_masks
from sb3port.parity.oracle.sb3_replay import replay_actions

Memory: TypeAlias = tuple[torch.Tensor, torch.Tensor]


class Sb3Actor:
    """SB3's own policy of a checkpoint.

    Args:
        checkpoint: Read from a source, or from a port.
        deterministic: Take the most likely action instead of a random one.
    """

    def __init__(self, checkpoint: Checkpoint, deterministic: bool = True) -> None:
        torch.set_num_threads(1)  # faster for small networks, and the same numbers on every machine
        self.spec, self.deterministic = checkpoint.spec, deterministic
        self._oracle = Oracle(checkpoint)
        self._memory: Memory | None = None

    def reset(self, seed: int) -> None:
        """Begin an episode; gSDE draws its exploration matrix anew."""
        torch.manual_seed(seed)
        if isinstance(self.spec, ReplaySpec):
            np.random.seed(seed)
            self._oracle.policy.action_space.seed(seed)
        self._memory = _zeros(self.spec) if self.spec.lstm_hidden_size is not None else None
        if self.spec.use_sde:
            self._oracle.policy.reset_noise(1)

    @torch.no_grad()
    def act(self, observation: dict[str, Array], mask: Array | None) -> Action:
        """Choose an action as `predict` of SB3's policy does, which does not give the raw one."""
        policy = self._oracle.policy
        normalized = self._oracle.normalize(as_batch(observation, mask))
        batch, _ = policy.obs_to_tensor(normalized)
        if isinstance(self.spec, ReplaySpec):
            raw = replay_actions(policy, self.spec, normalized, batch, self.deterministic)
            return Action(self._for_environment(raw), raw[0])
        raw = self._distribution(policy, batch, mask).get_actions(self.deterministic).numpy()
        return Action(self._for_environment(raw), raw[0])

    def outputs(self, observations: Observations, sampled: Array) -> Outputs:
        """See `Oracle.outputs`."""
        return self._oracle.outputs(observations, sampled)

    def _distribution(self, policy: Any, batch: Any, mask: Array | None) -> Any:
        if self._memory is not None:
            show_masks(policy, mask)
            distribution, self._memory = policy.get_distribution(batch, self._memory, torch.zeros(1))
            return distribution
        if self.spec.maskable:
            return policy.get_distribution(batch, action_masks=mask)
        return policy.get_distribution(batch)

    def _for_environment(self, raw: Array) -> Array:
        policy = self._oracle.policy
        action = raw.reshape(policy.action_space.shape)
        if not isinstance(self.spec.action_space, Box):
            return action
        if policy.squash_output:
            return np.asarray(policy.unscale_action(action))
        return np.clip(action, policy.action_space.low, policy.action_space.high)


def _zeros(spec: PolicySpec) -> Memory:
    shape = (spec.n_lstm_layers, 1, spec.lstm_hidden_size or 0)
    return torch.zeros(shape), torch.zeros(shape)
