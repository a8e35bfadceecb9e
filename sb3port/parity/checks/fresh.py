"""What the fresh process runs: load a port with LeRobot, compute its outputs for one batch, and end.

    python -m sb3port.parity.checks.fresh PORT

It reads one line, the name of an `.npz` with the inputs, and writes the outputs into the same folder. Nothing
is imported here that a comparison would have imported before: SB3 above all.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from sb3port.inference.port import Port
from sb3port.networks.observations import Observations

ACTIONS, OUTPUTS = "actions", "outputs.npz"


def main(folder: Path) -> None:
    """Load the port first: the other process needs time, too."""
    torch.set_num_threads(1)
    port = Port(folder)
    path = Path(sys.stdin.readline().rstrip("\n"))
    with np.load(path) as archive:
        inputs = dict(archive)
    actions = inputs.pop(ACTIONS)
    outputs = port.outputs(Observations.from_inputs(inputs), actions)
    np.savez(path.with_name(OUTPUTS), **outputs)  # type: ignore[arg-type]  # numpy's stub of savez


if __name__ == "__main__":
    main(Path(sys.argv[1]))
