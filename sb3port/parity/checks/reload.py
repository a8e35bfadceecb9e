"""Loading ports in another process, which has LeRobot and knows nothing of this one.

Importing LeRobot takes longer than all else that is done to a port. So the process is started before anything
else is loaded, beside whose imports its own take their time, and answers for every port of this process.
"""

import atexit
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array
from sb3port.networks.observations import Observations

# Beyond this, it hangs.
_SECONDS = 600.0
_SHOWN = 500


def is_installed() -> bool:
    """Whether LeRobot and its plugin are here, without importing them."""
    return all(importlib.util.find_spec(name) is not None for name in ("lerobot", "lerobot_policy_ppo"))


def warm_up() -> None:
    """Start the process that answers for all ports, if there is LeRobot: a port will be loaded soon."""
    if is_installed():
        _shared.start()


class FreshProcess:
    """A port in the other process.

    Args:
        folder: The port; it need not be there before its outputs are asked for.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        _shared.start()

    def outputs(self, observations: Observations, actions: Array) -> dict[str, Array] | str:
        """Compute outputs; the arguments are those of `Oracle.outputs`.

        Returns:
            The outputs, or what the process said before it failed.
        """
        own = _own_extractors()
        with tempfile.TemporaryDirectory(prefix="sb3port-") as scratch:
            inputs, outputs = Path(scratch, "inputs.npz"), Path(scratch, "outputs.npz")
            np.savez(inputs, actions=actions, **observations.inputs)  # type: ignore[arg-type]
            request = {
                "port": str(self._folder),
                "inputs": str(inputs),
                "outputs": str(outputs),
                "extractors": ",".join(own),
                "path": [*_places_of_own_code(own), *(place for place in sys.path if place)],
            }
            if failure := _shared.ask(request):
                return failure[:_SHOWN]
            with np.load(outputs) as archive:
                return dict(archive)


def fresh_process(folder: Path) -> FreshProcess | None:
    """Give the other process for a port, None where there is no LeRobot."""
    return FreshProcess(folder) if is_installed() else None


def _own_extractors() -> list[str]:
    from sb3port.networks.own_extractors import allowed_extractors  # needs torch, which is there by now

    return allowed_extractors()


def _places_of_own_code(names: list[str]) -> list[str]:
    """Where this process found the modules of the user's extractors: others may have their names."""
    tops = {name.partition(":")[0].partition(".")[0] for name in names}
    found = [sys.modules[top] for top in sorted(tops) if top in sys.modules]
    folders = [folder for module in found for folder in list(getattr(module, "__path__", []))[:1]]
    files = [module.__file__ for module in found if not hasattr(module, "__path__") and module.__file__]
    return [str(Path(place).absolute().parent) for place in (*folders, *files)]


class _Process:
    """One process, which may have ended since it was last asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[str] | None = None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        self.end()
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        # The same code is found by both, wherever this process found it; `-P` adds no folder to that.
        path = os.pathsep.join(place for place in sys.path if place)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "sb3port.parity.checks.fresh"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for this process, which ends that one
        )

    def ask(self, request: Mapping[str, Any]) -> str:
        """Give the error of a request, empty where there was none."""
        with self._lock:
            for _ in range(2):  # it may have ended because nothing was asked for long
                self.start()
                process = self._process
                assert process is not None
                assert process.stdin is not None
                assert process.stdout is not None
                guard = threading.Timer(_SECONDS, process.kill)
                guard.start()
                try:
                    process.stdin.write(f"{json.dumps(request)}\n")
                    process.stdin.flush()
                    if line := process.stdout.readline():
                        return str(json.loads(line))
                except BrokenPipeError:
                    pass
                finally:
                    guard.cancel()
                process.wait()
                if process.returncode:
                    return self._last_words(process.returncode)
            return "it ended without an answer"

    def _last_words(self, code: int) -> str:
        assert self._errors is not None
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1] if lines else f"it ended with {code}"

    def end(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.kill()
            with suppress(BrokenPipeError), self._process:  # closes its pipes, and waits
                pass
            self._process = None
        if self._errors is not None:
            self._errors.close()
            self._errors = None


_shared = _Process()
atexit.register(_shared.end)
