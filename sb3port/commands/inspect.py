"""What `sb3port inspect` finds: all that a file says of itself, and how SB3 gets a zip that it loads."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.checkpoint.contents import YES, Contents
from sb3port.checkpoint.schedules import CustomSchedule, ExpressionSchedule
from sb3port.commands.handed_back import Reading
from sb3port.commands.policies import Announce, ReadOptions, find_policy
from sb3port.commands.sandboxed import Sandbox, error_of, read_contents_guarded
from sb3port.errors import NotPortable, Sb3portError, UsageError
from sb3port.exports.sb3_form import sb3_form
from sb3port.families.algorithms import algorithm_of
from sb3port.families.hyperparameters import true_settings
from sb3port.files.texts.names import file_name
from sb3port.readers.meaning.contents import contents_of_port, read_statistics_file

_PICKLES = (".pkl", ".pickle")
_OTHER_RATE = 0.2  # SB3's clip range, for one of the values that has no default


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Args:
        contents: All that could be read.
        command: What makes a zip that today's SB3 loads, or else a port; empty where there is no need.
        refusal: Why no policy is made of it, None where one is.
    """

    contents: Contents
    command: str = ""
    refusal: Sb3portError | None = None


def inspect(label: str, options: ReadOptions, announce: Announce = lambda _: None) -> Inspection:
    """Read all that can be read of a checkpoint, a port or saved statistics, running nothing of it.

    Args:
        label: As the user names it.
        options: How to find and read it.
        announce: As for `find_policy`.

    Raises:
        Sb3portError: There is nothing that could be read.
    """
    if label.endswith(_PICKLES) and Path(label).is_file():
        return _of_statistics(Path(label), options.sandbox)
    found = find_policy(label, options, announce)
    if found.source is None:
        return Inspection(contents_of_port(found.as_named))
    reading = options.reading(found.source)
    contents = read_contents_guarded(reading, options.sandbox)
    return Inspection(contents, _mending(options, reading, contents), _error(contents))


def _of_statistics(path: Path, sandbox: Sandbox) -> Inspection:
    if sandbox:
        raise UsageError(f"{path} is a pickle alone, and --sandbox is for checkpoints", "drop --sandbox")
    contents = read_statistics_file(path)
    return Inspection(contents, refusal=_error(contents))


def _error(contents: Contents) -> Sb3portError | None:
    return None if contents.refusal is None else error_of(contents.refusal)


def _mending(options: ReadOptions, reading: Reading, contents: Contents) -> str:
    """Give the command by which SB3 gets a zip that it loads; a port, where SB3 has no such policy."""
    checkpoint, loading = contents.checkpoint, contents.loading
    if checkpoint is None or loading is None or loading.verdict == YES:
        return ""
    label, *narrowed = reading.source.words or (reading.source.label,)
    if options.source.vecnormalize is not None:
        narrowed += ["--vecnormalize", str(options.source.vecnormalize)]
    if not reading.use_stats or contents.refusal is not None:
        narrowed.append("--no-stats")
    if reading.assume_standard_forward:
        narrowed.append("--assume-standard-forward")
    if reading.extractor is not None:
        narrowed += ["--extractor", reading.extractor]
    rates = _lost_rates(checkpoint)
    try:
        sb3_form(checkpoint, rates)
    except NotPortable:
        return shlex.join(["sb3port", "convert", label, *narrowed])
    given = [f"--{name.replace('_', '-')}={rate:g}" for name, rate in rates.items()]
    dest = Path("repaired") / file_name(checkpoint.provenance.name, "policy").text
    return shlex.join(["sb3port", "repair", label, str(dest), *narrowed, *given])


def _lost_rates(checkpoint: Checkpoint) -> dict[str, float]:
    """Give SB3's defaults for the schedules that nothing tells, and that cannot be written."""
    defaults = algorithm_of(checkpoint.spec.algorithm).default_rates
    schedules = {**checkpoint.training.schedules, **true_settings(checkpoint).schedules}
    lost = [name for name, schedule in schedules.items() if isinstance(schedule, CustomSchedule)]
    rates = {name: defaults.get(name, _OTHER_RATE) for name in lost}
    try:
        sb3_form(checkpoint, rates)
    except NotPortable:
        return rates
    except UsageError:  # a formula has no finite value at some time
        formulas = [name for name, s in schedules.items() if isinstance(s, ExpressionSchedule)]
        return rates | {name: defaults.get(name, _OTHER_RATE) for name in formulas}
    return rates
