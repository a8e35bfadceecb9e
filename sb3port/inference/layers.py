"""What a policy is made of: layers by the names of their tensors, and steps by theirs in `numpy_layers`."""

from collections.abc import Sequence
from dataclasses import dataclass

from sb3port.checkpoint.checkpoint import PolicySpec, ReplaySpec
from sb3port.checkpoint.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Simple
from sb3port.families.extractors import is_convolved
from sb3port.families.registry import family_of
from sb3port.families.replay.kinds import last_norm, layers


@dataclass(frozen=True)
class ActingLayers:
    """The layers from features, or an LSTM, to what actions are made of.

    Args:
        hidden: Names of the layers that an activation follows.
        last: Name of the layer behind them.
        norms: Names of the BatchRenorms before each of `hidden`, and of the one behind them; empty for none.
        prefix: What the name of the features extractor begins with.
    """

    hidden: list[str]
    last: str
    norms: tuple[str, ...] = ()
    prefix: str = ""


def acting_layers(spec: PolicySpec) -> ActingLayers:
    """Give the layers of a policy by which it acts."""
    if not isinstance(spec, ReplaySpec):
        return ActingLayers(mlp_layers(spec), "action_net")
    network = family_of(spec).networks[0]
    name, count = network.prefix + _SEQUENCES[network.kind.name], _count(spec)
    if network.kind.name != "gaussian":
        *hidden, last = (layer.name for layer in layers(name, count + 1, spec.batch_norm))
        return ActingLayers(hidden, last, prefix=network.prefix)
    named = layers(name, count, spec.batch_norm)
    clips = spec.use_sde and spec.clip_mean > 0
    normed = spec.batch_norm and count > 0
    norms = (*(layer.norm for layer in named), last_norm(name, count)) if normed else ()
    last = f"{network.prefix}mu{'.0' if clips else ''}"
    return ActingLayers([layer.name for layer in named], last, norms, network.prefix)


def _count(spec: ReplaySpec) -> int:
    """How many hidden layers act: of a policy without an actor, those by which choices are valued."""
    values = family_of(spec).networks[0].kind.name in ("choices", "quantiles")
    return len((spec.net_arch.qf or ()) if values else spec.net_arch.pi)


_SEQUENCES = {
    "gaussian": "latent_pi",
    "squashed": "mu",
    "plain": "action_net",
    "choices": "q_net",
    "quantiles": "quantile_net",
}


def mlp_layers(spec: PolicySpec, net: str = "policy_net") -> list[str]:
    """Name the layers between the features, or the LSTM, and the last one; an activation follows each.

    Args:
        spec: The policy's.
        net: "policy_net" or "value_net".
    """
    own = spec.net_arch.pi if net == "policy_net" else spec.net_arch.vf
    sizes = (("shared_net", spec.net_arch.shared), (net, own))
    return [f"mlp_extractor.{part}.{2 * number}" for part, widths in sizes for number in range(len(widths))]


def extraction(spec: PolicySpec, space: Simple) -> list[str]:
    """Name the steps from a part of the observations, one-hot vectors made of choices, to its features."""
    is_image = isinstance(space, Box) and space.is_image
    numbers = "pixels" if is_image and spec.normalize_images else "floats"
    if spec.features_extractor == "NormalizeFeaturesExtractor":
        return [numbers, "flat", "RunningNorm"]
    convolved = spec.features_extractor != "FlattenExtractor" and is_convolved(space, spec.normalize_images)
    return [numbers, "NatureCnn" if convolved else "flat"]


def choice(spec: PolicySpec) -> tuple[str, Sequence[float]]:
    """Name what makes actions of what the last layer gives, "" for nothing, and give the numbers it takes."""
    return _replay_choice(spec) if isinstance(spec, ReplaySpec) else _choice(spec)


def _choice(spec: PolicySpec) -> tuple[str, Sequence[float]]:
    match spec.action_space:
        case Discrete():
            return "likeliest", ()
        case MultiDiscrete(nvec):
            return "LikeliestOfEach", nvec.tolist()
        case MultiBinary() as space if spec.maskable:
            return "LikeliestOfEach", [2] * space.size
        case MultiBinary():
            return "bits", ()
        case Box() if spec.use_sde and spec.squash_output:
            return "tanh", ()
    return "", ()


def _replay_choice(spec: ReplaySpec) -> tuple[str, Sequence[float]]:
    match family_of(spec).networks[0].kind.name:
        case "gaussian" if spec.use_sde and spec.clip_mean > 0:
            return "TanhWithin", (spec.clip_mean,)
        case "quantiles":
            return "BestOnAverage", (spec.n_quantiles,)
        case "gaussian" | "squashed":
            return "tanh", ()
    if isinstance(spec.action_space, Box):
        return ("tanh" if spec.squash_output else ""), ()
    return "likeliest", ()
