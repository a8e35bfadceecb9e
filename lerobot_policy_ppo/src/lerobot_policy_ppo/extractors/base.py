"""What features extractors have in common.

They take what `Preprocessor` gives: float32 `(B, *shape)`, for an image `(B, C, H, W)`, or a dictionary of
them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gymnasium import spaces
from torch import nn

from lerobot_policy_ppo.spaces import flat_size, is_image

if TYPE_CHECKING:
    from lerobot_policy_ppo.configuration_ppo import PPOConfig


class FeaturesExtractor(nn.Module):
    """From preprocessed observations to features `(B, features_dim)`.

    Args:
        features_dim: Width of the features.
    """

    def __init__(self, features_dim: int) -> None:
        super().__init__()
        self.features_dim = features_dim


@dataclass(frozen=True)
class ExtractorKind:
    """One class of features extractors.

    Args:
        name: As the class is called where it comes from.
        build: Makes one for an observation space. Raises a ValueError if it cannot take such observations.
        arguments: What it takes of `features_extractor_kwargs`.
    """

    name: str
    build: Callable[[spaces.Space[Any], "PPOConfig"], FeaturesExtractor]
    arguments: frozenset[str] = frozenset()


def encoded_size(space: spaces.Space[Any]) -> int:
    """Width of what `Preprocessor` gives for a space, flattened, one-hot vectors included."""
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    return int(space.nvec.sum()) if isinstance(space, spaces.MultiDiscrete) else flat_size(space)


def refuse_dict(space: spaces.Space[Any], config: "PPOConfig") -> None:
    """Raise a ValueError for a Dict, for extractors of one observation."""
    if isinstance(space, spaces.Dict):
        raise ValueError(
            f"features_extractor is {config.features_extractor!r}, but a Dict needs CombinedExtractor."
        )


def has_convolutions(space: spaces.Space[Any], config: "PPOConfig") -> bool:
    """Whether SB3 takes the space for an image: without `normalize_images` any Box of rank three."""
    unscaled = not config.normalize_images and isinstance(space, spaces.Box) and len(space.shape) == 3
    return unscaled or is_image(space)
