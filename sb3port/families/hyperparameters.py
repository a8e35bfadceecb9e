"""Which schedules and hyperparameters to believe, where a zip and rl_zoo3's `config.yml` do not agree.

A zip that was loaded and saved again (as `rl_zoo3.push_to_hub` does with every model) may not hold what the
model was trained with: schedules are 0 where a placeholder was given for them, and SB3's defaults where they
could not be decoded; and there is one environment.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sb3port.checkpoint.checkpoint import Checkpoint, ConfiguredTraining, Scalar, TrainingSettings
from sb3port.checkpoint.plain import is_setting as is_plain_setting
from sb3port.checkpoint.schedules import ConstantSchedule, CustomSchedule, Schedule
from sb3port.families.algorithms import Algorithm, algorithm_of

# Neither gradients nor updates are bounded then.
_MAY_BE_INFINITE = ("max_grad_norm", "target_kl")
# When schedules are looked at: from the beginning of the training to its end.
_PROGRESS = tuple(share / 100 for share in range(100, -1, -1))


def is_setting(name: str, value: object) -> bool:
    """Whether a value can be that of a setting: a finite number, a flag or None, as all of SB3's are."""
    if isinstance(value, float):
        return math.isfinite(value) or (name in _MAY_BE_INFINITE and value > 0)
    return is_plain_setting(value)


def true_settings(checkpoint: Checkpoint) -> TrainingSettings:
    """Tell the settings to go on training with.

    They are the zip's, and those of `config.yml` (or, where it is silent, SB3's defaults) for what the zip
    has lost: a learning rate or clip range of exactly 0, one that is SB3's default, one that is a function of
    the author's own, and the number of environments where it is 1.

    Returns:
        The settings; a schedule that nothing tells is not among them, and must be given anew.
    """
    algorithm = algorithm_of(checkpoint.spec.algorithm)
    return believed(checkpoint.training, checkpoint.configured, algorithm)


def believed(
    training: TrainingSettings, configured: ConfiguredTraining | None, algorithm: Algorithm
) -> TrainingSettings:
    """Tell the settings to go on training with, as `true_settings` does.

    Args:
        training: What the zip has.
        configured: What `config.yml` has, None where there is none.
        algorithm: Whose settings they are.
    """
    schedules = {
        name: schedule
        for name in training.schedules
        if (schedule := _schedule(name, training, configured, algorithm)) is not None
    }
    return replace(training, schedules=schedules, hyperparameters=_hyperparameters(training, configured))


@dataclass(frozen=True)
class ToldSetting:
    """A setting to go on training with, and what tells it.

    Args:
        value: A schedule, or a plain value.
        told_by: "zip", "config.yml", "zip and config.yml" or "SB3's default".
        instead: What is not believed, such as "the zip has 0"; empty where nothing else is told.
    """

    value: Any
    told_by: str
    instead: str = ""


def told_settings(
    training: TrainingSettings, configured: ConfiguredTraining | None, algorithm: Algorithm
) -> dict[str, ToldSetting]:
    """Tell by what each setting is told; the arguments are those of `believed`.

    A schedule that nothing tells stays what the zip has in place of it.
    """
    saved = {**training.schedules, **training.hyperparameters}
    true = believed(training, configured, algorithm)
    known = {**saved, **true.schedules, **true.hyperparameters}
    theirs = {**configured.schedules, **configured.hyperparameters} if configured else {}
    told = {name: _told(name, known[name], saved[name], theirs) for name in saved}
    more = {name: ToldSetting(value, "config.yml") for name, value in theirs.items() if name not in saved}
    if configured is not None and configured.normalize_kwargs is not None:
        more["normalize_kwargs"] = ToldSetting(dict(configured.normalize_kwargs), "config.yml")
    return {**told, **more}


def _told(name: str, known: Any, saved: Any, theirs: Mapping[str, Any]) -> ToldSetting:
    if not _is_same(known, saved):
        by = "config.yml" if name in theirs else "SB3's default"
        return ToldSetting(known, by, f"the zip has {_shown(saved)}")
    if name not in theirs:
        return ToldSetting(known, "zip")
    if _is_same(theirs[name], known):
        return ToldSetting(known, "zip and config.yml")
    return ToldSetting(known, "zip", f"config.yml has {_shown(theirs[name])}")


def _schedule(
    name: str, training: TrainingSettings, configured: ConfiguredTraining | None, algorithm: Algorithm
) -> Schedule | None:
    saved = training.schedules[name]
    default = algorithm.default_rates.get(name)
    lost = _lost(saved)
    if configured is None:
        return None if lost else saved
    if lost or saved == _constant(default):
        return configured.schedules.get(name, _constant(default))
    return saved


def _lost(schedule: Schedule) -> bool:
    return schedule == ConstantSchedule(0.0) or isinstance(schedule, CustomSchedule)


def _constant(value: float | None) -> Schedule | None:
    return None if value is None else ConstantSchedule(value)


def _hyperparameters(
    training: TrainingSettings, configured: ConfiguredTraining | None
) -> Mapping[str, Scalar]:
    saved = training.hyperparameters
    if configured is None or saved.get("n_envs") != 1:
        return saved
    return {**saved, "n_envs": configured.hyperparameters.get("n_envs", 1)}


def training_doubts(
    training: TrainingSettings, configured: ConfiguredTraining | None, algorithm: Algorithm
) -> list[str]:
    """Say in sentences what the zip has lost, and where `config.yml` says something else.

    Args:
        training: What the zip has.
        configured: What `config.yml` has, None where there is none.
        algorithm: Whose settings they are.
    """
    true = believed(training, configured, algorithm)
    lost = {name: schedule for name, schedule in training.schedules.items() if _lost(schedule)}
    sentences = [f"{name} {_loss(schedule, true.schedules.get(name))}" for name, schedule in lost.items()]
    sentences += [text for name, schedule in true.schedules.items() for text in _gaps(name, schedule)]
    others = {
        name: pair
        for name, pair in _pairs(training, configured).items()
        if name not in lost and not _is_same(*pair)
    }
    return [*sentences, _disagreement(others, true)] if others else sentences


def _loss(schedule: Schedule, true: Schedule | None) -> str:
    instead = "for training it must be given anew" if true is None else f"training goes on with {true}"
    if isinstance(schedule, CustomSchedule):
        return f"is a {schedule}, which is not run: {instead}"
    cause = "as after loading with a placeholder and saving again"
    return f"is 0 in the file, {cause}: its value is lost, {instead}"


def _gaps(name: str, schedule: Schedule) -> list[str]:
    """Say where a schedule has no finite value, as a quotient has none where it divides by 0."""
    if isinstance(schedule, CustomSchedule):
        return []
    gaps = [p for p in _PROGRESS if not math.isfinite(schedule(p))]
    if not gaps:
        return []
    shown = f"{gaps[0]:.0%}" if len(gaps) == 1 else f"{gaps[0]:.0%} to {gaps[-1]:.0%}"
    return [f"{name} is {schedule}, which has no finite value when {shown} of the training remains"]


def _pairs(training: TrainingSettings, configured: ConfiguredTraining | None) -> dict[str, tuple[Any, Any]]:
    """Pair what both say."""
    if configured is None:
        return {}
    ours = {**training.schedules, **training.hyperparameters}
    theirs = {**configured.schedules, **configured.hyperparameters}
    return {name: (value, theirs[name]) for name, value in ours.items() if name in theirs}


def _is_same(one: Any, other: Any) -> bool:
    """Compare schedules by what they give: SB3 and rl_zoo3 have different classes for the same."""
    if not callable(one) or not callable(other):
        return bool(one == other)
    return all(
        math.isclose(one(p), other(p), rel_tol=1e-9, abs_tol=1e-15) for p in (1.0, 0.75, 0.5, 0.25, 0.0)
    )


def _disagreement(pairs: Mapping[str, tuple[Any, Any]], true: TrainingSettings) -> str:
    differences = [
        f"{name} {_shown(ours)} (config.yml: {_shown(theirs)})" for name, (ours, theirs) in pairs.items()
    ]
    chosen = {**true.schedules, **true.hyperparameters}
    taken = [name for name, (_, theirs) in pairs.items() if chosen.get(name) == theirs]
    of_config = f"; training goes on with config.yml's {', '.join(taken)}" if taken else ""
    return f"the zip has other settings than config.yml: {', '.join(differences)}{of_config}"


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
