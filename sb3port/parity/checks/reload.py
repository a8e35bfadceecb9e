"""Loading a port in another process, which knows nothing of this one.

It is started before anything else is loaded, so that its imports take their time beside those of this
process.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from sb3port.checkpoint.checkpoint import Array
from sb3port.networks.observations import Observations

# Beyond this, it hangs.
_SECONDS = 600


class FreshProcess:
    """A process that loads a port and waits for a batch; ends with the `with` block.

    Args:
        folder: The port.
    """

    def __init__(self, folder: Path) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="sb3port-")
        # The same code is found by both, wherever this process found it; `-P` adds no folder to that.
        path = os.pathsep.join(place for place in sys.path if place)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "sb3port.parity.checks.fresh", str(folder.absolute())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        with self._process:  # closes its pipes, and waits
            self._scratch.cleanup()

    def outputs(self, observations: Observations, actions: Array) -> dict[str, Array] | str:
        """Compute outputs; the arguments are those of `Oracle.outputs`.

        Returns:
            The outputs, or the last line that the process wrote before it failed.
        """
        folder = Path(self._scratch.name)
        np.savez(folder / "inputs.npz", actions=actions, **observations.inputs)  # type: ignore[arg-type]
        try:
            _, errors = self._process.communicate(f"{folder / 'inputs.npz'}\n".encode(), timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            return f"it gave nothing in {_SECONDS} seconds"
        if self._process.returncode:
            lines = errors.decode(errors="replace").strip().splitlines()
            return lines[-1][:500] if lines else f"it ended with {self._process.returncode}"
        with np.load(folder / "outputs.npz") as archive:
            return dict(archive)
