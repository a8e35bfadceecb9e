"""The fuzzer with faults planted, another for every seed: `python planted.py`, with the fuzzer's options."""

import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from sb3port.errors import NotPortable
from tests.fuzz import inputs, properties

_ELSEWHERE = Path("/dev/shm/sb3port-planted")
_calls = iter(range(10**9))


def _hang() -> None:
    _FAULTS["hang"] = lambda: None  # once is enough
    while True:
        pass


def _import() -> None:
    sys.modules.pop("this", None)
    import this  # noqa: F401


def _refuse(message: str) -> None:
    error = NotPortable("it")
    error.message = message
    raise error


_FAULTS: dict[str, Callable[[], Any]] = {
    "bug": lambda: {}["nothing"],
    "import": _import,
    "write": lambda: _ELSEWHERE.write_bytes(b""),
    "process": lambda: subprocess.run(["true"], check=False),
    "remove": lambda: _ELSEWHERE.unlink(missing_ok=True),
    "read": lambda: Path("/etc/hostname").read_bytes(),
    "hang": _hang,
    "memory": lambda: bytearray(8 * 1024**3),
    "exit": lambda: sys.exit(0),
    "print": lambda: print("hello"),
    "long": lambda: _refuse("x" * 3000),
    "control": lambda: _refuse("\x1b[31m"),
    "other": lambda: _refuse(f"{next(_calls)} things"),
    **dict.fromkeys(("port", "bits", "setting"), lambda: None),
}
_names = [*_FAULTS, *("port", "bits", "setting") * 3]  # only few inputs are written as ports
_fault = ""
_make, _read, _read_port = inputs.make, properties.Examination._read, properties.read_port


def _reading(self: Any, given: Any, place: Path) -> Any:
    global _fault  # noqa: PLW0603
    _fault = _names[given.seed % len(_names)] if given.seed >= 0 else ""
    if _fault:
        _FAULTS[_fault]()
    return _read(self, given, place)


def _reading_port(folder: Path) -> Any:
    """Give something else than what is there."""
    checkpoint = _read_port(folder)
    if _fault == "port":
        raise NotPortable("it cannot be read")
    if _fault == "bits":
        return replace(checkpoint, tensors={name: -array for name, array in checkpoint.tensors.items()})
    settings = {**checkpoint.training.hyperparameters, "gamma": 0.123}
    changed = replace(checkpoint, training=replace(checkpoint.training, hyperparameters=settings))
    return changed if _fault == "setting" else checkpoint


inputs.make = lambda seed, corpus: replace(_make(seed, corpus), thorough=True)
properties.Examination._read = _reading  # type: ignore[method-assign]
properties.read_port = _reading_port
runpy.run_module("tests.fuzz", run_name="__main__")
