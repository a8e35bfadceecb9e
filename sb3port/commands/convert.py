"""From a checkpoint to a port: what `sb3port convert` does, as functions."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from sb3port.checkpoint.checkpoint import Checkpoint, short_name
from sb3port.commands.own_code import use_extractor
from sb3port.commands.policies import ReadOptions, write_new
from sb3port.commands.sandboxed import read_guarded
from sb3port.commands.verify import reference_of, run_checks
from sb3port.errors import UsageError, need
from sb3port.families.algorithms import display_name
from sb3port.files.port_files import CARD
from sb3port.files.staging import refuse_existing, staged_folder
from sb3port.parity.checks.reload import fresh_process, warm_up
from sb3port.parity.comparison.report import ParityReport, refuse_unless_holds
from sb3port.ports.card.card import model_card
from sb3port.ports.card.facts import CardFacts
from sb3port.ports.finding import port_here
from sb3port.readers.places.source import Source, local_path, resolve
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
        reading: How to read the source; a features extractor of the user's own is imported to verify.
        verify: False to skip the verification, which needs torch, SB3 and LeRobot.
        force: Replace a port that is already there.
        reload: False to verify without a second process, in which LeRobot loads the port.
    """

    reading: ReadOptions = field(default_factory=ReadOptions)
    verify: bool = True
    force: bool = False
    reload: bool = True


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
    if dest is not None:
        refuse_existing(dest, options.force)
    _refuse_port(label)
    _need(options)
    source = resolve(label, options.reading.source)
    dest = dest or Path("ports") / _own_name(source)
    refuse_existing(dest, options.force)
    return convert_source(source, dest, options, announce)


def convert_source(source: Source, dest: Path, options: ConvertOptions, announce: Announce) -> Conversion:
    """Port a checkpoint whose files are here; arguments and errors are those of `convert`."""
    _need(options)
    checkpoint = _read(source, options, announce)
    with staged_folder(dest, options.force) as staging:
        report = _write(checkpoint, source, (staging, dest), options, announce)
    return Conversion(dest, checkpoint, report)


def convert_into(folder: Path, source: Source, options: ConvertOptions, announce: Announce) -> Conversion:
    """Port a checkpoint whose files are here into an empty folder, which nobody takes for a port yet.

    What is half-written there is for the caller to remove; arguments and errors are those of `convert`.
    """
    _need(options)
    checkpoint = _read(source, options, announce)
    return Conversion(folder, checkpoint, _write(checkpoint, source, (folder, folder), options, announce))


def _read(source: Source, options: ConvertOptions, announce: Announce) -> Checkpoint:
    own = options.reading.extractor
    if options.verify and options.reload:
        warm_up()
    checkpoint = read_guarded(options.reading.reading(source), options.reading.sandbox)
    announce("read", describe_source(source, checkpoint))
    announce("map", describe_mapping(checkpoint))
    if own is not None and options.verify:
        use_extractor(checkpoint.spec, own, source.label)
    return checkpoint


def _write(
    checkpoint: Checkpoint,
    source: Source,
    places: tuple[Path, Path],
    options: ConvertOptions,
    announce: Announce,
) -> ParityReport | None:
    """Write a port into the first of two places, which has the name of the second, and verify it."""
    folder, dest = places
    size = write_new(checkpoint, folder, dest)
    announce("write", f"{size:,} bytes")
    if not options.verify:
        return None
    report = _verify_staged(folder, checkpoint, source, dest.name, options.reload)
    announce("verify", describe_report(report))
    return report


def _need(options: ConvertOptions) -> None:
    if options.verify:
        need("sb3", "verifying", "leave it out with --no-verify")


def _refuse_port(label: str) -> None:
    path = local_path(label)
    if path is not None and path.is_dir() and port_here(path) is not None:
        raise UsageError(
            f"{label} is a port already", f"verify it with: {shlex.join(('sb3port', 'verify', label))}"
        )


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


def _verify_staged(
    staging: Path, checkpoint: Checkpoint, source: Source, name: str, reload: bool
) -> ParityReport:
    reference, fresh = reference_of(source, checkpoint), fresh_process(staging) if reload else None
    report = run_checks(staging, checkpoint, reference, name, fresh=fresh)
    refuse_unless_holds(report, "the port", "its source")
    _keep(report.content(), checkpoint, staging)
    return report


def _keep(report: dict[str, Any], checkpoint: Checkpoint, port: Path) -> None:
    """Write a report into a port: as JSON, and into the model card."""
    facts = CardFacts(parity=card_section(keep_report(report, port)))
    (port / CARD).write_text(model_card(checkpoint, facts), encoding="utf-8", newline="\n")
