"""A port in torch: raw observations in, everything that SB3's policies give out. No LeRobot, no SB3.

What is around the networks is read from the port's processors, as LeRobot reads it: a port whose files say
something else than its source computes something else here, too.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from sb3port.checkpoint.checkpoint import Array, ReplaySpec
from sb3port.checkpoint.frames import stacks_of
from sb3port.checkpoint.spaces import Box, Dict, Simple, parts
from sb3port.errors import NotPortable
from sb3port.families.features import batch_key
from sb3port.inference.batches import normalized_outputs, raw_batch
from sb3port.inference.replay_port import ReplayPort
from sb3port.networks.actor_critic import ActorCritic
from sb3port.networks.normaliser import normalize
from sb3port.networks.observations import Observations
from sb3port.networks.outputs import Outputs, head_name, in_sequence, outputs_of, seeded
from sb3port.networks.recurrent import LSTMState, RNNStates
from sb3port.networks.weights import build_policy, build_replay_policy
from sb3port.ports.lerobot_folder import ActionStep, Running, read_running

Batch: TypeAlias = dict[str, Tensor]


class Port:
    """A policy with what is around it.

    Args:
        policy: The networks.
        preprocess: From a batch of raw observations to what the networks take.
        postprocess: From `(B, A)` actions of the networks to those of the environment.
    """

    def __init__(
        self,
        policy: ActorCritic,
        preprocess: Callable[[Batch], Batch],
        postprocess: Callable[[Tensor], Tensor],
    ) -> None:
        self.policy, self._preprocess, self._postprocess = policy, preprocess, postprocess
        self.space = policy.spec.observation_space
        assert not isinstance(policy.spec.action_space, Dict)
        self.action_space = policy.spec.action_space

    @torch.no_grad()
    def outputs(self, observations: Observations, actions: Array) -> Outputs:
        """Compute everything that is compared, on one batch; the arguments are those of `Oracle.outputs`."""
        batch = self._preprocess(raw_batch(self.space, observations))
        memory = _memory(observations)
        states, starts = memory or (None, None)
        pi = states.pi if states else None
        given = torch.as_tensor(actions).flatten(1) if actions.ndim > 1 else torch.as_tensor(actions)
        with outputs_of(self.policy.action_net) as heads:
            values, log_prob, entropy = self.policy.evaluate_actions(batch, given, states, starts)
        mode, final = self.policy.predict(batch, True, pi, starts)
        network: dict[str, Tensor | None] = {
            head_name(self.action_space): heads[0],
            "value": values,
            "mode": mode,
        }
        network |= {"log_prob": log_prob, "entropy": entropy}
        network |= {"final_states": torch.stack(final)} if final is not None else {}
        network |= {"sample": self._sample(batch, len(observations), pi, starts)}
        found = {name: tensor.numpy() for name, tensor in network.items() if tensor is not None}
        return {
            **normalized_outputs(self.space, batch, observations),
            **found,
            **self._acts(batch, observations),
        }

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
        batch = self._preprocess(raw_batch(self.space, observations))
        raw, state = self.policy.predict(batch, deterministic, state)
        given = self._postprocess(raw.unsqueeze(1) if raw.ndim == 1 else raw)
        return raw.numpy(), np.asarray(given.numpy()), state

    def _sample(
        self, batch: dict[str, Tensor], count: int, state: LSTMState | None, starts: Tensor | None
    ) -> Tensor:
        with seeded():
            if self.policy.spec.use_sde:
                self.policy.reset_noise(count)
            return self.policy.predict(batch, False, state, starts)[0]

    def _acts(self, batch: dict[str, Tensor], observations: Observations) -> Outputs:
        """Act as on a robot; a recurrent policy steps through its sequences together."""
        if observations.states is None or observations.starts is None:
            return {"action": self._shaped(self._select(batch))}
        steps = [_rows(batch, step, observations.steps) for step in range(observations.steps)]
        hidden, cell, *_ = torch.as_tensor(observations.states)
        starts, actions = torch.as_tensor(observations.starts).float(), []
        state: LSTMState | None = (hidden, cell)
        for step, rows in enumerate(steps):
            chosen, state = self.policy.predict(rows, True, state, starts[step :: observations.steps])
            chosen = chosen.unsqueeze(1) if chosen.ndim == 1 else chosen
            actions.append(np.asarray(self._postprocess(chosen).numpy()))
        self.policy.reset()
        remembered = [(self._select(rows), self.policy.predict_values(rows).numpy()) for rows in steps]
        self.policy.reset()
        chosen_again, values = map(in_sequence, map(list, zip(*remembered, strict=True)))
        return {
            "action": self._shaped(in_sequence(actions)),
            "remembered_action": self._shaped(chosen_again),
            "remembered_value": values,
        }

    def _select(self, batch: dict[str, Tensor]) -> Array:
        return np.asarray(self._postprocess(self.policy.select_action(batch)).numpy())

    def _shaped(self, actions: Array) -> Array:
        return actions.reshape(-1, *self.action_space.shape)


def _rows(batch: dict[str, Tensor], step: int, steps: int) -> dict[str, Tensor]:
    """Give the rows of all sequences at one step."""
    return {key: value[step::steps] for key, value in batch.items() if isinstance(value, Tensor)}


def _memory(observations: Observations) -> tuple[RNNStates, Tensor] | None:
    if observations.states is None or observations.starts is None:
        return None
    pi_hidden, pi_cell, vf_hidden, vf_cell = torch.as_tensor(observations.states)
    starts = torch.as_tensor(observations.starts).float()
    return RNNStates((pi_hidden, pi_cell), (vf_hidden, vf_cell)), starts


def load_port(folder: Path) -> Port | ReplayPort:
    """Load a port, or a policy of one of our types that LeRobot saved.

    Raises:
        Unsafe: Its processors are not those that we write.
        NotPortable: It is damaged.
    """
    running = read_running(folder)
    around = _normaliser(running), _finish(running.action)
    try:
        if isinstance(running.spec, ReplaySpec):
            return ReplayPort(build_replay_policy(running.spec, running.tensors), *around)
        return Port(build_policy(running.spec, running.tensors), *around)
    except (ValueError, RuntimeError) as error:
        raise NotPortable(f"the port {folder} cannot be loaded: {str(error)[:500]}") from error


def _normaliser(running: Running) -> Callable[[Batch], Batch]:
    """Give the function that normalises the observations that have statistics."""
    normalizer = running.normalizer
    if normalizer is None:
        return lambda batch: batch
    spaces = parts(running.spec.observation_space)
    stacks, found = stacks_of(normalizer, running.spec.observation_space), {}
    for name, rms in normalizer.statistics.items():
        shape, stack = _layout(spaces[name]), stacks.get(name)
        mean, var = (stack.repeated(array) if stack else array.copy() for array in (rms.mean, rms.var))
        std = torch.sqrt(torch.from_numpy(var) + normalizer.epsilon)
        row = torch.from_numpy(mean).reshape(shape), std.reshape(shape), normalizer.clip_obs, stack
        found[batch_key(name, spaces[name])] = row

    def preprocess(batch: Batch) -> Batch:
        return {key: normalize(rows, *found[key]) if key in found else rows for key, rows in batch.items()}

    return preprocess


def _layout(space: Simple) -> tuple[int, ...]:
    """How one observation lies in a batch: an image as it is, all else flattened."""
    return space.shape if isinstance(space, Box) and space.is_image else (space.size,)


def _finish(step: ActionStep | None) -> Callable[[Tensor], Tensor]:
    """Give the function that clips or unscales actions; NumPy's rules decide on the type, as for SB3."""
    if step is None:
        return lambda actions: actions
    # At least one dimension: NumPy would not let a scalar's dtype take part in type promotion.
    low, high = (np.asarray(bound, step.dtype).reshape(-1) for bound in (step.low, step.high))
    if step.unscales:
        return lambda actions: torch.from_numpy(low + (0.5 * (actions.numpy() + 1.0)) * (high - low))
    return lambda actions: torch.from_numpy(np.clip(actions.numpy(), low, high))
