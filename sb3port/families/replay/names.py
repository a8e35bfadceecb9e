"""The names of the tensors of policies of several networks, as today's SB3 has them, each tensor once."""

from collections.abc import Mapping

from sb3port.checkpoint.checkpoint import Array
from sb3port.errors import NotPortable
from sb3port.families.base import Family
from sb3port.families.names import EXTRACTOR, aliases, without_compiled

# ARS's linear policy was one layer, without the Sequential around it, until sb3-contrib 1.8.
_OLD_NAMES = {"action_net.weight": "action_net.0.weight", "action_net.bias": "action_net.0.bias"}
_ALIAS = "the same tensor as {} (the networks share a features extractor)"


def canonical_networks(
    tensors: Mapping[str, Array], family: Family, shares: bool | None, where: str
) -> tuple[dict[str, Array], dict[str, str], bool]:
    """Do for such a policy what `canonical` does for an actor-critic; arguments and errors are its.

    Args:
        tensors: As saved.
        family: Whose networks they are.
        shares: `share_features_extractor` as the file says it, None where it does not.
        where: What to call the checkpoint in an error message.
    """
    named = {_OLD_NAMES.get(n, n): array for n, array in without_compiled(tensors, where).items()}
    # Until SB3 0.10 the policy had the extractor of its networks, too.
    whole = aliases(named, EXTRACTOR, family.acting + EXTRACTOR, _ALIAS) if family.acting else {}
    named = {name: array for name, array in named.items() if name not in whole}
    sharing = {n.prefix + EXTRACTOR: f"{n.shares}.{EXTRACTOR}" for n in family.networks if n.shares}
    there = [name for name in named if name.startswith(tuple(sharing))] if sharing else []
    ignored = {n: why for pair in sharing.items() for n, why in aliases(named, *pair, _ALIAS).items()}
    all_same = bool(there) and len(ignored) == len(there)
    if shares and there and not all_same:
        raise NotPortable(f"{where} shares its features extractor, but saved two that differ")
    shared = all_same if shares is None else shares
    left_out = ignored if shared else {}
    kept = {name: array for name, array in named.items() if name not in left_out}
    return kept, whole | left_out, shared
