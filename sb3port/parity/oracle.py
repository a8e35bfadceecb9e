"""The oracle: what SB3's own policy classes and VecNormalize compute for a checkpoint.

`PPO.load` is never called: it would run what the zip carries, and it cannot load most zips of the Hub.
"""

from typing import Any

import gymnasium
import numpy as np
import torch
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.running_mean_std import RunningMeanStd as Sb3RunningMeanStd
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import Tensor

from sb3port.checkpoint import Array, Checkpoint, Normalizer, PolicySpec, RunningMeanStd
from sb3port.parity.observations import Observations
from sb3port.parity.outputs import OBSERVATION, Outputs, by_key, flat_actions, plain_actions
from sb3port.parity.sb3_policies import build_policy, gymnasium_space
from sb3port.spaces import Box, Dict


class Oracle:
    """What SB3 computes for a checkpoint.

    Args:
        checkpoint: Read from the source, never from a port.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.spec, self.tensors = checkpoint.spec, checkpoint.tensors
        self.policy: Any = build_policy(checkpoint.spec, checkpoint.tensors)
        self.normalizer = build_normalizer(checkpoint.spec, checkpoint.normalizer)

    def normalize(self, observations: Observations) -> Any:
        """Normalise raw observations as `VecNormalize.normalize_obs` does; float32 where it does anything."""
        values = observations.values
        return values if self.normalizer is None else self.normalizer.normalize_obs(values)

    def sample(self, observations: Observations, seed: int = 0) -> Array:
        """Draw one action per observation from the policy, for `evaluate_actions` on both sides."""
        torch.manual_seed(seed)
        batch = self._batch(self.normalize(observations))
        with torch.no_grad():
            if self.spec.use_sde:
                self.policy.reset_noise(len(observations))
            sampled = self._distribution(self.policy, batch, observations).sample()
        return plain_actions(self.spec.action_space, sampled.numpy())

    @torch.no_grad()
    def outputs(self, observations: Observations, sampled: Array) -> Outputs:
        """Compute everything that is compared, on one batch.

        Args:
            observations: Raw.
            sampled: Actions whose log-probability is asked.
        """
        normalized = self.normalize(observations)
        found = normalized if isinstance(normalized, dict) else {"": normalized}
        actions = flat_actions(self.spec.action_space, sampled)
        network = self._network(self.policy, self._batch(normalized), observations, actions)
        action = plain_actions(self.spec.action_space, self._act(normalized, observations))
        return {**by_key(OBSERVATION, found), "action": action, **_numpy(network, self.spec)}

    @torch.no_grad()
    def noise(self, observations: Observations, outputs: Outputs, sampled: Array) -> dict[str, float]:
        """Measure, per output, how far float32 is from float64 on the batch that gave these outputs."""
        policy: Any = build_policy(self.spec, self.tensors).double()
        # SB3 casts observations to float32 itself; behind that, all is computed in float64.
        for extractor in {policy.pi_features_extractor, policy.vf_features_extractor}:
            extractor.register_forward_pre_hook(lambda _, args: tuple(_double(arg) for arg in args))
        actions = _double(flat_actions(self.spec.action_space, sampled))
        batch = self._batch(self.normalize(observations))
        exact = _numpy(self._network(policy, batch, observations, actions), self.spec)
        gaps = {name: _gap(outputs[name], value) for name, value in exact.items()}
        gaps["action"] = _gap(
            outputs["action"], self._environment_action(exact["mode"]).reshape(outputs["action"].shape)
        )
        return {**gaps, **dict.fromkeys(_observation_names(outputs), 0.0)}

    def _environment_action(self, mode: Array) -> Array:
        """Give what `predict` makes of a mode, in its precision: unscaled or clipped to the bounds."""
        space = self.spec.action_space
        if not isinstance(space, Box):
            return mode
        low, high = (bound.astype(np.float64).ravel() for bound in (space.low, space.high))
        flat = mode.reshape(len(mode), -1)
        if self.spec.squash_output:
            return np.asarray(low + 0.5 * (flat + 1.0) * (high - low))
        return np.clip(flat, low, high)

    def _batch(self, normalized: Any) -> Any:
        batch, _ = self.policy.obs_to_tensor(normalized)
        return batch

    def _network(
        self, policy: Any, batch: Any, observations: Observations, actions: Tensor
    ) -> dict[str, Tensor | None]:
        """Compute what the networks give, in the floating-point type of the policy."""
        memory = self._memory(policy, observations)
        given = {"actions": actions, **self._masks(observations)}
        if memory is None:
            values, log_prob, entropy = policy.evaluate_actions(batch, **given)
            mode = self._distribution(policy, batch, observations).mode()
            return {"mode": mode, "value": values, "log_prob": log_prob, "entropy": entropy}
        states, starts = memory
        values, log_prob, entropy = policy.evaluate_actions(batch, actions, states, starts)
        distribution, final = policy.get_distribution(batch, states.pi, starts)
        network = {"mode": distribution.mode(), "value": values, "log_prob": log_prob, "entropy": entropy}
        return {**network, "final_states": torch.stack(tuple(final))}

    def _distribution(self, policy: Any, batch: Any, observations: Observations) -> Any:
        memory = self._memory(policy, observations)
        if memory is not None:
            states, starts = memory
            return policy.get_distribution(batch, states.pi, starts)[0]
        return policy.get_distribution(batch, **self._masks(observations))

    def _masks(self, observations: Observations) -> dict[str, Array]:
        return {} if observations.masks is None else {"action_masks": observations.masks}

    def _memory(self, policy: Any, observations: Observations) -> tuple[RNNStates, Tensor] | None:
        if observations.states is None or observations.starts is None:
            return None
        dtype = next(policy.parameters()).dtype
        pi_hidden, pi_cell, vf_hidden, vf_cell = torch.as_tensor(observations.states).to(dtype)
        starts = torch.as_tensor(observations.starts).to(dtype)
        return RNNStates((pi_hidden, pi_cell), (vf_hidden, vf_cell)), starts

    def _act(self, normalized: Any, observations: Observations) -> Array:
        """Call `predict`; a recurrent policy steps through its sequences together."""
        if observations.states is None:
            action, _ = self.policy.predict(normalized, deterministic=True, **self._masks(observations))
            return np.asarray(action)
        assert observations.starts is not None
        state, actions = tuple(observations.states[:2]), []
        length = len(observations) // observations.states.shape[2]
        for step in range(length):
            shown, starts = _rows(normalized, step, length), observations.starts[step::length]
            action, state = self.policy.predict(shown, state, starts, deterministic=True)
            actions.append(action)
        stacked = np.stack(actions, axis=1)
        return stacked.reshape((-1, *stacked.shape[2:]))


def _rows(values: Any, step: int, length: int) -> Any:
    """Give the rows of all sequences at one step."""
    if isinstance(values, dict):
        return {key: array[step::length] for key, array in values.items()}
    return values[step::length]


def _numpy(network: dict[str, Tensor | None], spec: PolicySpec) -> Outputs:
    arrays = {name: tensor.numpy() for name, tensor in network.items() if tensor is not None}
    return {
        **arrays,
        "value": arrays["value"].reshape(-1),
        "mode": plain_actions(spec.action_space, arrays["mode"]),
    }


def _double(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _double(part) for key, part in value.items()}
    return value.double() if value.is_floating_point() else value


def _gap(single: Array, double: Array) -> float:
    return float(np.max(np.abs(double - single), initial=0.0))


def _observation_names(outputs: Outputs) -> list[str]:
    return [name for name in outputs if name.partition(".")[0] == OBSERVATION]


def build_normalizer(spec: PolicySpec, normalizer: Normalizer | None) -> VecNormalize | None:
    """Build SB3's VecNormalize with a checkpoint's statistics, around an environment that only has spaces."""
    if normalizer is None or not normalizer.statistics:
        return None
    statistics = {key: _sb3_statistics(rms) for key, rms in normalizer.statistics.items()}
    is_dict = isinstance(spec.observation_space, Dict)
    built = VecNormalize(
        DummyVecEnv([lambda: _SpacesOnly(spec)]),
        training=False,
        clip_obs=normalizer.clip_obs,
        epsilon=normalizer.epsilon,
        norm_obs_keys=list(statistics) if is_dict else None,
    )
    built.obs_rms = statistics if is_dict else statistics[""]
    return built


def _sb3_statistics(saved: RunningMeanStd) -> Sb3RunningMeanStd:
    rms = Sb3RunningMeanStd(shape=saved.mean.shape)
    rms.mean, rms.var, rms.count = saved.mean, saved.var, saved.count
    return rms


class _SpacesOnly(gymnasium.Env[Any, Any]):
    """An environment that is never stepped."""

    def __init__(self, spec: PolicySpec) -> None:
        self.observation_space = gymnasium_space(spec.observation_space)
        self.action_space = gymnasium_space(spec.action_space)
