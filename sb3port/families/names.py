"""The canonical names of tensors: those of today's SB3, each tensor once.

SB3 1.7 and later save a features extractor under three names, and `torch.compile` puts `_orig_mod.` into all.
"""

from collections.abc import Mapping

from sb3port.checkpoint.checkpoint import Array
from sb3port.errors import NotPortable

COMPILED = "_orig_mod."
EXTRACTOR, ACTORS, CRITICS = "features_extractor.", "pi_features_extractor.", "vf_features_extractor."
_ALIAS = "the same tensor as {} (SB3 since 1.7 saves it under both names)"


def canonical(
    tensors: Mapping[str, Array], shares: bool | None, where: str
) -> tuple[dict[str, Array], dict[str, str], bool]:
    """Rename tensors to today's names, and leave out those that stand there twice.

    Args:
        tensors: As saved.
        shares: `share_features_extractor` as the file says it, None where it does not.
        where: What to call the checkpoint in an error message.

    Returns:
        The tensors, what was left out with its reason, and whether actor and critic share an extractor.

    Raises:
        NotPortable: Two tensors get one name, or what should be one tensor differs.
    """
    named = without_compiled(tensors, where)
    ignored = aliases(named, ACTORS)
    critics = aliases(named, CRITICS)
    all_same = len(critics) == sum(name.startswith(CRITICS) for name in named)
    if shares and not all_same:
        raise NotPortable(f"{where} shares its features extractor, but saved two that differ")
    shares = all_same if shares is None else shares
    ignored |= critics if shares else {}
    return {name: array for name, array in named.items() if name not in ignored}, ignored, shares


def without_compiled(tensors: Mapping[str, Array], where: str) -> dict[str, Array]:
    """Take what `torch.compile` puts into names out of them.

    Raises:
        NotPortable: Two tensors get one name.
    """
    named = {name.replace(COMPILED, ""): array for name, array in tensors.items()}
    if len(named) < len(tensors):
        raise NotPortable(f"{where} has two tensors of one name, compiled and not")
    return named


def aliases(
    tensors: Mapping[str, Array], prefix: str, of: str = EXTRACTOR, why: str = _ALIAS
) -> dict[str, str]:
    """Find the tensors below a prefix that are equal to those below another, with the reason."""
    originals = {name: of + name.removeprefix(prefix) for name in tensors if name.startswith(prefix)}
    return {
        name: why.format(original)
        for name, original in originals.items()
        if original in tensors and _is_same(tensors[name], tensors[original])
    }


def _is_same(one: Array, other: Array) -> bool:
    return (one.shape, one.dtype, one.tobytes()) == (other.shape, other.dtype, other.tobytes())
