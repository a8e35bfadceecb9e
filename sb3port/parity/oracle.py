"""The oracle: SB3's own policy class and VecNormalize, built from a checkpoint that was read statically.

`PPO.load` is never called: it would run what the zip carries, and it cannot load most zips of the Hub.
"""

import copy
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.running_mean_std import RunningMeanStd as Sb3RunningMeanStd
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import Tensor, nn

from sb3port.checkpoint import Array, Checkpoint, Normalizer, PolicySpec
from sb3port.parity.outputs import Outputs, flat_actions
from sb3port.spaces import Box, Space


class Oracle:
    """What SB3 computes for a checkpoint.

    Args:
        checkpoint: Read from the source, never from a port.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.policy = build_policy(checkpoint.spec, checkpoint.tensors)
        self.normalizer = build_normalizer(checkpoint.spec, checkpoint.normalizer)

    def normalize(self, observations: Array) -> Array:
        """Normalise raw observations as `VecNormalize.normalize_obs` does; float32 where it does anything."""
        if self.normalizer is None:
            return observations
        return np.asarray(self.normalizer.normalize_obs(observations))

    def sample(self, observations: Array, seed: int = 0) -> Array:
        """Draw one action per observation from the policy, for `evaluate_actions` on both sides."""
        torch.manual_seed(seed)
        with torch.no_grad():
            if self.policy.use_sde:
                self.policy.reset_noise(len(observations))
            actions, _, _ = self.policy(torch.as_tensor(self.normalize(observations)))
        return np.asarray(actions.numpy())

    @torch.no_grad()
    def outputs(self, observations: Array, sampled: Array) -> Outputs:
        """Compute everything that is compared, on one batch.

        Args:
            observations: Raw, of shape `(n, *space.shape)`.
            sampled: Actions whose log-probability is asked, of shape `(n, *action_space.shape)`.
        """
        normalized = self.normalize(observations)
        action, _ = self.policy.predict(normalized, deterministic=True)
        batch, actions = torch.as_tensor(normalized), flat_actions(sampled)
        values, log_prob, entropy = self.policy.evaluate_actions(batch, actions)
        mode = self.policy.get_distribution(batch).get_actions(deterministic=True)
        return Outputs(
            normalized_observation=normalized,
            mode=mode.numpy().reshape(sampled.shape),
            action=action,
            value=values.flatten().numpy(),
            log_prob=log_prob.numpy(),
            entropy=None if entropy is None else entropy.numpy(),
        )

    @torch.no_grad()
    def noise(self, outputs: Outputs, sampled: Array) -> dict[str, float]:
        """Measure, per output, how far float32 is from float64 on the batch that gave these outputs."""
        policy = copy.deepcopy(self.policy).double()
        latent_pi, latent_vf = policy.mlp_extractor(
            torch.as_tensor(outputs.normalized_observation).double().flatten(1)
        )
        distribution = policy._get_action_dist_from_latent(latent_pi)
        actions = flat_actions(sampled)
        exact: dict[str, Tensor | None] = {
            "value": policy.value_net(latent_vf).flatten(),
            "log_prob": distribution.log_prob(actions.double() if actions.is_floating_point() else actions),
            "entropy": distribution.entropy(),
            "mode": distribution.mode(),
        }
        gaps = {
            name: _gap(getattr(outputs, name), value) for name, value in exact.items() if value is not None
        }
        gaps["action"] = _gap(outputs.action, self._environment_action(distribution.mode()))
        return {**gaps, "normalized_observation": 0.0}

    def _environment_action(self, mode: Tensor) -> Tensor:
        """Give what `predict` makes of a mode, in its precision: unscaled or clipped to the bounds."""
        space = self.policy.action_space
        if not isinstance(space, spaces.Box):
            return mode
        low, high = (torch.as_tensor(bound).flatten().double() for bound in (space.low, space.high))
        if self.policy.squash_output:
            return low + 0.5 * (mode + 1.0) * (high - low)
        return torch.clamp(mode, low, high)


def _gap(single: Array, double: Tensor) -> float:
    return float(np.max(np.abs(double.numpy().reshape(single.shape) - single), initial=0.0))


def build_policy(spec: PolicySpec, tensors: Mapping[str, Array]) -> ActorCriticPolicy:
    """Build SB3's policy and load the weights strictly."""
    policy = ActorCriticPolicy(
        gymnasium_space(spec.observation_space),
        gymnasium_space(spec.action_space),
        lambda _: 0.0,
        net_arch={"pi": list(spec.net_arch.pi), "vf": list(spec.net_arch.vf)},
        activation_fn=getattr(nn, spec.activation_fn),
        ortho_init=False,
        use_sde=spec.use_sde,
        full_std=spec.full_std,
        use_expln=spec.use_expln,
        squash_output=spec.squash_output,
        normalize_images=spec.normalize_images,
    )
    policy.load_state_dict(
        {name: torch.from_numpy(array.copy()) for name, array in tensors.items()}, strict=True
    )
    policy.set_training_mode(False)
    return policy


def build_normalizer(spec: PolicySpec, normalizer: Normalizer | None) -> VecNormalize | None:
    """Build SB3's VecNormalize with a checkpoint's statistics, around an environment that only has spaces."""
    if normalizer is None or normalizer.obs_rms is None:
        return None
    environment = DummyVecEnv([lambda: _SpacesOnly(spec)])
    built = VecNormalize(
        environment, training=False, clip_obs=normalizer.clip_obs, epsilon=normalizer.epsilon
    )
    rms = Sb3RunningMeanStd(shape=normalizer.obs_rms.mean.shape)
    rms.mean, rms.var, rms.count = normalizer.obs_rms.mean, normalizer.obs_rms.var, normalizer.obs_rms.count
    built.obs_rms = rms
    return built


def gymnasium_space(space: Space) -> spaces.Space[Any]:
    """Give the Gymnasium space of the same bounds and type."""
    if isinstance(space, Box):
        return spaces.Box(space.low, space.high, space.shape, np.dtype(space.dtype).type)
    return spaces.Discrete(space.n, start=space.start)


class _SpacesOnly(gymnasium.Env[Any, Any]):
    """An environment that is never stepped."""

    def __init__(self, spec: PolicySpec) -> None:
        self.observation_space = gymnasium_space(spec.observation_space)
        self.action_space = gymnasium_space(spec.action_space)
