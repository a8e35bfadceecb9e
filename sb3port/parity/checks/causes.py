"""Why a port is not what its source is: from what was read of both, and from nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.errors import Sb3portError
from sb3port.parity.comparison.report import Cause, Check, TensorRow
from sb3port.parity.comparison.verdicts import Verdict
from sb3port.ports.difference import SettingDifference, deviations
from sb3port.ports.lerobot_folder import read_running
from sb3port.ports.unchanged import Changes

_MOST = 5  # of each kind
_LONGEST = 100  # characters of a value


def causes(
    source: Checkpoint, folder: Path, checks: Sequence[Check], tensors: Sequence[TensorRow], changes: Changes
) -> tuple[Cause, ...]:
    """Give what explains that checks failed; nothing where none did, or where nothing was found.

    Args:
        source: The checkpoint, read from its source.
        folder: The port.
        checks: All of the report.
        tensors: Those that both have.
        changes: What of the port is not as the conversion wrote it.
    """
    failed = {check.id: check for check in checks if check.verdict is Verdict.FAIL}
    if not failed:
        return ()
    return (*_settings(source, folder), *_tensors(failed, tensors), *_files(changes))


def _settings(source: Checkpoint, folder: Path) -> Iterator[Cause]:
    try:
        found = deviations(source, read_running(folder))
    except Sb3portError:  # tensors are missing, which is told as such
        return
    yield from map(_of_setting, found[:_MOST])
    if len(found) > _MOST:
        yield Cause("setting", "", f"{len(found) - _MOST} more settings differ")


def _of_setting(found: SettingDifference) -> Cause:
    a, b = (f"{text[:_LONGEST]}…" if len(text) > _LONGEST else text for text in (found.a, found.b))
    return Cause("setting", found.name, f"{found.name}: {a} in the source, {b} in the port", a, b)


def _tensors(failed: Mapping[str, Check], tensors: Sequence[TensorRow]) -> Iterator[Cause]:
    """Tell what the checks of tensors tell."""
    wrong = [row for row in tensors if row.verdict is Verdict.FAIL]
    furthest = max(wrong, key=lambda row: row.max_abs).name if wrong else ""
    for name, subject in (("integrity.names", ""), ("tensors", furthest)):
        if name in failed:
            reason = failed[name].comparison.reason
            yield Cause("tensors", subject, f"{name}: {reason}" if subject else reason)


def _files(changes: Changes) -> Iterator[Cause]:
    rows = [(name, "changed") for name in changes.changed] + [(name, "missing") for name in changes.gone]
    for name, how in rows[:_MOST]:
        yield Cause("file", name, f"{name}: {how} since the conversion")
    if len(rows) > _MOST:
        yield Cause("file", "", f"{len(rows) - _MOST} more files are not as the conversion wrote them")
