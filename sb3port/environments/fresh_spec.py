"""The policy that SB3 would make for an environment: its spec, from spaces and `policy_kwargs`."""

from collections.abc import Callable, Mapping
from typing import Any

from gymnasium import spaces

from sb3port.checkpoint.checkpoint import NetArch, PolicySpec
from sb3port.checkpoint.spaces import Box, Dict, Simple, Space, parts
from sb3port.errors import NotPortable, UsageError, did_you_mean
from sb3port.families.activations import activation_said
from sb3port.families.algorithms import ALGORITHMS as KNOWN
from sb3port.families.extractors import is_convolved
from sb3port.families.registry import family_of
from sb3port.families.specs import check_supported, expected_shapes
from sb3port.networks.gymnasium_spaces import space_of

_EXTRACTORS = {
    "MlpPolicy": "FlattenExtractor",
    "CnnPolicy": "NatureCNN",
    "MultiInputPolicy": "CombinedExtractor",
}
_WIDTHS = {"NatureCNN": {"features_dim": 512}, "CombinedExtractor": {"cnn_output_dim": 256}}
_PLAIN: dict[str, Callable[[Any], Any]] = {
    "ortho_init": bool,
    "log_std_init": float,
    "full_std": bool,
    "use_expln": bool,
    "squash_output": bool,
    "share_features_extractor": bool,
    "normalize_images": bool,
}
_RECURRENT: dict[str, Callable[[Any], Any]] = {
    "lstm_hidden_size": int,
    "n_lstm_layers": int,
    "shared_lstm": bool,
    "enable_critic_lstm": bool,
}
# Arguments that are read by themselves, the last two when the optimiser is made.
_READ = ("net_arch", "activation_fn", "features_extractor_kwargs", "optimizer_class", "optimizer_kwargs")
ALGORITHMS = ("ppo", "ppo_mask", "ppo_lstm")
_SB3_TRAINS = frozenset(algorithm.key for algorithm in KNOWN) - {*ALGORITHMS}


def check_policy(algorithm: str, policy: str | None, policy_kwargs: Mapping[str, Any]) -> None:
    """Refuse what no policy is named or takes, before an environment is made.

    Args:
        algorithm: One of `ALGORITHMS`.
        policy: SB3's name of the policy; None for the one that fits the observations.
        policy_kwargs: SB3's.

    Raises:
        UsageError: There is no such algorithm, policy or argument.
    """
    if algorithm not in ALGORITHMS:
        hint = did_you_mean(algorithm, ALGORITHMS, f"known: {', '.join(ALGORITHMS)}")
        if algorithm in _SB3_TRAINS:
            raise UsageError(f"sb3port does not train {algorithm}", f"train it with SB3; {hint}")
        raise UsageError(f"there is no algorithm {algorithm}", hint)
    if policy is not None and policy.replace("Lstm", "") not in _EXTRACTORS:
        hint = did_you_mean(policy, _EXTRACTORS, f"known: {', '.join(_EXTRACTORS)}")
        raise UsageError(f"there is no policy {policy}", hint)
    known = (*_READ, *_plain(algorithm))
    if unknown := sorted(set(policy_kwargs) - set(known)):
        hint = did_you_mean(unknown[0], known, f"known: {', '.join(known)}")
        raise UsageError(f"policy_kwargs has {', '.join(unknown)}, which is not supported", hint)


def _plain(algorithm: str) -> dict[str, Callable[[Any], Any]]:
    return _PLAIN | (_RECURRENT if algorithm == "ppo_lstm" else {})


def fresh_spec(
    algorithm: str,
    policy: str | None,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    use_sde: bool,
    policy_kwargs: Mapping[str, Any],
) -> PolicySpec:
    """Give the spec of a policy that has not been trained.

    Args:
        algorithm: One of `ALGORITHMS`.
        policy: SB3's name of the policy; None for the one that fits the observations.
        observation_space: Of the environment.
        action_space: Of the environment.
        use_sde: Whether it explores by gSDE.
        policy_kwargs: SB3's, with the activation as a text, such as `nn.LeakyReLU(0.2)`.

    Raises:
        UsageError: The names or the spaces do not fit.
    """
    check_policy(algorithm, policy, policy_kwargs)
    observations, actions = _space(observation_space), _space(action_space)
    policy = (policy or _fitting(observations)).replace("Lstm", "")
    extractor = _EXTRACTORS[policy]
    rest = dict(policy_kwargs)
    widths = _WIDTHS.get(extractor, {}) | dict(rest.pop("features_extractor_kwargs", None) or {})
    if not _has_images(observations, bool(rest.get("normalize_images", True))):
        widths.pop("cnn_output_dim", None)
    default: dict[str, list[int]] = {} if extractor == "NatureCNN" else {"pi": [64, 64], "vf": [64, 64]}
    known = _plain(algorithm)
    recurrent = {"lstm_hidden_size": 256} if algorithm == "ppo_lstm" else {}
    arch = _net_arch(rest.pop("net_arch", None), default)
    activation = _activation(str(rest.pop("activation_fn", "Tanh")))
    spec = PolicySpec(
        algorithm,
        observations,
        actions,
        arch,
        activation_fn=activation,
        features_extractor=extractor,
        features_extractor_kwargs=widths,
        use_sde=use_sde,
        maskable=algorithm == "ppo_mask",
        **recurrent | {name: known[name](value) for name, value in rest.items()},
    )
    return _checked(spec)


def _activation(said: str) -> str:
    try:
        return str(activation_said(said))
    except ValueError as error:
        raise UsageError(f"policy_kwargs has {error}") from error


def _has_images(space: Space, normalize_images: bool) -> bool:
    return any(is_convolved(part, normalize_images) for part in parts(space).values())


def _checked(spec: PolicySpec) -> PolicySpec:
    family = family_of(spec)
    several = not isinstance(spec.action_space, Box) and len(getattr(spec.action_space, "shape", ())) > 1
    if not isinstance(spec.action_space, family.actions) or several:
        kinds = ", ".join(kind.__name__ for kind in family.actions)
        raise UsageError(
            f"the actions of the environment are {spec.action_space}, which {family.name} does not take",
            f"supported: {kinds}",
        )
    try:
        check_supported(spec, "the environment's policy")
        expected_shapes(spec)
    except NotPortable as error:
        raise UsageError(error.message, error.hint) from error
    return spec


def _space(space: spaces.Space[Any]) -> Space:
    """Read a Gymnasium space; images as SB3 keeps them, with their channels first.

    Raises:
        UsageError: SB3 has no policies for it.
    """
    try:
        return _channels_first(space_of(space))
    except (ValueError, TypeError) as error:
        raise UsageError(f"the environment has {str(space)[:300]}, which is not supported") from error


def _channels_first(space: Space) -> Space:
    if isinstance(space, Dict):
        return Dict({key: _image_first(part) for key, part in space.spaces.items()})
    return _image_first(space)


def _image_first(part: Simple) -> Simple:
    if not (isinstance(part, Box) and part.is_image):
        return part
    shape = part.channels_first
    return Box(shape, part.dtype, part.low.reshape(shape), part.high.reshape(shape))


def _fitting(space: Space) -> str:
    if isinstance(space, Dict):
        return "MultiInputPolicy"
    return "CnnPolicy" if isinstance(space, Box) and space.is_image else "MlpPolicy"


def _net_arch(value: Any, default: Mapping[str, list[int]]) -> NetArch:
    """Read SB3's `net_arch`: layers of both nets, or a dictionary, which older versions put into a list."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        value = value[0]
    if value is None:
        value = default
    if isinstance(value, Mapping):
        pi, vf = (tuple(int(n) for n in value.get(key, ())) for key in ("pi", "vf"))
        return NetArch(pi, vf)
    sizes = tuple(int(n) for n in value)
    return NetArch(sizes, sizes)
