"""A checkpoint as the zip of today's SB3, and its statistics as a pickled VecNormalize.

SB3 writes both itself: a real model gets the weights, the optimiser's state and the settings, and is saved.
What a zip need not hold is left out, so that it names no more classes than it must: constant schedules are
plain numbers, which every SB3 2 reads, linear ones SB3's `LinearSchedule`, which came with 2.7, and other
formulas functions of NumPy's with their arguments (see `sb3_schedules`).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from cloudpickle import cloudpickle
from sb3_contrib.common.maskable import policies as maskable
from sb3_contrib.common.recurrent import policies as recurrent
from stable_baselines3.common import policies
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.torch_layers import NatureCNN
from stable_baselines3.common.utils import LinearSchedule as Sb3LinearSchedule
from stable_baselines3.common.vec_env import VecEnv

from sb3port.checkpoint.checkpoint import (
    Checkpoint,
    Normalizer,
    PolicySpec,
    ReplaySpec,
    TrainingSettings,
)
from sb3port.checkpoint.schedules import ConstantSchedule, ExpressionSchedule, LinearSchedule, Schedule
from sb3port.checkpoint.spaces import Dict
from sb3port.errors import NotPortable, UsageError
from sb3port.exports.sb3_replay import (
    SMALL_BUFFER,
    callable_schedules,
    finish_replay,
    load_state,
    replay_kwargs,
    replay_policy_class,
    replay_settings,
    with_tuples,
)
from sb3port.exports.sb3_schedules import sb3_formula
from sb3port.exports.vecnormalize import STATISTICS, write_vecnormalize
from sb3port.families.algorithms import algorithm_of, display_name
from sb3port.families.extractors import is_own
from sb3port.families.registry import family_of
from sb3port.networks.compiler import without_compiler
from sb3port.networks.gymnasium_spaces import gymnasium_space, policy_space
from sb3port.networks.mlp import activation_class
from sb3port.networks.own_extractors import registered_extractor
from sb3port.networks.weights import of_parameters
from sb3port.parity.oracle.sb3_policies import ALGORITHMS, load_weights

_CLASSES: dict[tuple[str, str], type[policies.BasePolicy]] = {
    ("ActorCriticPolicy", "FlattenExtractor"): policies.ActorCriticPolicy,
    ("ActorCriticPolicy", "NatureCNN"): policies.ActorCriticCnnPolicy,
    ("ActorCriticPolicy", "CombinedExtractor"): policies.MultiInputActorCriticPolicy,
    ("MaskableActorCriticPolicy", "FlattenExtractor"): maskable.MaskableActorCriticPolicy,
    ("MaskableActorCriticPolicy", "NatureCNN"): maskable.MaskableActorCriticCnnPolicy,
    ("MaskableActorCriticPolicy", "CombinedExtractor"): maskable.MaskableMultiInputActorCriticPolicy,
    ("RecurrentActorCriticPolicy", "FlattenExtractor"): recurrent.RecurrentActorCriticPolicy,
    ("RecurrentActorCriticPolicy", "NatureCNN"): recurrent.RecurrentActorCriticCnnPolicy,
    ("RecurrentActorCriticPolicy", "CombinedExtractor"): recurrent.RecurrentMultiInputActorCriticPolicy,
}
_MEMORY = ("lstm_hidden_size", "n_lstm_layers", "shared_lstm", "enable_critic_lstm")
# SB3 sets them anew when it loads a model, and they would bring classes of this very version into the zip.
_LEFT_OUT = ("lr_schedule", "_last_lstm_states")


def write_sb3(checkpoint: Checkpoint, path: Path) -> None:
    """Write a zip, and `vec_normalize.pkl` beside it where there are statistics.

    Args:
        checkpoint: In SB3's terms (see `sb3_form`).
        path: The zip, in an existing folder.

    Raises:
        NotPortable: SB3 has no such model.
        UsageError: A schedule is a function of the user's own.
        OSError: A file cannot be written.
    """
    with without_compiler(), _widely_read_pickles():
        model = build_model(checkpoint)
        model.save(path, exclude=_LEFT_OUT)
    if checkpoint.normalizer is not None:
        write_vecnormalize(checkpoint.spec, checkpoint.normalizer, path.with_name(STATISTICS))


@contextmanager
def _widely_read_pickles() -> Iterator[None]:
    """Pickle arrays so that NumPy 1.26 can read them, too: it lacks what protocol 5 names of NumPy 2."""
    default = cloudpickle.DEFAULT_PROTOCOL
    cloudpickle.DEFAULT_PROTOCOL = 4
    try:
        yield
    finally:
        cloudpickle.DEFAULT_PROTOCOL = default


def build_model(
    checkpoint: Checkpoint, env: VecEnv | None = None, device: str = "cpu", trains: bool = False
) -> BaseAlgorithm:
    """Build SB3's model as its own `load` does (`stable_baselines3/common/base_class.py`).

    Args:
        checkpoint: In SB3's terms (see `sb3_form`).
        env: What it shall train in, as the algorithm's `_wrap_env` gives it; None for none.
        device: Where its policy shall compute.
        trains: Whether it shall be ready to train; else its rollout buffer is small, and no seed is set.

    Raises:
        NotPortable: SB3 has no such model.
        UsageError: A schedule is a function of the user's own.
    """
    spec = checkpoint.spec
    policy_class = _policy_class(spec)
    if policy_class is None:
        raise NotPortable(f"neither SB3 nor sb3-contrib has a policy such as {family_of(spec).name}")
    settings = _settings(checkpoint)
    # The rollout buffer is not saved, and a seed would be set for this process.
    begins_with = {} if trains else _small(spec)
    if env is not None:
        begins_with["n_envs"] = settings["n_envs"] = env.num_envs
    try:
        model: Any = ALGORITHMS[spec.algorithm](
            policy=policy_class,
            env=env,
            device=device,
            _init_setup_model=False,
        )
        vars(model).update(settings | begins_with)
        model._setup_model()
        load_weights(model.policy, spec, checkpoint.tensors)
        if isinstance(spec, ReplaySpec):
            finish_replay(model, checkpoint)
        elif checkpoint.optimizer is not None:
            load_state(
                model.policy.optimizer, of_parameters(checkpoint.optimizer, model.policy, checkpoint.tensors)
            )
    except (KeyError, TypeError, ValueError, AssertionError, RuntimeError, AttributeError) as error:
        raise NotPortable(
            f"SB3 cannot express this {display_name(spec.algorithm)} model: {str(error)[:500]}"
        ) from error
    if not trains:
        made = {"policy_kwargs", *(("train_freq",) if isinstance(spec, ReplaySpec) else ())}
        vars(model).update({name: value for name, value in settings.items() if name not in made})
        # NatureCNN has drawn from the first one, which then holds a random generator of this very NumPy.
        model.observation_space = policy_space(spec.observation_space)
    return model


def _policy_class(spec: PolicySpec) -> type[policies.BasePolicy] | None:
    usual = _usual_extractor(spec)
    if isinstance(spec, ReplaySpec):
        return replay_policy_class(spec, usual)
    return _CLASSES.get((family_of(spec).name, usual))


def _small(spec: PolicySpec) -> dict[str, Any]:
    """Give what makes a model small whose buffer nobody fills, and no seed."""
    buffer: Mapping[str, Any] = SMALL_BUFFER if isinstance(spec, ReplaySpec) else {"n_steps": 1}
    return {**buffer, "n_envs": 1, "seed": None}


def _usual_extractor(spec: PolicySpec) -> str:
    """Name the extractor of SB3's by which the policy class is chosen; an own one is an argument of it."""
    if not is_own(spec.features_extractor):
        return spec.features_extractor
    return "CombinedExtractor" if isinstance(spec.observation_space, Dict) else "FlattenExtractor"


def _settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """Give the attributes of the model that differ from those of a new one."""
    spec, training = checkpoint.spec, checkpoint.training
    known = algorithm_of(spec.algorithm)
    settings = {
        name: training.hyperparameters[name]
        for name in known.hyperparameters
        if name in training.hyperparameters
    }
    schedules = {
        name: _sb3_schedule(training.schedules[name], name)
        for name in known.schedules
        if name in training.schedules
    }
    replay = replay_settings(checkpoint) if isinstance(spec, ReplaySpec) else {}
    return {
        **settings,
        **schedules,
        **callable_schedules(schedules),
        **replay,
        "use_sde": spec.use_sde,
        "observation_space": policy_space(spec.observation_space),
        "action_space": gymnasium_space(spec.action_space),
        "policy_kwargs": _policy_kwargs(checkpoint),
        "_last_original_obs": _normalized_sign(checkpoint.normalizer),
    }


def _sb3_schedule(schedule: Schedule, name: str) -> float | Callable[[float], float]:
    """Give a schedule as SB3 takes it.

    Raises:
        UsageError: It is a function of the user's own, or has no finite value at some time.
    """
    match schedule:
        case ConstantSchedule(val):
            return val
        case LinearSchedule(start, end, end_fraction):
            linear: Callable[[float], float] = Sb3LinearSchedule(start, end, end_fraction)
            return linear
        case ExpressionSchedule():
            return sb3_formula(schedule, name)
    option = name.replace("_", "-")
    raise UsageError(
        f"{name} is a {schedule}, which is not run and cannot be written",
        f"give it anew with --{option} NUMBER",
    )


def _policy_kwargs(checkpoint: Checkpoint) -> dict[str, Any]:
    """Give the policy's arguments: those that the tensors show, and those that the source gave."""
    spec, training = checkpoint.spec, checkpoint.training
    if isinstance(spec, ReplaySpec):
        return replay_kwargs(spec, _extractor_kwargs(spec)) | _optimizer_kwargs(training)
    given = {name: getattr(spec, name) for name in family_of(spec).options if name not in spec.assumed}
    if "activation_fn" in given:
        given["activation_fn"] = activation_class(spec.activation_fn)
    given["net_arch"] = {"pi": list(spec.net_arch.pi), "vf": list(spec.net_arch.vf)}
    given |= _extractor_kwargs(spec)
    if not spec.share_features_extractor:
        given["share_features_extractor"] = False
    if spec.lstm_hidden_size is not None:
        given |= {name: getattr(spec, name) for name in _MEMORY}
    return given | _optimizer_kwargs(training)


def _extractor_kwargs(spec: PolicySpec) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if is_own(spec.features_extractor):
        given["features_extractor_class"] = registered_extractor(spec.features_extractor)
    elif spec.features_extractor == "NatureCNN" and spec.algorithm == "crossq":  # which has no CnnPolicy
        given["features_extractor_class"] = NatureCNN
    if spec.features_extractor_kwargs:
        given["features_extractor_kwargs"] = dict(spec.features_extractor_kwargs)
    return given


def _optimizer_kwargs(training: TrainingSettings) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if training.optimizer_class != "Adam":
        given["optimizer_class"] = _optimizer_class(training.optimizer_class)
    if training.optimizer_kwargs:
        given["optimizer_kwargs"] = with_tuples(training.optimizer_kwargs)
    return given


def _optimizer_class(name: str) -> type[torch.optim.Optimizer]:
    found = RMSpropTFLike if name == "RMSpropTFLike" else getattr(torch.optim, name, None)
    if not isinstance(found, type) or not issubclass(found, torch.optim.Optimizer):
        raise NotPortable(f"the optimiser {name[:200]} is not one of torch.optim")
    return found


def _normalized_sign(normalizer: Normalizer | None) -> Any:
    """Give what shows in SB3's zips that VecNormalize belongs to them: an observation that it has seen.

    SB3 replaces it when training goes on. It is the mean, because a checkpoint holds no other.
    """
    if normalizer is None:
        return None
    means = {key: rms.mean[None] for key, rms in normalizer.statistics.items()}
    return means.get("", means)
