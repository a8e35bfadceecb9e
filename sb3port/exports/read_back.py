"""What became of a checkpoint that was written and read again: nothing, or else it was not written well."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sb3port.checkpoint.checkpoint import Checkpoint, OptimizerState
from sb3port.ports.difference import difference


def changes(written: Checkpoint, read: Checkpoint) -> list[str]:
    """Name every setting, tensor, statistic and optimiser state that is not what it was.

    Settings that only the second has are not counted: SB3 writes its defaults for those that older versions
    did not have.
    """
    found = difference(written, _without_new_statistics(written, read))
    return [
        *(one.name for section in found.settings.values() for one in section if one.a != "absent"),
        *(one.name for section in found.arrays for one in found.different(section)),
        *(f"optimiser {name}" for name in _of_optimizers(written.optimizer, read.optimizer)),
        *(
            f"{which} {name}"
            for which, state in written.optimizers.items()
            for name in _of_optimizers(state, read.optimizers.get(which))
        ),
    ]


def _without_new_statistics(written: Checkpoint, read: Checkpoint) -> Checkpoint:
    """Leave out the statistics of rewards where there were none: SB3 begins them anew."""
    if written.normalizer is None or written.normalizer.ret_rms is not None or read.normalizer is None:
        return read
    return replace(read, normalizer=replace(read.normalizer, ret_rms=None))


def _of_optimizers(written: OptimizerState | None, read: OptimizerState | None) -> Iterator[str]:
    if written is None:
        return
    if read is None:
        yield "state"
        return
    yield from (
        name for name, value in written.group.items() if _plain(read.group.get(name)) != _plain(value)
    )
    if written.count != read.count:
        yield "parameters"
    for number in dict.fromkeys((*written.state, *read.state)):
        ours, theirs = written.state.get(number, {}), read.state.get(number, {})
        # A step count is a plain number in old files.
        if ours.keys() != theirs.keys() or not all(np.array_equal(ours[k], theirs[k]) for k in ours):
            yield f"parameter {number}"


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
