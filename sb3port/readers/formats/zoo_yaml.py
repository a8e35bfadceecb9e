"""rl_zoo3's YAML as plain data: none of what a file names is imported, constructed or called.

rl_zoo3 writes `config.yml` and `args.yml` with `yaml.dump` of an OrderedDict, and reads them with PyYAML's
`UnsafeLoader`, which runs whatever a file asks for. Here a tag is one of YAML's plain types, an OrderedDict,
a tuple, or the name of a class in a package that hyperparameters name; any other is refused.
"""

import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

from sb3port.checkpoint.plain import is_plain
from sb3port.errors import NotPortable, Unsafe
from sb3port.files.budget import Cost, spend
from sb3port.files.untrusted import open_untrusted, read_untrusted
from sb3port.readers.formats.remembering import recalled

_MAX_BYTES = 64 * 1024  # the largest of rl_zoo3's own files has 12 kB
_MAX_NODES = 20_000
_FRONT_MATTER = re.compile(rb"---\r?\n(.*?)\n---", re.DOTALL)
_MARKS = (b"\n", b"[", b"{", b",", b":", b"&", b"*", b"'", b'"')
_MAX_NUMBER = 2**63
_MAX_SCALAR = 10_000
_YAML = "tag:yaml.org,2002:"
_PYTHON = f"{_YAML}python/"
_NAME = f"{_PYTHON}name:"
# A configuration that was a Python file is saved with its classes' names, which are read as text.
_PACKAGES = (
    "torch.nn.",
    "torch.optim.",
    "stable_baselines3.",
    "sb3_contrib.",
    "rl_zoo3.",
    "gymnasium.",
    "gym.",
)
_SCALARS = ("null", "bool", "int", "float", "str")


def read_yaml(source: Path | bytes, where: str) -> Any:
    """Read a YAML file of rl_zoo3's as dictionaries with text keys, lists, tuples, texts and numbers.

    Args:
        source: The file or its content.
        where: What to call it in an error message.

    Raises:
        NotPortable: It cannot be read, is not YAML, or swells when its aliases are written out.
        Unsafe: A tag in it would run code when loaded with rl_zoo3.
    """
    text = _text(source, where)
    try:
        return _copied(recalled("yaml", text.encode(), lambda: _load(text, where)))
    except yaml.YAMLError as error:
        raise NotPortable(f"{where} is not YAML: {_one_line(error)}") from error
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError) as error:
        raise NotPortable(f"{where} is damaged: {_one_line(error)}") from error


def read_front_matter(path: Path, where: str) -> Any:
    """Read the metadata of a model card, None where it has none.

    Raises:
        NotPortable, Unsafe: As `read_yaml`.
    """
    with open_untrusted(path, where, charged=_MAX_BYTES) as file:
        match = _FRONT_MATTER.match(file.read(_MAX_BYTES))
    return read_yaml(match[1], where) if match else None


def _text(source: Path | bytes, where: str) -> str:
    raw = read_untrusted(source, where, at_most=_MAX_BYTES) if isinstance(source, Path) else source
    if len(raw) > _MAX_BYTES:
        raise NotPortable(f"{where} has {len(raw):,} bytes, where {_MAX_BYTES:,} are more than enough")
    # PyYAML takes a tenth of a millisecond for each mark, as long as for forty values of JSON.
    spend(Cost.VALUES, 40 * sum(raw.count(mark) for mark in _MARKS), where)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotPortable(f"{where} is not text in UTF-8") from error


def _load(text: str, where: str) -> Any:
    loader = _Loader(text, where)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_size(node, where)
        value = loader.construct_document(node)
    finally:
        loader.dispose()
    _check_plain(value)
    return value


def _copied(value: Any) -> Any:
    """Give plain values that are the caller's own."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return type(value)(map(_copied, value)) if isinstance(value, list | tuple) else value


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with fewer types, and with the two of Python's that rl_zoo3 writes."""

    yaml_constructors: ClassVar[dict[Any, Any]] = {
        f"{_YAML}{name}": getattr(yaml.SafeLoader, f"construct_yaml_{name}")
        for name in (*_SCALARS, "seq", "map")
    } | {f"{_YAML}timestamp": yaml.SafeLoader.construct_yaml_str}
    yaml_multi_constructors: ClassVar[dict[Any, Any]] = {}

    def __init__(self, text: str, where: str) -> None:
        super().__init__(text)
        self.where = where

    def ordered_dict(self, node: yaml.Node) -> dict[Any, Any]:
        """Read the one argument of the constructor, a list of pairs."""
        arguments = self.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else None
        if arguments is None or len(arguments) > 1:
            raise ValueError("an OrderedDict in it is not a list of pairs")
        return dict(*arguments)

    def tuple_(self, node: yaml.SequenceNode) -> tuple[Any, ...]:
        """Read a tuple."""
        return tuple(self.construct_sequence(node, deep=True))

    def name(self, suffix: str, node: yaml.Node) -> str:
        """Give the name of a class as text."""
        if not suffix.startswith(_PACKAGES):
            self.refuse(f"name:{suffix}", node)
        return suffix

    def refuse(self, suffix: str, _node: yaml.Node) -> None:
        """Refuse a tag of Python's."""
        raise Unsafe(
            f"{self.where} carries the tag !!python/{suffix[:200]}, which rl_zoo3 would run or import",
            "nothing of it was run; if you trust the model, port it from a folder without this file",
        )

    def unknown(self, node: yaml.Node) -> None:
        """Refuse any other tag."""
        raise ValueError(f"it has the tag {node.tag[:200]}, which rl_zoo3 does not write")


for _name in _SCALARS:
    _Loader.add_constructor(
        f"{_PYTHON}{_name.replace('null', 'none')}", _Loader.yaml_constructors[_YAML + _name]
    )
_Loader.add_constructor(f"{_PYTHON}object/apply:collections.OrderedDict", _Loader.ordered_dict)
_Loader.add_constructor(f"{_PYTHON}tuple", _Loader.tuple_)
_Loader.add_multi_constructor(_NAME, _Loader.name)
_Loader.add_multi_constructor(_PYTHON, _Loader.refuse)
_Loader.add_constructor(None, _Loader.unknown)


def _check_size(root: yaml.Node, where: str) -> None:
    """Count nodes as if every alias were written out: a file of a few lines can stand for billions."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in open_nodes:
            raise NotPortable(f"{where} has an alias that holds itself")
        if id(node) not in sizes:
            open_nodes.add(id(node))
            sizes[id(node)] = 1 + sum(size(child) for child in _children(node))
            open_nodes.remove(id(node))
        return sizes[id(node)]

    if size(root) > _MAX_NODES:
        raise NotPortable(
            f"{where} swells to more than {_MAX_NODES:,} values, which no file of rl_zoo3's does"
        )


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    if isinstance(node, yaml.ScalarNode) and len(node.value) > _MAX_SCALAR:
        raise ValueError(f"it has a text of more than {_MAX_SCALAR:,} characters")
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _check_plain(value: Any) -> None:
    """Make sure that a value can be shown, and written as JSON."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("it has a key that is not a text")
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            _check_plain(item)
    elif not is_plain(value) or (isinstance(value, int) and abs(value) >= _MAX_NUMBER):
        raise ValueError("it has a number that is too large, or none")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
