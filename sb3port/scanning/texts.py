"""The names in texts that are more than texts: YAML's Python tags, LeRobot's processors, SB3's `data`."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import yaml

from sb3port.errors import NotPortable
from sb3port.files.budget import Cost, spend
from sb3port.readers.formats.calls import named_by
from sb3port.readers.formats.groups import Group, group_of
from sb3port.readers.formats.records import CALLED, Global
from sb3port.scanning.findings import Finding, finding

_PYTHON = "tag:yaml.org,2002:python/"
_MARKS = (b"\n", b"[", b"{", b",", b":", b"&", b"*", b"'", b'"')
# What PyYAML's UnsafeLoader, with which rl_zoo3 reads, constructs by name; all others are plain values.
_CALLING = ("object/apply", "object/new")
_NAMING = ("object", "name", "module", *_CALLING)
# Whoever is told to trust code elsewhere fetches and runs it; this step does unless it is told not to.
_TRUSTING = "trust_remote_code"
_TRUSTS_BY_ITSELF = frozenset({"action_tokenizer_processor"})
_LEROBOTS = frozenset({"lerobot", "lerobot_policy_ppo"})
# What rl_zoo3's files are put together by; what any other function does with its arguments is not followed.
_PLAIN_CALLS = frozenset(
    {
        *("collections.OrderedDict", "collections.defaultdict", "datetime.timedelta", "datetime.datetime"),
        *("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype"),
        *("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"),
        *(f"builtins.{name}" for name in ("tuple", "list", "dict", "set", "frozenset", "slice", "range")),
        *(f"pathlib.{name}" for name in ("PosixPath", "PurePosixPath", "Path", "WindowsPath")),
    }
)
_MOST_YAML = 1024**2
_SERIALIZED = ":serialized:"
_MAX_DEPTH = 100


def yaml_names(raw: bytes, where: str) -> Iterator[Global]:
    """Give what the tags in a YAML file name, by its events alone: nothing is constructed.

    Raises:
        NotPortable: It is not YAML, or more than what is left of the budget.
    """
    if b"python/" not in raw and b"%TAG" not in raw and b"!" not in raw:
        return
    if len(raw) > _MOST_YAML:
        raise NotPortable(f"{where} has {len(raw):,} bytes, where {_MOST_YAML:,} are more than enough")
    # PyYAML takes a tenth of a millisecond for each mark, as long as for forty values of JSON.
    spend(Cost.VALUES, 40 * sum(raw.count(mark) for mark in _MARKS), where)
    try:
        for event in yaml.parse(raw, Loader=yaml.SafeLoader):
            spend(Cost.VALUES, 10, where)
            kind, _, name = str(getattr(event, "tag", None) or "").removeprefix(_PYTHON).partition(":")
            if str(getattr(event, "tag", "")).startswith(_PYTHON) and kind in _NAMING:
                yield from _named(kind, name)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = getattr(error, "problem", None) or type(error).__name__  # and nothing of what is in it
        raise NotPortable(f"{where} is not YAML: {problem}") from error


def _named(kind: str, dotted: str) -> Iterator[Global]:
    if kind == "module":
        yield Global(dotted, "*")
        return
    module, _, name = dotted.rpartition(".")
    found = Global(module or "builtins", name)
    yield found
    if kind in _CALLING:
        yield from named_by(found, (), None)
        if group_of(found) is not Group.OWN_CODE and str(found) not in _PLAIN_CALLS:
            yield CALLED


def processor_findings(content: Any, member: str = "") -> Iterator[Finding]:
    """Give what the steps of a LeRobot pipeline name: the classes that LeRobot would import and call.

    Source: `DataProcessorPipeline.from_pretrained` of `lerobot/processor/pipeline.py`.
    """
    steps = content.get("steps") if isinstance(content, Mapping) else None
    for number, step in enumerate(steps if isinstance(steps, list) else ()):
        if not isinstance(step, Mapping):
            continue
        name, cls, config = step.get("registry_name"), step.get("class"), step.get("config")
        if not name and isinstance(cls, str):
            yield _step(member, f"steps[{number}].class", cls)
        trusted = config.get(_TRUSTING) if isinstance(config, Mapping) else None
        if trusted or (trusted is None and name in _TRUSTS_BY_ITSELF):
            yield Finding(member, f"steps[{number}].config.{_TRUSTING}", _TRUSTING, Group.DANGEROUS.value)


def _step(member: str, field: str, dotted: str) -> Finding:
    module, _, name = dotted.rpartition(".")
    found = finding(member, field, Global(module or "builtins", name))
    of_lerobot = module.partition(".")[0] in _LEROBOTS and name.endswith("Step")
    return replace(found, group=Group.INERT.value) if of_lerobot else found


def serialized(content: Any, where: str) -> Iterator[tuple[str, bytes]]:
    """Give the pickles in SB3's JSON, at any depth, by the setting that holds them.

    They are decoded as SB3 decodes them, which passes over what is not base64 (`json_to_data` in
    `stable_baselines3/common/save_util.py`).

    Raises:
        NotPortable: One of them is no text, or no base64 even so.
    """
    pending: list[tuple[str, Any, int]] = [("", content, 0)]
    while pending:
        path, value, depth = pending.pop()
        if depth > _MAX_DEPTH:
            raise NotPortable(f"{where} is nested too deeply")
        if isinstance(value, Mapping):
            if _SERIALIZED in value:
                yield path, _decoded(value[_SERIALIZED], f"{where}[{path!r}]")
            pending.extend(
                (f"{path}.{key}" if path else str(key), item, depth + 1) for key, item in value.items()
            )
        elif isinstance(value, list):
            pending.extend((f"{path}[{n}]", item, depth + 1) for n, item in enumerate(value))


def _decoded(text: Any, where: str) -> bytes:
    try:
        return base64.b64decode(text.encode())
    except (AttributeError, binascii.Error, ValueError) as error:
        raise NotPortable(f"{where} is not base64 ({error})") from error
