"""The features extractors of Stable-Baselines3, with its parameter names.

They take what `Preprocessor` gives and know their width as `features_dim`. A new one is one row in
`EXTRACTORS`.

Source: `stable_baselines3.common.torch_layers`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from lerobot_policy_ppo.spaces import flat_size, image_shape, is_image

if TYPE_CHECKING:
    from lerobot_policy_ppo.configuration_ppo import PPOConfig


class FlattenExtractor(nn.Module):
    """The observation itself, flattened: `(B, ...) -> (B, features_dim)`."""

    def __init__(self, features_dim: int) -> None:
        super().__init__()
        self.features_dim = features_dim

    def forward(self, observations: Tensor) -> Tensor:
        """Flatten the rows."""
        return observations.flatten(start_dim=1)


class NatureCNN(nn.Module):
    """The convolutions of DQN's Nature paper: `(B, C, H, W) -> (B, features_dim)`.

    Args:
        shape: (C, H, W).
        features_dim: Width of the last layer.

    Raises:
        ValueError: The image is smaller than 36 x 36, which the convolutions need.
    """

    def __init__(self, shape: tuple[int, ...], features_dim: int = 512) -> None:
        super().__init__()
        self._shape, self.features_dim = shape, features_dim
        if min(shape[1:]) < 36:
            raise ValueError(
                f"NatureCNN needs images of at least 36 x 36, but observation_space has {shape}."
            )
        self.cnn = nn.Sequential(
            nn.Conv2d(shape[0], 32, kernel_size=8, stride=4),
            nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=4, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 64, kernel_size=3, stride=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        with torch.no_grad():
            n_flatten = self.cnn(torch.zeros(1, *shape)).shape[1]
        self.linear = nn.Sequential(nn.Linear(n_flatten, features_dim), nn.ReLU())

    def forward(self, observations: Tensor) -> Tensor:
        """Features of images; a flat row gets the shape of the image back."""
        return self.linear(self.cnn(observations.reshape(-1, *self._shape)))


class CombinedExtractor(nn.Module):
    """One extractor for every key of a Dict, concatenated in the order of the space.

    Args:
        parts: The extractors by key.
    """

    def __init__(self, parts: dict[str, FlattenExtractor | NatureCNN]) -> None:
        super().__init__()
        self.extractors = nn.ModuleDict(parts)
        self.features_dim = sum(part.features_dim for part in parts.values())

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Features of observations that are named like the extractors."""
        return torch.cat([part(observations[name]) for name, part in self.extractors.items()], dim=1)


Extractor = FlattenExtractor | NatureCNN | CombinedExtractor


def make_extractor(space: spaces.Space[Any], config: "PPOConfig") -> Extractor:
    """The features extractor of a policy.

    Args:
        space: The observation space.
        config: Names the extractor and its arguments.

    Raises:
        ValueError: There is no such extractor, or it does not fit the space or its arguments.
    """
    name = config.features_extractor
    if name not in EXTRACTORS:
        raise ValueError(
            f"features_extractor is {name!r}, but the supported ones are {', '.join(EXTRACTORS)}."
        )
    build, known = EXTRACTORS[name]
    if unknown := set(config.features_extractor_kwargs) - known:
        raise ValueError(f"features_extractor_kwargs has {sorted(unknown)}, which {name} does not take.")
    return build(space, config)


def _flatten(space: spaces.Space[Any], config: "PPOConfig") -> FlattenExtractor:
    if isinstance(space, spaces.Dict):
        raise ValueError(
            f"features_extractor is {config.features_extractor!r}, but a Dict needs CombinedExtractor."
        )
    return FlattenExtractor(_encoded_size(space))


def _nature_cnn(space: spaces.Space[Any], config: "PPOConfig") -> NatureCNN:
    if not _has_convolutions(space, config):
        raise ValueError(
            f"features_extractor is {config.features_extractor!r}, which needs images, but observation_space "
            f"is {space}."
        )
    return NatureCNN(_cnn_shape(space), **config.features_extractor_kwargs)


def _combined(space: spaces.Space[Any], config: "PPOConfig") -> CombinedExtractor:
    if not isinstance(space, spaces.Dict):
        raise ValueError(
            f"features_extractor is {config.features_extractor!r}, which needs a Dict, but observation_space "
            f"is {space}."
        )
    width = config.features_extractor_kwargs.get("cnn_output_dim", 256)
    return CombinedExtractor(
        {
            name: NatureCNN(_cnn_shape(part), width)
            if _has_convolutions(part, config)
            else FlattenExtractor(_encoded_size(part))
            for name, part in space.spaces.items()
        }
    )


EXTRACTORS: dict[str, tuple[Callable[[spaces.Space[Any], "PPOConfig"], Extractor], set[str]]] = {
    "FlattenExtractor": (_flatten, set()),
    "NatureCNN": (_nature_cnn, {"features_dim"}),
    "CombinedExtractor": (_combined, {"cnn_output_dim"}),
}


def _has_convolutions(space: spaces.Space[Any], config: "PPOConfig") -> bool:
    """Whether SB3 takes the space for an image: without `normalize_images` any Box of rank three."""
    unscaled = not config.normalize_images and isinstance(space, spaces.Box) and len(space.shape) == 3
    return unscaled or is_image(space)


def _cnn_shape(space: Any) -> tuple[int, ...]:
    return image_shape(space) if is_image(space) else space.shape


def _encoded_size(space: spaces.Space[Any]) -> int:
    """Width of what `Preprocessor` gives for a space, one-hot vectors included."""
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    return int(space.nvec.sum()) if isinstance(space, spaces.MultiDiscrete) else flat_size(space)
