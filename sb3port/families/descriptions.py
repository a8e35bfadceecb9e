"""A policy in words, for the command line and for model cards."""

from collections.abc import Iterator, Mapping
from typing import Any

from sb3port.checkpoint.checkpoint import EnvironmentSpec, Normalizer, PolicySpec, ReplaySpec
from sb3port.checkpoint.frames import stacks_of
from sb3port.checkpoint.spaces import Space
from sb3port.families.extractors import is_own
from sb3port.families.registry import family_of


def policy_texts(spec: PolicySpec) -> dict[str, str]:
    """Describe a policy for a report: by "algorithm", "observation_space", "action_space" and "policy"."""
    return {
        "algorithm": spec.algorithm,
        "observation_space": str(spec.observation_space),
        "action_space": str(spec.action_space),
        "policy": networks_text(spec),
    }


def networks_text(spec: PolicySpec) -> str:
    """Describe extractor, memory and layers in one line."""
    arch = spec.net_arch
    if isinstance(spec, ReplaySpec):
        return ", ".join(filter(None, (_extractor_text(spec), *_replay_texts(spec))))
    shared = f"shared {list(arch.shared)}, " if arch.shared else ""
    layers = f"{shared}policy {list(arch.pi)}, value {list(arch.vf)}, {spec.activation_fn}"
    return ", ".join(filter(None, (_extractor_text(spec), _memory_text(spec), layers)))


def _replay_texts(spec: ReplaySpec) -> Iterator[str]:
    """Describe the layers of a policy of several networks, those of its critics, and what follows."""
    family, pi, qf = family_of(spec), list(spec.net_arch.pi), list(spec.net_arch.qf or ())
    if family.networks[0].kind.name in ("choices", "quantiles"):
        yield f"values {qf}"
    else:
        yield f"policy {pi}"
    if family.name not in _WITHOUT_CRITICS:
        yield f"{spec.n_critics} critic{'s' * (spec.n_critics != 1)} {qf}"
    yield f"{spec.n_quantiles} quantiles" if spec.n_quantiles else ""
    yield "BatchRenorm" if spec.batch_norm else ""
    yield spec.activation_fn
    targets = [network.name for network in family.networks if network.follows]
    yield f"with {' and '.join(targets)}" if targets else ""


_WITHOUT_CRITICS = ("DQNPolicy", "QRDQNPolicy", "ARSPolicy")


def arguments_text(env_kwargs: Mapping[str, Any]) -> str:
    """Write arguments as a call has them."""
    return ", ".join(f"{name}={value!r}" for name, value in env_kwargs.items())


def environment_text(environment: EnvironmentSpec) -> str:
    """Describe the environment of the training in one line; empty where nothing is known of it."""
    arguments = arguments_text(environment.env_kwargs)
    wrappers = ", ".join(wrapper.name.rpartition(".")[2] for wrapper in environment.wrappers)
    frames = environment.frame_stack
    parts = (
        f"{environment.env_id} with {arguments}" if arguments else environment.env_id,
        f"behind {wrappers}" if wrappers else None,
        f"{frames} frames stacked" if frames else None,
    )
    return ", ".join(filter(None, parts))


def _extractor_text(spec: PolicySpec) -> str:
    if spec.features_extractor == "FlattenExtractor":
        return ""
    apart = "" if spec.share_features_extractor else " each"
    given = spec.features_extractor_kwargs
    if is_own(spec.features_extractor):
        arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
        return f"{spec.features_extractor}({arguments}){apart}"
    return f"{spec.features_extractor}{''.join(f' {width}' for width in given.values())}{apart}"


def _memory_text(spec: PolicySpec) -> str:
    if spec.lstm_hidden_size is None:
        return ""
    layers = f" x {spec.n_lstm_layers}" if spec.n_lstm_layers > 1 else ""
    critic = "shared" if spec.shared_lstm else "one each" if spec.enable_critic_lstm else "actor only"
    return f"LSTM {spec.lstm_hidden_size}{layers} ({critic})"


def exploration_text(spec: PolicySpec) -> str:
    """Describe gSDE with its flags, empty for what is usual."""
    if not spec.use_sde:
        return "squash_output" if spec.squash_output else ""
    flags = [name for name in ("full_std", "use_expln", "squash_output") if getattr(spec, name)]
    layers = [] if spec.sde_net_arch is None else [f"sde_net_arch {list(spec.sde_net_arch)}"]
    named = ", ".join((*flags, *layers))
    return f"gSDE ({named})" if named else "gSDE"


def normalizer_text(normalizer: Normalizer | None, space: Space) -> str:
    """Describe VecNormalize in one line.

    Args:
        normalizer: What it holds, None for none.
        space: Of the policy's observations, which may be several frames of which VecNormalize knows one.
    """
    if normalizer is None:
        return "none"
    found, stacks = normalizer.statistics, stacks_of(normalizer, space)
    frames = next((f", each of {stack.count} frames" for stack in stacks.values()), "")
    keys = f" {', '.join(found)}" if any(found) else ""
    count = next((rms.count for rms in found.values()), 0)
    observations = f"observations{keys} over {count:,.0f} samples" if found else "observations as they are"
    limits = f"clip_obs {normalizer.clip_obs:g}, epsilon {normalizer.epsilon:g}"
    return f"VecNormalize, {observations}{frames}, {limits}"
