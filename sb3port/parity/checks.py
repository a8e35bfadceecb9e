"""The checks of a port: its tensors, then its outputs against the oracle and against recorded ones."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file

from sb3port.checkpoint import Checkpoint
from sb3port.errors import NotPortable
from sb3port.parity.compare import Comparison, Verdict, compare
from sb3port.parity.observations import Observations
from sb3port.parity.oracle import Oracle
from sb3port.parity.outputs import Outputs
from sb3port.parity.ported import Port
from sb3port.parity.report import Check, ParityReport


def verify_port(folder: Path, checkpoint: Checkpoint, observations: Observations) -> ParityReport:
    """Compare a port with its source.

    Args:
        folder: The port.
        checkpoint: Read from the source.
        observations: What to compare them on.

    Raises:
        NotPortable: The port is broken, so that there is nothing to compare.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # bits depend on how the work is split
    try:
        checks = list(_checks(folder, checkpoint, observations))
    finally:
        torch.set_num_threads(threads)
    count, digest = len(observations), observations.sha256
    return ParityReport(checkpoint.provenance, observations.label, count, digest, checks)


def _checks(folder: Path, checkpoint: Checkpoint, observations: Observations) -> Iterator[Check]:
    yield Check("source.tensors", _compare_tensors(folder, checkpoint))
    oracle, port = Oracle(checkpoint), Port(folder)
    sampled = observations.recorded.get("sampled_action")
    sampled = oracle.sample(observations) if sampled is None else sampled
    expected, actual = oracle.outputs(observations, sampled), port.outputs(observations, sampled)
    noise = oracle.noise(observations, expected, sampled)
    yield from _compare_outputs("oracle", expected, actual, noise)
    recorded = {name: array for name, array in observations.recorded.items() if name in expected}
    yield from _compare_outputs("recorded", recorded, actual, noise)


def _compare_outputs(
    against: str, expected: Outputs, actual: Outputs, noise: dict[str, float]
) -> Iterator[Check]:
    for name, array in expected.items():
        if name not in actual:
            yield Check(f"{against}.{name}", Comparison(Verdict.FAIL, reason="the port gives none"))
        else:
            # Binary actions are integers here, and floats in what SB3 recorded.
            same_kind = array.astype(actual[name].dtype) if actual[name].dtype.kind == "i" else array
            yield Check(f"{against}.{name}", compare(same_kind, actual[name], noise.get(name)))


def _compare_tensors(folder: Path, checkpoint: Checkpoint) -> Comparison:
    """Compare every weight of the port with the source's, bit for bit."""
    try:
        written = load_file(folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise NotPortable(f"{folder / 'model.safetensors'} cannot be read ({error})") from error
    if set(written) != set(checkpoint.tensors):
        names = ", ".join(sorted(set(written) ^ set(checkpoint.tensors)))
        return Comparison(Verdict.FAIL, reason=f"tensors that only one side has: {names[:500]}")
    different = {
        name: outcome
        for name, array in checkpoint.tensors.items()
        if (outcome := compare(array, written[name])).verdict is not Verdict.BIT_EXACT
    }
    if different:
        name, outcome = max(different.items(), key=lambda item: item[1].max_abs)
        return replace(outcome, verdict=Verdict.FAIL, reason=_tensor_reason(name, outcome, len(different)))
    return Comparison(Verdict.BIT_EXACT, shape=(sum(array.size for array in checkpoint.tensors.values()),))


def _tensor_reason(name: str, outcome: Comparison, count: int) -> str:
    where = list(outcome.worst.index) if outcome.worst else ""
    more = f", and {count - 1} more differ" if count > 1 else ""
    return outcome.reason or f"{name} differs by up to {outcome.max_abs:.3g} at {where}{more}"
