"""A port of a policy of several networks: what `Port` is for an actor-critic."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from sb3port.checkpoint.checkpoint import Array
from sb3port.checkpoint.spaces import Dict, Discrete
from sb3port.families.features import batch_keys
from sb3port.inference.batches import normalized_outputs, raw_batch
from sb3port.networks.observations import Observations
from sb3port.networks.outputs import CRITIC_ACTION, NOISE, Outputs, all_seeded, flat_actions
from sb3port.networks.replay.policy import ReplayPolicy

Batch: TypeAlias = dict[str, Tensor]


class ReplayPort:
    """A policy with what is around it; the arguments are those of `Port`."""

    def __init__(
        self,
        policy: ReplayPolicy,
        preprocess: Callable[[Batch], Batch],
        postprocess: Callable[[Tensor], Tensor],
    ) -> None:
        self.policy, self._preprocess, self._postprocess = policy, preprocess, postprocess
        self.space = policy.spec.observation_space
        assert not isinstance(policy.spec.action_space, Dict)
        self.action_space = policy.spec.action_space

    @torch.no_grad()
    def outputs(self, observations: Observations, actions: Array) -> Outputs:
        """Compute everything that is compared, on one batch; see `Port.outputs`."""
        batch = self._preprocess(raw_batch(self.space, observations))
        recorded = observations.recorded
        given = flat_actions(self.action_space, actions)
        asked = flat_actions(self.action_space, recorded.get(CRITIC_ACTION, actions))
        noise = torch.as_tensor(recorded[NOISE]) if NOISE in recorded else None
        computed = self.policy.compared(batch, given, asked, noise)
        found = {name: tensor.numpy() for name, tensor in computed.items()}
        chosen = np.asarray(self._postprocess(self.policy.select_action(batch)).numpy())
        return {
            **normalized_outputs(self.space, batch, observations),
            **found,
            "sample": self._sample(batch),
            "action": chosen.reshape(-1, *self.action_space.shape),
        }

    @torch.no_grad()
    def act(
        self, observations: Observations, deterministic: bool = True, state: object = None
    ) -> tuple[Array, Array, None]:
        """Choose one action for each of n observations; see `Port.act`."""
        batch = self._preprocess(raw_batch(self.space, observations))
        raw, _ = self.policy.predict(batch, deterministic, state)
        given = self._postprocess(raw.unsqueeze(1) if raw.ndim == 1 else raw)
        return raw.numpy(), np.asarray(given.numpy()), None

    def _sample(self, batch: Batch) -> Array:
        """Draw actions; of DQN's each has its own chance, as if it had been asked for alone."""
        count = len(batch[next(iter(batch_keys(self.space).values()))])
        with all_seeded(self.policy.seed):
            if self.policy.spec.use_sde:
                self.policy.reset_noise(count)
            if not isinstance(self.action_space, Discrete):
                return np.asarray(self.policy.predict(batch, False)[0].numpy())
            greedy = self.policy.predict(batch)[0].numpy()
            chances = (self.policy.random_choice() if self.policy.explores() else None for _ in range(count))
            drawn = [
                chance if chance is not None else one for chance, one in zip(chances, greedy, strict=True)
            ]
            return np.asarray(drawn, greedy.dtype)
