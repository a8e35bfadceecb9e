"""What the pickles of a checkpoint would import, and which of that no honest checkpoint names.

Nothing of it is ever run here. But a file that would start a shell when SB3 loads it is not one to build a
policy from, whatever weights it holds.
"""

from collections.abc import Iterable

from sb3port.errors import Unsafe
from sb3port.readers.pickles import Global

_COMMANDS = ("os", "posix", "nt", "subprocess", "commands", "pty", "shutil", "socket", "webbrowser", "timeit")
_LOADERS = (
    "importlib",
    "runpy",
    "zipimport",
    "ctypes",
    "pickle",
    "_pickle",
    "marshal",
    "code",
    "codeop",
    "sys",
)
_TOOLS = ("pip", "ensurepip", "venv", "bdb", "pdb")
_DANGEROUS_MODULES = frozenset((*_COMMANDS, *_LOADERS, *_TOOLS))
_EVALUATORS = ("eval", "exec", "compile", "__import__", "open", "input", "breakpoint")
_NAMESPACES = ("globals", "locals", "vars")
_DANGEROUS_BUILTINS = frozenset((*_EVALUATORS, *_NAMESPACES))
_BUILTINS = frozenset(
    ["eval", "exec", "compile", "open", "input", "__import__", "breakpoint", "globals", "locals", "vars"]
)
_BUILTINS = frozenset(("builtins", "__builtin__"))


def is_dangerous(name: Global) -> bool:
    """Whether a global can run commands, load code or reach files and network by itself."""
    root = name.module.partition(".")[0]
    if root in _BUILTINS:
        return name.name.partition(".")[0] in _DANGEROUS_BUILTINS
    return root in _DANGEROUS_MODULES


def refuse_dangerous(imports: Iterable[Global], where: str) -> None:
    """Refuse a file whose pickles name dangerous globals.

    Raises:
        Unsafe: With all of them.
    """
    found = sorted(str(name) for name in imports if is_dangerous(name))
    if found:
        raise Unsafe(
            f"{where} is refused: loading it with SB3 would call or import {', '.join(found)}",
            "no checkpoint that SB3 wrote does this; do not load this file with any other tool either",
        )
