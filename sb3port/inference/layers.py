"""Where the tensors of a policy's actor are, by the names that SB3 gives them."""

from collections.abc import Mapping
from typing import TypeAlias

from sb3port.checkpoint.checkpoint import Array

Layer: TypeAlias = tuple[Array, Array]
"""Weight and bias."""


def layer(tensors: Mapping[str, Array], name: str) -> Layer:
    """Give one layer."""
    return tensors[f"{name}.weight"], tensors[f"{name}.bias"]


def layers(tensors: Mapping[str, Array], name: str) -> list[Layer]:
    """Give the layers of a `Sequential`, between which there are others without tensors."""
    numbers = sorted(
        int(key.split(".")[-2]) for key in tensors if key.startswith(f"{name}.") and key.endswith("weight")
    )
    return [layer(tensors, f"{name}.{number}") for number in numbers]


def actor_layers(tensors: Mapping[str, Array]) -> list[Layer]:
    """Give the layers between the features, or the LSTM, and `action_net`; an activation follows each."""
    shared, own = (layers(tensors, f"mlp_extractor.{net}") for net in ("shared_net", "policy_net"))
    return [*shared, *own]
