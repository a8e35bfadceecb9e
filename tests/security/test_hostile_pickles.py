"""Pickles that would run something: nothing runs, exit code 5, and the message names what it would be."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from sb3port.readers.formats.groups import is_dangerous
from sb3port.readers.formats.records import Global

from .hostile import Victim, assert_refused, text

PLACES = [
    *("policy_class", "policy_kwargs", "observation_space", "action_space", "learning_rate", "clip_range"),
    *("lr_schedule", "_last_obs", "ep_info_buffer", "rollout_buffer_class", "a_setting_nobody_reads"),
    *("policy.pth", "policy.optimizer.pth", "pytorch_variables.pth", "vec_normalize.pkl"),
]


def _touch(marker: Path) -> bytes:
    return b"V" + f"touch {marker}".encode() + b"\n"


def _payloads(marker: Path) -> dict[str, tuple[bytes, str]]:
    """Every way in which a pickle can call something, and the global that the message must name."""
    call = _touch(marker)
    code = b"V" + f"open({str(marker)!r}, 'w')".encode() + b"\n"
    stack_global = text("os") + text("system") + b"\x93"
    return {
        "GLOBAL REDUCE": (b"cos\nsystem\n" + call + b"\x85R.", "os.system"),
        "posix": (b"cposix\nsystem\n(" + call + b"tR.", "posix.system"),
        "STACK_GLOBAL REDUCE": (b"\x80\x04" + stack_global + call + b"\x85R.", "os.system"),
        "dotted STACK_GLOBAL": (
            b"\x80\x04" + text("torch") + text("os.system") + b"\x93" + call + b"\x85R.",
            "torch.os.system",
        ),
        "internals": (
            b"\x80\x04" + text("numpy") + text("dtype.__class__.__subclasses__") + b"\x93)R.",
            "numpy.dtype.__class__.__subclasses__",
        ),
        "memoised names": (
            b"\x80\x04"
            + text("os")
            + b"\x94"
            + text("system")
            + b"\x94"
            + b"0" * 2
            + b"h\x00h\x01\x93"
            + call
            + b"\x85R.",
            "os.system",
        ),
        "INST": (b"(" + call + b"ios\nsystem\n.", "os.system"),
        "OBJ": (b"(cos\nsystem\n" + call + b"o.", "os.system"),
        "NEWOBJ": (b"\x80\x02csubprocess\nPopen\n(" + call + b"t\x81.", "subprocess.Popen"),
        "NEWOBJ_EX": (
            b"\x80\x04" + text("subprocess") + text("Popen") + b"\x93" + call + b"\x85}\x92.",
            "subprocess.Popen",
        ),
        "exec": (b"cbuiltins\nexec\n" + code + b"\x85R.", "builtins.exec"),
        "python 2 eval": (b"c__builtin__\neval\n" + code + b"\x85R.", "__builtin__.eval"),
        "BUILD": (b"ccollections\nOrderedDict\n)R}Vx\ncos\nsystem\n" + call + b"\x85Rsb.", "os.system"),
        "BUILD of a module's dictionary": (
            b"\x80\x04" + text("os") + text("__dict__") + b"\x93}b.",
            "os.__dict__",
        ),
        "POP": (b"N(cos\nsystem\n" + call + b"oI1\n00.", "os.system"),
        "POP_MARK": (b"N(cos\nsystem\n" + call + b"\x85R1.", "os.system"),
        "in a key": (b"}cos\nsystem\n" + call + b"\x85RI1\ns.", "os.system"),
        "in a persistent id": (b"cos\nsystem\n" + call + b"\x85RQ.", "os.system"),
        "named and not called": (b"cos\nsystem\n.", "os.system"),
        "subimport": (
            b"cbuiltins\ngetattr\n(ccloudpickle.cloudpickle\nsubimport\n"
            + b"Vos\n\x85RVsystem\ntR"
            + call
            + b"\x85R.",
            "os.*",
        ),
        "another loader": (b"cnumpy\nload\nVx.npy\n\x85R.", "numpy.load"),
        "pickle in a pickle": (b"c_pickle\nloads\nB\x01\x00\x00\x00.\x85R.", "_pickle.loads"),
    }


NAMES = list(_payloads(Path("x")))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_runs_and_the_global_is_named(name: str, victim: Victim, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    payload, word = _payloads(marker)[name]
    victim.put("_last_obs", payload)
    error = assert_refused(victim, 5)
    assert word in error.message
    assert not marker.exists()


@pytest.mark.parametrize("place", PLACES)
def test_every_place_is_looked_at(place: str, victim: Victim, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    victim.put(place, _payloads(marker)["GLOBAL REDUCE"][0])
    error = assert_refused(victim, 5)
    assert "os.system" in error.message
    assert not marker.exists()


def test_the_payloads_would_run(tmp_path: Path) -> None:
    for name in (
        "GLOBAL REDUCE",
        "STACK_GLOBAL REDUCE",
        "INST",
        "OBJ",
        "exec",
        "memoised names",
        "subimport",
    ):
        marker = tmp_path / name.replace(" ", "_")
        pickle.loads(_payloads(marker)[name][0])
        assert marker.exists(), name


def test_code_of_its_own_that_is_called(victim: Victim, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(f"def payload():\n    open({str(marker)!r}, 'w').close()", namespace)

    class Payload:
        def __reduce__(self) -> tuple[Any, tuple[()]]:
            return namespace["payload"], ()

    pickled = cloudpickle.dumps(Payload())
    victim.put("ep_info_buffer", pickled)
    assert "code in the file" in assert_refused(victim, 5).message
    assert not marker.exists()
    pickle.loads(pickled)
    assert marker.exists(), "the payload would run"


def test_the_command_line_says_five(victim: Victim, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    victim.put("lr_schedule", _payloads(marker)["GLOBAL REDUCE"][0])
    command = [sys.executable, "-m", "sb3port", "convert", str(victim.folder), "port", "--no-verify"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 5
    assert "os.system" in done.stderr
    assert not done.stdout
    assert not marker.exists()
    assert not (tmp_path / "port").exists()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "collections.OrderedDict",
            "collections.deque",
            "builtins.set",
            "builtins.getattr",
            "_codecs.encode",
        ),
        *("numpy.dtype", "numpy._core.multiarray._reconstruct", "numpy.random._pickle.__randomstate_ctor"),
        *("torch._utils._rebuild_tensor_v2", "torch.nn.modules.activation.ReLU", "torch.FloatStorage"),
        *(
            "cloudpickle.cloudpickle._make_function",
            "pathlib.PosixPath",
            "datetime.datetime",
            "copyreg._reconstructor",
        ),
        *(
            "stable_baselines3.common.utils.FloatSchedule",
            "my_project.system.Schedule",
            "gym.utils.seeding.RandomNumberGenerator",
        ),
        *("logging.getLogger", "typing.Union", "abc.ABCMeta", "types.SimpleNamespace", "operator.getitem"),
    ],
)
def test_honest_globals(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert not is_dangerous(Global(module, attribute))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        *(
            ("os", "popen"),
            ("nt", "system"),
            ("subprocess", "run"),
            ("builtins", "__import__"),
            ("runpy", "run_path"),
        ),
        *(
            ("urllib.request", "urlopen"),
            ("multiprocessing.util", "spawnv_passfds"),
            ("cProfile", "run"),
            ("pydoc", "pipepager"),
        ),
        *(
            ("torch.hub", "load"),
            ("torch", "load"),
            ("numpy.testing._private.utils", "runstring"),
            ("asyncio", "run"),
        ),
        *(
            ("operator", "methodcaller"),
            ("builtins", "eval.__call__"),
            ("collections", "abc.sys.modules"),
            ("x", "y.__globals__"),
        ),
        *(
            ("logging.config", "listen"),
            ("shutil", "rmtree"),
            ("pip._internal", "main"),
            ("webbrowser", "open"),
        ),
    ],
)
def test_dangerous_globals(module: str, name: str) -> None:
    assert is_dangerous(Global(module, name))
