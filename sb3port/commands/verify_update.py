"""Whether a port learns as its source would: one update on a recorded rollout gives SB3's weights."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array
from sb3port.parity.comparison.compare import Comparison, compare
from sb3port.parity.comparison.report import Check
from sb3port.parity.comparison.verdicts import Verdict
from sb3port.ports.reading import read_port
from sb3port.ports.unchanged import some
from sb3port.reports.numbers import size_text

if TYPE_CHECKING:
    from sb3port.parity.checks.checks import Subject
    from sb3port.ppo.engines.base import StepSizes
    from sb3port.ppo.hyperparameters import Hyperparameters

_SEED = 0
_SETTINGS = (
    "batch_size",
    "n_epochs",
    "gamma",
    "gae_lambda",
    "normalize_advantage",
    "ent_coef",
    "vf_coef",
    "max_grad_norm",
    "target_kl",
)
_WHY_NOT = {
    "ppo_lstm": "recorded rollouts do not hold the memory of each step",
    "a2c": "it is PPO that learns, and A2C trained this policy",
    "trpo": "it is PPO that learns, and TRPO trained this policy",
}


def check_update(subject: "Subject", path: Path) -> Iterator[Check]:
    """Let SB3 and us learn from the same steps with the same random numbers, each from what it has read.

    Args:
        subject: The port and its source.
        path: A recording, as `sb3port record` writes it; of other files nothing is said.

    Raises:
        UsageError, NotPortable: The file is absent, damaged, or of another policy.
    """
    from sb3port.parity.observations.transitions import recorded_transitions
    from sb3port.parity.oracle.sb3_update import sb3_update
    from sb3port.ppo.engines.base import StepSizes
    from sb3port.ppo.hyperparameters import defaults
    from sb3port.ppo.rollout.random_state import set_seed, undisturbed
    from sb3port.ppo.runs.finetuning import plan_of
    from sb3port.ppo.runs.replaying import our_update

    source = subject.checkpoint
    steps = recorded_transitions(path, source.spec)
    if steps is None:
        return
    if reason := _WHY_NOT.get(source.spec.algorithm, "" if len(steps) > 1 else "there is but one step"):
        yield Check("update", Comparison(Verdict.SKIPPED, reason))
        return
    settings = plan_of(source, {})[0].hyperparameters(defaults(source.spec.algorithm), {})
    sizes = StepSizes.of(settings, 1.0)
    with undisturbed():
        set_seed(_SEED)
        expected = sb3_update(source, steps, sizes.learning_rate, _for_sb3(settings, sizes))
        set_seed(_SEED)
        actual = our_update(read_port(subject.folder), steps, sizes, settings)
    for output, is_state in (("weights", False), ("optimiser", True)):
        names = [name for name in expected if ("/" in name) is is_state]
        yield Check("update", _compared(expected, actual, names), output, path.stem)


def _for_sb3(settings: "Hyperparameters", sizes: "StepSizes") -> dict[str, Any]:
    """Give the arguments of SB3's constructor that an update depends on."""
    plain = {name: getattr(settings, name) for name in _SETTINGS}
    return {**plain, "clip_range": sizes.clip_range, "clip_range_vf": sizes.clip_range_vf}


def _compared(expected: dict[str, Array], actual: dict[str, Array], names: list[str]) -> Comparison:
    """Compare arrays as one, and name the one that is furthest off."""
    missing = [name for name in names if name not in actual]
    if missing:
        return Comparison(Verdict.FAIL, f"the port has no {', '.join(missing)}")
    found = {name: compare(expected[name], actual[name]) for name in names}
    whole = compare(_flat(expected, names), _flat(actual, names))
    different = [name for name, each in found.items() if each.verdict is not Verdict.BIT_EXACT]
    if not different:
        return whole
    return replace(whole, reason=f"differs by up to {size_text(whole.max_abs)} in {some(different)}")


def _flat(arrays: dict[str, Array], names: list[str]) -> Array:
    return np.concatenate([arrays[name].reshape(-1) for name in names])
