"""What `policy_kwargs` say of the features extractor."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sb3port.checkpoint.checkpoint import Array
from sb3port.checkpoint.spaces import Space
from sb3port.errors import NotPortable, UsageError
from sb3port.families.extractors import BY_NAME, EXTRACTORS, infer_extractor, is_own
from sb3port.families.names import EXTRACTOR
from sb3port.readers.formats.arrays import as_flag
from sb3port.readers.formats.calls import class_name, is_class_in_file
from sb3port.readers.formats.plain import as_dict, as_plain_tree, shown_key
from sb3port.readers.formats.records import Global, Record, describe

_CLASSES = frozenset(extractor.dotted_name for extractor in EXTRACTORS)
# The arguments of all of them: which of them are classes, and of which the one that is supported.
_ARGUMENTS = {name: only for extractor in EXTRACTORS for name, only in extractor.arguments.items()}


@dataclass(frozen=True)
class Vouched:
    """What the user vouches for, because no file can.

    Args:
        standard_forward: That a policy class of the author's own computes what SB3's does.
        extractor: `module:Class`, where the code of the features extractor is; `BY_NAME` for the one that the
            file names.
        source: How the user named the checkpoint, for hints.
    """

    standard_forward: bool = False
    extractor: str | None = None
    source: str = "SOURCE"


@dataclass(frozen=True)
class ExtractorKwargs:
    """What is known of a features extractor.

    Args:
        own: `module:Class` of one whose code is the user's, None for those that sb3port knows.
        arguments: What it was given, if it is the user's; of the others the tensors tell.
        unnormalized_images: Whether images are said to be normalised already (`normalized_image`).
        warning: What was assumed, empty where nothing was.
        is_named: Whether the file itself names, or may have, another class than SB3's.
    """

    own: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    unnormalized_images: bool = False
    warning: str = ""
    is_named: bool = False


def read_extractor(kwargs: Mapping[Any, Any], where: str, vouched: Vouched) -> ExtractorKwargs:
    """Read `features_extractor_class` and `features_extractor_kwargs`.

    Args:
        kwargs: `policy_kwargs`.
        where: What to call them in an error message.
        vouched: What the user says of them.

    Raises:
        NotPortable: A class or an argument is not supported, or the file holds the class as code and the user
            does not say where else it is.
    """
    cls = kwargs.get("features_extractor_class")
    arguments = as_dict(kwargs.get("features_extractor_kwargs"), f"{where}: features_extractor_kwargs")
    is_known = cls is None or (isinstance(cls, Global) and str(cls) in _CLASSES)
    named = _by_name(cls, is_known, vouched) if vouched.extractor == BY_NAME else vouched.extractor
    if named is not None:
        given = {shown_key(key): as_plain_tree(value, _where(where, key)) for key, value in arguments.items()}
        # A policy class of the author's own may have chosen its extractor itself.
        chosen = not is_known or (cls is None and vouched.standard_forward)
        return ExtractorKwargs(named, given, is_named=chosen)
    warning = "" if is_known else _of_the_authors_own(cls, where, vouched)
    _check_arguments(arguments, where, vouched)
    flag = arguments.get("normalized_image", False)
    return ExtractorKwargs(unnormalized_images=as_flag(flag, where), warning=warning)


def check_layers(
    space: Space, tensors: Mapping[str, Array], found: ExtractorKwargs, where: str, vouched: Vouched
) -> None:
    """Make sure that the layers below `features_extractor` are those of the class that has such tensors.

    Raises:
        NotPortable: They are not, and the user does not say whose they are.
        UsageError: They are, and the user names a class of their own.
    """
    below = {name.removeprefix(EXTRACTOR): a for name, a in tensors.items() if name.startswith(EXTRACTOR)}
    known = infer_extractor(space, below)
    differences = known.differences(below)
    if found.own is not None and not found.is_named and not differences:
        raise UsageError(f"{where} has no features extractor of your own", "leave --extractor out")
    if found.own is None and differences:
        raise NotPortable(
            f"the layers of {where} are not those of SB3's {known.name}, although its policy names that: "
            f"{'; '.join(differences)[:2000]}",
            _hint("MODULE:CLASS", vouched),
        )


def check_name(name: str) -> None:
    """Check what the user gave as `module:Class`.

    Raises:
        UsageError: It is nothing of the kind.
    """
    if name != BY_NAME and not is_own(name):
        raise UsageError(f"--extractor {name[:200]} does not name a class", "name it as MODULE:CLASS")


def _by_name(cls: Any, is_known: bool, vouched: Vouched) -> str | None:
    """Give the name that the file has for an extractor of the author's own, None where it has none."""
    if is_known or vouched.standard_forward or not isinstance(cls, Global):
        return None
    name = f"{cls.module}:{cls.name}"
    return name if is_own(name) else None


def _of_the_authors_own(cls: Any, where: str, vouched: Vouched) -> str:
    """Refuse the class of the author's own, or say what is assumed of it."""
    if isinstance(cls, Record) and is_class_in_file(cls.target, cls.args):
        name = class_name(cls.args)
        raise NotPortable(
            f"{where} carries the code of the features extractor {name}, which is never run",
            _hint(f"MODULE:{name}", vouched),
        )
    if not isinstance(cls, Global):
        raise NotPortable(f"{where} has a features extractor that is no class")
    message = f"{where} has the features extractor {describe(cls)}, which is not SB3's and not supported"
    if not vouched.standard_forward:
        standard = "if it computes what SB3's own does, say --assume-standard-forward"
        raise NotPortable(message, f"{_hint(f'{cls.module}:{cls.name}', vouched)}; {standard}")
    return message


def _hint(name: str, vouched: Vouched) -> str:
    command = f"sb3port convert {shlex.quote(vouched.source)} --extractor {shlex.quote(name)}"
    where = ", with MODULE where Python can import it" if name.startswith("MODULE:") else ""
    return f"if its code is yours, say so{where}: {command[:500]}"


def _check_arguments(arguments: Mapping[Any, Any], where: str, vouched: Vouched) -> None:
    """Refuse arguments of no extractor, and classes in them that are not the one that is supported."""
    if vouched.standard_forward:
        return
    if others := sorted(shown_key(key) for key in arguments if key not in _ARGUMENTS):
        names = ", ".join(others)[:1000]
        raise NotPortable(
            f"{where} has arguments that no supported features extractor takes: {names}",
            "if the policy computes what SB3's own class does, say --assume-standard-forward",
        )
    for name, value in arguments.items():
        only = _ARGUMENTS[name]
        if only is not None and not (isinstance(value, Global) and str(value) == only):
            raise NotPortable(f"{where} has {name}={describe(value)}, but only {only} is supported")


def _where(where: str, key: Any) -> str:
    return f"{where}: features_extractor_kwargs[{shown_key(key)!r}]"
