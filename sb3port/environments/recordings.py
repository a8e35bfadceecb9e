"""A recording as an `.npz` file, in the form of a `reference.npz`."""

from pathlib import Path

import numpy as np

from sb3port.environments.recording import Recording
from sb3port.files.staging import staged_file


def write_npz(recording: Recording, dest: Path, force: bool = False) -> None:
    """Write a recording, which `verify --observations` takes; `Recording.arrays` says what is in it.

    Raises:
        UsageError: `dest` exists and `force` is false, or it cannot be written.
    """
    with staged_file(dest, force) as path, path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **recording.arrays())
