"""The four groups of what pickles name: honest objects of all kinds are ported, what is dangerous is not."""

import importlib
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from sb3port.readers.formats.archive import read_archive
from sb3port.readers.formats.groups import _DATA_MODULES, Group, group_of
from sb3port.readers.formats.named import named_globals
from sb3port.readers.formats.pickles import names_in
from sb3port.readers.formats.records import IN_FILE, Global

from .hostile import Victim, assert_refused, text

# What authors keep on their models, as a script would define it, so that the file carries its code.
SCRIPT = """
import argparse, collections, dataclasses, datetime, decimal, enum, fractions, functools, io, logging, math
import pathlib, random, sys, types, typing, uuid
import numpy as np
import torch
from gymnasium.spaces import Box
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback
from stable_baselines3.common.logger import Logger

class End(enum.Enum):
    TIMEOUT = 1

class Level(enum.IntFlag):
    LOW = 1
    HIGH = 2

@dataclasses.dataclass
class Config:
    run: int = 1
    names: list = dataclasses.field(default_factory=list)

@dataclasses.dataclass(frozen=True, order=True)
class Frozen:
    run: typing.Optional[int] = None

class Pair(typing.NamedTuple):
    left: int
    right: int = 2

Named = collections.namedtuple("Named", "a b")

class Decay:
    def __init__(self, start): self.start = start
    def __call__(self, progress): return self.start * progress
    def half(self, progress): return math.sqrt(self.start) * progress
    @property
    def end(self): return 0
    @classmethod
    def usual(cls): return cls(3e-4)
    @staticmethod
    def none(): return None

class Steeper(Decay):
    __slots__ = ("power",)
    def __init__(self, start): super().__init__(start); self.power = 2

class Stop(BaseCallback):
    def _on_step(self): print(self.num_timesteps); return True

class Bounded(Box):
    pass

OWN = dict(
    enum=End.TIMEOUT, flag=Level.LOW | Level.HIGH, dataclass=Config(), frozen=Frozen(), pair=Pair(1),
    namedtuple=Named(1, 2), object=Decay(1.0), subclass=Steeper(1.0), bound_method=Decay(1.0).half,
    class_method=Decay.usual, cls=Decay, function=Decay.none, partial=functools.partial(Decay(1.0).half, 2),
    callback=Stop(), lambda_=lambda p: p * math.pi, with_numpy=lambda p: np.cos(p) + torch.ones(1),
    space=Bounded(-1, 1, (2,)), printing=lambda: print(file=sys.stdout),
)
PLAIN = dict(
    path=pathlib.Path("/somewhere"), pure_path=pathlib.PurePosixPath("a"), now=datetime.datetime(2026, 1, 1),
    zone=datetime.timezone.utc, span=datetime.timedelta(1), random=random.Random(1),
    decimal=decimal.Decimal("1"),
    fraction=fractions.Fraction(1, 3), uuid=uuid.UUID(int=1), device=torch.device("cpu"), dtype=torch.float32,
    generator=np.random.default_rng(1), old_generator=np.random.RandomState(1), tensor=torch.zeros(3),
    layer=torch.nn.Linear(2, 2), logger=logging.getLogger("training"), namespace=types.SimpleNamespace(a=1),
    arguments=argparse.Namespace(lr=1), default=collections.defaultdict(list),
    checkpoints=CheckpointCallback(10, "x"), sb3_logger=Logger(None, []), counter=collections.Counter("ab"),
    method=str.upper, of_list=[1].append, of_random=random.Random(1).uniform, module=np,
    exception=ValueError("x"), range=range(3), numpy_function=np.mean, optimizer=torch.optim.Adam,
    bytes_io=io.BytesIO(b"x"), chain=collections.ChainMap({}), view=types.MappingProxyType({"a": 1}),
)
"""


def _kept() -> dict[str, dict[str, Any]]:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(SCRIPT, "train.py", "exec"), namespace)
    return {"own": namespace["OWN"], "plain": namespace["PLAIN"]}


KEPT = _kept()


@pytest.mark.parametrize("name", KEPT["own"])
def test_own_code_that_no_policy_needs_is_left_out_and_said(name: str, victim: Victim) -> None:
    victim.put("kept", cloudpickle.dumps(KEPT["own"][name]))
    found = [warning for warning in victim.read().warnings if "kept" in warning]
    assert len(found) == 1
    assert found[0].startswith("the file has code that is not SB3's in kept (")
    assert ", which the file carries)" in found[0]


@pytest.mark.parametrize("name", KEPT["plain"])
def test_plain_objects_are_left_out_without_a_word(name: str, victim: Victim) -> None:
    victim.put("kept", cloudpickle.dumps(KEPT["plain"][name]))
    assert not [warning for warning in victim.read().warnings if "kept" in warning]


def test_a_logger_that_prints_is_harmless(victim: Victim) -> None:
    """cloudpickle writes `sys.stdout` so."""
    victim.put("kept", b"\x80\x04" + _attribute(_call(*_SUBIMPORT, text("sys")), "stdout") + b".")
    assert not [warning for warning in victim.read().warnings if "kept" in warning]


def test_the_sentence_names_fields_and_classes(victim: Victim) -> None:
    victim.put("ep_info_buffer", cloudpickle.dumps([{"why": KEPT["own"]["enum"]}]))
    victim.put("run_config", b"\x80\x04" + text("my_runs.config") + text("Config") + b"\x93)\x81.")
    assert (
        "the file has code that is not SB3's in ep_info_buffer (End, which the file carries), "
        "run_config (my_runs.config.Config), which SB3 would import or run to load it; the policy does not "
        "need it, and it is left out"
    ) in victim.read().warnings


def _call(module: str, name: str, *args: bytes) -> bytes:
    """Opcodes that call a global."""
    return text(module) + text(name) + b"\x93(" + b"".join(args) + b"tR"


def _attribute(owner: bytes, name: str) -> bytes:
    return text("builtins") + text("getattr") + b"\x93(" + owner + text(name) + b"tR"


_SUBIMPORT = ("cloudpickle.cloudpickle", "subimport")
_PATH = _call("pathlib", "PosixPath", text("x"))
_EVIL = text("os") + text("system") + b"\x93"


def _torch_file(pickled: bytes) -> bytes:
    """What `torch.storage._load_from_bytes` would hand to torch.load."""
    first = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + pickle.dumps(1001, protocol=2)
    return first + pickle.dumps({"little_endian": True}, protocol=2) + pickled + pickle.dumps([], protocol=2)


def _code_naming(*names: str) -> bytes:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(f"class Kept:\n    def __new__(cls):\n        {'; '.join(names)}", namespace)
    return cloudpickle.dumps(namespace["Kept"])[:-1]


# Each of these would do harm when SB3 loads it, or when SB3 uses it; opcodes without PROTO and STOP.
ATTACKS: dict[str, bytes] = {
    "a function that numpy looks up": _call("numpy.core", "_ufunc_reconstruct", text("os"), text("system")),
    "a function of numpy's that is called": _call("numpy", "test"),
    "a method by its dotted name": _call("numpy", "ndarray.tofile", text("x")),
    "an environment that is made": _call("gymnasium.envs.registration", "make", text("os:x")),
    "a class that starts a process": _call("torch.distributed.elastic.subprocess", "Handler", text("true")),
    "a module that Python had": _call("cPickle", "loads", b"C\x01."),
    "a loader of another package": _call("yaml", "unsafe_load", text("x")),
    "the state of what is not the file's": _call(
        "cloudpickle.cloudpickle", "_class_setstate", text("re") + text("escape") + b"\x93", b"}N\x86"
    ),
    "a function of the file that is called": _call(
        "heapq", "nsmallest", b"K\x01", cloudpickle.dumps(lambda x: x)[2:-1]
    ),
    "a module under another name": _call("random", "_os.system", text("true")),
    "builtins under another name": _call("enum", "bltns.eval", text("1")),
    "a module of a data module": _attribute(text("logging") + text("os") + b"\x93", "system"),
    "text that is compiled": _call("dataclasses", "_create_fn", text("f")),
    "annotations that are evaluated": _call("typing", "get_type_hints", text("f")),
    "a file that is written": _call("pathlib", "Path.write_text", _PATH, text("x")),
    "a bound method that writes": _attribute(_PATH, "write_text") + b"(" + text("x") + b"tR",
    "a file that logging opens": _call("logging", "FileHandler", text("x")),
    "a file that argparse opens": _call("argparse", "FileType", text("w")),
    "getattr of a dangerous module": _attribute(_call(*_SUBIMPORT, text("os")), "system"),
    "getattr of an innocent module": _attribute(_call(*_SUBIMPORT, text("random")), "_os"),
    "getattr of torch": _attribute(_call(*_SUBIMPORT, text("torch")), "load"),
    "getattr of sys": _attribute(_call(*_SUBIMPORT, text("sys")), "modules"),
    "getattr of a class": _attribute(text("my_runs") + text("Config") + b"\x93", "__globals__"),
    "getattr of an object": _attribute(_call("my_runs", "Config"), "__class__"),
    "getattr of a number": _attribute(b"K\x01", "__class__"),
    "getattr of getattr": _attribute(_attribute(_call("my_runs", "Config"), "method"), "__globals__"),
    "getattr with a dot": _attribute(_call("my_runs", "Config"), "a.b"),
    "an old subimport": _call("cloudpickle.cloudpickle", "_getobject", text("os"), text("system")),
    "a helper of cloudpickle": _call("cloudpickle.cloudpickle", "_getattribute", b"N", text("x")),
    "a loader of cloudpickle": _call("cloudpickle.cloudpickle", "loads", b"C\x01."),
    "a module of cloudpickle": _attribute(
        text("cloudpickle.cloudpickle") + text("pickle") + b"\x93", "loads"
    ),
    "a module of types": _attribute(
        _call("cloudpickle.cloudpickle", "_builtin_type", text("sys")), "modules"
    ),
    "the state of a module": _call(*_SUBIMPORT, text("sys")) + b"}" + text("meta_path") + b"]sb",
    "map": _call("builtins", "map", text("my_runs") + text("run") + b"\x93", b"]"),
    "reduce": _call("functools", "reduce", text("my_runs") + text("run") + b"\x93", b"]"),
    "an item that is called": _call("_operator", "getitem", b"}", text("eval")),
    "a partial that is called": _call("functools", "partial", text("my_runs") + text("run") + b"\x93")
    + b")R",
    "a partial of a command": _call("functools", "partial", _EVIL, text("true")),
    "attrgetter": _call("operator", "attrgetter", text("system")),
    "methodcaller": _call("operator", "methodcaller", text("system")),
    "a pickle in a tensor": _call(
        "torch.storage",
        "_load_from_bytes",
        b"B" + len(raw := _torch_file(b"cos\nsystem\n)R.")).to_bytes(4, "little") + raw,
    ),
    "a pickle in a wrapper of SB3's": _call(
        "stable_baselines3.common.vec_env.base_vec_env", "CloudpickleWrapper"
    ),
    "processes of SB3's": _call("stable_baselines3.common.vec_env.subproc_vec_env", "SubprocVecEnv"),
    "a loader of SB3's": _call("stable_baselines3.common.save_util", "load_from_pkl", text("x.pkl")),
    "a model of SB3's": _call("stable_baselines3.ppo.ppo", "PPO.load", text("x.zip")),
    "attributes in SB3's words": _call(
        "stable_baselines3.common.base_class", "recursive_getattr", b"N", text("x")
    ),
    "code of torch.fx": _call("torch.fx.graph_module", "reduce_graph_module", b"}", text("")),
    "another pickler": _call("dill._dill", "_eval_repr", text("1")),
    "joblib": _call("joblib.numpy_pickle", "load", text("x")),
    "a finalizer": _call("weakref", "finalize", b"N", _EVIL),
    "code that imports": _code_naming("import subprocess", "subprocess.run('true')"),
    "code that executes": _code_naming("exec('1')"),
    "code that imports by name": _code_naming("__import__('os')"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_dangerous_in_every_field(name: str, victim: Victim) -> None:
    victim.put("kept", b"\x80\x04" + ATTACKS[name] + b".")
    assert_refused(victim, 5)


@pytest.mark.parametrize("name", [name for name in ATTACKS if name not in ("a pickle in a tensor",)])
def test_damage_does_not_hide_it(name: str, victim: Victim) -> None:
    victim.put("kept", b"\x80\x04" + ATTACKS[name])
    assert_refused(victim, 5)


def test_the_worst_would_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    payload = b"\x80\x04" + _call("random", "_os.system", text(f"touch {marker}")) + b"."
    pickle.loads(payload)
    assert marker.exists()


def _data_modules() -> list[types.ModuleType]:
    names = [name for name in sorted(_DATA_MODULES) if name != "__main__"]
    return [importlib.import_module(name) for name in names if importlib.util.find_spec(name)]


def test_no_module_is_reached_through_another() -> None:
    """All that a module of plain data has imported itself is dangerous, whatever it calls it."""
    found = [
        f"{module.__name__}.{name}"
        for module in _data_modules()
        for name, value in vars(module).items()
        if isinstance(value, types.ModuleType) and group_of(Global(module.__name__, name)) != Group.DANGEROUS
    ]
    assert found == []


def test_functions_of_plain_data_run_nothing() -> None:
    """But for namedtuple, whose names of fields Python checks before it makes code of them."""
    running = {"eval", "exec", "open", "__import__", "system", "Popen"}
    found = {
        f"{value.__module__}.{name}"
        for module in _data_modules()
        for name, value in vars(module).items()
        if isinstance(value, types.FunctionType) and running.intersection(_names(value.__code__))
        if group_of(Global(module.__name__, name)) != Group.DANGEROUS
    }
    assert found <= {"collections.namedtuple"}


def _names(code: types.CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return {*code.co_names, *(name for part in inner for name in _names(part))}


@pytest.mark.parametrize(
    ("module", "name", "group"),
    [
        ("numpy", "ndarray", Group.HARMLESS),
        ("collections", "OrderedDict", Group.HARMLESS),
        ("pathlib", "PosixPath", Group.HARMLESS),
        ("enum", "Enum.__new__", Group.HARMLESS),
        ("math", "*", Group.HARMLESS),
        ("gymnasium.spaces.box", "Box", Group.INERT),
        ("torch.nn.modules.activation", "ReLU", Group.INERT),
        ("stable_baselines3.common.utils", "FloatSchedule", Group.INERT),
        ("my_runs.config", "Config", Group.OWN_CODE),
        ("my_runs.os_utils", "Config.Inner", Group.OWN_CODE),
        ("__main__", "Config", Group.OWN_CODE),
        ("pandas.core.frame", "DataFrame", Group.OWN_CODE),
        (IN_FILE, "Config", Group.OWN_CODE),
        ("os", "system", Group.DANGEROUS),
        ("os", "*", Group.DANGEROUS),
        ("my_runs", "os.system", Group.DANGEROUS),
        ("my_runs", "sys", Group.DANGEROUS),
        ("torch", "load", Group.DANGEROUS),
        ("torch.hub", "*", Group.DANGEROUS),
        ("__main__", "os.system", Group.DANGEROUS),
    ],
)
def test_groups(module: str, name: str, group: Group) -> None:
    assert group_of(Global(module, name)) == group


def test_every_name_is_told_with_its_place(victim: Victim) -> None:
    """Dangerous ones, too: that is for those who look at files, rather than port them."""
    victim.put("kept", b"\x80\x04" + ATTACKS["getattr of a dangerous module"] + b".")
    found = named_globals(read_archive(victim.zip))
    kept = {(str(n.name), str(n.group)) for n in found if (n.member, n.field) == ("data", "kept")}
    assert {("os.*", "dangerous"), ("os.system", "dangerous"), ("builtins.getattr", "harmless")} < kept
    assert ("policy.pth", "", "torch._utils._rebuild_tensor_v2", "inert") in {
        (n.member, n.field, str(n.name), str(n.group)) for n in found
    }


def test_names_before_damage_are_told() -> None:
    assert Global("os", "system") in names_in(b"cos\nsystem\n(", "it")


def test_nothing_of_it_is_imported_or_run() -> None:
    """Python's audit events see no import, no code and no process while any of it is read."""
    seen: list[str] = []
    watching = False
    events = ("import", "exec", "pickle.find_class", "os.system", "subprocess.Popen", "compile")

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if watching and event in events:
            seen.append(f"{event} {str(args[:1])[:100]}")

    pickles = [cloudpickle.dumps(value) for kept in KEPT.values() for value in kept.values()]
    pickles += [b"\x80\x04" + attack + b"." for attack in ATTACKS.values()]
    names_in(pickles[0], "it")  # whatever is imported when it is first used
    sys.addaudithook(hook)
    watching = True
    for pickled in pickles:
        names_in(pickled, "it")
    watching = False
    assert seen == []
