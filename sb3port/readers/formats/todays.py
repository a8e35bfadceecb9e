"""What today's SB3 finds of the names in a pickle, told without importing any of it.

Today's SB3 is 2.9 with sb3-contrib, and beside them nothing but what they need. `save_util.json_to_data` lets
an error end the loading if a module is absent; if a module lacks a name, or code is of another Python, SB3
warns and goes on without the setting.
"""

import sys
from enum import Enum, auto

from sb3port.readers.formats.bytecode import Version
from sb3port.readers.formats.records import IN_FILE, Global
from sb3port.readers.formats.sb3_names import NAMES

_OF_SB3 = ("stable_baselines3", "sb3_contrib")
_THERE = frozenset(
    {"cloudpickle", "gymnasium", "matplotlib", "numpy", "pandas", "torch", "typing_extensions", *_OF_SB3}
)
# What pickles of Python 2's protocols name, and pickle renames.
_RENAMED = frozenset({"__builtin__", "copy_reg", "itertools", "UserDict", "cPickle"})
# cloudpickle 3 has them no more.
_GONE_FROM_CLOUDPICKLE = frozenset(
    {
        *("_cell_set_factory", "_fill_function", "_gen_ellipsis", "_getobject", "_make_skel_func"),
        "_rehydrate_skeleton_class",
    }
)
# The number of parts that the code of a function has, by the first Python that has so many.
_PARTS: tuple[tuple[Version, int], ...] = (((3, 11), 18), ((3, 8), 16), ((3, 0), 15))


class Lookup(Enum):
    """What becomes of a name."""

    FOUND = auto()
    NO_NAME = auto()
    """The module is there, and has no such name."""
    NO_MODULE = auto()


def look_up(name: Global) -> Lookup:
    """Tell what becomes of a name when SB3 unpickles it."""
    module, root = name.module, name.module.partition(".")[0]
    if module == IN_FILE:
        return Lookup.FOUND
    if module == "__main__":
        return Lookup.NO_NAME
    if root in _OF_SB3:
        return _in_sb3(module, name.name.partition(".")[0])
    if root == "cloudpickle":
        return Lookup.NO_NAME if name.name in _GONE_FROM_CLOUDPICKLE else Lookup.FOUND
    is_there = root in _THERE or root in sys.stdlib_module_names or root in _RENAMED
    return Lookup.FOUND if is_there else Lookup.NO_MODULE


def _in_sb3(module: str, name: str) -> Lookup:
    if module not in NAMES and not any(known.startswith(f"{module}.") for known in NAMES):
        return Lookup.NO_MODULE
    return Lookup.FOUND if name in NAMES.get(module, ()) else Lookup.NO_NAME


def builds(parts: int, python: Version) -> bool:
    """Whether a Python can build code of so many parts; another number is a TypeError."""
    return next(count for first, count in _PARTS if python >= first) == parts


def this_python() -> Version:
    """Give the Python that runs this, of which the user's SB3 is assumed to be."""
    return sys.version_info[:2]


def shown(python: Version) -> str:
    """Write a version."""
    return f"{python[0]}.{python[1]}"
