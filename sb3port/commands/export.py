"""Export and repair: a checkpoint back to SB3, or on to where neither SB3 nor LeRobot is."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sb3port.checkpoint.checkpoint import Checkpoint, SourceFile
from sb3port.checkpoint.version import __version__
from sb3port.commands.convert import Announce, describe_mapping, describe_report, describe_source
from sb3port.commands.handed_back import Reading
from sb3port.commands.own_code import blaming, use_extractor
from sb3port.commands.sandboxed import read_guarded
from sb3port.commands.verify import reference_of
from sb3port.errors import NotPortable, UsageError, need
from sb3port.exports.graphs import GraphOptions
from sb3port.exports.targets import Target, target_of
from sb3port.families.descriptions import policy_texts
from sb3port.files.port_files import PORT_FILE, is_port
from sb3port.files.staging import EXPORT, refuse_existing, staged_folder
from sb3port.files.texts.names import file_name
from sb3port.parity.checks.integrity import check_files
from sb3port.parity.comparison.report import ParityReport, environment, refuse_unless_holds
from sb3port.parity.comparison.verdicts import Verdict
from sb3port.ports.finding import find_port
from sb3port.ports.manifest import hash_files, public_provenance
from sb3port.ports.reading import read_port
from sb3port.ports.unchanged import changes
from sb3port.readers.places.source import SourceOptions, resolve
from sb3port.reports.json_text import canonical, render_json

FORMAT = 1


@dataclass(frozen=True)
class ReadOptions:
    """How to read a checkpoint that is repaired.

    Args:
        source: What narrows the source down.
        use_stats: False to leave VecNormalize statistics out.
        assume_standard_forward: Take a policy class of the author's own for SB3's where its tensors are.
        extractor: `module:Class` of a features extractor whose code is the user's own.
        sandbox: Whether a process with limits reads it; None for that where files come from the Hub.
    """

    source: SourceOptions = field(default_factory=SourceOptions)
    use_stats: bool = True
    assume_standard_forward: bool = False
    extractor: str | None = None
    sandbox: bool | None = None


@dataclass(frozen=True)
class ExportOptions:
    """How to export.

    Args:
        target: A key of `targets.TARGETS`.
        graph: What a network on its own shall take and give.
        rates: Numbers that replace schedules, by name (`learning_rate`, `clip_range`).
        observations: Names or files to compare on, see `observation_sets`; empty for recorded observations
            beside a source where there are some, else drawn ones.
        extractor: `module:Class` of a features extractor whose code is the user's own.
        verify: False to skip the comparison with SB3's own classes.
        force: Replace an export that is already there.
    """

    target: str = "sb3"
    graph: GraphOptions = field(default_factory=GraphOptions)
    rates: Mapping[str, float] = field(default_factory=dict)
    observations: tuple[str, ...] = ()
    extractor: str | None = None
    verify: bool = True
    force: bool = False


@dataclass(frozen=True)
class Export:
    """What `export` did.

    Args:
        folder: The folder that was written.
        files: What is in it for others than us.
        checkpoint: What was written, in the target's terms.
        report: The outcome of the comparison, None without one.
    """

    folder: Path
    files: tuple[str, ...]
    checkpoint: Checkpoint
    report: ParityReport | None


def export(port: Path, dest: Path | None, options: ExportOptions, announce: Announce) -> Export:
    """Export a port.

    Args:
        port: The folder, or its name on the Hub.
        dest: The folder to write; `exports/<name>-<target>` by default.
        options: How to do it.
        announce: Called with each stage ("read", "write", "verify") and what it found.

    Raises:
        Sb3portError: With the exit code of the contract; nothing is written then.
    """
    _need_packages(options)
    if dest is not None:
        refuse_existing(dest, options.force, EXPORT)
    folder = find_port(port)
    checkpoint = _read_unchanged(folder)
    use_extractor(checkpoint.spec, options.extractor, str(folder))
    announce("read", f"{describe_mapping(checkpoint)} from {port}")
    dest = dest or Path("exports") / f"{_file_name(checkpoint)}-{options.target}"
    return _export(checkpoint, None, dest, options, announce)


def repair(
    label: str, dest: Path, reading: ReadOptions, options: ExportOptions, announce: Announce
) -> Export:
    """Read an SB3 checkpoint of any age and write it for today's SB3.

    Args:
        label: SOURCE, as the user names it.
        dest: The folder to write.
        reading: How to read it.
        options: How to write it.
        announce: Called with each stage ("read", "map", "write", "verify") and what it found.

    Raises:
        Sb3portError: With the exit code of the contract; nothing is written then.
    """
    _need_packages(options)
    refuse_existing(dest, options.force, EXPORT)
    if is_port(Path(label)):
        raise UsageError(f"{label} is a port", f"write it for SB3 with: sb3port export {label} --to sb3")
    source = resolve(label, reading.source)
    how = Reading(source, reading.use_stats, reading.assume_standard_forward, reading.extractor)
    checkpoint = read_guarded(how, reading.sandbox)
    announce("read", describe_source(source, checkpoint))
    announce("map", describe_mapping(checkpoint))
    use_extractor(checkpoint.spec, reading.extractor, label)
    return _export(checkpoint, reference_of(source, checkpoint), dest, options, announce)


def _need_packages(options: ExportOptions) -> None:
    if extra := target_of(options.target).extra:
        need(extra, f"writing for {options.target}")
    if options.verify:
        need("sb3", "verifying", "leave it out with --no-verify")


def _read_unchanged(port: Path) -> Checkpoint:
    """Read a port, and refuse one that is not as it was written: what it computes was never compared."""
    checkpoint = read_port(port)
    if (port / PORT_FILE).is_file():
        found = check_files(changes(port))
        if found.verdict is Verdict.FAIL:
            raise NotPortable(f"the port {port} is {found.comparison.reason}", "convert its source again")
    return checkpoint


def _export(
    checkpoint: Checkpoint, reference: Path | None, dest: Path, options: ExportOptions, announce: Announce
) -> Export:
    target = target_of(options.target)
    refuse_existing(dest, options.force, EXPORT)
    with blaming(checkpoint.spec), staged_folder(dest, options.force, EXPORT) as staging:
        intended = target.form(checkpoint, options.rates)
        path = staging / f"{target.named(_file_name(checkpoint))}{target.ending}"
        files = _write(target, intended, path, dest, options.graph)
        announce("write", ", ".join(f"{file.name} ({file.size:,} bytes)" for file in files))
        report = None
        if options.verify:
            report = _verify(checkpoint, reference, path, options)
            refuse_unless_holds(report, path.name, checkpoint.provenance.name)
            text = render_json(canonical(report.to_json())).text
            (staging / "parity.json").write_text(text, encoding="utf-8")
            announce("verify", describe_report(report))
        _write_json(staging / EXPORT.mark, _export_json(options, intended, files))
    return Export(dest, tuple(file.name for file in files), intended, report)


def _file_name(checkpoint: Checkpoint) -> str:
    """Name files after the source, whatever a port claims that its name is."""
    return file_name(checkpoint.provenance.name, "policy").text


def _write(
    target: Target, checkpoint: Checkpoint, path: Path, dest: Path, graph: GraphOptions
) -> list[SourceFile]:
    try:
        target.write(checkpoint, path, graph)
    except OSError as error:
        raise UsageError(f"{dest} cannot be written: {error.strerror or error}") from error
    return [_described(file) for file in sorted(path.parent.iterdir())]


def _described(path: Path) -> SourceFile:
    return SourceFile(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())


def _verify(
    checkpoint: Checkpoint, reference: Path | None, path: Path, options: ExportOptions
) -> ParityReport:
    """Load what was written, and compare it with SB3's own classes."""
    from sb3port.commands.observation_sets import ObservationContext, observation_sets
    from sb3port.exports.checks import check_export

    sets = observation_sets(options.observations, ObservationContext(checkpoint, reference))
    exported = target_of(options.target).load(path, checkpoint, options.graph)
    checks, summaries = check_export(exported, checkpoint, sets)
    return ParityReport(
        checkpoint.provenance,
        path.name,
        hash_files(path.parent, [file.name for file in sorted(path.parent.iterdir())]),
        policy_texts(checkpoint.spec),
        checks,
        summaries,
        environment=environment(),
    )


def _export_json(options: ExportOptions, checkpoint: Checkpoint, files: list[SourceFile]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "sb3port": __version__,
        "target": options.target,
        "source": public_provenance(checkpoint.provenance),
        "files": [asdict(file) for file in files],
        "warnings": list(checkpoint.warnings),
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
