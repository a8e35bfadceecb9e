"""Which policy classes are ported, by the name a pickle gives them.

A class of SB3's or sb3-contrib's is known. One of the author's own is code that is never run: it is taken for
SB3's only where the zip shows that it changes nothing but its construction, or where the user says so.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sb3port.errors import NotPortable
from sb3port.families.base import Family
from sb3port.families.maskable import MASKABLE
from sb3port.families.registry import FAMILIES, family_of_class
from sb3port.readers.formats.calls import class_name, is_class_in_file
from sb3port.readers.formats.records import Global, Record, describe

_SUPPORTED = f"supported: {', '.join(family.name for family in reversed(FAMILIES))}, and their Cnn and " + (
    "MultiInput variants, of PPO, A2C, TRPO, MaskablePPO and RecurrentPPO"
)
# What Python itself puts into every class; besides, a class may construct itself in its own way.
_NOTHING_OF_ITS_OWN = frozenset(
    {
        "__abstractmethods__",
        "__annotations__",
        "__annotate_func__",
        "__annotations_cache__",
        "__classcell__",
        "__dict__",
        "__doc__",
        "__firstlineno__",
        "__init__",
        "__module__",
        "__orig_bases__",
        "__parameters__",
        "__qualname__",
        "__static_attributes__",
        "__weakref__",
        "_abc_cache",
        "_abc_impl",
        "_abc_negative_cache",
        "_abc_negative_cache_version",
        "_abc_registry",
    }
)


@dataclass(frozen=True)
class PolicyClass:
    """What is known of a policy class.

    Args:
        name: Dotted name.
        family: None for a class of the author's own, whose tensors must show it.
        warning: A sentence on what was assumed, empty for SB3's classes.
    """

    name: str
    family: Family | None
    warning: str = ""


def read_policy_class(value: Any, listed: Any, assume_standard: bool, where: str) -> PolicyClass:
    """Read a pickled `policy_class`.

    Args:
        value: What the symbolic pickle reader gave.
        listed: The setting in `data`, where SB3 lists beside the pickle what the class itself defines.
        assume_standard: Whether the user vouches that a class of the author's own computes what SB3's does.
        where: What to call the checkpoint in an error message.

    Raises:
        NotPortable: It is another class, or the pickle itself has the class, as code; the message names it.
    """
    if isinstance(value, Record) and is_class_in_file(value.target, value.args):
        raise NotPortable(
            f"{where} carries the code of its policy class {class_name(value.args)}, which is never run",
            f"save the model with the class in a module that can be imported; {_SUPPORTED}",
        )
    if not isinstance(value, Global):
        raise NotPortable(f"{where} names no policy class", _SUPPORTED)
    family = family_of_class(str(value))
    if family is not None:
        return PolicyClass(str(value), family)
    return PolicyClass(describe(value), None, _assumption(value, listed, assume_standard, where))


def class_of_saved(built_with: Collection[str]) -> PolicyClass:
    """Tell the class of a policy that was saved without its model: sb3-contrib's maskable one has no gSDE.

    Args:
        built_with: The names of the arguments that it was built with.
    """
    maskable = "use_sde" not in built_with
    return PolicyClass(
        "",
        MASKABLE if maskable else None,
        "the file is a policy alone, as policy.save writes it: it does not say by which algorithm it was "
        "trained, nor how; it is taken for PPO, or its variant that has such layers, with SB3's defaults",
    )


def _assumption(value: Global, listed: Any, assume_standard: bool, where: str) -> str:
    """Say why a class of the author's own is taken for SB3's, or refuse it."""
    own = _defines(value, listed)
    if own == [] and not _is_sb3(value):
        return (
            f"the policy class {describe(value)} is not SB3's: it overrides only __init__, so that SB3's "
            "forward pass holds, but what that sets (activation_fn for one) is assumed to be SB3's default"
        )
    if assume_standard:
        return f"the policy class {describe(value)} is not SB3's, and is assumed to compute what SB3's does"
    what = f", which defines {', '.join(own)[:500]}" if own else ""
    raise NotPortable(
        f"{where} has the policy class {describe(value)}{what}; it is not supported",
        f"if it computes what SB3's own class does, say --assume-standard-forward; {_SUPPORTED}",
    )


def _is_sb3(value: Global) -> bool:
    return value.module.partition(".")[0] in ("stable_baselines3", "sb3_contrib")


def _defines(value: Global, listed: Any) -> list[str] | None:
    """List what a class defines beside its constructor, None where the zip does not say."""
    if not isinstance(listed, Mapping) or listed.get("__module__") != value.module:
        return None
    names = [name for name in listed if isinstance(name, str) and not name.startswith(":")]
    return sorted(name for name in names if name not in _NOTHING_OF_ITS_OWN)
