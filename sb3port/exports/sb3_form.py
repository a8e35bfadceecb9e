"""What a checkpoint becomes in today's SB3: the same outputs and schedules, in the terms that it has."""

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import dropwhile
from typing import Any

from sb3port.checkpoint.checkpoint import Checkpoint, NetArch, OptimizerState, PolicySpec, ReplaySpec
from sb3port.checkpoint.schedules import (
    ConstantSchedule,
    ExpressionSchedule,
    LinearSchedule,
    Schedule,
    SimpleLinearSchedule,
)
from sb3port.errors import NotPortable, UsageError
from sb3port.exports.sb3_schedules import formula_warning
from sb3port.families.extractors import EXTRACTORS, is_own
from sb3port.families.extractors.base import TORCH_LAYERS
from sb3port.families.hyperparameters import true_settings
from sb3port.families.specs import expected_shapes

_NET = re.compile(r"mlp_extractor\.(shared_net|policy_net|value_net)\.(\d+)\.(.+)")
_BUFFER, _HER_ARGUMENTS = "replay_buffer_class", "replay_buffer_kwargs"
_USUAL_BUFFERS = ("ReplayBuffer", "DictReplayBuffer", "NStepReplayBuffer")
# HER's arguments that SB3 had until 1.8: it draws goals whenever it learns, since then.
_GONE = ("online_sampling", "max_episode_length")
_OFFLINE = (
    "HER drew its goals when episodes ended (online_sampling=False), which SB3 has not done since 1.8: "
    "training goes on with goals that are drawn when it learns"
)
_COPIED = (
    "SB3 has had no shared layers since 1.8, so each net begins with a copy of them: the outputs are the "
    "same, but the copies part when training goes on, and their optimiser state starts anew"
)


def sb3_form(checkpoint: Checkpoint, rates: Mapping[str, float] | None = None) -> Checkpoint:
    """Give a checkpoint in the terms of today's SB3.

    Layers that actor and critic share, which SB3 had until 1.7, become two nets that begin with copies of
    them. Their optimiser state is left out: it belongs to the sum of two gradients. The zoo's linear
    schedule becomes SB3's `LinearSchedule` of the same values, and a rate that the source has lost is that of
    `config.yml`.

    Args:
        checkpoint: The checkpoint.
        rates: Numbers that replace schedules, by name.

    Raises:
        NotPortable: SB3 has lost what the policy needs.
        UsageError: There is no schedule of such a name, or one has no finite value at some time.
    """
    _refuse_lost(checkpoint)
    schedules = _schedules(checkpoint, rates or {})
    formulas = [
        formula_warning(schedule, name)
        for name, schedule in schedules.items()
        if isinstance(schedule, ExpressionSchedule)
    ]
    replay = _todays_replay(checkpoint)
    training = replace(checkpoint.training, schedules=schedules, replay=replay)
    gone = (
        [_OFFLINE]
        if checkpoint.training.replay.get(_HER_ARGUMENTS, {}).get("online_sampling") is False
        else []
    )
    warnings = (*checkpoint.warnings, *formulas, *gone)
    return _unshared(replace(checkpoint, training=training, warnings=warnings))


def _todays_replay(checkpoint: Checkpoint) -> dict[str, Any]:
    """Give the settings of an algorithm that learns from replayed steps without what SB3 has lost of them."""
    replay = dict(checkpoint.training.replay)
    if _HER_ARGUMENTS in replay:
        kept = {name: value for name, value in replay[_HER_ARGUMENTS].items() if name not in _GONE}
        replay = {name: value for name, value in replay.items() if name != _HER_ARGUMENTS}
        replay |= {_HER_ARGUMENTS: kept} if kept else {}
    if str(replay.get(_BUFFER, "")).rpartition(".")[2] in _USUAL_BUFFERS:
        # SB3 takes it by itself, and would warn of one that is named where there are n-step returns.
        replay = {name: value for name, value in replay.items() if name not in (_BUFFER, _HER_ARGUMENTS)}
    return replay


def _schedules(checkpoint: Checkpoint, rates: Mapping[str, float]) -> dict[str, Schedule]:
    """Give the schedules to go on with, and the user's numbers in place of some."""
    true = {**checkpoint.training.schedules, **true_settings(checkpoint).schedules}
    if unknown := sorted(set(rates) - set(true)):
        raise UsageError(f"{checkpoint.provenance.name} has no {', '.join(unknown)}", "drop the option")
    given = {name: ConstantSchedule(rate) for name, rate in rates.items()}
    return {name: _schedule(schedule) for name, schedule in {**true, **given}.items()}


def _refuse_lost(checkpoint: Checkpoint) -> None:
    """Refuse what no model of SB3's alone computes: with today's classes the outputs would be others."""
    spec = checkpoint.spec
    lost = {
        f"the features extractor {spec.features_extractor}, which is not SB3's": not _is_of_sb3(spec),
        "gSDE's own layers (sde_net_arch), which SB3 has not had since 1.3": spec.sde_net_arch is not None,
        "squash_output without gSDE, which SB3 refuses since 2.2.1": spec.squash_output
        and not spec.use_sde
        and not isinstance(spec, ReplaySpec),
    }
    for what, has in lost.items():
        if has:
            raise NotPortable(
                f"{checkpoint.provenance.name} cannot be written for today's SB3: it has {what}",
                "a port of it runs: sb3port convert",
            )


def _is_of_sb3(spec: PolicySpec) -> bool:
    """Whether the extractor is SB3's, or the user's own, which the zip names as any zip of SB3's does."""
    name = spec.features_extractor
    return is_own(name) or any(known.name == name and known.module == TORCH_LAYERS for known in EXTRACTORS)


def _schedule(schedule: Schedule) -> Schedule:
    if isinstance(schedule, SimpleLinearSchedule):
        return LinearSchedule(schedule.initial_value, 0.0, 1.0)
    return schedule


def _unshared(checkpoint: Checkpoint) -> Checkpoint:
    arch = checkpoint.spec.net_arch
    if not arch.shared:
        return checkpoint
    separate = NetArch(pi=(*arch.shared, *arch.pi), vf=(*arch.shared, *arch.vf))
    spec = replace(checkpoint.spec, net_arch=separate)
    origins = {new: old for old in checkpoint.tensors for new in _new_names(old, len(arch.shared))}
    tensors = {new: checkpoint.tensors[old] for new, old in origins.items()}
    ordered = {new: origins[new] for new in expected_shapes(spec, tensors)}
    return replace(
        checkpoint,
        spec=spec,
        tensors={name: tensors[name] for name in ordered},
        optimizer=_optimizer(checkpoint.optimizer, list(checkpoint.tensors), list(ordered.values())),
        warnings=(*checkpoint.warnings, _COPIED),
    )


def _new_names(name: str, depth: int) -> tuple[str, ...]:
    """Name the copies of a shared tensor, or the new place of one that came after `depth` shared layers."""
    match = _NET.fullmatch(name)
    if match is None:
        return (name,)
    net, index, rest = match[1], int(match[2]), match[3]
    if net == "shared_net":
        return tuple(f"mlp_extractor.{copy}.{index}.{rest}" for copy in ("policy_net", "value_net"))
    return (f"mlp_extractor.{net}.{index + 2 * depth}.{rest}",)  # a layer and its activation


def _optimizer(
    optimizer: OptimizerState | None, before: list[str], origins: list[str]
) -> OptimizerState | None:
    """Give every parameter the row of the one that it was, by their order: `origins` are the new ones."""
    if optimizer is None:
        return None
    old, new = (list(dropwhile(_is_before_layers, names)) for names in (before, origins))
    # What is before the layers may be code of the user's own, and stays where it is.
    first = optimizer.count - len(old)
    rows = {number: row for number, row in optimizer.state.items() if number < first}
    for number, origin in enumerate(new):
        was = first + old.index(origin)
        if was in optimizer.state and ".shared_net." not in origin:
            rows[first + number] = optimizer.state[was]
    return OptimizerState(optimizer.group, rows, first + len(new))


def _is_before_layers(name: str) -> bool:
    return not name.startswith("mlp_extractor.")
