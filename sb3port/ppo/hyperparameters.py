"""The settings of PPO under SB3's own names, with SB3's defaults.

Source: `stable_baselines3/ppo/ppo.py`, `sb3_contrib/ppo_recurrent/ppo_recurrent.py`.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from sb3port.checkpoint.schedules import (
    ConstantSchedule,
    CustomSchedule,
    ExpressionSchedule,
    Formula,
    SimpleLinearSchedule,
    schedule_from_json,
    schedule_to_json,
)
from sb3port.errors import UsageError, did_you_mean

_SCHEDULE_HINT = (
    "give a number, or lin_X to go from X down to 0, or a formula: '3e-4 * progress_remaining ** 2'"
)
SCHEDULES = ("learning_rate", "clip_range", "clip_range_vf")


_LEARNING_RATE, _CLIP_RANGE = ConstantSchedule(3e-4), ConstantSchedule(0.2)


@dataclass(frozen=True)
class Hyperparameters:
    """What SB3's PPO is constructed with.

    Args:
        learning_rate: Step size of Adam, by the share of the training that remains.
        n_steps: Steps of every environment in a rollout.
        batch_size: Transitions in a minibatch; the last one of an epoch may be smaller.
        n_epochs: Passes over a rollout.
        gamma: Discount factor.
        gae_lambda: Bias against variance in the advantages.
        clip_range: How far the ratio of probabilities may leave 1 with a gradient.
        clip_range_vf: How far values may move, in units of the (normalised) return; None is any distance.
        normalize_advantage: Whether each minibatch's advantages get mean 0 and standard deviation 1.
        ent_coef: Weight of the entropy bonus.
        vf_coef: Weight of the value loss.
        max_grad_norm: Length to which longer gradients are cut.
        use_sde: Whether to explore by gSDE.
        sde_sample_freq: Steps between new exploration matrices; -1 for one per rollout.
        target_kl: An update ends early when the divergence exceeds 1.5 times this; None is never.
    """

    learning_rate: Formula = _LEARNING_RATE
    n_steps: int = 2048
    batch_size: int = 64
    n_epochs: int = 10
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_range: Formula = _CLIP_RANGE
    clip_range_vf: Formula | None = None
    normalize_advantage: bool = True
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    use_sde: bool = False
    sde_sample_freq: int = -1
    target_kl: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Give the settings as JSON values."""
        values = {name: value for name, value in vars(self).items() if name not in SCHEDULES}
        schedules = {name: getattr(self, name) for name in SCHEDULES}
        return values | {n: schedule_to_json(s) if s is not None else None for n, s in schedules.items()}


NAMES = tuple(field.name for field in fields(Hyperparameters))
_RECURRENT = Hyperparameters(n_steps=128, batch_size=128)


def defaults(algorithm: str) -> Hyperparameters:
    """Give SB3's defaults for "ppo" and "ppo_mask", sb3-contrib's for "ppo_lstm"."""
    return _RECURRENT if algorithm == "ppo_lstm" else Hyperparameters()


def hyperparameters_from_json(data: Mapping[str, Any]) -> Hyperparameters:
    """Read what `Hyperparameters.to_json` gave."""
    schedules: dict[str, Any] = {name: data[name] and schedule_from_json(data[name]) for name in SCHEDULES}
    return Hyperparameters(**{**data, **schedules})


def changed(base: Hyperparameters, values: Mapping[str, Any], where: str) -> Hyperparameters:
    """Give settings with some values replaced.

    Args:
        base: The others.
        values: By SB3's names; schedules as `parse_schedule` reads them.
        where: What to call the place of the values in an error message.

    Raises:
        UsageError: A name is unknown, or a value impossible.
    """
    if unknown := sorted(set(values) - set(NAMES)):
        hint = did_you_mean(unknown[0], NAMES, f"known: {', '.join(NAMES)}")
        raise UsageError(f"{where} has no hyperparameter {', '.join(unknown)}", hint)
    parsed = {name: _parse(name, value, where) for name, value in values.items()}
    settings = replace(base, **parsed)
    for name, (holds, rule) in _RULES.items():
        if not holds(getattr(settings, name)):
            raise UsageError(f"{name} of {where} is {getattr(settings, name)}, but it must be {rule}")
    return settings


def parse_schedule(value: Any, where: str) -> Formula:
    """Read a schedule: a number, "lin_X" (the zoo's word for X going down to 0), a formula, or a schedule.

    Raises:
        UsageError: It is none of these.
    """
    if isinstance(value, Formula):
        return value
    if isinstance(value, CustomSchedule):
        raise UsageError(f"{where} is a {value}, which is not run", _SCHEDULE_HINT)
    text = str(value)
    with suppress(ValueError):
        number = float(text.removeprefix("lin_"))
        return SimpleLinearSchedule(number) if text.startswith("lin_") else ConstantSchedule(number)
    try:
        return ExpressionSchedule(text)
    except ValueError as error:
        raise UsageError(f"{where} is {value!r}: {error}", _SCHEDULE_HINT) from error


def _parse(name: str, value: Any, where: str) -> Any:
    if value is None and name not in ("clip_range_vf", "target_kl"):
        raise UsageError(f"{name} of {where} is missing")
    if value is None:
        return None
    if name in SCHEDULES:
        return parse_schedule(value, f"{name} of {where}")
    default = getattr(Hyperparameters, name)
    kind = float if default is None else type(default)
    try:
        parsed = kind(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{name} of {where} is {value!r}, which is no {kind.__name__}") from error
    if parsed != value or (kind is bool) != isinstance(value, bool):
        raise UsageError(f"{name} of {where} is {value!r}, which is no {kind.__name__}")
    return parsed


def _is_rate(schedule: Formula | None) -> bool:
    """Whether a schedule can begin: what changes may begin at 0, as a rate that warms up does."""
    first = 1.0 if schedule is None else schedule(1.0)
    return math.isfinite(first) and (first >= 0 if isinstance(schedule, ExpressionSchedule) else first > 0)


def _fraction(value: float) -> bool:
    return 0 <= value <= 1


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "learning_rate": (_is_rate, "above 0"),
    "clip_range": (_is_rate, "above 0"),
    "clip_range_vf": (_is_rate, "above 0, or left out"),
    "n_steps": (lambda n: n >= 1, "at least 1"),
    "batch_size": (lambda n: n >= 1, "at least 1"),
    "n_epochs": (lambda n: n >= 1, "at least 1"),
    "gamma": (_fraction, "between 0 and 1"),
    "gae_lambda": (_fraction, "between 0 and 1"),
    "max_grad_norm": (lambda norm: norm > 0, "above 0"),
    "target_kl": (lambda kl: kl is None or kl > 0, "above 0, or left out"),
}


def as_training_values(settings: Hyperparameters) -> dict[str, Any]:
    """Give the settings that are no schedules, as `TrainingSettings.hyperparameters` keeps them."""
    return {name: value for name, value in asdict(settings).items() if name not in SCHEDULES}
