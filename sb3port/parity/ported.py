"""A port as its users load it: through LeRobot, from the saved folder, through both processor pipelines."""

import contextlib
import io
from pathlib import Path

import numpy as np
import torch
from lerobot.policies.factory import make_pre_post_processors
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from lerobot_policy_ppo.recurrent import LSTMState, RNNStates
from torch import Tensor

from sb3port.checkpoint import Array
from sb3port.errors import NotPortable
from sb3port.features import batch_key, mask_key
from sb3port.parity.observations import Observations
from sb3port.parity.outputs import OBSERVATION, Outputs, by_key
from sb3port.spaces import Box, Dict, Simple, parts, space_from_json


class Port:
    """A port loaded with LeRobot.

    Raises:
        NotPortable: LeRobot cannot load it.
    """

    def __init__(self, folder: Path) -> None:
        try:
            # LeRobot prints while it loads, and our stdout carries nothing but the result.
            with contextlib.redirect_stdout(io.StringIO()):
                self.policy = PPOPolicy.from_pretrained(folder)
                self.preprocess, self.postprocess = make_pre_post_processors(
                    self.policy.config, pretrained_path=str(folder)
                )
        except (OSError, ValueError, KeyError, RuntimeError, TypeError, ImportError) as error:
            raise NotPortable(f"LeRobot cannot load the port {folder}: {str(error)[:500]}") from error
        config = self.policy.config
        self.space = space_from_json(config.observation_space or {})
        action_space = space_from_json(config.action_space or {})
        assert not isinstance(action_space, Dict)
        self.action_shape = action_space.shape

    @torch.no_grad()
    def outputs(self, observations: Observations, sampled: Array) -> Outputs:
        """Compute everything that is compared, on one batch; the arguments are those of `Oracle.outputs`."""
        batch = self.preprocess(self._batch(observations))
        memory = _memory(observations)
        states, starts = memory or (None, None)
        mode, final = self.policy.predict(batch, True, states.pi if states else None, starts)
        actions = torch.as_tensor(sampled).flatten(1) if sampled.ndim > 1 else torch.as_tensor(sampled)
        values, log_prob, entropy = self.policy.evaluate_actions(batch, actions, states, starts)
        network = {"mode": mode, "value": values, "log_prob": log_prob, "entropy": entropy}
        if final is not None:
            network["final_states"] = torch.stack(final)
        given = {name: tensor.numpy() for name, tensor in network.items() if tensor is not None}
        action = self._act(batch, memory).reshape(-1, *self.action_shape)
        return {**self._normalized(batch, observations), "action": action, **given}

    @torch.no_grad()
    def act(
        self, observations: Observations, deterministic: bool = True, state: LSTMState | None = None
    ) -> tuple[Array, Array, LSTMState | None]:
        """Choose one action for each of n observations, each of which goes on from a state of its own.

        Args:
            observations: Raw; masks are respected, starts and states are not looked at.
            deterministic: Take the most likely actions instead of random ones.
            state: The memory of a recurrent policy, None at the start of an episode.

        Returns:
            Actions as the network gives them, actions for the environment, both flat, and the new memory.
        """
        batch = self.preprocess(self._batch(observations))
        raw, state = self.policy.predict(batch, deterministic, state)
        given = self.postprocess(raw.unsqueeze(1) if raw.ndim == 1 else raw)
        return raw.numpy(), np.asarray(given.numpy()), state

    def _batch(self, observations: Observations) -> dict[str, Tensor]:
        """Put observations under their keys: images as they are, all else flattened."""
        batch = {
            batch_key(key, space): _tensor(observations.parts[key], space)
            for key, space in parts(self.space).items()
        }
        masks = observations.masks
        return batch if masks is None else batch | {mask_key(self.space): torch.as_tensor(masks)}

    def _normalized(self, batch: dict[str, Tensor], observations: Observations) -> Outputs:
        """Give what the network sees, in the shape of the observations."""
        seen = {
            key: batch[batch_key(key, space)].numpy().reshape(observations.parts[key].shape)
            for key, space in parts(self.space).items()
        }
        return by_key(OBSERVATION, seen)

    def _act(self, batch: dict[str, Tensor], memory: tuple[RNNStates, Tensor] | None) -> Array:
        """Act as on a robot; a recurrent policy steps through its sequences together."""
        if memory is None:
            return np.asarray(self.postprocess(self.policy.select_action(batch)).numpy())
        state: LSTMState | None = memory[0].pi
        actions, length = [], len(memory[1]) // memory[0].pi[0].shape[1]
        for step in range(length):
            rows = {key: value[step::length] for key, value in batch.items() if isinstance(value, Tensor)}
            chosen, state = self.policy.predict(rows, True, state, memory[1][step::length])
            actions.append(self.postprocess(chosen.unsqueeze(1) if chosen.ndim == 1 else chosen).numpy())
        stacked = np.stack(actions, axis=1)
        return stacked.reshape(-1, *stacked.shape[2:])


def _memory(observations: Observations) -> tuple[RNNStates, Tensor] | None:
    if observations.states is None or observations.starts is None:
        return None
    pi_hidden, pi_cell, vf_hidden, vf_cell = torch.as_tensor(observations.states)
    starts = torch.as_tensor(observations.starts).float()
    return RNNStates((pi_hidden, pi_cell), (vf_hidden, vf_cell)), starts


def _tensor(values: Array, space: Simple) -> Tensor:
    # In the layout in which SB3 is given it: convolutions of another one differ in the last bits.
    tensor = torch.as_tensor(values)
    is_image = isinstance(space, Box) and space.is_image
    return tensor if is_image else tensor.reshape(len(tensor), -1)
