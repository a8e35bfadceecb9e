"""From tensors to the policy that they make, and from a policy to the tensors that it must have.

The architecture is inferred from the tensors; keyword arguments only say what tensors cannot.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array, NetArch, PolicySpec, ReplaySpec
from sb3port.checkpoint.spaces import Box, Discrete, Space
from sb3port.errors import NotPortable
from sb3port.families.activations import parse_activation
from sb3port.families.base import Family
from sb3port.families.extractors import extractor_of, infer_extractor, is_own
from sb3port.families.layers import Shapes, linear, mlp, mlp_sizes, under
from sb3port.families.names import CRITICS, EXTRACTOR
from sb3port.families.registry import family_of
from sb3port.families.replay.specs import counters, extractor_prefixes, network_shapes, read_networks

_MAX_LSTM_LAYERS = 100


@dataclass(frozen=True)
class PolicyOptions:
    """What a zip says of its policy beside the tensors.

    Args:
        family: Its family.
        algorithm: Key of the algorithm that trained it.
        use_sde: Whether it explores by gSDE.
        features_for_sde: Whether gSDE has the features themselves for its noise, which no tensor shows.
        shares: Whether actor and critic share a features extractor.
        given: `policy_kwargs`.
        extractor: `module:Class` of a features extractor of the user's own, None for the others.
        extractor_kwargs: Its arguments; those of the others are told by the tensors.
    """

    family: Family
    algorithm: str
    use_sde: bool
    features_for_sde: bool
    shares: bool
    given: Mapping[str, Any]
    extractor: str | None = None
    extractor_kwargs: Mapping[str, Any] = field(default_factory=dict)


def build_spec(
    spaces: tuple[Space, Space], tensors: Mapping[str, Array], options: PolicyOptions, where: str
) -> PolicySpec:
    """Infer the policy from its tensors, and check that every tensor has its place and its shape.

    Args:
        spaces: Observation space and action space.
        tensors: The weights under canonical names.
        options: What the tensors cannot tell.
        where: What to call the checkpoint in an error message.

    Raises:
        NotPortable: Tensors are left over, missing, of a wrong shape, or hold NaN.
    """
    observation_space, action_space = spaces
    _check_actions(action_space, options, where)
    asked = options.family.options
    known = {name: options.given[name] for name in asked if name in options.given}
    known |= {"sde_net_arch": ()} if options.features_for_sde else {}
    common: dict[str, Any] = {
        **_extractor(observation_space, tensors, options),
        "share_features_extractor": options.shares,
        "use_sde": options.use_sde,
    }
    if options.family.networks:
        spec: PolicySpec = _replay_spec(spaces, tensors, options, common | known)
    else:
        known |= _full_std(tensors, options.use_sde)
        spec = PolicySpec(
            options.algorithm,
            observation_space,
            action_space,
            _net_arch(tensors),
            assumed=tuple(name for name in asked if name not in known),
            **(common | known | options.family.infer(tensors)),
        )
    check_supported(spec, where)
    check_tensors(tensors, spec, where)
    return spec


def _replay_spec(
    spaces: tuple[Space, Space], tensors: Mapping[str, Array], options: PolicyOptions, known: dict[str, Any]
) -> ReplaySpec:
    family = options.family
    told = known | read_networks(family, tensors, spaces[1])
    assumed = tuple(name for name in family.options if name not in told)
    return ReplaySpec(options.algorithm, *spaces, assumed=assumed, **{**family.defaults, **told})


def _extractor(space: Space, tensors: Mapping[str, Array], options: PolicyOptions) -> dict[str, Any]:
    if options.extractor is not None:
        name, arguments = options.extractor, dict(options.extractor_kwargs)
    else:
        prefix = options.family.acting + EXTRACTOR
        below = {name.removeprefix(prefix): a for name, a in tensors.items() if name.startswith(prefix)}
        extractor = infer_extractor(space, below)
        name, arguments = extractor.name, extractor.read_arguments(below)
    return {"features_extractor": name, "features_extractor_kwargs": arguments}


def check_supported(spec: PolicySpec, where: str) -> None:
    """Refuse what the `ppo` policy of LeRobot would refuse, before a port of it is written.

    Raises:
        NotPortable: With what it is.
    """
    try:
        parse_activation(spec.activation_fn)
    except ValueError as error:
        raise NotPortable(f"{where} has {error}") from error
    if spec.use_sde and not isinstance(spec.action_space, Box):
        raise NotPortable(f"{where} has use_sde, but its actions of {spec.action_space} are no Box")
    if spec.n_lstm_layers > _MAX_LSTM_LAYERS:  # each is written out before any tensor is looked at
        raise NotPortable(f"{where} has an LSTM of {spec.n_lstm_layers} layers, which no policy has")


def expected_shapes(spec: PolicySpec, given: Mapping[str, Array] | None = None) -> Shapes:
    """Give the shape of every tensor of a policy, in SB3's `named_parameters()` order.

    Args:
        spec: The policy.
        given: Its tensors, which alone tell of a features extractor of the user's own.

    Raises:
        NotPortable: There is no such policy.
    """
    family, arch = family_of(spec), spec.net_arch
    if isinstance(spec, ReplaySpec):
        return network_shapes(spec, family, given or {})
    extractor = extractor_of(spec.features_extractor, given or {})
    seen = (spec.observation_space, spec.features_extractor_kwargs, spec.normalize_images)
    features, tensors = extractor.features(*seen), extractor.shapes(*seen)
    inputs = family.latent_inputs(spec, features)
    trunk = (arch.shared or (inputs,))[-1]
    latent_pi, latent_vf = ((sizes or (trunk,))[-1] for sizes in (arch.pi, arch.vf))
    latent_sde = latent_pi if spec.sde_net_arch is None else (features, *spec.sde_net_arch)[-1]
    shapes = _log_std(spec, latent_sde) | under(EXTRACTOR.rstrip("."), tensors)
    shapes |= {} if spec.share_features_extractor else under(CRITICS.rstrip("."), tensors)
    shapes |= mlp("mlp_extractor.shared_net", inputs, arch.shared)
    shapes |= mlp("mlp_extractor.policy_net", trunk, arch.pi)
    shapes |= mlp("mlp_extractor.value_net", trunk, arch.vf)
    shapes |= mlp("sde_features_extractor", features, spec.sde_net_arch or ())
    shapes |= linear("action_net", latent_pi, family.outputs(spec.action_space))
    return shapes | linear("value_net", latent_vf, 1) | family.shapes(spec, features)


def check_tensors(tensors: Mapping[str, Array], spec: PolicySpec, where: str) -> None:
    """Make sure that a policy has its tensors, each of its shape and finite.

    Raises:
        NotPortable: With everything that does not fit, at once.
    """
    _refuse_unfinite(tensors, spec, where)
    expected, dtypes = expected_shapes(spec, tensors), _dtypes(spec, tensors)
    problems = [f"{name[:200]} has no place" for name in tensors if name not in expected]
    problems += [f"{name[:200]} is missing" for name in expected if name not in tensors]
    problems += [
        f"{name[:200]} is {tensors[name].shape} instead of {shape}"
        for name, shape in expected.items()
        if name in tensors and tensors[name].shape != shape
    ]
    problems += [
        f"{name[:200]} is {a.dtype} instead of {dtypes.get(name, 'float32')}"
        for name, a in tensors.items()
        if a.dtype != dtypes.get(name, "float32")
    ]
    if problems:
        raise NotPortable(
            f"the tensors of {where} do not fit its spaces and layers: {'; '.join(problems)[:4000]}",
            "networks of the author's own are not supported: train the policy with SB3's own classes",
        )


def _dtypes(spec: PolicySpec, tensors: Mapping[str, Array]) -> dict[str, str]:
    acting = family_of(spec).acting
    seen = {name.removeprefix(acting): a for name, a in tensors.items() if name.startswith(acting)}
    dtypes = extractor_of(spec.features_extractor, seen).dtypes
    return counters(tensors) | {name: dtypes[below] for name, below in of_extractors(spec, dtypes).items()}


def of_extractors(spec: PolicySpec, names: Iterable[str]) -> dict[str, str]:
    """Give the full names of tensors of a features extractor, of two where the critic has one of its own."""
    prefixes = extractors_in(spec)
    return {prefix + name: name for prefix in prefixes for name in names}


def extractors_in(spec: PolicySpec) -> tuple[str, ...]:
    """Give what the names of the features extractors' tensors begin with, one for each that there is."""
    if isinstance(spec, ReplaySpec):
        return extractor_prefixes(spec, family_of(spec))
    return (EXTRACTOR,) if spec.share_features_extractor else (EXTRACTOR, CRITICS)


def _check_actions(space: Space, options: PolicyOptions, where: str) -> None:
    """SB3 itself takes no actions of several dimensions but Boxes, and gSDE is for those."""
    family = options.family
    several = not isinstance(space, Box | Discrete) and len(getattr(space, "shape", ())) != 1
    if not isinstance(space, family.actions) or several:
        kinds = ", ".join(kind.__name__ for kind in family.actions)
        raise NotPortable(
            f"{where} has actions of {str(space)[:500]}, which {family.name} does not take",
            f"supported: {kinds}",
        )


def _net_arch(tensors: Mapping[str, Array]) -> NetArch:
    nets = ("policy_net", "value_net", "shared_net")
    return NetArch(*(mlp_sizes(f"mlp_extractor.{net}", tensors) for net in nets))


def _log_std(spec: PolicySpec, latent: int) -> Shapes:
    if not isinstance(spec.action_space, Box):
        return {}
    actions = spec.action_space.size
    wide = (latent, actions if spec.full_std else 1)
    return {"log_std": wide if spec.use_sde else (actions,)}


def _full_std(tensors: Mapping[str, Array], use_sde: bool) -> dict[str, bool]:
    """Tell `full_std` from log_std's shape where it shows: with one action both give (H, 1)."""
    log_std, bias = tensors.get("log_std"), tensors.get("action_net.bias")
    if not use_sde or log_std is None or bias is None or log_std.ndim != 2 or bias.size == 1:
        return {}
    return {"full_std": log_std.shape[1] == bias.size}


def unfinite(spec: PolicySpec, tensors: Mapping[str, Array]) -> list[str]:
    """Name the tensors that hold NaN, or infinities where no buffer of the user's own can hold them.

    An extractor of one's own may have a mask of minus infinities, as attention has.
    """
    masks = extractors_in(spec) if is_own(spec.features_extractor) else ()
    return [
        name
        for name, array in tensors.items()
        if not np.isfinite(array).all() and (np.isnan(array).any() or not name.startswith(masks))
    ]


def _refuse_unfinite(tensors: Mapping[str, Array], spec: PolicySpec, where: str) -> None:
    broken = unfinite(spec, tensors)
    if broken:
        raise NotPortable(
            f"{where} holds NaN or infinite weights in {', '.join(broken)[:2000]}",
            "the training that saved it had diverged; take an earlier checkpoint",
        )
