"""The actor of a policy of several networks in torch: what `TorchNetwork` is for an actor-critic."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sb3port.checkpoint.checkpoint import Array, PolicySpec, ReplaySpec
from sb3port.checkpoint.spaces import Box, Discrete
from sb3port.families.registry import family_of
from sb3port.inference.layers import acting_layers
from sb3port.inference.observations import Input
from sb3port.inference.torch_network import TorchNetwork
from sb3port.networks.mlp import make_activation
from sb3port.networks.replay.modules import GaussianActor
from sb3port.networks.weights import build_replay_policy


class ReplayNetwork(TorchNetwork):
    """The actor of a policy; the arguments and errors are those of `TorchNetwork`."""

    def __init__(self, spec: PolicySpec, tensors: Mapping[str, Array]) -> None:
        assert isinstance(spec, ReplaySpec)
        policy = build_replay_policy(spec, tensors)
        self._replay, self._acting, self._spec = policy, policy.acting, spec
        self._see(spec, policy.acting.extractor)
        names = acting_layers(spec)
        modules: dict[str, nn.Module] = dict(policy.named_modules())
        hidden, last = [modules[name] for name in names.hidden], modules[names.last]
        self._hidden = [(layer.weight, layer.bias) for layer in hidden]  # type: ignore[misc]
        self._norms = [modules[name] for name in names.norms]
        self._weight, self._bias = last.weight, last.bias  # type: ignore[assignment]
        self._activation = make_activation(spec.activation_fn).forward
        self._mode = mode_of_replay(spec)
        self._has_noise = not spec.use_sde
        chooses = isinstance(spec.action_space, Discrete) and spec.exploration_rate > 0
        self._choices = policy.choices if chooses else None

    @torch.inference_mode()
    def sample(self, features: Input, masks: Array | None) -> Array:
        """See `policy.Network`; DQN draws one chance for all rows, as SB3's `predict` does."""
        if self._choices is None or np.random.rand() >= self._spec.exploration_rate:
            return super().sample(features, masks)
        count = len(next(iter(features.values())) if isinstance(features, dict) else features)
        return np.array([self._choices.sample() for _ in range(count)])

    @torch.inference_mode()
    def reset_noise(self, n_envs: int) -> None:
        """See `policy.Network`."""
        self._replay.reset_noise(n_envs)
        self._has_noise = True

    def _latent(self, latent: Tensor) -> Tensor:
        if not self._norms:
            return super()._latent(latent)
        for norm, (weight, bias) in zip(self._norms, self._hidden, strict=False):
            latent = self._activation(functional.linear(norm(latent), weight, bias))
        normalized: Tensor = self._norms[-1](latent)
        return normalized

    def _draw(self, features: Tensor, latent: Tensor, masks: Array | None) -> Array:
        if not isinstance(self._acting, GaussianActor):
            return self._likeliest(latent, masks)
        if not self._has_noise:
            self.reset_noise(1)
        self._outputs(latent)  # which refuses NaN
        return self._acting.drawn(features, latent).numpy()


def mode_of_replay(spec: ReplaySpec) -> Callable[[Tensor, Tensor | None], Array]:
    """Give the function from what the last layer gives to the deterministic actions."""
    kind, clip, quantiles = family_of(spec).networks[0].kind.name, spec.clip_mean, spec.n_quantiles
    if kind == "gaussian" and spec.use_sde and clip > 0:
        return lambda outputs, _: np.asarray(torch.tanh(functional.hardtanh(outputs, -clip, clip)))
    if kind in ("gaussian", "squashed") or (isinstance(spec.action_space, Box) and spec.squash_output):
        return lambda outputs, _: np.asarray(torch.tanh(outputs))
    if isinstance(spec.action_space, Box):
        return lambda outputs, _: np.asarray(outputs)
    if kind == "quantiles":
        return lambda outputs, _: np.asarray(
            outputs.view(len(outputs), quantiles, -1).mean(dim=1).argmax(dim=1)
        )
    return lambda outputs, _: np.asarray(outputs.argmax(dim=1))
