"""The oracle: what SB3's own policy classes and VecNormalize compute for a checkpoint.

`PPO.load` is never called: it would run what the zip carries, and it cannot load most zips of the Hub.
"""

from typing import Any

import numpy as np
import torch

from sb3port.checkpoint.checkpoint import Array, Checkpoint, ReplaySpec
from sb3port.networks.observations import Observations
from sb3port.networks.outputs import (
    OBSERVATION,
    Outputs,
    all_seeded,
    by_key,
    flat_actions,
    in_sequence,
    plain_actions,
    rows_at,
    seeded,
)
from sb3port.parity.oracle.sb3_networks import (
    distribution_of,
    masks_of,
    network_outputs,
    remembered_values,
    show_masks,
)
from sb3port.parity.oracle.sb3_normalizer import build_normalizer
from sb3port.parity.oracle.sb3_policies import build_policy
from sb3port.parity.oracle.sb3_replay import Asked, replay_outputs, replay_sample


class Oracle:
    """What SB3 computes for a checkpoint.

    Args:
        checkpoint: Read from the source, never from a port.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.spec, self.tensors = checkpoint.spec, checkpoint.tensors
        self.policy: Any = build_policy(checkpoint.spec, checkpoint.tensors)
        self.normalizer = build_normalizer(checkpoint.spec, checkpoint.normalizer)
        self.maskable = checkpoint.spec.maskable
        self._state: Any = None

    def normalize(self, observations: Observations) -> Any:
        """Normalise raw observations as `VecNormalize.normalize_obs` does; float32 where it does anything."""
        values = observations.values
        return values if self.normalizer is None else self.normalizer.normalize_obs(values)

    def batch(self, observations: Observations) -> Any:
        """Give normalised observations as the policy takes them."""
        found, _ = self.policy.obs_to_tensor(self.normalize(observations))
        return found

    @torch.no_grad()
    def sample(self, observations: Observations) -> Array:
        """Draw one action per observation, flat, with the random numbers that every candidate gets."""
        if isinstance(self.spec, ReplaySpec):
            with all_seeded(self.policy.action_space.seed):
                return replay_sample(
                    self.policy, self.spec, self.normalize(observations), self.batch(observations)
                )
        with seeded():
            if self.spec.use_sde:
                self.policy.reset_noise(len(observations))
            distribution, _ = distribution_of(self.policy, self.batch(observations), observations)
            sampled = distribution.sample()
        return plain_actions(self.spec.action_space, sampled.numpy())

    @torch.no_grad()
    def outputs(self, observations: Observations, actions: Array) -> Outputs:
        """Compute everything that is compared, on one batch, but samples.

        Args:
            observations: Raw.
            actions: Actions whose log-probability is asked.
        """
        normalized = self.normalize(observations)
        found = normalized if isinstance(normalized, dict) else {"": normalized}
        flat = flat_actions(self.spec.action_space, actions)
        network = self._network(self.batch(observations), observations, flat)
        return {**by_key(OBSERVATION, found), **network, **self._acts(normalized, observations)}

    def _network(self, batch: Any, observations: Observations, actions: torch.Tensor) -> Outputs:
        if isinstance(self.spec, ReplaySpec):
            return replay_outputs(
                self.policy, self.spec, batch, Asked.about(self.spec, observations, actions)
            )
        return network_outputs(self.policy, self.spec, batch, observations, actions)

    def act(self, observation: Any, mask: Any = None) -> Array:
        """Give the deterministic action for one raw observation, as SB3's `predict` does.

        A recurrent policy remembers what it saw since the last `reset`.

        Args:
            observation: In the shape and type of the observation space.
            mask: The allowed choices of a maskable policy, None for all.
        """
        normalize = self.normalizer.normalize_obs if self.normalizer else lambda value: value
        shown = observation if isinstance(observation, dict) else {"": observation}
        rows = Observations({key: np.asarray(value)[None] for key, value in shown.items()}).values
        show_masks(self.policy, mask)
        recurrent = self.spec.lstm_hidden_size is not None
        given = {} if mask is None or recurrent else {"action_masks": mask}
        action, self._state = self.policy.predict(normalize(rows), self._state, deterministic=True, **given)
        return np.asarray(action[0])

    def reset(self) -> None:
        """Forget the episode so far."""
        self._state = None

    def _acts(self, normalized: Any, observations: Observations) -> Outputs:
        """Call `predict`; a recurrent policy steps through its sequences together."""
        if observations.states is None or observations.starts is None:
            action, _ = self.policy.predict(normalized, deterministic=True, **masks_of(observations))
            return {"action": plain_actions(self.spec.action_space, np.asarray(action))}
        never = np.zeros_like(observations.starts)
        states = observations.states[0], observations.states[1]
        acts = {
            "action": self._step(normalized, observations, states, observations.starts),
            "remembered_action": self._step(normalized, observations, None, never),
        }
        plain = {name: plain_actions(self.spec.action_space, action) for name, action in acts.items()}
        return {**plain, "remembered_value": remembered_values(self.policy, normalized, observations)}

    def _step(self, normalized: Any, observations: Observations, state: Any, starts: Array) -> Array:
        actions, steps, masks = [], observations.steps, observations.masks
        for step in range(steps):
            show_masks(self.policy, None if masks is None else masks[step::steps])
            shown = rows_at(normalized, step, steps)
            action, state = self.policy.predict(shown, state, starts[step::steps], deterministic=True)
            actions.append(action)
        return in_sequence(actions)
