"""Hyperparameters of algorithms that learn from replayed steps, and of ARS, as rl_zoo3's YAML has them."""

from collections.abc import Iterator, Mapping
from typing import Any

from sb3port.checkpoint.checkpoint import ReplaySpec
from sb3port.families.activations import NAMES
from sb3port.families.extractors import is_own
from sb3port.families.registry import family_of

# What a model counts, and what SB3 makes of other settings.
COUNTED = ("_n_updates", "_episode_num", "_n_calls", "exploration_rate", "old_count")
_NOISES = {"NormalActionNoise": "normal", "OrnsteinUhlenbeckActionNoise": "ornstein-uhlenbeck"}
_USUAL: Mapping[str, Any] = {"clip_mean": 2.0, "log_std_init": -3.0, "use_expln": False, "n_critics": 2}
_RENORM: Mapping[str, Any] = {
    "batch_norm": True,
    "batch_norm_momentum": 0.01,
    "batch_norm_eps": 0.001,
    "renorm_warmup_steps": 100_000,
}


def replay_hyperparameters(replay: Mapping[str, Any]) -> dict[str, Any]:
    """Give those that are no numbers, by rl_zoo3's keys.

    Args:
        replay: As `TrainingSettings` has them.
    """
    found = {name: replay[name] for name in ("train_freq", "ent_coef", "target_entropy") if name in replay}
    noise = replay.get("action_noise")
    if noise is not None and noise.get("class") in _NOISES:
        sigma = noise.get("sigma") or [0.0]
        found |= {"noise_type": _NOISES[noise["class"]], "noise_std": sigma[0]}
    if str(replay.get("replay_buffer_class", "")).endswith(".HerReplayBuffer"):
        kwargs = replay.get("replay_buffer_kwargs", {})
        written = ", ".join(f"{name}={value!r}" for name, value in kwargs.items() if name in _OF_HER)
        found |= {"replay_buffer_class": "HerReplayBuffer", "replay_buffer_kwargs": f"dict({written})"}
    return found


_OF_HER = ("n_sampled_goal", "goal_selection_strategy", "copy_info_dict")


def replay_arguments(spec: ReplaySpec) -> Iterator[str]:
    """Give the arguments of a policy that are not SB3's defaults, as the text of a `dict` has them."""
    kinds = {network.kind.name for network in family_of(spec).networks}
    yield from _layers(spec, kinds)
    if spec.activation_fn in NAMES and spec.activation_fn != "ReLU":
        yield f"activation_fn=nn.{spec.activation_fn}"
    critics = "critics" in kinds or "quantile_critics" in kinds
    usual = {n: v for n, v in _USUAL.items() if critics if (n == "n_critics") or "gaussian" in kinds}
    usual |= _RENORM if spec.algorithm == "crossq" else {}
    yield from (f"{name}={getattr(spec, name)!r}" for name, v in usual.items() if getattr(spec, name) != v)
    if kinds & {"quantiles", "quantile_critics"}:
        yield f"n_quantiles={spec.n_quantiles}"
    if spec.share_features_extractor and spec.features_extractor != "FlattenExtractor" and critics:
        yield "share_features_extractor=True"
    if not spec.normalize_images:
        yield "normalize_images=False"
    if spec.features_extractor_kwargs and not is_own(spec.features_extractor):
        yield f"features_extractor_kwargs={dict(spec.features_extractor_kwargs)!r}"


def _layers(spec: ReplaySpec, kinds: set[str]) -> Iterator[str]:
    pi, qf = list(spec.net_arch.pi), list(spec.net_arch.qf or ())
    if "plain" in kinds:
        if pi:
            yield f"net_arch={pi}"
    elif kinds & {"choices", "quantiles"}:
        yield f"net_arch={qf}"
    else:
        yield f"net_arch=dict(pi={pi}, qf={qf})"
