"""From a batch to the float tensors that features extractors take, with Stable-Baselines3's numbers.

Images are divided by 255, choices become one-hot vectors. A new type of space is one row in `_ENCODERS`.

Source: `stable_baselines3.common.preprocessing.preprocess_obs`.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sb3port.checkpoint.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Simple, Space, parts
from sb3port.errors import UnknownChoice
from sb3port.families.features import batch_key


class Preprocessor:
    """Reads observations of one space out of batches.

    Args:
        space: The observation space.
        normalize_images: Whether the policy sees images between 0 and 1, instead of 0 to 255.

    Raises:
        ValueError: SB3 has no policies for such observations.
    """

    def __init__(self, space: Space, normalize_images: bool) -> None:
        self._names = list(space.spaces) if isinstance(space, Dict) else None
        keys = {batch_key(name, part): part for name, part in parts(space).items()}
        self._parts = [(key, _reader(part, key, normalize_images)) for key, part in keys.items()]

    def __call__(self, batch: Mapping[str, Tensor]) -> Tensor | dict[str, Tensor]:
        """Read a batch of B observations.

        Returns:
            float32 `(B, *shape)`, one-hot vectors `(B, n)`, images `(B, C, H, W)`; for a Dict one of them for
            every key of the space.

        Raises:
            ValueError: An observation is missing or has the wrong shape.
        """
        for key, _ in self._parts:
            if key not in batch:
                raise ValueError(f"{key} is missing: the policy needs it, and the batch has {sorted(batch)}.")
        observations = [read(batch[key]) for key, read in self._parts]
        if self._names is None:
            return observations[0]
        return dict(zip(self._names, observations, strict=True))


def flat_rows(tensor: Tensor, size: int, key: str) -> Tensor:
    """Flatten the rows of a batch to `(B, size)`.

    Raises:
        ValueError: The rows have another size.
    """
    # LeRobot stores a one-element feature without its dimension, so a batch of those may come as (1, B).
    is_row_of_numbers = size == 1 and tensor.ndim == 2 and tensor.shape[0] == 1
    if tensor.ndim < 2 or (math.prod(tensor.shape[1:]) != size and not is_row_of_numbers):
        raise ValueError(f"{key} has shape {tuple(tensor.shape)}, but the policy needs (batch, {size}).")
    return tensor.reshape(-1, size)


def _channels_first(images: Tensor, shape: tuple[int, ...], key: str) -> Tensor:
    """Images as `(B, C, H, W)`; channels that come last are moved, as by SB3's VecTransposeImage."""
    channels, height, width = shape
    if images.ndim == 4 and images.shape[1:] == shape:
        return images
    if images.ndim == 4 and images.shape[1:] == (height, width, channels):
        return images.permute(0, 3, 1, 2)
    raise ValueError(f"{key} has shape {tuple(images.shape)}, but the policy needs (batch, *{shape}).")


def _scaled(images: Tensor, normalize: bool) -> Tensor:
    """Images as SB3's networks see them: integers are 0 to 255, LeRobot's floats are divided by 255."""
    if not images.is_floating_point():
        return images.float() / 255.0 if normalize else images.float()
    # Rounding gives back the integers that were divided.
    return images.float() if normalize else (images.float() * 255.0).round()


def _reader(space: Simple, key: str, normalize_images: bool) -> Callable[[Tensor], Tensor]:
    """The function that reads observations of a space, not a Dict, out of what the batch has under `key`."""
    if isinstance(space, Box) and space.is_image:
        return partial(_read_image, shape=space.channels_first, key=key, normalize=normalize_images)
    for space_type, encoder in _ENCODERS.items():
        if isinstance(space, space_type):
            return partial(_read_vector, size=space.size, key=key, encode=encoder(space))
    raise ValueError(f"observation_space holds {space}, which SB3 has no policies for.")


def _read_image(images: Tensor, shape: tuple[int, ...], key: str, normalize: bool) -> Tensor:
    # With one channel, the strides that permuting leaves would make torch convolve as if channels were last.
    return _scaled(_channels_first(images, shape, key), normalize).reshape(-1, *shape)


def _read_vector(rows: Tensor, size: int, key: str, encode: Callable[[Tensor], Tensor]) -> Tensor:
    # SB3 copies observations, and the last bits of what a layer gives depend on the layout of its inputs.
    return encode(flat_rows(rows, size, key)).contiguous()


def _numbers(space: Simple) -> Callable[[Tensor], Tensor]:
    return partial(_shaped, shape=space.shape)


def _choice(space: Discrete) -> Callable[[Tensor], Tensor]:
    return partial(_one_hot, sizes=[space.n])


def _choices(space: MultiDiscrete) -> Callable[[Tensor], Tensor]:
    if space.nvec.ndim > 1:
        raise ValueError(f"observation_space holds {space}, but SB3 has policies for rank 1 only.")
    return partial(_one_hot, sizes=space.nvec.tolist())


def _shaped(rows: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Numbers in the shape of their space."""
    return rows.float().reshape(-1, *(shape or (1,)))


def _one_hot(rows: Tensor, sizes: list[int]) -> Tensor:
    """One-hot vectors of the columns, side by side; starts of spaces are not subtracted, as in SB3."""
    columns = zip(rows.long().unbind(dim=1), sizes, strict=True)
    try:
        return torch.cat([functional.one_hot(column, n).float() for column, n in columns], dim=1)
    except RuntimeError as error:
        raise UnknownChoice(sizes) from error


_ENCODERS: dict[type[Simple], Callable[[Any], Callable[[Tensor], Tensor]]] = {
    Box: _numbers,
    Discrete: _choice,
    MultiDiscrete: _choices,
    MultiBinary: _numbers,
}
