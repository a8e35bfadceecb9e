"""The actor of any ported policy in numpy: no torch, and within noise of it."""

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, NoReturn

import numpy as np

from sb3port.checkpoint.checkpoint import Array, PolicySpec, ReplaySpec
from sb3port.checkpoint.spaces import Box, Dict, Simple, parts
from sb3port.errors import UsageError
from sb3port.families.extractors import is_own
from sb3port.inference.actions import refuse_nan
from sb3port.inference.layers import ActingLayers, acting_layers, choice, extraction
from sb3port.inference.numpy_activations import activation_of, tanh
from sb3port.inference.numpy_layers import (
    BestOnAverage,
    LikeliestOfEach,
    Linear,
    Lstm,
    Mlp,
    NatureCnn,
    NormedMlp,
    Renorm,
    RunningNorm,
    TanhWithin,
    allowed,
    bits,
    flat,
    floats,
    likeliest,
    pixels,
)
from sb3port.inference.observations import Input

_EXTRACTOR = "features_extractor"
_INSTEAD = "load it with backend='torch', which sb3port[torch] brings"


class NumpyNetwork:
    """The actor of a policy.

    Args:
        spec: The policy's.
        tensors: Its weights, by SB3's names.

    Raises:
        UsageError: Its features extractor is the user's own.
    """

    def __init__(self, spec: PolicySpec, tensors: Mapping[str, Array]) -> None:
        _refuse_own(spec)
        self._extract = _extraction(spec, tensors)
        self._lstm = Lstm(tensors, "lstm_actor") if spec.lstm_hidden_size is not None else None
        acting = acting_layers(spec)
        self._mlp = _mlp(spec, tensors, acting)
        self._last = Linear(tensors, acting.last)
        self._choose = _chooser(spec)

    def act(self, features: Input, masks: Array | None) -> Array:
        """See `policy.Network`."""
        return self._likeliest(self._extract(features), masks)

    def sample(self, features: Input, masks: Array | None) -> NoReturn:  # noqa: ARG002 (as others have it)
        """Refuse.

        Raises:
            UsageError: There are no random actions here.
        """
        raise UsageError("the numpy backend has no random actions", _INSTEAD)

    def remember(
        self,
        features: Input,
        state: tuple[Array, ...] | None,
        starts: Array | None,
        masks: Array | None,
        deterministic: bool,
    ) -> tuple[Array, tuple[Array, ...]]:
        """See `policy.Network`."""
        if not deterministic:
            self.sample(features, masks)
        assert self._lstm is not None
        rows = self._extract(features)
        latent, after = self._lstm(rows, self._lstm.begun(state, starts, len(rows)))
        return self._likeliest(latent, masks), after

    def reset_noise(self, n_envs: int) -> None:
        """Do nothing: there is no noise here."""

    def _likeliest(self, latent: Array, masks: Array | None) -> Array:
        outputs = self._last(self._mlp(latent))
        refuse_nan(outputs)
        return self._choose(outputs if masks is None else allowed(outputs, masks))


def _mlp(spec: PolicySpec, tensors: Mapping[str, Array], acting: ActingLayers) -> Callable[[Array], Array]:
    layers = [Linear(tensors, name) for name in acting.hidden]
    activation = activation_of(spec.activation_fn)
    if not acting.norms or not isinstance(spec, ReplaySpec):
        return Mlp(layers, activation)
    return NormedMlp(
        [Renorm(tensors, name, spec.batch_norm_eps) for name in acting.norms], layers, activation
    )


def _refuse_own(spec: PolicySpec) -> None:
    if is_own(spec.features_extractor):
        raise UsageError(
            "the numpy backend has no features extractors of one's own, such as this policy's "
            f"{spec.features_extractor}",
            _INSTEAD,
        )


def _extraction(spec: PolicySpec, tensors: Mapping[str, Array]) -> Callable[[Input], Array]:
    """Give the function from what a reader of observations gives to features `(n, features)`."""
    spaces, name = parts(spec.observation_space), f"{acting_layers(spec).prefix}{_EXTRACTOR}"
    if not isinstance(spec.observation_space, Dict):
        return _one_extraction(spec, spaces[""], tensors, name)
    names = {key: f"{name}.extractors.{key}" for key in spaces}
    each = {key: _one_extraction(spec, part, tensors, names[key]) for key, part in spaces.items()}
    return lambda rows: np.concatenate([extract(rows[key]) for key, extract in each.items()], axis=1)


def _one_extraction(
    spec: PolicySpec, space: Simple, tensors: Mapping[str, Array], name: str
) -> Callable[[Any], Array]:
    steps = [
        _WITH_TENSORS[step](tensors, name) if step in _WITH_TENSORS else _WITHOUT[step]
        for step in extraction(spec, space)
        # What is read of other spaces is float32 already.
        if step != "floats" or (isinstance(space, Box) and space.is_image)
    ]
    return steps[0] if len(steps) == 1 else lambda rows: reduce(lambda given, step: step(given), steps, rows)


def _chooser(spec: PolicySpec) -> Callable[[Array], Array]:
    """Give the function from the outputs of the last layer to the most likely actions."""
    name, sizes = choice(spec)
    return _OF_SIZES[name](sizes) if sizes else _CHOICES[name]


_WITH_TENSORS: dict[str, Callable[[Mapping[str, Array], str], Callable[[Array], Array]]] = {
    "NatureCnn": NatureCnn,
    "RunningNorm": RunningNorm,
}
_WITHOUT: dict[str, Callable[[Array], Array]] = {"flat": flat, "floats": floats, "pixels": pixels}
_OF_SIZES: dict[str, Callable[[Any], Callable[[Array], Array]]] = {
    "LikeliestOfEach": LikeliestOfEach,
    "BestOnAverage": BestOnAverage,
    "TanhWithin": TanhWithin,
}
_CHOICES: dict[str, Callable[[Array], Array]] = {
    "likeliest": likeliest,
    "bits": bits,
    "tanh": tanh,
    "": lambda outputs: outputs,
}
