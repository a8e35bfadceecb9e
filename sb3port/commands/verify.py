"""Is a port what its source is? What `sb3port verify` does, as functions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from sb3port.checkpoint.checkpoint import Checkpoint, EnvironmentSpec, Provenance
from sb3port.commands.handed_back import Reading
from sb3port.commands.own_code import blaming, use_extractor
from sb3port.commands.policies import ReadOptions, as_port, find_policy
from sb3port.commands.sandboxed import read_guarded
from sb3port.environments.choosing import choose_environment
from sb3port.environments.given import AS_IN_TRAINING, Around
from sb3port.errors import NotPortable, SourceUnreachable, Unsafe, UsageError, need
from sb3port.families.descriptions import policy_texts
from sb3port.files.port_files import WEIGHTS_FILE
from sb3port.parity.checks.causes import causes
from sb3port.parity.checks.integrity import (
    check_files,
    check_source,
    other_files,
    other_source,
    unreadable_source,
)
from sb3port.parity.checks.progress import doing
from sb3port.parity.checks.reload import FreshProcess, fresh_process
from sb3port.parity.comparison.report import Check, ParityReport, environment
from sb3port.parity.comparison.verdicts import DEFAULT, Tolerance, Verdict
from sb3port.ports.manifest import hash_files, read_provenance, recorded_files
from sb3port.ports.reading import read_port
from sb3port.ports.unchanged import changes
from sb3port.readers.places.recorded import OtherSource, missing, recorded_source
from sb3port.readers.places.source import Source, SourceOptions, resolve, resolve_hub

_HASHED = ("config.json", "model.safetensors", "policy_preprocessor.json", "policy_postprocessor.json")


@dataclass(frozen=True)
class VerifyOptions:
    """How to verify.

    Args:
        observations: Names or files, see `observation_sets.observation_set`; empty for recorded observations
            where there are any, else drawn ones. Edge cases are added in any case.
        env: A Gymnasium environment id, for rollouts and for the comparison of returns.
        atol: Largest difference of outputs that passes, in place of the rule; None for the rule.
        reload: Whether another process shall load the port, too.
        reading: How to find the port, and to read a source.
        around: What the user says of the environment beside its id.
        use_masking: Whether a maskable policy is told in it which actions are allowed.
    """

    observations: tuple[str, ...] = ()
    env: str | None = None
    atol: float | None = None
    reload: bool = True
    reading: ReadOptions = field(default_factory=ReadOptions)
    around: Around = AS_IN_TRAINING
    use_masking: bool = True

    @property
    def tolerance(self) -> Tolerance:
        """By which outputs are judged."""
        return Tolerance(atol=self.atol) if self.atol is not None else DEFAULT


def verify(
    port: str | Path,
    label: str | None = None,
    options: VerifyOptions | None = None,
    announce: Callable[[str], None] = lambda _: None,
) -> ParityReport:
    """Verify a port against its source, which is read anew.

    Args:
        port: A port, a run, or a SOURCE, whose port is a temporary one; as `find_policy` takes it.
        label: Another place of the same source, or None for the one that the port records.
        options: How to do it.
        announce: Called with a sentence on the checkpoint that is taken of a run.

    Returns:
        What was compared; inconclusive where the source is gone, or is not the one that was ported.

    Raises:
        NotPortable: The port is broken.
        UsageError: What `label` or the options name is absent.
    """
    need("sb3", "verifying")
    from sb3port.commands.observation_sets import check_names

    options = options or VerifyOptions()
    check_names(options.observations, options.env is not None)
    policy = find_policy(port, options.reading, announce, rereads=True)
    with as_port(policy) as folder:
        report = _verify(folder, policy.label, label, options)
    return replace(report, port=Path(port).name)


def _verify(port: Path, named: str, label: str | None, options: VerifyOptions) -> ParityReport:
    recorded = read_provenance(port)
    if recorded.kind == "training":
        return _verify_trained(port, named, label, options)
    # Before all else: it takes as long to load as this process does.
    fresh = fresh_process(port) if options.reload else None
    try:
        source = _find_source(recorded, label)
        checkpoint = _read_as_recorded(source, recorded, options.reading.sandbox)
    except OtherSource as error:
        return _inconclusive(port, recorded, other_source(error.names))
    except (SourceUnreachable, UsageError, NotPortable) as error:
        if label is not None or isinstance(error, Unsafe):
            raise
        return _inconclusive(port, recorded, unreadable_source(error.message))
    same_source = check_source(recorded, checkpoint.provenance)
    if same_source.verdict is not Verdict.BIT_EXACT:
        return _inconclusive(port, recorded, same_source)
    use_extractor(checkpoint.spec, options.reading.extractor, named)
    reference = reference_of(source, checkpoint)
    return run_checks(port, checkpoint, reference, port.name, options, [same_source], fresh)


def _verify_trained(port: Path, named: str, label: str | None, options: VerifyOptions) -> ParityReport:
    """Verify a port that sb3port trained: loaded with LeRobot, it computes what SB3 does with its weights."""
    _refuse_source_of_trained(port, label)
    fresh = fresh_process(port) if options.reload else None
    checkpoint = read_port(port)
    recorded = checkpoint.provenance.files["checkpoint"]
    if hash_files(port, [WEIGHTS_FILE])[WEIGHTS_FILE] != recorded.sha256:
        raise NotPortable(f"the weights of {port} are not those that were trained")
    use_extractor(checkpoint.spec, options.reading.extractor, named)
    return run_checks(port, checkpoint, None, port.name, options, (), fresh)


def _refuse_source_of_trained(port: Path, label: str | None) -> None:
    if label is not None:
        raise UsageError(f"{port} was trained by sb3port, and has no source", "leave --source out")


def run_checks(
    folder: Path,
    checkpoint: Checkpoint,
    reference: Path | None,
    name: str,
    options: VerifyOptions | None = None,
    before: Sequence[Check] = (),
    fresh: FreshProcess | None = None,
) -> ParityReport:
    """Run all checks of a port.

    Args:
        folder: The port.
        checkpoint: Read from its source.
        reference: Recorded observations beside the source, None where there are none.
        name: How the report names the port.
        options: How to do it.
        before: Checks that were made already.
        fresh: A process that loads the port, too.

    Raises:
        NotPortable, UsageError: As `verify`.
    """
    from sb3port.commands.observation_sets import ObservationContext, observation_sets

    options = options or VerifyOptions()
    chosen, masking = _chosen(checkpoint, options), options.use_masking
    context = ObservationContext(checkpoint, reference, chosen, masking)
    sets = observation_sets(options.observations, context)
    doing("loading torch and SB3")
    from sb3port.commands.verify_behaviour import check_behaviour
    from sb3port.commands.verify_update import check_update
    from sb3port.parity.checks.checks import STEPS, Step, Subject, run_steps

    subject = Subject(folder, checkpoint, sets, options.tolerance, fresh)
    steps = [*STEPS]
    if chosen is not None:
        title = f"running SB3's policy and the port in {chosen.env_id}"
        steps.append(Step(("behaviour",), lambda subject: check_behaviour(subject, chosen, masking), title))
    recordings = [path for path in map(Path, options.observations) if path.suffix == ".npz"]
    for path in recordings:
        steps.append(Step(("update",), partial(check_update, path=path), f"learning from {path.name}"))
    changed = changes(folder)
    with blaming(checkpoint.spec):
        checks = [*before, check_files(changed), *run_steps(subject, steps)]
    return ParityReport(
        checkpoint.provenance,
        name,
        dict(changed.found) if changed.recorded else _files(folder),
        policy_texts(checkpoint.spec),
        checks,
        subject.summaries,
        subject.tensors,
        options.tolerance,
        environment(),
        causes(checkpoint, folder, checks, subject.tensors, changed),
    )


def _chosen(checkpoint: Checkpoint, options: VerifyOptions) -> EnvironmentSpec | None:
    """Give the environment to compare in, None where the user names none: a file does not start it."""
    if options.env is not None:
        return choose_environment(checkpoint.environment, options.env, options.around)
    if options.around != AS_IN_TRAINING:
        raise UsageError("nothing runs in an environment that is not named", "name it with: --env ID")
    return None


def reference_of(source: Source, checkpoint: Checkpoint) -> Path | None:
    """Give the recorded outputs, which judge no other statistics than those that they were made with."""
    statistics = checkpoint.provenance.files.get("statistics")
    left_out = checkpoint.provenance.no_stats and bool(source.statistics.names)
    given = statistics is not None and Path(statistics.name).is_absolute()
    return None if left_out or given else source.reference


def _find_source(recorded: Provenance, label: str | None) -> Source:
    """Find the recorded source, or the one at the place that the user names."""
    if label is None and recorded.kind != "hub":
        return recorded_source(recorded)
    statistics = recorded.files.get("statistics")
    filename = recorded.files["checkpoint"].name if recorded.kind != "file" else None
    options = SourceOptions(filename, statistics=_recorded_names(recorded))
    if statistics is not None and Path(statistics.name).is_absolute():
        options = SourceOptions(filename, vecnormalize=Path(statistics.name))
    if label is not None:
        return _resolve_other(label, options)
    # Also where a folder of that name lies here.
    return resolve_hub(recorded.location, replace(options, revision=recorded.revision))


def _recorded_names(recorded: Provenance) -> tuple[str, ...] | None:
    """Give the names of the statistics that a port has; None where the user left some out."""
    if recorded.no_stats:
        return None
    return tuple(file.name for role, file in recorded.files.items() if role == "statistics")


def _resolve_other(label: str, options: SourceOptions) -> Source:
    """Resolve another place of the same files, which may have other names there."""
    try:
        return resolve(label, options)
    except UsageError:
        return resolve(label, replace(options, filename=None, statistics=None))


def read_source(port: Path, label: str | None = None, sandbox: bool | None = None) -> Checkpoint:
    """Read the source of a port anew, where `verify` reads it; what sb3port trained is its own source.

    Args:
        port: The folder.
        label: Another place of the same source, or None for the one that the port records.
        sandbox: As in `VerifyOptions`.

    Raises:
        UsageError: It is not the source that was ported, or it is absent.
        Sb3portError: It cannot be read.
    """
    recorded = read_provenance(port)
    if recorded.kind == "training":
        _refuse_source_of_trained(port, label)
        return read_port(port)
    source = _find_source(recorded, label)
    checkpoint = _read_as_recorded(source, recorded, sandbox)
    if others := other_files(recorded, checkpoint.provenance):
        raise UsageError(f"{source.label} is not the source of this port: {missing(others)}")
    return checkpoint


def _read_as_recorded(source: Source, recorded: Provenance, sandbox: bool | None) -> Checkpoint:
    """Read a source with the options of the conversion."""
    doing(f"reading {source.label}")
    use_stats = not recorded.no_stats
    reading = Reading(source, use_stats, recorded.assume_standard_forward, recorded.extractor)
    return read_guarded(reading, sandbox)


def _inconclusive(port: Path, recorded: Provenance, why: Check) -> ParityReport:
    """Report that nothing was compared; the port may be right or wrong."""
    files, model = _files(port), policy_texts(read_port(port).spec)
    checks = [why, check_files(changes(port))]
    return ParityReport(recorded, port.name, files, model, checks, environment=environment())


def _files(folder: Path) -> dict[str, str]:
    """Hash the files of which the conversion recorded the hashes, or else those that every port has."""
    return hash_files(folder, recorded_files(folder) or _HASHED)
