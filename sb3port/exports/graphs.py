"""A network that is exported on its own: what it shall take and give, and what it says of itself."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from sb3port.checkpoint.checkpoint import Array, Checkpoint
from sb3port.checkpoint.version import __version__
from sb3port.errors import UsageError
from sb3port.ports.manifest import public_provenance

# What runs an exported network: gives outputs by name for inputs by name.
Run: TypeAlias = Callable[[dict[str, Array]], dict[str, Array]]

FORMAT = 1
OUTPUTS = ("action", "value", "log_prob", "q_value", "quantiles")


@dataclass(frozen=True)
class GraphOptions:
    """What a network on its own shall take and give.

    Args:
        outputs: Of `OUTPUTS`, in this order.
        raw: Without the normaliser before it, and the clipping or unscaling of actions after it.

    Raises:
        UsageError: `outputs` are not such.
    """

    outputs: tuple[str, ...] = ("action",)
    raw: bool = False

    def __post_init__(self) -> None:
        unknown = [name for name in self.outputs if name not in OUTPUTS]
        if unknown or not self.outputs or len(set(self.outputs)) < len(self.outputs):
            named = ",".join(self.outputs)
            raise UsageError(f"{named!r} names no outputs", f"choose of {', '.join(OUTPUTS)}, each once")


def graph_metadata(checkpoint: Checkpoint, raw: bool) -> dict[str, str]:
    """Give what an exported network says of itself: texts by name, JSON where they hold more than one.

    Args:
        checkpoint: What it was made of.
        raw: Whether normaliser and clipping are left out.
    """
    spec, provenance = checkpoint.spec, checkpoint.provenance
    content = {
        "observation_space": spec.observation_space.to_json(),
        "action_space": spec.action_space.to_json(),
        "source": public_provenance(provenance),
    }
    return {
        "format": str(FORMAT),
        "sb3port": __version__,
        "algorithm": spec.algorithm,
        "sha256": provenance.files["checkpoint"].sha256,
        "raw": json.dumps(raw),
        **{name: json.dumps(value) for name, value in content.items()},
    }
