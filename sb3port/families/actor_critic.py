"""`ActorCriticPolicy` with a FlattenExtractor: two MLPs, an action head and a value head.

The architecture is inferred from the tensors; keyword arguments only say what tensors cannot. Source:
`stable_baselines3/common/policies.py` and `torch_layers.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sb3port.checkpoint import Array, NetArch, PolicySpec
from sb3port.errors import NotPortable
from sb3port.spaces import Box, Discrete, Space

_LAYER = re.compile(r"mlp_extractor\.(policy_net|value_net)\.([0-9]{1,4})\.(weight|bias)")
_HEADS = frozenset({"action_net.weight", "action_net.bias", "value_net.weight", "value_net.bias", "log_std"})
_POLICY = "MlpPolicy"
# The activations of torch.nn that can be made without arguments and keep the number of features.
_SATURATING = ("Hardsigmoid", "Hardtanh", "LogSigmoid", "Sigmoid", "Softsign", "Tanh")
_RECTIFIED = (
    "CELU",
    "ELU",
    "GELU",
    "Hardswish",
    "LeakyReLU",
    "Mish",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Softplus",
)
_SHRINKING = ("Hardshrink", "Softshrink", "Tanhshrink")
ACTIVATIONS = frozenset((*_SATURATING, *_RECTIFIED, *_SHRINKING))
_UNSUPPORTED = {
    "mlp_extractor.shared_net.": "layers shared by policy and value net (SB3 before 1.8)",
    "sde_features_extractor.": "a separate gSDE feature extractor (SB3 before 1.7)",
    "lstm_actor.": "LSTM layers (RecurrentPPO)",
    "features_extractor.cnn.": "convolutional layers (CnnPolicy)",
    "features_extractor.extractors.": "one extractor per observation key (MultiInputPolicy)",
}


@dataclass(frozen=True)
class PolicyOptions:
    """What `policy_kwargs` and the zip say of the policy beside its tensors."""

    use_sde: bool
    given: Mapping[str, Any]


def build_spec(
    algorithm: str,
    spaces: tuple[Space, Space],
    tensors: Mapping[str, Array],
    options: PolicyOptions,
    where: str,
) -> PolicySpec:
    """Infer the policy from its tensors, and check that every tensor has its place and its shape.

    Args:
        algorithm: Its key, such as "ppo".
        spaces: Observation space and action space.
        tensors: The weights under SB3's names.
        options: What the tensors cannot tell.
        where: What to call the checkpoint in an error message.

    Raises:
        NotPortable: Tensors are left over, missing, of a wrong shape, or hold NaN.
    """
    _refuse_unknown(tensors, where)
    observation_space, action_space = spaces
    net_arch = NetArch(*(_hidden_sizes(tensors, net) for net in ("policy_net", "value_net")))
    known = {name: options.given[name] for name in _OPTIONAL if name in options.given}
    known |= _full_std(tensors, options.use_sde)
    spec = PolicySpec(
        algorithm,
        observation_space,
        action_space,
        net_arch,
        use_sde=options.use_sde,
        assumed=tuple(name for name in _OPTIONAL if name not in known),
        **known,
    )
    check_supported(spec, where)
    check_tensors(tensors, spec, where)
    return spec


def check_supported(spec: PolicySpec, where: str) -> None:
    """Refuse what the `ppo` policy of LeRobot would refuse, before a port of it is written.

    Raises:
        NotPortable: With what it is.
    """
    space = spec.observation_space
    if isinstance(space, Box) and space.is_image:
        raise NotPortable(f"{where} observes images with a {_POLICY}, which is not supported")
    if spec.activation_fn not in ACTIVATIONS:
        supported = ", ".join(sorted(ACTIVATIONS))
        reason = f"{where} has the activation {spec.activation_fn[:100]}, which is not supported"
        raise NotPortable(reason, f"supported: {supported}")
    if spec.use_sde and not isinstance(spec.action_space, Box):
        raise NotPortable(f"{where} has gSDE for {spec.action_space}, which SB3 does not know")
    # SB3 before 2.2.1 took it without gSDE, and then unscaled actions that it had not squashed.
    if spec.squash_output and not spec.use_sde:
        raise NotPortable(f"{where} has squash_output without use_sde, which today's SB3 refuses, too")


_OPTIONAL = (
    "activation_fn",
    "ortho_init",
    "normalize_images",
    "log_std_init",
    "full_std",
    "use_expln",
    "squash_output",
)


def expected_shapes(spec: PolicySpec) -> dict[str, tuple[int, ...]]:
    """Give the shape of every tensor of a policy, in SB3's `named_parameters()` order."""
    shapes: dict[str, tuple[int, ...]] = {}
    features = _features(spec.observation_space)
    latent = (spec.net_arch.pi or (features,))[-1]
    if isinstance(spec.action_space, Box):
        shapes["log_std"] = _log_std_shape(spec, latent, spec.action_space.size)
    for net, sizes in (("policy_net", spec.net_arch.pi), ("value_net", spec.net_arch.vf)):
        for index, (before, after) in enumerate(zip((features, *sizes), sizes, strict=False)):
            shapes |= _linear(f"mlp_extractor.{net}.{2 * index}", before, after)
    shapes |= _linear("action_net", latent, _action_outputs(spec.action_space))
    return shapes | _linear("value_net", (spec.net_arch.vf or (features,))[-1], 1)


def _linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _log_std_shape(spec: PolicySpec, latent: int, actions: int) -> tuple[int, ...]:
    if not spec.use_sde:
        return (actions,)
    return (latent, actions if spec.full_std else 1)


def _features(space: Space) -> int:
    if not isinstance(space, Box):
        raise NotPortable(f"observations of {space} are not supported", "supported: Box")
    return space.size


def _action_outputs(space: Space) -> int:
    return space.n if isinstance(space, Discrete) else space.size


def _hidden_sizes(tensors: Mapping[str, Array], net: str) -> tuple[int, ...]:
    """Output sizes of one net's Linear layers, in order: every second module is an activation."""
    weights = {}
    for name, array in tensors.items():
        match = _LAYER.fullmatch(name)
        if match and match[1] == net and match[3] == "weight" and array.ndim == 2:
            weights[int(match[2])] = array.shape[0]
    return tuple(size for _, size in sorted(weights.items()))


def _full_std(tensors: Mapping[str, Array], use_sde: bool) -> dict[str, bool]:
    """Tell `full_std` from log_std's shape where it shows: with one action both give (H, 1)."""
    log_std, bias = tensors.get("log_std"), tensors.get("action_net.bias")
    if not use_sde or log_std is None or bias is None or log_std.ndim != 2 or bias.size == 1:
        return {}
    return {"full_std": log_std.shape[1] == bias.size}


def _refuse_unknown(tensors: Mapping[str, Array], where: str) -> None:
    unknown = [name for name in tensors if name not in _HEADS and not _LAYER.fullmatch(name)]
    if not unknown:
        return
    for prefix, meaning in _UNSUPPORTED.items():
        if any(prefix in name for name in unknown):
            raise NotPortable(f"{where} has {meaning}, which are not supported", "supported: MlpPolicy")
    raise NotPortable(f"{where} has tensors that no MlpPolicy has: {', '.join(unknown)[:1000]}")


def _refuse_unfinite(tensors: Mapping[str, Array], where: str) -> None:
    broken = [name for name, array in tensors.items() if not np.isfinite(array).all()]
    if broken:
        raise NotPortable(
            f"{where} holds NaN or infinite weights in {', '.join(broken)}",
            "the training that saved it had diverged; take an earlier checkpoint",
        )


def check_tensors(tensors: Mapping[str, Array], spec: PolicySpec, where: str) -> None:
    """Make sure that a policy has its tensors, each of its shape and finite.

    Raises:
        NotPortable: With everything that does not fit, at once.
    """
    _refuse_unfinite(tensors, where)
    expected = expected_shapes(spec)
    missing = [f"{name} is missing" for name in expected if name not in tensors]
    extra = [f"{name} has no place" for name in tensors if name not in expected]
    wrong = [
        f"{name} is {tensors[name].shape} instead of {shape}"
        for name, shape in expected.items()
        if name in tensors and tensors[name].shape != shape
    ]
    wrong += [
        f"{name} is {a.dtype} instead of float32" for name, a in tensors.items() if a.dtype != "float32"
    ]
    if missing or extra or wrong:
        problems = "; ".join(missing + extra + wrong)
        raise NotPortable(f"the tensors of {where} do not fit its spaces and layers: {problems[:2000]}")
