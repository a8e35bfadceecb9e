"""What the pickles of a checkpoint would import, and which of that no honest checkpoint names.

Nothing of it is ever run here. But a file that would start a shell when SB3 loads it is not one to build a
policy from, whatever weights it holds.
"""

import sys
from collections.abc import Iterable

from sb3port.errors import Unsafe
from sb3port.readers.formats.records import OWN_CODE, Global

# What honest pickles take from the standard library: plain data, and how pickle itself rebuilds objects.
_PICKLE_S_OWN = (
    "__main__",
    "_codecs",
    "abc",
    "builtins",
    "copy_reg",
    "copyreg",
    "functools",
    "types",
    "weakref",
)
_CONTAINERS = (
    "_collections",
    "array",
    "argparse",
    "collections",
    "dataclasses",
    "enum",
    "queue",
    "typing",
    "uuid",
)
_NUMBERS = ("datetime", "decimal", "fractions", "math", "numbers", "random", "statistics", "time", "zoneinfo")
_HELPERS = ("_operator", "operator", "itertools", "logging", "pathlib", "re", "string")
_DATA_MODULES = (*_PICKLE_S_OWN, *_CONTAINERS, *_NUMBERS, *_HELPERS)
_OTHER_MODULES = ("__builtin__", "commands", "pip", "setuptools")
_DANGEROUS_MODULES = sys.stdlib_module_names.union(_OTHER_MODULES).difference(_DATA_MODULES)
_EVALUATORS = ("eval", "exec", "execfile", "compile", "__import__", "open", "file", "input", "breakpoint")
_DANGEROUS_BUILTINS = frozenset((*_EVALUATORS, "globals", "locals", "vars", "setattr", "delattr"))
# Functions and modules by which packages that honest pickles name can load another pickle or run code.
_LOADERS = (
    "load",
    "loadtxt",
    "genfromtxt",
    "fromfile",
    "memmap",
    "hub",
    "cpp_extension",
    "config",
    "handlers",
)
_RUNNERS = ("runstring", "rundocs", "exec_command", "system", "popen", "f2py", "distutils", "testing")
_DANGEROUS_FUNCTIONS = frozenset((*_LOADERS, *_RUNNERS))
_OPERATORS = frozenset({"attrgetter", "methodcaller", "call"})
_BUILTINS = frozenset({"builtins", "__builtin__"})


def is_dangerous(name: Global) -> bool:
    """Whether a global can run commands, load code or reach files and network by itself.

    Of the standard library only plain data is harmless. A dotted name can reach from any module into those
    that it imports, `torch` and `os.system` say, so that each of its parts counts.
    """
    root, *inner = name.module.split(".")
    if root in _BUILTINS:
        return name.name.split(".")[0] in _DANGEROUS_BUILTINS or _is_way_around(name.name)
    if name == OWN_CODE or root in _DANGEROUS_MODULES or _is_way_around(name.name):
        return True
    last = name.name.rpartition(".")[2]
    if root in ("_operator", "operator"):
        return last in _OPERATORS
    return root in ("logging", "numpy", "torch") and not _DANGEROUS_FUNCTIONS.isdisjoint((*inner, last))


def _is_way_around(name: str) -> bool:
    """Whether a dotted name goes through a module, or through Python's own internals (`__globals__`)."""
    *through, last = name.split(".")
    internal = any(part.startswith("__") and part.endswith("__") for part in (*through, last))
    return internal or last in ("os", "sys", "subprocess") or not _DANGEROUS_MODULES.isdisjoint(through)


def refuse_dangerous(imports: Iterable[Global], where: str) -> None:
    """Refuse a file whose pickles name dangerous globals.

    Raises:
        Unsafe: With all of them.
    """
    found = sorted(str(name) for name in imports if is_dangerous(name))
    if found:
        raise Unsafe(
            f"{where} is refused: loading it with SB3 would call or import {', '.join(found)[:2000]}",
            "no checkpoint that SB3 wrote does this; do not load this file with any other tool either",
        )
