"""The checks of a port, in order: a list of functions, each of which gives the checks of one or more stages.

A check that an earlier one makes meaningless is skipped, which is not passed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch

from sb3port.checkpoint.checkpoint import Array, Checkpoint
from sb3port.inference.port import Port, load_port
from sb3port.inference.replay_port import ReplayPort
from sb3port.networks.compiler import without_compiler
from sb3port.networks.observations import ObservationSet
from sb3port.parity.checks.candidates import compare_with_oracle
from sb3port.parity.checks.integrity import check_names
from sb3port.parity.checks.progress import doing
from sb3port.parity.checks.reload import FreshProcess, is_installed
from sb3port.parity.checks.tensors import compare_tensors, expected_tensors, written_tensors
from sb3port.parity.comparison.compare import Comparison, compare
from sb3port.parity.comparison.report import NO_LEROBOT, Check, ObservationSummary, TensorRow
from sb3port.parity.comparison.verdicts import DEFAULT, NONE, Tolerance, Verdict
from sb3port.parity.oracle.noise import NoiseMeter
from sb3port.parity.oracle.oracle import Oracle

_RELOADED = ("action", "value", "log_prob", "q_value", "quantiles")
COMPUTED = ("normaliser", "network", "distribution", "action", "recurrent")


@dataclass
class Subject:
    """What is checked, and what the checks have found so far.

    Args:
        folder: The port.
        checkpoint: Read from its source.
        observations: What outputs are compared on.
        tolerance: By which they are judged.
        fresh: Another process that loads the port, None for none.
        blocked: Why nothing further can be compared, else empty.
        tensors: Filled by the check of the tensors.
        summaries: Filled by the comparison of outputs.
    """

    folder: Path
    checkpoint: Checkpoint
    observations: Sequence[ObservationSet]
    tolerance: Tolerance = DEFAULT
    fresh: FreshProcess | None = None
    blocked: str = ""
    tensors: Sequence[TensorRow] = ()
    summaries: list[ObservationSummary] = field(default_factory=list)

    @cached_property
    def expected(self) -> dict[str, Array]:
        """The tensors that a port of this source holds."""
        return expected_tensors(self.checkpoint)

    @cached_property
    def written(self) -> dict[str, Array]:
        """The tensors that it does hold."""
        return written_tensors(self.folder)

    @cached_property
    def oracle(self) -> Oracle:
        """SB3's own classes."""
        return Oracle(self.checkpoint)

    @cached_property
    def noise(self) -> NoiseMeter:
        """The oracle's own."""
        return NoiseMeter(self.oracle)

    @cached_property
    def port(self) -> Port | ReplayPort:
        """The port, loaded in this process, without LeRobot."""
        return load_port(self.folder)


@dataclass(frozen=True)
class Step:
    """A function that gives checks, and the stages that they belong to.

    Args:
        stages: Reported as skipped where the step is.
        run: Gives the checks.
        title: What it does.
        needs_outputs: Whether it needs a port that can be loaded.
    """

    stages: tuple[str, ...]
    run: Callable[[Subject], Iterator[Check]]
    title: str
    needs_outputs: bool = True


def check_integrity(subject: Subject) -> Iterator[Check]:
    """Every tensor is accounted for, and none is invented; else LeRobot could not load the port."""
    check = check_names(subject.expected, subject.written)
    if check.verdict is Verdict.FAIL:
        subject.blocked = "the port does not hold the tensors of its source"
    yield check


def check_tensors(subject: Subject) -> Iterator[Check]:
    """Every tensor has the same bits."""
    check, subject.tensors = compare_tensors(subject.expected, subject.written)
    yield check


def check_outputs(subject: Subject) -> Iterator[Check]:
    """Everything that policies compute, from raw observations to the environment's actions."""
    checks = list(_log_std(subject))
    for observations in subject.observations:
        doing(f"comparing outputs on {observations.count:,} {observations.label}")
        sides = subject.oracle, subject.port
        outcome = compare_with_oracle(*sides, observations, subject.tolerance, noise=subject.noise)
        subject.summaries.append(outcome.summary)
        checks += outcome.checks
    yield from sorted(checks, key=lambda check: COMPUTED.index(check.stage))


def _log_std(subject: Subject) -> Iterator[Check]:
    """The spread of actions, which belongs to the policy and not to an observation."""
    expected, actual = (getattr(side.policy, "log_std", None) for side in (subject.oracle, subject.port))
    if expected is not None and actual is not None:
        found = compare(expected.detach().numpy(), actual.detach().numpy(), tolerance=NONE)
        yield Check("network", found, "log_std")


def check_reload(subject: Subject) -> Iterator[Check]:
    """Another process loads the port, and computes the same on the first batch."""
    if subject.checkpoint.spec.features_extractor.startswith("__main__:"):
        yield skipped("reload", "its features extractor is in __main__, which other processes do not have")
        return
    if subject.fresh is None:
        unasked = "not asked for; sb3port verify loads the port in another process, too"
        yield skipped("reload", unasked if is_installed() else NO_LEROBOT)
        return
    observations = subject.observations[0]
    batch = replace(next(observations.batches()), recorded={})  # which another process is not given
    sample = subject.oracle.sample(batch)
    expected = subject.oracle.outputs(batch, sample)
    actual = subject.fresh.outputs(batch, sample)
    if isinstance(actual, str):
        failed = Comparison(Verdict.FAIL, f"a fresh process cannot load the port: {actual}")
        yield Check("reload", failed, observations=observations.name)
        return
    noise = subject.noise.measure(batch, {**expected, "sample": sample}, sample)
    for name in (name for name in _RELOADED if name in expected):
        found = compare(expected[name], actual[name], noise[name], subject.tolerance, batch.shown)
        yield Check("reload", found, name, observations.name)


STEPS = (
    Step(("integrity",), check_integrity, "comparing the names of tensors", needs_outputs=False),
    Step(("tensors",), check_tensors, "comparing tensors", needs_outputs=False),
    Step(COMPUTED, check_outputs, "building SB3's policy and the port"),
    Step(("reload",), check_reload, "waiting for another process to load the port with LeRobot"),
)


def run_steps(subject: Subject, steps: Sequence[Step] = STEPS) -> list[Check]:
    """Run all steps; those that make no sense any more are skipped.

    Raises:
        NotPortable: The port is broken, so that there is nothing to compare.
    """
    checks: list[Check] = []
    with one_thread(), without_compiler():
        for step in steps:
            if subject.blocked and step.needs_outputs:
                checks += [skipped(stage, subject.blocked) for stage in step.stages]
            else:
                doing(step.title)
                checks += step.run(subject)
    return checks


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work on one thread: bits depend on how the work is split."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def skipped(stage: str, reason: str) -> Check:
    """Report that a stage said nothing."""
    return Check(stage, Comparison(Verdict.SKIPPED, reason))
