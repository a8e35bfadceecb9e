"""Export and repair: a checkpoint back to SB3, or on to where neither SB3 nor LeRobot is."""

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sb3port.checkpoint.checkpoint import Checkpoint, SourceFile
from sb3port.checkpoint.version import __version__
from sb3port.commands.convert import Announce, describe_mapping, describe_report, describe_source
from sb3port.commands.own_code import blaming, use_extractor
from sb3port.commands.policies import Policy, ReadOptions, find_policy
from sb3port.commands.verify import reference_of
from sb3port.errors import NotPortable, UsageError, need
from sb3port.exports.graphs import GraphOptions
from sb3port.exports.targets import Target, target_of
from sb3port.families.descriptions import policy_texts
from sb3port.files.port_files import PORT_FILE
from sb3port.files.staging import EXPORT, refuse_existing, staged_folder
from sb3port.files.texts.names import file_name
from sb3port.networks.observations import ObservationSet
from sb3port.parity.checks.integrity import check_files
from sb3port.parity.comparison.report import ParityReport, environment, refuse_unless_holds
from sb3port.parity.comparison.verdicts import Verdict
from sb3port.ports.manifest import hash_files, public_provenance
from sb3port.ports.unchanged import changes
from sb3port.reports.json_text import canonical, render_json

FORMAT = 1


@dataclass(frozen=True)
class ExportOptions:
    """How to export.

    Args:
        target: A key of `targets.TARGETS`.
        graph: What a network on its own shall take and give.
        rates: Numbers that replace schedules, by name (`learning_rate`, `clip_range`).
        observations: Names or files to compare on, see `observation_sets`; empty for recorded observations
            beside a source where there are some, else drawn ones.
        verify: False to skip the comparison with SB3's own classes.
        force: Replace an export that is already there.
    """

    target: str = "sb3"
    graph: GraphOptions = field(default_factory=GraphOptions)
    rates: Mapping[str, float] = field(default_factory=dict)
    observations: tuple[str, ...] = ()
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


def export(
    label: str | Path, dest: Path | None, reading: ReadOptions, options: ExportOptions, announce: Announce
) -> Export:
    """Export a policy.

    Args:
        label: A port, a run or a SOURCE, as `find_policy` takes it.
        dest: The folder to write; `exports/<name>-<target>` by default.
        reading: How to read it.
        options: How to do it.
        announce: Called with each stage ("port", "read", "write", "verify") and what it found.

    Raises:
        Sb3portError: With the exit code of the contract; nothing is written then.
    """
    check_options(dest, options)
    policy = find_policy(label, reading, lambda choice: announce("port", choice))
    return export_policy(policy, dest, options, announce)


def export_policy(policy: Policy, dest: Path | None, options: ExportOptions, announce: Announce) -> Export:
    """Export a policy that was found; arguments and errors are those of `export`."""
    if policy.port is not None:
        _refuse_changed(policy.port)
    checkpoint = policy.runnable
    announce("read", f"{describe_mapping(checkpoint)} from {policy.label}")
    dest = dest or Path("exports") / f"{_file_name(checkpoint)}-{options.target}"
    reference = reference_of(policy.source, checkpoint) if policy.source else None
    return _export(checkpoint, reference, dest, options, announce)


def repair(
    label: str, dest: Path | None, reading: ReadOptions, options: ExportOptions, announce: Announce
) -> Export:
    """Read an SB3 checkpoint of any age and write it for today's SB3.

    Args:
        label: SOURCE, as the user names it.
        dest: The folder to write; `repaired/<name>` by default.
        reading: How to read it.
        options: How to write it.
        announce: Called with each stage ("read", "map", "write", "verify") and what it found.

    Raises:
        Sb3portError: With the exit code of the contract; nothing is written then.
    """
    check_options(dest, options)
    return repair_policy(find_policy(label, reading), dest, options, announce)


def repair_policy(policy: Policy, dest: Path | None, options: ExportOptions, announce: Announce) -> Export:
    """Repair a policy that was found; arguments and errors are those of `repair`."""
    if policy.source is None:
        command = shlex.join(("sb3port", "export", policy.label, "--to", "sb3"))
        raise UsageError(f"{policy.label} is a port", f"write it for SB3 with: {command}")
    checkpoint = policy.as_named
    announce("read", describe_source(policy.source, checkpoint))
    announce("map", describe_mapping(checkpoint))
    use_extractor(checkpoint.spec, policy.options.extractor, policy.label)
    dest = dest or Path("repaired") / _file_name(checkpoint)
    return _export(checkpoint, reference_of(policy.source, checkpoint), dest, options, announce)


def check_options(dest: Path | None, options: ExportOptions) -> None:
    """Refuse what cannot be done, before anything is read."""
    if options.observations:
        from sb3port.commands.observation_sets import check_names

        check_names(options.observations)
    if dest is not None:
        refuse_existing(dest, options.force, EXPORT)
    if extra := target_of(options.target).extra:
        need(extra, f"writing for {options.target}")
    if options.verify:
        need("sb3", "verifying", "leave it out with --no-verify")


def _refuse_changed(port: Path) -> None:
    """Refuse a port that is not as it was written: what it computes was never compared."""
    if (port / PORT_FILE).is_file():
        found = check_files(changes(port))
        if found.verdict is Verdict.FAIL:
            raise NotPortable(f"the port {port} is {found.comparison.reason}", "convert its source again")


def _export(
    checkpoint: Checkpoint, reference: Path | None, dest: Path, options: ExportOptions, announce: Announce
) -> Export:
    target = target_of(options.target)
    refuse_existing(dest, options.force, EXPORT)
    sets = _observations(checkpoint, reference, options) if options.verify else []
    with blaming(checkpoint.spec), staged_folder(dest, options.force, EXPORT) as staging:
        intended = target.form(checkpoint, options.rates)
        path = staging / f"{target.named(_file_name(checkpoint))}{target.ending}"
        files = _write(target, intended, path, dest, options.graph)
        announce("write", ", ".join(f"{file.name} ({file.size:,} bytes)" for file in files))
        report = None
        if options.verify:
            report = _verify(checkpoint, sets, path, options)
            refuse_unless_holds(report, path.name, checkpoint.provenance.name)
            text = render_json(canonical(report.to_json())).text
            (staging / "parity.json").write_text(text, encoding="utf-8")
            announce("verify", describe_report(report))
        _write_json(staging / EXPORT.mark, _export_json(options, intended, files))
    return Export(dest, tuple(file.name for file in files), intended, report)


def _observations(
    checkpoint: Checkpoint, reference: Path | None, options: ExportOptions
) -> list[ObservationSet]:
    from sb3port.commands.observation_sets import ObservationContext, observation_sets

    return observation_sets(options.observations, ObservationContext(checkpoint, reference))


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
    checkpoint: Checkpoint, sets: list[ObservationSet], path: Path, options: ExportOptions
) -> ParityReport:
    """Load what was written, and compare it with SB3's own classes."""
    from sb3port.exports.checks import check_export

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
