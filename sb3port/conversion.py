"""Convert and verify: the two jobs of the command line, as functions."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from sb3port.checkpoint import Checkpoint, Provenance, short_name
from sb3port.errors import NotPortable, SourceUnreachable, Unsafe, UsageError, VerificationFailed
from sb3port.families.algorithms import display_name
from sb3port.parity.compare import Comparison, Verdict
from sb3port.parity.report import Check, ParityReport, describe
from sb3port.port import is_port, read_provenance
from sb3port.readers.port import read_port
from sb3port.readers.sb3 import read_checkpoint
from sb3port.readers.source import Source, SourceOptions, resolve, resolve_hub
from sb3port.writers.lerobot import write_port
from sb3port.writers.staging import refuse_existing, staged_folder

# These files only tell how a policy was trained; what a port computes depends on all others.
_TELLING = ("config", "args", "env_kwargs")

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
        assume_standard_forward: Take a policy class of the author's own for SB3's where its tensors are.
        verify: False to skip the verification, which needs torch, SB3 and LeRobot.
        force: Replace a port that is already there.
    """

    source: SourceOptions = field(default_factory=SourceOptions)
    use_stats: bool = True
    assume_standard_forward: bool = False
    verify: bool = True
    force: bool = False


def read(
    label: str, options: SourceOptions, use_stats: bool = True, assume_standard_forward: bool = False
) -> Checkpoint:
    """Read a checkpoint from wherever it is: a SOURCE of `convert`, or a port.

    Raises:
        Sb3portError: With the exit code of the contract.
    """
    _refuse_contradiction(options, use_stats)
    if not is_port(Path(label)):
        return read_checkpoint(resolve(label, options), use_stats, assume_standard_forward)
    if options != SourceOptions() or not use_stats or assume_standard_forward:
        raise UsageError(f"{label} is a port, which holds one policy and its statistics", "drop the options")
    return read_port(Path(label))


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
    source = resolve(label, options.source)
    dest = dest or Path("ports") / short_name(source.location)
    refuse_existing(dest, options.force)
    checkpoint = read_checkpoint(source, options.use_stats, options.assume_standard_forward)
    announce("read", describe_source(source, checkpoint))
    announce("map", describe_mapping(checkpoint))
    with staged_folder(dest, options.force) as staging:
        _write(checkpoint, staging, dest)
        announce("write", f"{sum(f.stat().st_size for f in staging.rglob('*') if f.is_file()):,} bytes")
        report = None
        if options.verify:
            report = _verify_staged(staging, checkpoint, source)
            announce("verify", describe_report(report))
    return Conversion(dest, checkpoint, report)


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
    return f"{report.verdict} on {report.count} observations, {report.observations}"


def _write(checkpoint: Checkpoint, staging: Path, dest: Path) -> None:
    try:
        write_port(checkpoint, staging)
    except OSError as error:
        raise UsageError(f"{dest} cannot be written: {error.strerror or error}") from error


def _verify_staged(staging: Path, checkpoint: Checkpoint, source: Source) -> ParityReport:
    report = run_checks(staging, checkpoint, _reference(source, checkpoint))
    if not report.holds():
        raise VerificationFailed(f"{_refusal(report)}, so it is not written", report.to_json())
    (staging / "parity.json").write_text(json.dumps(report.to_json(), indent=2), encoding="utf-8")
    return report


def _refusal(report: ParityReport) -> str:
    worst = f" ({describe(report.worst)})" if report.worst else ""
    if report.verdict is Verdict.FAIL:
        return f"the port does not compute what its source computes{worst}"
    return f"whether the port computes what its source computes cannot be told{worst}"


def verify(port: Path, label: str | None, observations: Path | None) -> ParityReport:
    """Verify a port against its source, which is read anew.

    Args:
        port: The folder.
        label: Another place of the same source, or None for the one that the port records.
        observations: Recorded observations (`.npz`, or a LeRobotDataset), or None for those beside the
            source, else drawn ones.

    Returns:
        What was compared; inconclusive where the source is gone, or is not the one that was ported.

    Raises:
        NotPortable: The port is broken.
        UsageError: `label` or `observations` are absent.
    """
    recorded = read_provenance(port)
    if recorded.kind == "training":
        return _verify_trained(port, label, observations)
    try:
        source = _find_source(recorded, label)
        checkpoint = read_checkpoint(source, not recorded.no_stats, recorded.assume_standard_forward)
    except (SourceUnreachable, UsageError, NotPortable) as error:
        if label is not None or isinstance(error, Unsafe):
            raise
        return _inconclusive(recorded, f"the source cannot be read again: {error.message}")
    other = _other_files(recorded, checkpoint.provenance)
    if other:
        return _inconclusive(recorded, f"{source.label} is not the source of this port: {other}")
    return run_checks(port, checkpoint, observations or _reference(source, checkpoint))


def _verify_trained(port: Path, label: str | None, observations: Path | None) -> ParityReport:
    """Verify a port that sb3port trained: loaded with LeRobot, it computes what SB3 does with its weights."""
    if label is not None:
        raise UsageError(f"{port} was trained by sb3port, and has no source", "leave --source out")
    checkpoint = read_port(port)
    recorded = checkpoint.provenance.files["checkpoint"]
    weights = (port / recorded.name).read_bytes()
    if hashlib.sha256(weights).hexdigest() != recorded.sha256:
        raise NotPortable(f"the weights of {port} are not those that were trained")
    return run_checks(port, checkpoint, observations)


def run_checks(port: Path, checkpoint: Checkpoint, observations: Path | None) -> ParityReport:
    """Run all checks on recorded observations where there are any, else on drawn ones."""
    from sb3port.parity.checks import verify_port
    from sb3port.parity.datasets import dataset_observations
    from sb3port.parity.observations import recorded_observations, sampled_observations

    if observations is None:
        return verify_port(port, checkpoint, sampled_observations(checkpoint.spec, checkpoint.normalizer))
    read_recorded = dataset_observations if observations.is_dir() else recorded_observations
    return verify_port(port, checkpoint, read_recorded(observations, checkpoint.spec))


def _reference(source: Source, checkpoint: Checkpoint) -> Path | None:
    """Give the recorded outputs, which judge no other statistics than those that they were made with."""
    statistics = checkpoint.provenance.files.get("statistics")
    left_out = checkpoint.provenance.no_stats and bool(source.statistics.names)
    given = statistics is not None and Path(statistics.name).is_absolute()
    return None if left_out or given else source.reference


def _find_source(recorded: Provenance, label: str | None) -> Source:
    """Resolve the recorded source, or the place that the user names."""
    statistics = recorded.files.get("statistics")
    name = statistics.name if statistics else ""
    given = {"vecnormalize": Path(name)} if Path(name).is_absolute() else {"statistics": name or None}
    filename = recorded.files["checkpoint"].name if recorded.kind != "file" else None
    options = SourceOptions(filename, **given)
    if label is not None:
        return _resolve_other(label, options)
    options = replace(options, revision=recorded.revision)
    if recorded.kind == "hub":  # also where a folder of that name lies here
        return resolve_hub(recorded.location, options)
    return resolve(recorded.location, options)


def _resolve_other(label: str, options: SourceOptions) -> Source:
    """Resolve another place of the same files, which may have other names there."""
    try:
        return resolve(label, options)
    except UsageError:
        return resolve(label, replace(options, filename=None, statistics=None))


def _other_files(recorded: Provenance, found: Provenance) -> str:
    """Say which files are not those that were ported, empty where all are."""
    others = [
        file.name
        for role, file in recorded.files.items()
        if role not in _TELLING
        if role not in found.files or found.files[role].sha256 != file.sha256
    ]
    return f"{', '.join(others)} with the recorded SHA-256 not found" if others else ""


def _inconclusive(recorded: Provenance, reason: str) -> ParityReport:
    """Report that nothing was compared; the port may be right or wrong."""
    check = Check("source.files", Comparison(Verdict.INCONCLUSIVE, reason=reason))
    return ParityReport(recorded, "none", 0, "", [check])
