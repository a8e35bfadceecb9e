"""What every family of policies says of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sb3port.checkpoint.checkpoint import Array, PolicySpec, ReplaySpec
from sb3port.checkpoint.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Simple, Space
from sb3port.families.layers import Shapes

# Keyword arguments of every policy that tensors do not tell.
COMMON_OPTIONS = ("activation_fn", "ortho_init", "normalize_images")


@dataclass(frozen=True)
class Kind:
    """What a network computes; `sb3port.networks.replay` has the module of each.

    Args:
        name: By which its module is found.
        shapes: Its tensors behind the features extractor, from the spec and the number of features.
        read: The fields of the spec that its tensors tell, from these and the action space.
    """

    name: str
    shapes: Callable[[ReplaySpec, int], Shapes]
    read: Callable[[Mapping[str, Array], Space], dict[str, Any]]


@dataclass(frozen=True)
class Network:
    """One of several networks of a policy, each with a features extractor of its own.

    Args:
        name: As SB3's policy has it, "" for the policy itself.
        kind: What it computes.
        follows: The network of which it is a slow copy, "" for none.
        shares: The network whose features extractor it has with `share_features_extractor`, "" for none.
    """

    name: str
    kind: Kind
    follows: str = ""
    shares: str = ""

    @property
    def prefix(self) -> str:
        """What the names of its tensors begin with."""
        return f"{self.name}." if self.name else ""


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
        networks: Those of a policy that is made of several, the one that acts first; none elsewhere.
        defaults: What SB3 takes for options that nobody gives, where it is not what `PolicySpec` has.
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
    networks: tuple[Network, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def acting(self) -> str:
        """What the names of the acting network's tensors begin with."""
        return self.networks[0].prefix if self.networks else ""

    @property
    def optimised(self) -> tuple[Network, ...]:
        """The networks that an optimiser changes."""
        return tuple(network for network in self.networks if not network.follows)


def class_names(modules: tuple[str, ...], names: tuple[str, ...]) -> frozenset[str]:
    """Give the dotted names of classes, each of which may be in any of the modules."""
    return frozenset(f"{module}.{name}" for module in modules for name in names)


def action_outputs(space: Space) -> int:
    """Width of `action_net`: means for a Box, logits for the other spaces."""
    if isinstance(space, Discrete):
        return space.n
    return int(space.nvec.sum()) if isinstance(space, MultiDiscrete) else getattr(space, "size", 0)


ANY_ACTION = (Box, Discrete, MultiDiscrete, MultiBinary)
