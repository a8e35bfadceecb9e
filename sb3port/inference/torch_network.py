"""The actor of any ported policy in torch: the operations of SB3's `predict`, and nothing beside them.

Nothing is computed in another order or shape than SB3 does it, so that every bit is the same.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box, Simple, parts
from sb3port.errors import UsageError
from sb3port.inference.layers import actor_layers, layer
from sb3port.inference.modes import mode_of
from sb3port.inference.observations import Input
from sb3port.inference.sampling import Sampler

type Floats = Callable[[Array], Tensor]
type Features = Callable[[Input], Tensor]
_STRIDES = (4, 2, 1)


class TorchNetwork:
    """The actor of a policy.

    Args:
        spec: The policy's.
        tensors: Its weights, by SB3's names.

    Raises:
        UsageError: The policy has a features extractor that is not known here.
    """

    def __init__(self, spec: PolicySpec, tensors: Mapping[str, Array]) -> None:
        self._features = _features(spec, tensors)
        self._hidden = [_tensors(pair) for pair in actor_layers(tensors)]
        self._weight, self._bias = _tensors(layer(tensors, "action_net"))
        self._activation = getattr(nn, spec.activation_fn)().forward
        self._mode = mode_of(spec)
        self._sampler = Sampler(spec, tensors)
        self._lstm = _lstm(spec, tensors) if spec.lstm_hidden_size is not None else None

    @torch.inference_mode()
    def act(self, features: Input, masks: Array | None) -> Array:
        """See `policy.Network`."""
        latent = self._latent(self._features(features))
        mask = None if masks is None else torch.from_numpy(masks)
        return self._mode(functional.linear(latent, self._weight, self._bias), mask)

    @torch.inference_mode()
    def sample(self, features: Input, masks: Array | None) -> Array:
        """See `policy.Network`."""
        return self._draw(self._latent(self._features(features)), masks)

    @torch.inference_mode()
    def remember(
        self, features: Input, state: tuple[Array, ...] | None, starts: Any, deterministic: bool
    ) -> tuple[Array, tuple[Array, ...]]:
        """See `policy.Network`."""
        assert self._lstm is not None
        inputs = self._features(features)
        keep = 1.0 - _starts(starts, len(inputs)).view(1, -1, 1)
        hidden, cell = _state(state, self._lstm, len(inputs))
        # SB3 multiplies only where an episode starts somewhere, but a factor of 1 changes no bit.
        output, after = self._lstm(inputs.unsqueeze(0), (keep * hidden, keep * cell))
        latent = self._latent(output[0])
        if deterministic:
            raw = self._mode(functional.linear(latent, self._weight, self._bias), None)
        else:
            raw = self._draw(latent, None)
        return raw, tuple(part.numpy() for part in after)

    def reset_noise(self, n_envs: int) -> None:
        """See `policy.Network`."""
        self._sampler.reset_noise(n_envs)

    def _latent(self, latent: Tensor) -> Tensor:
        for weight, bias in self._hidden:
            latent = self._activation(functional.linear(latent, weight, bias))
        return latent

    def _draw(self, latent: Tensor, masks: Array | None) -> Array:
        outputs = functional.linear(latent, self._weight, self._bias)
        return self._sampler(outputs, latent, masks).numpy()


def _tensors(pair: tuple[Array, Array]) -> tuple[Tensor, Tensor]:
    weight, bias = (torch.from_numpy(array.copy()) for array in pair)
    return weight, bias


def _features(spec: PolicySpec, tensors: Mapping[str, Array]) -> Features:
    """Give the function from observations to features."""
    floats = {key: _floats(space, spec) for key, space in parts(spec.observation_space).items()}
    match spec.features_extractor:
        case "FlattenExtractor":
            return _flatten(floats[""])
        case "NatureCNN":
            return _nature_cnn("features_extractor", floats[""], tensors)
        case "CombinedExtractor":
            return _combined(floats, tensors)
    raise UsageError(f"the torch backend has no features extractor {spec.features_extractor}")


def _floats(space: Simple, spec: PolicySpec) -> Floats:
    """Give the function from rows to float32; images keep their layout in memory, as in SB3."""
    if not isinstance(space, Box) or not space.is_image:
        return torch.from_numpy
    if not spec.normalize_images:
        return lambda rows: torch.from_numpy(rows).float()
    return lambda rows: torch.from_numpy(rows).float() / 255.0


def _flatten(floats: Floats) -> Features:
    def features(rows: Input) -> Tensor:
        assert not isinstance(rows, dict)
        return floats(rows) if rows.ndim == 2 else floats(rows).flatten(1)

    return features


def _nature_cnn(name: str, floats: Floats, tensors: Mapping[str, Array]) -> Features:
    convolutions = [_tensors(layer(tensors, f"{name}.cnn.{number}")) for number in (0, 2, 4)]
    weight, bias = _tensors(layer(tensors, f"{name}.linear.0"))

    def features(rows: Input) -> Tensor:
        assert not isinstance(rows, dict)
        images = floats(rows)
        for (kernel, shift), stride in zip(convolutions, _STRIDES, strict=True):
            images = functional.relu(functional.conv2d(images, kernel, shift, stride))
        return functional.relu(functional.linear(images.flatten(1), weight, bias))

    return features


def _combined(floats: Mapping[str, Floats], tensors: Mapping[str, Array]) -> Features:
    names = {key: f"features_extractor.extractors.{key}" for key in floats}
    has_weights = {key: f"{name}.linear.0.weight" in tensors for key, name in names.items()}
    extractors = {
        key: _nature_cnn(names[key], floats[key], tensors) if has_weights[key] else _flatten(floats[key])
        for key in floats
    }

    def features(rows: Input) -> Tensor:
        assert isinstance(rows, dict)
        return torch.cat([extract(rows[key]) for key, extract in extractors.items()], dim=1)

    return features


def _lstm(spec: PolicySpec, tensors: Mapping[str, Array]) -> nn.LSTM:
    prefix = "lstm_actor."
    weights = {name.removeprefix(prefix): a for name, a in tensors.items() if name.startswith(prefix)}
    inputs = weights["weight_ih_l0"].shape[1]
    lstm = nn.LSTM(inputs, spec.lstm_hidden_size or 0, num_layers=spec.n_lstm_layers)
    lstm.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})
    return lstm


def _starts(starts: Any, count: int) -> Tensor:
    return torch.zeros(count) if starts is None else torch.as_tensor(np.asarray(starts, np.float32))


def _state(state: tuple[Array, ...] | None, lstm: nn.LSTM, count: int) -> tuple[Tensor, Tensor]:
    if state is None:
        zeros = torch.zeros(lstm.num_layers, count, lstm.hidden_size)
        return zeros, zeros
    hidden, cell = (torch.tensor(part, dtype=torch.float32) for part in state)
    return hidden, cell
