"""Whether a value has the shape that a JSON schema asks for: the few keywords of `parity.schema.json`.

The library `jsonschema` knows more, and takes longer to import than a report to render. A test holds both
against each other.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "null": lambda value: value is None,
}


def first_flaw(value: Any, schema: Schema) -> str | None:
    """Say in words what is wrong first, such as "checks[3].id is absent", or None."""
    return next(_flaws(value, schema, schema.get("$defs", {}), ""), None)


def _flaws(value: Any, schema: Schema, definitions: Schema, where: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema and not any(_fits(value, option, definitions) for option in schema["anyOf"]):
        yield from _closest(value, schema["anyOf"], definitions, where)
    yield from _value_flaws(value, schema, where or "it")
    if isinstance(value, dict):
        yield from _object_flaws(value, schema, definitions, where)
    if isinstance(value, list):
        yield from _array_flaws(value, schema, definitions, where)


def _fits(value: Any, schema: Schema, definitions: Schema) -> bool:
    return next(_flaws(value, schema, definitions, ""), None) is None


def _closest(value: Any, options: list[Schema], definitions: Schema, where: str) -> Iterator[str]:
    """Judge by the option that an object is meant to be, which is the last one."""
    if isinstance(value, dict):
        yield from _flaws(value, options[-1], definitions, where)
    else:
        yield f"{where or 'it'} is {_short(value)}"


def _value_flaws(value: Any, schema: Schema, where: str) -> Iterator[str]:
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(_TYPES[name](value) for name in types):
        yield f"{where} is {_short(value)}, no {' or '.join(types)}"
    known = [schema["const"]] if "const" in schema else schema.get("enum", [])
    if known and not any(type(value) is type(one) and value == one for one in known):
        yield f"{where} is {_short(value)}, not {' or '.join(map(repr, known))}"
    if _TYPES["number"](value) and value < schema.get("minimum", value):
        yield f"{where} is {_short(value)}, less than {schema['minimum']}"
    if _TYPES["number"](value) and value > schema.get("maximum", value):
        yield f"{where} is {_short(value)}, more than {schema['maximum']}"


def _object_flaws(value: Mapping[str, Any], schema: Schema, definitions: Schema, where: str) -> Iterator[str]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{_below(where, name)} is absent"
    for name, item in value.items():
        yield from _flaws(item, known.get(name, others), definitions, _below(where, name))


def _array_flaws(value: list[Any], schema: Schema, definitions: Schema, where: str) -> Iterator[str]:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{where} has {len(value)} items"
    for index, item in enumerate(value):
        yield from _flaws(item, schema.get("items", {}), definitions, f"{where}[{index}]")


def _below(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"
