"""What a zip of an algorithm that learns from replayed steps has to fit, so that today's SB3 loads it.

`BaseAlgorithm.set_parameters` wants exactly the files that the model itself would save.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sb3port.checkpoint.checkpoint import NetArch, ReplaySpec
from sb3port.families.registry import family_of

_POLICY = "policy.pth"
_ENTROPY = "ent_coef_optimizer.pth"
# Layers of a policy for which nothing is said: (actor, critics), and where a CNN is before them.
_LAYERS: Mapping[str, tuple[list[int], list[int]]] = {
    "SACPolicy": ([256, 256], [256, 256]),
    "TQCPolicy": ([256, 256], [256, 256]),
    "TD3Policy": ([400, 300], [400, 300]),
    "CrossQPolicy": ([256, 256], [1024, 1024]),
    "DQNPolicy": ([], [64, 64]),
    "QRDQNPolicy": ([], [64, 64]),
    "ARSPolicy": ([64, 64], []),
}
_BEHIND_CNN: Mapping[str, tuple[list[int], list[int]]] = {
    "TD3Policy": ([256, 256], [256, 256]),
    "DQNPolicy": ([], []),
    "QRDQNPolicy": ([], []),
}


def replay_members(spec: ReplaySpec, ent_coef: Any) -> tuple[str, ...]:
    """Name the torch files that SB3 wants in a zip.

    Args:
        spec: The policy.
        ent_coef: The setting; a text where SB3 learns it.
    """
    family = family_of(spec)
    if spec.algorithm == "ars":
        return (_POLICY,)
    if len(family.optimised) == 1:
        return (_POLICY, "policy.optimizer.pth")
    learned = (_ENTROPY,) if isinstance(ent_coef, str) else ()
    return (_POLICY, *(f"{network.name}.optimizer.pth" for network in family.optimised), *learned)


def replay_gone(spec: ReplaySpec, kwargs: Mapping[Any, Any], linear: bool) -> Iterator[str]:
    """Tell what the policy has, and SB3 has no more or takes for something else.

    Args:
        spec: The policy.
        kwargs: `policy_kwargs`.
        linear: Whether its class is that of ARS's linear policy.
    """
    today, arch = _net_arch(spec, kwargs, linear), spec.net_arch
    if (today.pi, today.qf) != (arch.pi, arch.qf):
        ours, theirs = (f"{list(layers.pi)} and {list(layers.qf or ())}" for layers in (arch, today))
        yield f"its layers are {ours}, and by its policy_kwargs SB3 would build {theirs}"
    if spec.sde_net_arch is not None or "sde_net_arch" in kwargs:
        yield "it has sde_net_arch, which SB3 has not had since 1.3"
    shares = bool(kwargs.get("share_features_extractor", False))
    if spec.share_features_extractor != shares and spec.features_extractor == "NatureCNN":
        yield "its networks share a features extractor, which SB3 does no more unless policy_kwargs say so"


def _net_arch(spec: ReplaySpec, kwargs: Mapping[Any, Any], linear: bool) -> NetArch:
    name, given = family_of(spec).name, kwargs.get("net_arch")
    if isinstance(given, Mapping):
        return NetArch(_sizes(given.get("pi")), qf=_sizes(given.get("qf")))
    if given is not None:
        acts, values = (bool(layers) for layers in _LAYERS[name])
        return NetArch(_sizes(given) if acts else (), qf=_sizes(given) if values else ())
    usual = _BEHIND_CNN if spec.features_extractor == "NatureCNN" and name in _BEHIND_CNN else _LAYERS
    pi, qf = ([], []) if linear else usual[name]
    return NetArch(tuple(pi), qf=tuple(qf))


def _sizes(value: Any) -> tuple[int, ...]:
    items = value if isinstance(value, list | tuple) else ()
    return tuple(item for item in items if isinstance(item, int))
