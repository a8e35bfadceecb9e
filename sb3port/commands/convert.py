"""From a checkpoint to a port: what `sb3port convert` does, as functions."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from sb3port.checkpoint.checkpoint import Checkpoint, short_name
from sb3port.commands.handed_back import Reading
from sb3port.commands.own_code import use_extractor
from sb3port.commands.sandboxed import read_guarded
from sb3port.commands.verify import reference_of, run_checks
from sb3port.errors import NotPortable, UsageError, need
from sb3port.families.algorithms import display_name
from sb3port.files.port_files import CARD, is_port
from sb3port.files.staging import refuse_existing, staged_folder
from sb3port.parity.checks.reload import fresh_process, warm_up
from sb3port.parity.comparison.report import ParityReport, refuse_unless_holds
from sb3port.ports.card.card import model_card
from sb3port.ports.card.facts import CardFacts
from sb3port.ports.finding import fetch_port
from sb3port.ports.reading import read_port
from sb3port.ports.writing import write_port
from sb3port.readers.places.source import PortOnHub, Source, SourceOptions, resolve
from sb3port.reports.files import keep_report
from sb3port.reports.markdown import card_section

Announce: TypeAlias = Callable[[str, str], None]


@dataclass(frozen=True)
class Conversion:
    """What `convert` did.

    Args:
        port: The folder that was written.
        checkpoint: What was read.
        report: The outcome of the verification, None without one.
    """

    port: Path
    checkpoint: Checkpoint
    report: ParityReport | None


@dataclass(frozen=True)
class ConvertOptions:
    """How to convert.

    Args:
        source: What narrows the source down.
        use_stats: False to leave VecNormalize statistics out.
        assume_standard_forward: Take a policy class of the author's own for SB3's where its tensors are.
        extractor: `module:Class` of a features extractor whose code is the user's own; imported to verify.
        verify: False to skip the verification, which needs torch, SB3 and LeRobot.
        force: Replace a port that is already there.
        sandbox: Whether a process with limits reads it; None for that where files come from the Hub.
        reload: False to verify without a second process, in which LeRobot loads the port.
    """

    source: SourceOptions = field(default_factory=SourceOptions)
    use_stats: bool = True
    assume_standard_forward: bool = False
    extractor: str | None = None
    verify: bool = True
    force: bool = False
    sandbox: bool | None = None
    reload: bool = True


def read(
    label: str,
    options: SourceOptions,
    use_stats: bool = True,
    assume_standard_forward: bool = False,
    extractor: str | None = None,
    sandbox: bool | None = None,
) -> Checkpoint:
    """Read a checkpoint from wherever it is: a SOURCE of `convert`, or a port, here or on the Hub.

    Raises:
        Sb3portError: With the exit code of the contract.
    """
    checkpoint, port = read_anything(label, options, use_stats, assume_standard_forward, extractor, sandbox)
    if port is not None:
        _refuse_options(label, extractor is not None)
    return checkpoint


def read_anything(
    label: str,
    options: SourceOptions,
    use_stats: bool = True,
    assume_standard_forward: bool = False,
    extractor: str | None = None,
    sandbox: bool | None = None,
) -> tuple[Checkpoint, Path | None]:
    """Read a checkpoint as `read` does, and give the folder of it if it is a port."""
    _refuse_contradiction(options, use_stats)
    changed = not use_stats or assume_standard_forward
    if is_port(Path(label)):
        _refuse_options(label, changed or options != SourceOptions())
        _refuse_sandbox(label, sandbox)
        return read_port(Path(label)), Path(label)
    try:
        source = resolve(label, options)
    except PortOnHub as found:
        _refuse_options(label, changed or replace(options, revision=None) != SourceOptions())
        _refuse_sandbox(label, sandbox)
        port = fetch_port(found.files)
        return read_port(port), port
    reading = Reading(source, use_stats, assume_standard_forward, extractor)
    return read_guarded(reading, sandbox), None


def _refuse_options(label: str, given: bool) -> None:
    if given:
        raise UsageError(f"{label} is a port, which holds one policy and its statistics", "drop the options")


def _refuse_sandbox(label: str, sandbox: bool | None) -> None:
    if sandbox:
        raise UsageError(f"{label} is a port, and --sandbox is for the pickles of a source", "drop --sandbox")


def _refuse_contradiction(options: SourceOptions, use_stats: bool) -> None:
    if options.vecnormalize is not None and not use_stats:
        raise UsageError("--vecnormalize names statistics that --no-stats leaves out", "drop one of the two")


def convert(label: str, dest: Path | None, options: ConvertOptions, announce: Announce) -> Conversion:
    """Port a checkpoint to LeRobot.

    Args:
        label: SOURCE, as the user names it.
        dest: Where the port shall lie; `ports/<name>` by default.
        options: How to do it.
        announce: Called with each stage ("read", "map", "write", "verify") and what it found.

    Raises:
        Sb3portError: With the exit code of the contract; nothing is written then.
    """
    _refuse_contradiction(options.source, options.use_stats)
    if dest is not None:
        refuse_existing(dest, options.force)
    if is_port(Path(label)):
        raise UsageError(f"{label} is a port already", "verify it with: sb3port verify " + label)
    if options.verify:
        need("sb3", "verifying", "leave it out with --no-verify")
    source = resolve(label, options.source)
    dest = dest or Path("ports") / _own_name(source)
    refuse_existing(dest, options.force)
    if options.verify and options.reload:
        warm_up()
    reading = Reading(source, options.use_stats, options.assume_standard_forward, options.extractor)
    checkpoint = read_guarded(reading, options.sandbox)
    announce("read", describe_source(source, checkpoint))
    announce("map", describe_mapping(checkpoint))
    if options.extractor is not None and options.verify:
        use_extractor(checkpoint.spec, options.extractor, source.label)
    with staged_folder(dest, options.force) as staging:
        _write(checkpoint, staging, dest)
        announce("write", f"{sum(f.stat().st_size for f in staging.rglob('*') if f.is_file()):,} bytes")
        report = None
        if options.verify:
            report = _verify_staged(staging, checkpoint, source, dest.name, options.reload)
            announce("verify", describe_report(report))
    return Conversion(dest, checkpoint, report)


def _own_name(source: Source) -> str:
    name = short_name(source.location)
    return name if name.strip(".") else "policy"


def describe_source(source: Source, checkpoint: Checkpoint) -> str:
    """Say which files were read."""
    place = f"{source.location} @ {source.revision[:12]}" if source.revision else source.label
    statistics = checkpoint.provenance.files.get("statistics")
    and_statistics = f" and {statistics.name}" if statistics else ""
    return f"{source.checkpoint.shown}{and_statistics} from {place}"


def describe_mapping(checkpoint: Checkpoint) -> str:
    """Say what was understood."""
    spec = checkpoint.spec
    count = sum(array.size for array in checkpoint.tensors.values())
    sde = " with gSDE" if spec.use_sde else ""
    return f"{display_name(spec.algorithm)}{sde}, {len(checkpoint.tensors)} tensors, {count:,} numbers"


def describe_report(report: ParityReport) -> str:
    """Say how the verification ended."""
    return f"{report.verdict} on {report.count} observations, {report.label}"


def _write(checkpoint: Checkpoint, staging: Path, dest: Path) -> None:
    try:
        write_port(checkpoint, staging)
    except OSError as error:
        raise UsageError(f"{dest} cannot be written: {error.strerror or error}") from error
    except UnicodeEncodeError as error:  # half of a surrogate pair, which no safetensors file can hold
        name = checkpoint.provenance.name
        raise NotPortable(f"{name} has a name in it that is no text: {error.object[:200]!r}") from error


def _verify_staged(
    staging: Path, checkpoint: Checkpoint, source: Source, name: str, reload: bool
) -> ParityReport:
    reference, fresh = reference_of(source, checkpoint), fresh_process(staging) if reload else None
    report = run_checks(staging, checkpoint, reference, name, fresh=fresh)
    refuse_unless_holds(report, "the port", "its source")
    _keep(report.to_json(), checkpoint, staging)
    return report


def _keep(report: dict[str, Any], checkpoint: Checkpoint, port: Path) -> None:
    """Write a report into a port: as JSON, and into the model card."""
    facts = CardFacts(parity=card_section(keep_report(report, port)))
    (port / CARD).write_text(model_card(checkpoint, facts), encoding="utf-8", newline="\n")
