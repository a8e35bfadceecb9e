"""What every family of policies says of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Simple, Space
from sb3port.families.layers import Shapes

# Keyword arguments of every policy that tensors do not tell.
COMMON_OPTIONS = ("activation_fn", "ortho_init", "normalize_images")


@dataclass(frozen=True)
class Family:
    """Policy classes that have their tensors and their forward pass in common.

    Args:
        name: As its base class is called in SB3 or sb3-contrib.
        classes: The names under which SB3's versions have pickled its classes.
        owns: Whether a spec is one of this family.
        recognises: Whether names of tensors, and of everything that the zip imports, show this family.
        options: Keyword arguments that tensors do not tell, so that a default may have to be assumed.
        infer: Fields of the spec that only this family has, from its tensors.
        actions: The kinds of action spaces that it takes.
        outputs: Width of `action_net` for an action space.
        latent_inputs: Width of what `mlp_extractor` gets, from the spec and the number of features.
        shapes: The tensors after `value_net`, from the same.
        algorithm: Key of the algorithm that has policies of this family for itself, else None.
    """

    name: str
    classes: frozenset[str]
    owns: Callable[[PolicySpec], bool]
    recognises: Callable[[frozenset[str], frozenset[str]], bool]
    options: tuple[str, ...]
    infer: Callable[[Mapping[str, Array]], dict[str, Any]]
    actions: tuple[type[Simple], ...]
    outputs: Callable[[Space], int]
    latent_inputs: Callable[[PolicySpec, int], int]
    shapes: Callable[[PolicySpec, int], Shapes]
    algorithm: str | None = None


def class_names(modules: tuple[str, ...], names: tuple[str, ...]) -> frozenset[str]:
    """Give the dotted names of classes, each of which may be in any of the modules."""
    return frozenset(f"{module}.{name}" for module in modules for name in names)


def action_outputs(space: Space) -> int:
    """Width of `action_net`: means for a Box, logits for the other spaces."""
    if isinstance(space, Discrete):
        return space.n
    return int(space.nvec.sum()) if isinstance(space, MultiDiscrete) else getattr(space, "size", 0)


ANY_ACTION = (Box, Discrete, MultiDiscrete, MultiBinary)
