"""Convert and verify: the two jobs of the command line, as functions."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sb3port.checkpoint import Checkpoint, Provenance
from sb3port.errors import NotPortable, Sb3portError, SourceUnreachable, UsageError, VerificationFailed
from sb3port.parity.report import ParityReport, describe
from sb3port.port import read_provenance
from sb3port.readers.sb3 import read_checkpoint
from sb3port.readers.source import Source, SourceOptions, resolve
from sb3port.writers.lerobot import write_port
from sb3port.writers.staging import refuse_existing, staged_folder

type Announce = Callable[[str, str], None]


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
        verify: False to skip the verification, which needs torch, SB3 and LeRobot.
        force: Replace a port that is already there.
    """

    source: SourceOptions = field(default_factory=SourceOptions)
    use_stats: bool = True
    verify: bool = True
    force: bool = False


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
    source = resolve(label, options.source)
    dest = dest or Path("ports") / default_name(source)
    refuse_existing(dest, options.force)
    announce("read", describe_source(source))
    checkpoint = read_checkpoint(source, options.use_stats)
    announce("map", describe_mapping(checkpoint))
    with staged_folder(dest, options.force) as staging:
        write_port(checkpoint, staging)
        announce("write", f"{sum(f.stat().st_size for f in staging.rglob('*') if f.is_file()):,} bytes")
        report = None
        if options.verify:
            report = _verify_staged(staging, checkpoint, source)
            announce("verify", describe_report(report))
    return Conversion(dest, checkpoint, report)


def default_name(source: Source) -> str:
    """Name a port after its source: the repository, the folder, or the zip."""
    return source.location.rstrip("/").rpartition("/")[2].removesuffix(".zip")


def describe_source(source: Source) -> str:
    """Say which files are read."""
    at = f" @ {source.revision[:12]}" if source.revision else ""
    statistics = f" and {source.statistics_name}" if source.statistics else ""
    return f"{source.checkpoint_name}{statistics} from {source.location}{at}"


def describe_mapping(checkpoint: Checkpoint) -> str:
    """Say what was understood."""
    spec = checkpoint.spec
    count = sum(array.size for array in checkpoint.tensors.values())
    sde = " with gSDE" if spec.use_sde else ""
    return (
        f"{spec.algorithm.upper()}{sde}, {spec.observation_space} to {spec.action_space}, "
        f"{len(checkpoint.tensors)} tensors, {count:,} numbers"
    )


def describe_report(report: ParityReport) -> str:
    """Say how the verification ended."""
    return f"{report.verdict} on {report.count} observations {report.observations}"


def _verify_staged(staging: Path, checkpoint: Checkpoint, source: Source) -> ParityReport:
    report = run_checks(staging, checkpoint, source.reference)
    if not report.holds():
        worst = report.worst
        raise VerificationFailed(
            f"the port does not compute what its source computes, so it is not written; "
            f"{describe(worst) if worst else report.verdict}"
        )
    (staging / "parity.json").write_text(json.dumps(report.to_json(), indent=2), encoding="utf-8")
    return report


def verify(port: Path, label: str | None, observations: Path | None) -> ParityReport:
    """Verify a port against its source, which is read anew.

    Args:
        port: The folder.
        label: Another place of the same source, or None for the one that the port records.
        observations: Recorded observations (`.npz`), or None for those beside the source, else drawn ones.

    Raises:
        VerificationFailed: The source is gone or is not the one that was ported, so nothing can be said.
        NotPortable: The port is broken.
    """
    recorded = read_provenance(port)
    source = _find_source(recorded, label)
    checkpoint = read_checkpoint(source, use_stats=not recorded.no_stats)
    _check_same_files(recorded, checkpoint.provenance, source.label)
    return run_checks(port, checkpoint, observations or source.reference)


def run_checks(port: Path, checkpoint: Checkpoint, observations: Path | None) -> ParityReport:
    """Run all checks on recorded observations where there are any, else on drawn ones."""
    from sb3port.parity.checks import verify_port
    from sb3port.parity.observations import recorded_observations, sampled_observations

    if observations is None:
        return verify_port(port, checkpoint, sampled_observations(checkpoint.spec, checkpoint.normalizer))
    return verify_port(port, checkpoint, recorded_observations(observations, checkpoint.spec))


def _find_source(recorded: Provenance, label: str | None) -> Source:
    """Resolve the recorded source; that it is gone does not mean that the port is wrong."""
    statistics = recorded.files.get("statistics")
    given = Path(statistics.name) if statistics and Path(statistics.name).is_absolute() else None
    filename = recorded.files["checkpoint"].name if recorded.kind != "file" else None
    options = SourceOptions(filename, recorded.revision, given)
    if label is not None:
        return resolve(label, SourceOptions(vecnormalize=given))
    try:
        return resolve(recorded.location, options)
    except (SourceUnreachable, UsageError, NotPortable) as error:
        raise _inconclusive(f"its source cannot be read again: {error.message}", error) from error


def _check_same_files(recorded: Provenance, found: Provenance, label: str) -> None:
    for role, file in recorded.files.items():
        if role not in found.files or found.files[role].sha256 != file.sha256:
            raise _inconclusive(f"{label} is not the source of this port: {file.name} has another SHA-256")


def _inconclusive(reason: str, cause: Sb3portError | None = None) -> VerificationFailed:
    hint = "name the source with --source"
    return VerificationFailed(f"inconclusive: {reason}", (cause.hint if cause else None) or hint)
