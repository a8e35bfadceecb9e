"""Four words for what a pickle names: harmless, inert, own code, dangerous. One function tells which.

Nothing is imported to tell it. Names that a pickle reaches by `getattr` come as dotted names, whole modules
as `module.*`, and code that the file carries as names in `records.IN_FILE` (see `calls`).
"""

import re
import sys

from sb3port.checkpoint.str_enum import StrEnum
from sb3port.readers.formats.records import CALLED, IN_FILE, Global


class Group(StrEnum):
    """What a name in a pickle means for whoever loads it with SB3."""

    HARMLESS = "harmless"
    """Plain data of Python's and NumPy's."""
    INERT = "inert"
    """A class or function of the packages that every checkpoint names: read as a record."""
    OWN_CODE = "own code"
    """What nobody here knows: the author's own, by its name or as code in the file, or another package's."""
    DANGEROUS = "dangerous"
    """What can by itself run commands, load code, or reach files and network."""


# The standard library is dangerous but for these modules: plain data, and how pickle itself rebuilds objects.
_PICKLE_S_OWN = (
    *("__builtin__", "__main__", "_codecs", "_functools", "_weakref", "_weakrefset", "abc", "builtins"),
    *("copy", "copy_reg", "copyreg", "functools", "types", "weakref"),
)
_CONTAINERS = (
    *("_collections", "_queue", "array", "argparse", "bisect", "collections", "dataclasses", "enum"),
    *("heapq", "queue", "reprlib", "typing", "uuid"),
)
_NUMBERS = (
    *("_datetime", "_decimal", "_pydecimal", "_pydatetime", "_random", "calendar", "cmath", "colorsys"),
    *("datetime", "decimal", "fractions", "math", "numbers", "random", "statistics", "time", "zoneinfo"),
)
_TEXTS = ("ipaddress", "logging", "pathlib", "re", "string", "textwrap")
_HELPERS = ("_operator", "_struct", "itertools", "operator")
_DATA_MODULES = frozenset((*_PICKLE_S_OWN, *_CONTAINERS, *_NUMBERS, *_TEXTS, *_HELPERS))
# Modules that Python has had, or has under other names, which pickle still finds in a Python that has them.
_FORMER = (
    *("BaseHTTPServer", "CGIHTTPServer", "ConfigParser", "HTMLParser", "SimpleHTTPServer", "SocketServer"),
    *("StringIO", "UserDict", "_winreg", "aifc", "anydbm", "asynchat", "asyncore", "cPickle", "cProfile"),
    *("cStringIO", "cgi", "cgitb", "chunk", "commands", "crypt", "dbhash", "distutils", "dl", "dumbdbm"),
    *("dummy_threading", "formatter", "gdbm", "httplib", "ihooks", "imghdr", "imp", "imputil", "lib2to3"),
    *("macpath", "mailcap", "msilib", "new", "nis", "nntplib", "ossaudiodev", "parser", "pipes", "popen2"),
    *("rexec", "robotparser", "smtpd", "sndhdr", "spwd", "symbol", "telnetlib", "thread", "tkFileDialog"),
    *(
        "urllib2",
        "urlparse",
        "user",
        "uu",
        "whichdb",
        "xdrlib",
        "xmlrpclib",
        "_dummy_thread",
        "_posixsubprocess",
    ),
)
_STANDARD = sys.stdlib_module_names | {"__builtin__", "copy_reg", *_FORMER}
# Packages whose purpose is to load or run things, whatever is named of them.
_RUNNING = frozenset(
    {
        *("IPython", "_pytest", "cffi", "dill", "joblib", "pexpect", "pip", "pkg_resources", "pytest"),
        *("setuptools", "multiprocess", "sympy"),
    }
)
_DANGEROUS_ROOTS = (_STANDARD - _DATA_MODULES) | _RUNNING

# Names that are harmless although their module is not, or although they look otherwise.
_EXACT = frozenset(
    {
        *("_codecs.encode", "_thread.get_ident", "_thread.allocate_lock", "_thread.RLock", "warnings.warn"),
        *("copyreg._reconstructor", "copyreg.__newobj__", "copyreg.__newobj_ex__", "copy_reg._reconstructor"),
        *("collections._tuplegetter", "functools._lru_cache_wrapper", "random._inst", "re._compile"),
        *("_io.BytesIO", "_io.StringIO", "io.BytesIO", "io.StringIO", "datetime.datetime", "array.array"),
        *("decimal.decimal", "queue.queue", "copy.copy", "time.time", "calendar.calendar", "enum.enum"),
        *("datetime.time", "array._array_reconstructor", "typing._no_init_or_replace_init"),
        *("sys.stdin", "sys.stdout", "sys.stderr", "sys.maxsize", "sys.float_info"),
    }
)
# Modules that are dangerous, and often among the globals of a function: that they are imported does nothing.
_IMPORTABLE = frozenset({"_thread", "contextlib", "sys", "threading", "warnings"})
_EVALUATORS = ("eval", "exec", "execfile", "compile", "__import__", "open", "file", "input", "raw_input")
_REACHING = ("breakpoint", "delattr", "exit", "globals", "help", "locals", "quit", "setattr", "vars")
_DANGEROUS_BUILTINS = frozenset((*_EVALUATORS, *_REACHING, "__build_class__", "apply", "reload"))
# Of the modules that are plain data otherwise: what evaluates text, opens files, starts processes or waits.
_EXCEPTIONS = frozenset(
    {
        *("copyreg.add_extension", "copyreg.constructor", "copyreg.pickle", "copy_reg.add_extension"),
        *("argparse.FileType", "dataclasses.make_dataclass", "logging.FileHandler"),
        *(
            "logging.basicConfig",
            "typing.stdlib_re",
            "string.Formatter",
            "time.sleep",
            "types.new_class",
            "typing.ForwardRef",
        ),
        *("typing.get_type_hints", "uuid.getnode", "uuid.main", "uuid.uuid1", "weakref.finalize"),
        *("zoneinfo.reset_tzpath", "zoneinfo.available_timezones", "typing.evaluate_forward_ref"),
        *("builtins.*", "calendar.main"),
    }
)
_BUILTINS = ("builtins", "__builtin__")
# Their methods compute, where those of paths, loggers and functions do more.
_PLAIN_CLASSES = frozenset((*_NUMBERS, *_BUILTINS, "array", "collections", "enum", "queue", "uuid"))
_OPERATOR = ("operator", "_operator")
_OPERATORS = frozenset({"attrgetter", "methodcaller", "call"})
# The packages that the checkpoints of SB3 name, of whose functions some load files or run code.
_NUMPY = "numpy"
_PACKAGES = frozenset(
    (
        *("gym", "gym3", "gymnasium", "imitation", "rl_zoo3", "sacred", "sb3_contrib", "shimmy"),
        *("stable_baselines", "stable_baselines3", "torch", _NUMPY),
    )
)
# Others that have functions which load pickles or run texts, beside honest objects.
_OTHER_LOADERS = frozenset({"pandas", "ruamel", "yaml", "scipy", "sklearn", "tensorflow", "keras", "jax"})
_CLOUDPICKLE = re.compile(
    "_builtin_type|_class_setstate|_empty_cell_value|_fill_function|_function_setstate|_gen_ellipsis|"
    "_get_dataclass_field_type_sentinel|_make_(cell|empty_cell|function|skel_func|skeleton_class|"
    "skeleton_enum|typevar|dict_items|dict_keys|dict_values)|_rehydrate_skeleton_class|_getobject|subimport|"
    "dynamic_subimport|_cell_set_factory|instance"
)
_LOADING = re.compile(
    "_?(load|loads|loadtxt|unsafe_load|full_load|genfromtxt|fromfile|memmap|open|open_path|read|save|savetxt|"
    "savez|write|dump|dumps|download|pickle|unpickle|system|popen|spawn|run|runstring|rundocs|"
    "exec_command|eval|exec|safe_eval|call|register|import_module|recursive_getattr|recursive_setattr|"
    "vectorize|frompyfunc|apply_along_axis|(load|read|save|write|open|exec|import)_.*|.*_from_src|"
    "json_to_data|get_class_by_name|CloudpickleWrapper|SubprocVecEnv|DummyVecEnv|\\w*OutputFormat|ResultsWriter|"
    "(safe_|full_|unsafe_)?load_all|AsyncVectorEnv|DataSource|"
    "reduce_(graph|package_graph|deploy_graph)_module)"
)
_LOADING_MODULES = frozenset(
    {
        *("_dynamo", "_inductor", "ctypeslib", "cpp_extension", "distutils", "f2py", "fx", "hub", "jit"),
        *("npyio", "package", "rpc", "testing", "config", "handlers"),
    }
)
# A function that rebuilds a tensor from a pickle in the pickle: `pickles` looks into that one, too.
NESTED = Global("torch.storage", "_load_from_bytes")
# Of the functions of these packages, those by which pickle rebuilds objects: calls of all others do more.
_REBUILDING = re.compile(
    r"numpy\.(dtype|ndarray|matrix|recarray|bool_?|(u?int|float|complex)\d*_?)"
    r"|numpy\.(_?core)\.(multiarray\.(_reconstruct|scalar)|numeric\._frombuffer|_ufunc_reconstruct)"
    r"|numpy\.random\.(_pickle\.\w+|__\w+_ctor|bit_generator\.__pyx_unpickle_\w+)"
    r"|numpy\.ma\.core\._mareconstruct"
    r"|torch\.(device|dtype|storage\._load_from_bytes|serialization\._get_layout)"
    r"|torch\._utils\._rebuild_\w+"
    r"|gym(nasium)?\.utils\.seeding\.RandomNumberGenerator\._generator_ctor"
)
_REBUILD_FROM_TYPE = "torch._tensor._rebuild_from_type_v2"
# Classes of these packages that start or read something when one is made of them.
_ACTING_MODULES = frozenset({"benchmark", "distributed", "elastic", "lib", "multiprocessing"})
_INTERNAL = re.compile("__[a-z_]+__")
_RUNNERS = frozenset({"bltns", "builtins", "importlib", "nt", "os", "posix", "subprocess", "sys"})
_METHODS = frozenset(
    f"__{name}__"
    for name in (
        *("new", "init", "call", "repr", "str", "hash", "len", "bool", "iter", "next"),
        *("format", "dir", "hash"),
        *("eq", "ne", "lt", "le", "gt", "ge", "add", "sub", "mul", "neg"),
    )
)
# Names within code that the file carries, by which it would leave plain computing.
_NAMES_IN_CODE = frozenset(
    {
        *("__builtins__", "__globals__", "__import__", "__loader__", "__subclasses__", "builtins", "ctypes"),
        *("exec", "execfile", "importlib", "os", "posix", "pty", "runpy", "shutil", "socket", "subprocess"),
    }
)

_ROOTS_AND_RUNNERS = _DANGEROUS_ROOTS | _RUNNERS


def group_of(name: Global) -> Group:
    """Tell what a name in a pickle means for whoever loads it with SB3.

    A dotted name can reach from any module into those that it imports (`torch` and `os.system`, `random` and
    `_os.system`), so that each of its parts counts.
    """
    if name.module == IN_FILE:
        return Group.DANGEROUS if name == CALLED else Group.OWN_CODE
    root = name.module.partition(".")[0]
    if _is_dangerous(name, root):
        return Group.DANGEROUS
    if root in _STANDARD and name.module != "__main__":
        return Group.HARMLESS
    if root == _NUMPY:
        return Group.HARMLESS
    return Group.INERT if root in _PACKAGES or root == "cloudpickle" else Group.OWN_CODE


def rebuilds(target: Global, args: tuple[object, ...]) -> bool:
    """Whether a call is one by which pickle makes an object, as far as a name can tell.

    That of a class is, and so are those of some functions; what a method does with what it is given, or
    another function of the packages that checkpoints name, is not known to be harmless.
    """
    root, *inner = target.module.split(".")
    if root in _PACKAGES:
        if str(target).startswith("numpy.random._pickle.") and len(args) > 1:
            return str(args[1]).startswith("numpy.random._pickle.")
        if str(target) == _REBUILD_FROM_TYPE:
            return str(args[0] if args else "").startswith("torch._utils._rebuild_")
        is_class = target.name.lstrip("_")[:1].isupper() and "." not in target.name
        acts = not _ACTING_MODULES.isdisjoint(inner)
        return (is_class and not acts) or _REBUILDING.fullmatch(str(target)) is not None
    through, _, last = target.name.rpartition(".")
    return not (through and root in _STANDARD and root != "__main__" and not last[:1].isupper())


def is_function_of_python(target: Global) -> bool:
    """Whether a name in the standard library is that of a function, and not of a class, by its letters."""
    root = target.module.partition(".")[0]
    return root in _STANDARD and root != "__main__" and not target.name.lstrip("_")[:1].isupper()


def is_own_code(dotted: str) -> bool:
    """Whether a dotted name, as a checkpoint's provenance lists it, is code that nobody here knows."""
    module, _, name = dotted.rpartition(".")
    return group_of(Global(module, name)) is Group.OWN_CODE


def is_dangerous(name: Global) -> bool:
    """Whether a name is of the last group."""
    return group_of(name) is Group.DANGEROUS


def dangers_in_code(names: tuple[str, ...]) -> frozenset[str]:
    """Give those of the names in a function's code by which it would reach other things than its arguments.

    Names of attributes are among them, so that few are looked for.
    """
    return _NAMES_IN_CODE.intersection(names)


def _is_dangerous(name: Global, root: str) -> bool:
    full = str(name)
    if full in _EXACT or name == NESTED:
        return False
    if root in _DANGEROUS_ROOTS:
        return name.name != "*" or name.module not in _IMPORTABLE
    if full in _EXCEPTIONS or is_way_around(name.name):
        return True
    if root in _STANDARD:
        of_python = _LOADING_MODULES.isdisjoint(name.module.split("."))
        return root != "__main__" and not (of_python and _is_plain(root, name.name))
    if root == "cloudpickle":
        return _CLOUDPICKLE.fullmatch(name.name) is None
    return (root in _PACKAGES or root in _OTHER_LOADERS) and _is_loading(name)


def _is_loading(name: Global) -> bool:
    """Of the packages that checkpoints name: what reads and writes files, or runs code, of theirs."""
    modules, last = name.module.split("."), name.name.rpartition(".")[2]
    return _LOADING.fullmatch(last) is not None or not _LOADING_MODULES.isdisjoint(modules[1:])


def _is_plain(module: str, name: str) -> bool:
    """Whether a name in a module of plain data is none of its helpers, and nothing that it has imported."""
    first, *rest = name.split(".")
    if (module in _BUILTINS and first in _DANGEROUS_BUILTINS) or (
        module in _OPERATOR and first in _OPERATORS
    ):
        return False
    if rest and not (len(rest) == 1 and (module in _PLAIN_CLASSES or rest[0] in _METHODS)):
        return False
    helper = first.startswith("_") and not first[1:2].isupper()
    return f"{module}.{first}" in _EXACT or not (helper or first.strip("_") in _STANDARD)


def is_way_around(name: str) -> bool:
    """Whether a dotted name goes through a module, or into Python's own internals (`__globals__`)."""
    *through, last = name.split(".")
    if any(_INTERNAL.fullmatch(part) and part not in _METHODS for part in (*through, last)):
        return True
    bare = {part.strip("_") for part in through}
    return last.strip("_") in _RUNNERS or not bare.isdisjoint(_ROOTS_AND_RUNNERS)
