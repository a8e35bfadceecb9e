"""What a policy is made of: layers by the names of their tensors, and steps by theirs in `numpy_layers`."""

from collections.abc import Sequence

from sb3port.checkpoint.checkpoint import PolicySpec
from sb3port.checkpoint.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Simple
from sb3port.families.extractors import is_convolved


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


def choice(spec: PolicySpec) -> tuple[str, Sequence[int]]:
    """Name what makes actions of what `action_net` gives, "" for nothing, and give the sizes of choices."""
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
