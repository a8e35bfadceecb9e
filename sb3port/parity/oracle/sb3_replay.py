"""SB3's and sb3-contrib's own policy classes of algorithms that learn from replayed steps, and of ARS."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib import ARS, QRDQN, TQC, CrossQ
from sb3_contrib.ars.policies import ARSPolicy
from sb3_contrib.crossq.policies import CrossQPolicy
from sb3_contrib.qrdqn.policies import QRDQNPolicy
from sb3_contrib.tqc.policies import TQCPolicy
from stable_baselines3 import DDPG, DQN, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.torch_layers import create_mlp
from stable_baselines3.dqn.policies import DQNPolicy
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy
from torch import Tensor

from sb3port.checkpoint.checkpoint import Array, ReplaySpec
from sb3port.checkpoint.spaces import Discrete
from sb3port.families.registry import family_of
from sb3port.networks.mlp import activation_class
from sb3port.networks.observations import Observations
from sb3port.networks.outputs import CRITIC_ACTION, NOISE, Outputs, flat_actions, rows_at

REPLAY_ALGORITHMS: dict[str, type[BaseAlgorithm]] = {
    "sac": SAC,
    "td3": TD3,
    "ddpg": DDPG,
    "dqn": DQN,
    "qrdqn": QRDQN,
    "tqc": TQC,
    "crossq": CrossQ,
    "ars": ARS,
}
_CLASSES: dict[str, type[BasePolicy]] = {
    cls.__name__: cls
    for cls in (SACPolicy, TD3Policy, DQNPolicy, QRDQNPolicy, TQCPolicy, CrossQPolicy, ARSPolicy)
}
_Named: TypeAlias = Iterator[tuple[str, Tensor]]
_SDE = ("use_sde", "log_std_init", "use_expln", "clip_mean")
_RENORM = ("batch_norm", "batch_norm_momentum", "batch_norm_eps", "renorm_warmup_steps")


def replay_class(spec: ReplaySpec) -> type[BasePolicy]:
    """Give SB3's class of a policy, with the layers for gSDE's noise that it had until 1.2."""
    cls = _CLASSES[family_of(spec).name]
    if spec.sde_net_arch is None:
        return cls
    return type(cls.__name__, (_SdeFeatures, cls), {"sizes": list(spec.sde_net_arch)})


class _SdeFeatures:
    """Gives the actor of SAC or TQC the features extractor for gSDE's noise that it had once."""

    def make_actor(self: Any, features_extractor: Any = None) -> Any:
        actor = super().make_actor(features_extractor)  # type: ignore[misc]
        inputs, outputs = actor.features_dim, [actor.features_dim, *self.sizes][-1]
        layers = create_mlp(inputs, -1, self.sizes, actor.activation_fn)
        actor.sde_features_extractor = torch.nn.Sequential(*layers)
        width = actor.log_std.shape[1]
        actor.log_std = torch.nn.Parameter(torch.zeros(outputs, width))
        actor.reset_noise()
        actor.get_action_dist_params = partial(_with_features, actor)
        return actor


def _with_features(actor: Any, obs: Any) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    features = actor.extract_features(obs, actor.features_extractor)
    mean = actor.mu(actor.latent_pi(features))
    return mean, actor.log_std, {"latent_sde": actor.sde_features_extractor(features)}


def replay_arguments(spec: ReplaySpec, extractor: Mapping[str, Any]) -> dict[str, Any]:
    """Give the keyword arguments with which SB3 builds a policy.

    Args:
        spec: The policy.
        extractor: Those of its features extractor.
    """
    kinds = {network.kind.name for network in family_of(spec).networks}
    arguments: dict[str, Any] = {"activation_fn": activation_class(spec.activation_fn)}
    if "plain" in kinds:
        squash = spec.squash_output
        return arguments | {
            "net_arch": list(spec.net_arch.pi),
            "with_bias": spec.with_bias,
            "squash_output": squash,
        }
    arguments |= {**extractor, "normalize_images": spec.normalize_images}
    if kinds & {"choices", "quantiles"}:
        arguments["net_arch"] = list(spec.net_arch.qf or ())
    else:
        arguments["net_arch"] = {"pi": list(spec.net_arch.pi), "qf": list(spec.net_arch.qf or ())}
        arguments |= {
            "n_critics": spec.n_critics,
            "share_features_extractor": spec.share_features_extractor,
        }
    arguments |= {"n_quantiles": spec.n_quantiles} if kinds & {"quantiles", "quantile_critics"} else {}
    arguments |= {name: getattr(spec, name) for name in _SDE} if "gaussian" in kinds else {}
    return arguments | ({name: getattr(spec, name) for name in _RENORM} if spec.algorithm == "crossq" else {})


def replay_source(name: str, spec: ReplaySpec) -> str:
    """Name the checkpoint's tensor for one of SB3's, which has a shared extractor's twice."""
    for network in family_of(spec).networks:
        own = f"{network.prefix}features_extractor."
        if network.shares and spec.share_features_extractor and name.startswith(own):
            return f"{network.shares}.features_extractor.{name.removeprefix(own)}"
    return name


@dataclass(frozen=True)
class Asked:
    """What a policy is asked about.

    Args:
        actions: Actions whose log-probability is asked.
        of_critics: Actions whose values are asked.
        noise: That `actions` were drawn with, None where it is not known.
    """

    actions: Tensor
    of_critics: Tensor
    noise: Tensor | None

    @classmethod
    def about(cls, spec: ReplaySpec, observations: Observations, actions: Tensor) -> "Asked":
        """Give the questions about a batch: those of a recording, or else all about the same actions."""
        recorded, noise = (observations.recorded.get(name) for name in (CRITIC_ACTION, NOISE))
        given = actions if recorded is None else flat_actions(spec.action_space, recorded).to(actions.dtype)
        return cls(actions, given, None if noise is None else torch.as_tensor(noise).to(actions.dtype))


def replay_outputs(policy: Any, spec: ReplaySpec, batch: Any, asked: Asked) -> Outputs:
    """Compute what the networks give, by the names of `sb3port.networks.outputs`.

    Args:
        policy: SB3's.
        spec: What it was built from.
        batch: Normalised observations, as `obs_to_tensor` gives them.
        asked: The actions.
    """
    found = dict(_COMPUTED[family_of(spec).networks[0].kind.name](policy, batch, asked))
    found["mode"] = policy._predict(batch, deterministic=True)
    return {name: tensor.detach().numpy() for name, tensor in found.items()}


def _of_gaussian(policy: Any, batch: Any, asked: Asked) -> _Named:
    mean, log_std, kwargs = policy.actor.get_action_dist_params(batch)
    distribution = policy.actor.action_dist.proba_distribution(mean, log_std, **kwargs)
    yield "mean", mean
    yield "std", distribution.distribution.stddev
    if asked.noise is None or policy.actor.use_sde:
        yield "log_prob", distribution.log_prob(asked.actions)
    else:  # as `actor.action_log_prob` does of what it has drawn
        drawn = mean + asked.noise * distribution.distribution.stddev
        yield "log_prob", distribution.log_prob(asked.actions, drawn)
    yield from _of_critics(policy, batch, asked)


def _of_squashed(policy: Any, batch: Any, asked: Asked) -> _Named:
    yield "target_mode", policy.actor_target(batch)
    yield from _of_critics(policy, batch, asked)


def _of_critics(policy: Any, batch: Any, asked: Asked) -> _Named:
    for prefix, critic in (("", policy.critic), ("target_", getattr(policy, "critic_target", None))):
        if critic is None:
            continue
        found = critic(batch, asked.of_critics)
        if isinstance(found, tuple):
            yield f"{prefix}q_value", torch.cat(found, dim=1)
        else:
            yield f"{prefix}quantiles", found


def _of_choices(policy: Any, batch: Any, _: Asked) -> _Named:
    yield "q_value", policy.q_net(batch)
    yield "target_q_value", policy.q_net_target(batch)


def _of_quantiles(policy: Any, batch: Any, _: Asked) -> _Named:
    for prefix, net in (("", policy.quantile_net), ("target_", policy.quantile_net_target)):
        yield f"{prefix}quantiles", net(batch)
        yield f"{prefix}q_value", net(batch).mean(dim=1)


def _of_plain(policy: Any, batch: Any, _: Asked) -> _Named:
    if isinstance(policy.action_space, spaces.Discrete):
        features = policy.extract_features(batch, policy.features_extractor)
        yield "logits", policy.action_net(features)


_COMPUTED: dict[str, Callable[[Any, Any, Asked], _Named]] = {
    "gaussian": _of_gaussian,
    "squashed": _of_squashed,
    "choices": _of_choices,
    "quantiles": _of_quantiles,
    "plain": _of_plain,
}


def replay_sample(policy: Any, spec: ReplaySpec, normalized: Any, batch: Any) -> Array:
    """Draw actions as SB3 does, with the generators as they are.

    Args:
        policy: SB3's.
        spec: What it was built from.
        normalized: Observations as `predict` takes them; DQN's is asked row by row, so that each has its own
            chance.
        batch: The same as `obs_to_tensor` gives them.
    """
    if spec.use_sde:
        policy.reset_noise(_count(batch))
    if not _chooses(spec):
        return replay_actions(policy, spec, normalized, batch, False)
    greedy = policy._predict(batch, deterministic=True).numpy()
    rows = (rows_at(normalized, row, len(greedy)) for row in range(len(greedy)))
    chosen = (_explorer(_Chosen(policy, greedy[[row]]), spec) for row in range(len(greedy)))
    drawn = [model.predict(row, deterministic=False)[0] for model, row in zip(chosen, rows, strict=True)]
    return np.asarray(np.concatenate(drawn), greedy.dtype)


class _Chosen:
    """A policy of SB3's that has chosen already, for all rows at once: one by one would take long."""

    def __init__(self, policy: Any, action: Array) -> None:
        self.observation_space, self.action_space = policy.observation_space, policy.action_space
        self.is_vectorized_observation, self._action = policy.is_vectorized_observation, action

    def predict(self, *_: object) -> tuple[Array, None]:
        return self._action, None


def replay_actions(policy: Any, spec: ReplaySpec, normalized: Any, batch: Any, deterministic: bool) -> Array:
    """Choose actions as SB3's models do, before they are clipped or unscaled.

    Args:
        policy: SB3's.
        spec: What it was built from.
        normalized: Observations as `predict` takes them.
        batch: The same as `obs_to_tensor` gives them.
        deterministic: Whether nothing is left to chance.
    """
    if _chooses(spec) and not deterministic:
        return np.asarray(_explorer(policy, spec).predict(normalized, deterministic=False)[0])
    return np.asarray(policy._predict(batch, deterministic=deterministic).numpy())


def _chooses(spec: ReplaySpec) -> bool:
    """Whether it is the model, and not its policy, that takes random actions."""
    return isinstance(spec.action_space, Discrete) and spec.algorithm != "ars"


def _count(batch: Any) -> int:
    return len(next(iter(batch.values())) if isinstance(batch, dict) else batch)


def _explorer(policy: Any, spec: ReplaySpec) -> Any:
    """Give SB3's model around a policy, because it is the model that takes random actions."""
    model: Any = object.__new__(REPLAY_ALGORITHMS[spec.algorithm])
    model.policy, model.exploration_rate = policy, spec.exploration_rate
    model.observation_space, model.action_space = policy.observation_space, policy.action_space
    return model
