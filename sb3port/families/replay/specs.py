"""From the tensors of a policy of several networks to its spec, and back to the tensors that it must have."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sb3port.checkpoint.checkpoint import Array, NetArch, ReplaySpec
from sb3port.checkpoint.spaces import Space
from sb3port.families.base import Family, Network
from sb3port.families.extractors import extractor_of
from sb3port.families.layers import Shapes, under
from sb3port.families.names import EXTRACTOR
from sb3port.families.replay.kinds import COUNTED, STATISTICS


def read_networks(family: Family, tensors: Mapping[str, Array], actions: Space) -> dict[str, Any]:
    """Give the fields of a spec that the tensors tell, the sizes of all layers among them."""
    fields: dict[str, Any] = {}
    arch = NetArch((), qf=())
    for network in family.optimised:
        read = network.kind.read(below(tensors, network), actions)
        found: NetArch = read.pop("net_arch")
        arch = replace(arch, pi=arch.pi or found.pi, qf=arch.qf or found.qf)
        fields = {**read, **fields}
    return {**fields, "net_arch": arch, "batch_norm": any(is_statistic(name) for name in tensors)}


def below(tensors: Mapping[str, Array], network: Network) -> dict[str, Array]:
    """Give the tensors of a network by the names that they have in it."""
    return {n.removeprefix(network.prefix): a for n, a in tensors.items() if n.startswith(network.prefix)}


def network_shapes(spec: ReplaySpec, family: Family, given: Mapping[str, Array]) -> Shapes:
    """Give the shape of every tensor, in SB3's order.

    Args:
        spec: The policy.
        family: Its family.
        given: Its tensors, which alone tell of a features extractor of the user's own.

    Raises:
        NotPortable: There is no such policy.
    """
    shapes: Shapes = {}
    seen = (spec.observation_space, spec.features_extractor_kwargs, spec.normalize_images)
    features = extractor_of(spec.features_extractor, below(given, family.networks[0])).features(*seen)
    for network in family.networks:
        extractor = extractor_of(spec.features_extractor, below(given, network))
        behind = network.kind.shapes(spec, features)
        own = {name: shape for name, shape in behind.items() if "." not in name}
        seeing = {} if is_shared(spec, network) else under(EXTRACTOR.rstrip("."), extractor.shapes(*seen))
        parts = {**own, **seeing, **behind}  # a module has its own parameters before those of its modules
        shapes |= {network.prefix + name: shape for name, shape in parts.items()}
    return shapes


def is_shared(spec: ReplaySpec, network: Network) -> bool:
    """Whether a network has the features extractor of another."""
    return spec.share_features_extractor and bool(network.shares)


def extractor_prefixes(spec: ReplaySpec, family: Family) -> tuple[str, ...]:
    """Give what the names of the features extractors' tensors begin with, one for each that there is."""
    return tuple(n.prefix + EXTRACTOR for n in family.networks if not is_shared(spec, n))


def counters(tensors: Mapping[str, Array]) -> dict[str, str]:
    """Give the types of the tensors that are no floats."""
    return {name: "int64" for name in tensors if name.rpartition(".")[2] == COUNTED}


def is_statistic(name: str) -> bool:
    """Whether a tensor is one of a BatchRenorm's statistics, which are no parameters."""
    return name.rpartition(".")[2] in STATISTICS


def parameters_by_optimiser(
    spec: ReplaySpec, family: Family, shapes: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Name the parameters that each optimiser of today's SB3 has, in order.

    Args:
        spec: The policy.
        family: Its family.
        shapes: What is there, by name: of the tensors that `network_shapes` gives.
    """
    found: dict[str, list[str]] = {}
    for network in family.optimised:
        names = [n for n in shapes if n.startswith(network.prefix) and not is_statistic(n)]
        if is_shared(spec, network) and _optimises_shared(family):
            names = [*(n for n in shapes if n.startswith(family.acting + EXTRACTOR)), *names]
        found[f"{network.name}.optimizer" if len(family.optimised) > 1 else "policy.optimizer"] = names
    return found


def _optimises_shared(family: Family) -> bool:
    """TD3's critics learn the features extractor that they share, those of SAC and its kin do not."""
    return family.name == "TD3Policy"
