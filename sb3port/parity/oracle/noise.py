"""The oracle's own noise: how far its float32 is from float64, on the very observations that are compared."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sb3port.checkpoint.checkpoint import Array, PolicySpec, ReplaySpec
from sb3port.checkpoint.spaces import Box
from sb3port.networks.observations import Observations
from sb3port.networks.outputs import Outputs, flat_actions, head_name, is_observation, seeded
from sb3port.parity.oracle.oracle import Oracle
from sb3port.parity.oracle.sb3_networks import distribution_of, network_outputs
from sb3port.parity.oracle.sb3_policies import build_policy
from sb3port.parity.oracle.sb3_replay import Asked, replay_outputs


class NoiseMeter:
    """SB3's policy in float64.

    Args:
        oracle: Whose noise is measured.
    """

    def __init__(self, oracle: Oracle) -> None:
        self._oracle, self._spec = oracle, oracle.spec
        self._policy: Any = build_policy(oracle.spec, oracle.tensors).double()
        # SB3 casts observations to float32 itself; behind that, all is computed in float64.
        for extractor in _extractors(self._policy):
            extractor.register_forward_pre_hook(lambda _, args: tuple(_double(arg) for arg in args))

    @torch.no_grad()
    def measure(self, observations: Observations, outputs: Outputs, actions: Array) -> dict[str, float]:
        """Give the largest gap of each output.

        Args:
            observations: Raw.
            outputs: What the oracle gave for them, with samples.
            actions: The actions whose log-probability was asked.
        """
        batch = self._oracle.batch(observations)
        flat = _double(flat_actions(self._spec.action_space, actions))
        spec = self._spec
        if isinstance(spec, ReplaySpec):
            exact = replay_outputs(self._policy, spec, batch, Asked.about(spec, observations, flat))
        else:
            exact = network_outputs(self._policy, spec, batch, observations, flat)
        exact["action"] = _environment_action(spec, exact["mode"])
        if "sample" in outputs and isinstance(spec, ReplaySpec):
            exact["sample"] = self._sample_of_replay(batch, exact)
        elif isinstance(spec.action_space, Box):
            exact["sample"] = self._sample(batch, observations, exact)
        gaps = {name: _gap(outputs[name], array) for name, array in exact.items()}
        normalised = dict.fromkeys((name for name in outputs if is_observation(name)), 0.0)
        remembered = {f"remembered_{name}": gaps[name] for name in ("action", "value") if name in gaps}
        return {**gaps, **normalised, **remembered}

    def _sample_of_replay(self, batch: Any, exact: Outputs) -> Array:
        """Sample a squashed Gaussian; what has no chance, or draws choices, gives what it does else."""
        if "log_prob" not in exact:
            return exact["mode"]
        actor, single = self._policy.actor, self._oracle.policy.actor
        if not self._spec.use_sde:
            mean, std = (torch.as_tensor(exact[name]) for name in ("mean", "std"))
            with seeded():
                drawn = torch.normal(torch.zeros(mean.shape), torch.ones(mean.shape))
            return np.asarray(torch.tanh(mean + std * drawn.double()).numpy())
        for name in ("exploration_mat", "exploration_matrices"):
            setattr(actor.action_dist, name, getattr(single.action_dist, name).double())
        return np.asarray(actor(batch, deterministic=False).numpy())

    def _sample(self, batch: Any, observations: Observations, exact: Outputs) -> Array:
        """Sample with the oracle's own random numbers, which are drawn in float32."""
        if self._spec.use_sde:
            single, double = self._oracle.policy.action_dist, self._policy.action_dist
            # Those that the oracle's sample was made with.
            double.exploration_mat = single.exploration_mat.double()
            double.exploration_matrices = single.exploration_matrices.double()
            distribution, _ = distribution_of(self._policy, batch, observations)
            return np.asarray(distribution.sample().numpy())
        mean = torch.as_tensor(exact[head_name(self._spec.action_space)])
        with seeded():
            drawn = torch.normal(torch.zeros(mean.shape), torch.ones(mean.shape))
        return np.asarray((mean + self._policy.log_std.exp() * drawn.double()).numpy())


def _extractors(policy: Any) -> set[nn.Module]:
    """Give every features extractor of a policy of SB3's."""
    ends = ("features_extractor",)
    return {module for name, module in policy.named_modules() if name.rpartition(".")[2].endswith(ends)}


def _environment_action(spec: PolicySpec, mode: Array) -> Array:
    """Give what `predict` makes of a mode, in its precision: unscaled or clipped to the bounds."""
    space = spec.action_space
    if not isinstance(space, Box):
        return mode
    low, high = (bound.astype(np.float64).ravel() for bound in (space.low, space.high))
    flat = mode.reshape(len(mode), -1)
    if spec.squash_output:
        return np.asarray(low + 0.5 * (flat + 1.0) * (high - low))
    return np.clip(flat, low, high)


def _double(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _double(part) for key, part in value.items()}
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


def _gap(single: Array, double: Array) -> float:
    return float(np.max(np.abs(double.reshape(single.shape) - single), initial=0.0))
