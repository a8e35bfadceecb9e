"""Every tensor of a port against the source's, bit for bit: weights, and the statistics of the normaliser."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file

from sb3port.checkpoint.checkpoint import Array, Checkpoint
from sb3port.errors import NotPortable
from sb3port.files.port_files import STATISTICS_FILE
from sb3port.parity.comparison.compare import Comparison, compare
from sb3port.parity.comparison.report import SOURCE, Check, TensorRow
from sb3port.parity.comparison.verdicts import NONE, Verdict
from sb3port.ports.manifest import statistics_tensors
from sb3port.reports.numbers import size_text


def expected_tensors(checkpoint: Checkpoint) -> dict[str, Array]:
    """Name what a port of a checkpoint holds."""
    return {**checkpoint.tensors, **statistics_tensors(checkpoint)}


def written_tensors(folder: Path) -> dict[str, Array]:
    """Read what a port holds.

    Raises:
        NotPortable: A file of it is absent or damaged.
    """
    statistics = _read(folder / STATISTICS_FILE) if (folder / STATISTICS_FILE).is_file() else {}
    return {**_read(folder / "model.safetensors"), **statistics}


def _read(path: Path) -> dict[str, Array]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise NotPortable(f"{path} cannot be read ({error})") from error


def compare_tensors(
    expected: Mapping[str, Array], written: Mapping[str, Array]
) -> tuple[Check, tuple[TensorRow, ...]]:
    """Compare those that both sides have, as one check and one by one."""
    both = {
        name: compare(array, written[name], None, NONE) for name, array in expected.items() if name in written
    }
    found = {name: _exact(outcome) for name, outcome in both.items()}
    rows = tuple(
        TensorRow(name, expected[name].shape, expected[name].dtype.name, outcome.verdict, outcome.max_abs)
        for name, outcome in found.items()
    )
    return Check("tensors", _together(found, expected), against=SOURCE), rows


def _exact(outcome: Comparison) -> Comparison:
    """Other bits are wrong, whatever the number that they stand for."""
    exact = outcome.verdict is Verdict.BIT_EXACT
    return outcome if exact else replace(outcome, verdict=Verdict.FAIL)


def _together(found: Mapping[str, Comparison], expected: Mapping[str, Array]) -> Comparison:
    different = {name: outcome for name, outcome in found.items() if outcome.verdict is Verdict.FAIL}
    if not different:
        return Comparison(Verdict.BIT_EXACT, shape=(sum(expected[name].size for name in found),), limit=0.0)
    name, outcome = max(different.items(), key=lambda item: item[1].max_abs)
    return replace(outcome, reason=_reason(name, outcome, len(different)), pairs=(), histogram=None)


def _reason(name: str, outcome: Comparison, count: int) -> str:
    where = list(outcome.worst.index) if outcome.worst else ""
    more = f", and {count - 1} more differ" if count > 1 else ""
    differs = f"differs by up to {size_text(outcome.max_abs)} at {where}" if where else "differs in its bits"
    return f"{name}: {outcome.reason}" if outcome.reason else f"{name} {differs}{more}"
