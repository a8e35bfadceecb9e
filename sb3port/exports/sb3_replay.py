"""Models of SB3's that learn from replayed steps, and of ARS: what of them an actor-critic's do not have.

Replay buffers are files of their own, and stay where they are: SB3 goes on with a new one.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import torch
from sb3_contrib.ars import policies as ars
from sb3_contrib.crossq import policies as crossq
from sb3_contrib.qrdqn import policies as qrdqn
from sb3_contrib.tqc import policies as tqc
from stable_baselines3.common import noise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import FloatSchedule
from stable_baselines3.dqn import policies as dqn
from stable_baselines3.sac import policies as sac
from stable_baselines3.td3 import policies as td3

from sb3port.checkpoint.checkpoint import Checkpoint, OptimizerState, ReplaySpec
from sb3port.checkpoint.spaces import Box
from sb3port.errors import NotPortable
from sb3port.families.registry import family_of
from sb3port.parity.oracle.sb3_replay import replay_arguments

_KINDS = {"FlattenExtractor": "MlpPolicy", "NatureCNN": "CnnPolicy", "CombinedExtractor": "MultiInputPolicy"}
_MODULES: Mapping[str, Any] = {
    "SACPolicy": sac,
    "TD3Policy": td3,
    "DQNPolicy": dqn,
    "QRDQNPolicy": qrdqn,
    "TQCPolicy": tqc,
}
_WITHOUT_KINDS: dict[str, type[BasePolicy]] = {
    "CrossQPolicy": crossq.CrossQPolicy,
    "ARSPolicy": ars.ARSPolicy,
}
# The replay buffers that SB3 does not choose by itself; a file's own name chooses nothing else.
_BUFFERS = {
    "HerReplayBuffer": "stable_baselines3.her.her_replay_buffer",
}
# What the buffer is made of. It is small where nothing is learned: SB3 makes it anew when it loads a model.
SMALL_BUFFER: Mapping[str, Any] = {
    "buffer_size": 1,
    "replay_buffer_class": None,
    "replay_buffer_kwargs": {},
    "optimize_memory_usage": False,
    "n_steps": 1,
}


def replay_policy_class(spec: ReplaySpec, extractor: str) -> type[BasePolicy] | None:
    """Give the class by which SB3 names such a policy.

    Args:
        spec: The policy.
        extractor: Name of the usual features extractor by which classes are chosen.
    """
    name = family_of(spec).name
    if name in _WITHOUT_KINDS:
        return _WITHOUT_KINDS[name]
    found: type[BasePolicy] | None = getattr(_MODULES[name], _KINDS.get(extractor, ""), None)
    return found


def replay_kwargs(spec: ReplaySpec, extractor: Mapping[str, Any]) -> dict[str, Any]:
    """Give the arguments of a policy: those that the tensors show, and those that the source gave.

    Args:
        spec: The policy.
        extractor: The arguments that tell its features extractor, as far as its class does not.
    """
    given = replay_arguments(spec, extractor)
    told = {name for name in family_of(spec).options if name not in spec.assumed}
    usual = {"activation_fn", "normalize_images", "log_std_init", "use_expln", "clip_mean"}
    kept = {name: value for name, value in given.items() if name not in usual or name in told}
    if not kept.get("share_features_extractor", True):
        del kept["share_features_extractor"]
    if spec.algorithm not in ("sac", "tqc", "crossq"):
        kept.pop("use_sde", None)
    return kept


def replay_settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """Give the attributes of a model that are no numbers.

    Raises:
        NotPortable: One is nothing that SB3 has.
    """
    given, spec = dict(checkpoint.training.replay), checkpoint.spec
    settings: dict[str, Any] = {}
    if "train_freq" in given:
        settings["train_freq"] = tuple(given["train_freq"])
    if "action_noise" in given:
        settings["action_noise"] = _noise(given["action_noise"])
    settings |= {name: given[name] for name in ("ent_coef", "target_entropy") if name in given}
    if settings.get("target_entropy") == "auto" and isinstance(spec.action_space, Box):
        settings["target_entropy"] = -float(spec.action_space.size)
    if spec.algorithm != "ars":
        settings |= {"replay_buffer_class": None, "replay_buffer_kwargs": {}}
    name = str(given.get("replay_buffer_class", "")).rpartition(".")[2]
    if name in _BUFFERS:
        settings["replay_buffer_class"] = getattr(import_module(_BUFFERS[name]), name)
        settings["replay_buffer_kwargs"] = dict(given.get("replay_buffer_kwargs", {}))
    return settings


def _noise(given: Mapping[str, Any]) -> Any:
    arguments = {name: np.asarray(value) for name, value in given.items() if name in ("mean", "sigma")}
    others = {name: value for name, value in given.items() if name in ("theta", "dt")}
    classes = {
        "NormalActionNoise": noise.NormalActionNoise,
        "OrnsteinUhlenbeckActionNoise": noise.OrnsteinUhlenbeckActionNoise,
    }
    if given.get("class") not in classes:
        raise NotPortable(f"SB3 has no noise such as {str(given.get('class'))[:100]}")
    return classes[given["class"]](**arguments, **others)


def callable_schedules(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give the schedule of ARS's noise, which SB3 makes callable in the constructor alone."""
    name = "delta_std_schedule"
    return {name: FloatSchedule(settings[name])} if name in settings else {}


def finish_replay(model: Any, checkpoint: Checkpoint) -> None:
    """Put into a model what it has beside its policy: optimisers, the entropy's coefficient, ARS's weights.

    Raises:
        NotPortable: An optimiser's state does not fit.
    """
    optimizers = {
        "policy.optimizer": getattr(model.policy, "optimizer", None),
        **{f"{name}.optimizer": getattr(getattr(model, name, None), "optimizer", None) for name in _LEARNERS},
        "ent_coef_optimizer": getattr(model, "ent_coef_optimizer", None),
    }
    saved = dict(checkpoint.optimizers)
    if checkpoint.optimizer is not None:
        saved["policy.optimizer"] = checkpoint.optimizer
    for name, state in saved.items():
        if (optimizer := optimizers.get(name)) is not None:
            load_state(optimizer, state)
    coefficient = checkpoint.variables.get("log_ent_coef")
    if coefficient is not None and getattr(model, "log_ent_coef", None) is not None:
        with torch.no_grad():
            model.log_ent_coef.copy_(torch.from_numpy(coefficient.copy()))
    if checkpoint.spec.algorithm == "ars":
        model.pop_size = 2 * checkpoint.training.hyperparameters.get("n_delta", model.n_delta)
        model.weights = torch.nn.utils.parameters_to_vector(model.policy.parameters()).detach()


_LEARNERS = ("actor", "critic")


def load_state(optimizer: torch.optim.Optimizer, saved: OptimizerState) -> None:
    """Load an optimiser's state; settings that its torch did not have yet are those of a new optimiser."""
    (fresh,) = optimizer.state_dict()["param_groups"]
    if len(fresh["params"]) != saved.count:
        raise NotPortable("an optimiser's state does not fit the parameters of its networks")
    state = {
        number: {key: torch.as_tensor(np.array(value)) for key, value in row.items()}
        for number, row in saved.state.items()
    }
    group = {**fresh, **with_tuples(saved.group), "params": list(range(saved.count))}
    optimizer.load_state_dict({"state": state, "param_groups": [group]})


def with_tuples(settings: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists where torch has tuples (`betas`)."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
