"""The actor of any ported policy in torch: the operations of SB3's `predict`, and nothing beside them.

Its modules are those of `sb3port.networks`. Linear layers are called as functions, without the modules around
them: for one observation that is most of the time, see `sb3port latency`.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box, Simple, parts
from sb3port.inference.actions import refuse_nan
from sb3port.inference.modes import mode_of
from sb3port.inference.observations import Input
from sb3port.networks.categorical import BernoulliHead
from sb3port.networks.gaussian import StateDependentHead
from sb3port.networks.mlp import make_activation
from sb3port.networks.weights import build_policy

Floats: TypeAlias = Callable[[Array], Tensor]


class TorchNetwork:
    """The actor of a policy.

    Args:
        spec: The policy's.
        tensors: Its weights, by SB3's names.

    Raises:
        ValueError: The policy needs a features extractor of the user's own that is not registered.
    """

    def __init__(self, spec: PolicySpec, tensors: Mapping[str, Array]) -> None:
        self._policy = policy = build_policy(spec, tensors)
        self._see(spec, policy.features_extractor)
        shared, own = policy.mlp_extractor.shared_net, policy.mlp_extractor.policy_net
        self._hidden = [(m.weight, m.bias) for m in (*(shared or ()), *own) if isinstance(m, nn.Linear)]
        self._weight, self._bias = policy.action_net.weight, policy.action_net.bias
        self._activation = make_activation(spec.activation_fn).forward
        self._mode = mode_of(spec)
        self._has_noise = not isinstance(policy.head, StateDependentHead)

    def _see(self, spec: PolicySpec, extract: nn.Module) -> None:
        self._floats = {key: _floats(space, spec) for key, space in parts(spec.observation_space).items()}
        self._extract: Any = None if isinstance(extract, nn.Flatten) else extract

    @torch.inference_mode()
    def act(self, features: Input, masks: Array | None) -> Array:
        """See `policy.Network`."""
        return self._likeliest(self._latent(self._features(features)), masks)

    @torch.inference_mode()
    def sample(self, features: Input, masks: Array | None) -> Array:
        """See `policy.Network`."""
        seen = self._features(features)
        return self._draw(seen, self._latent(seen), masks)

    @torch.inference_mode()
    def remember(
        self,
        features: Input,
        state: tuple[Array, ...] | None,
        starts: Array | None,
        masks: Array | None,
        deterministic: bool,
    ) -> tuple[Array, tuple[Array, ...]]:
        """See `policy.Network`."""
        lstm = self._policy.lstm_actor
        assert lstm is not None
        inputs = self._features(features)
        keep = 1.0 - _starts(starts, len(inputs)).view(1, -1, 1)
        hidden, cell = _state(state, lstm, len(inputs))
        # SB3 multiplies only where an episode starts somewhere, but a factor of 1 changes no bit.
        output, after = lstm(inputs.unsqueeze(0), (keep * hidden, keep * cell))
        latent = self._latent(output[0])
        raw = self._likeliest(latent, masks) if deterministic else self._draw(inputs, latent, masks)
        return raw, tuple(part.numpy() for part in after)

    @torch.inference_mode()
    def reset_noise(self, n_envs: int) -> None:
        """See `policy.Network`."""
        self._policy.reset_noise(n_envs)
        self._has_noise = True

    def _features(self, rows: Input) -> Tensor:
        if isinstance(rows, dict):
            return self._extracted({key: floats(rows[key]) for key, floats in self._floats.items()})
        seen = self._floats[""](rows)
        if self._extract is not None:
            return self._extracted(seen)
        return seen if seen.ndim == 2 else seen.flatten(1)

    def _extracted(self, seen: Tensor | dict[str, Tensor]) -> Tensor:
        features: Tensor = self._extract(seen)
        return features

    def _latent(self, latent: Tensor) -> Tensor:
        for weight, bias in self._hidden:
            latent = self._activation(functional.linear(latent, weight, bias))
        return latent

    def _likeliest(self, latent: Tensor, masks: Array | None) -> Array:
        mask = None if masks is None else torch.from_numpy(masks)
        return self._mode(self._outputs(latent), mask)

    def _outputs(self, latent: Tensor) -> Tensor:
        outputs = functional.linear(latent, self._weight, self._bias)
        refuse_nan(outputs.numpy())
        return outputs

    def _draw(self, features: Tensor, latent: Tensor, masks: Array | None) -> Array:
        if not self._has_noise:
            self.reset_noise(1)
        policy, mask = self._policy, None if masks is None else torch.from_numpy(masks)
        extract = policy.sde_features_extractor
        noisy = latent if extract is None else extract(features)
        outputs = self._outputs(latent)
        drawn = policy.head.distribution(outputs, policy.log_std, noisy, mask).sample()
        # SB3 has them in float32; sb3-contrib's masked ones are integers.
        return (drawn.float() if isinstance(policy.head, BernoulliHead) else drawn).numpy()


def _floats(space: Simple, spec: PolicySpec) -> Floats:
    """Give the function from rows to float32; images keep their layout in memory, as in SB3."""
    if not isinstance(space, Box) or not space.is_image:
        return torch.from_numpy
    if not spec.normalize_images:
        return lambda rows: torch.from_numpy(rows).float()
    return lambda rows: torch.from_numpy(rows).float() / 255.0


def _starts(starts: Array | None, count: int) -> Tensor:
    return torch.zeros(count) if starts is None else torch.from_numpy(starts)


def _state(state: tuple[Array, ...] | None, lstm: nn.LSTM, count: int) -> tuple[Tensor, Tensor]:
    if state is None:
        zeros = torch.zeros(lstm.num_layers, count, lstm.hidden_size)
        return zeros, zeros
    hidden, cell = (torch.tensor(part, dtype=torch.float32) for part in state)
    return hidden, cell
