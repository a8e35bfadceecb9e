"""How a family of these policies is put together of networks."""

from collections.abc import Collection, Mapping
from typing import Any

from sb3port.checkpoint.checkpoint import PolicySpec, ReplaySpec
from sb3port.checkpoint.spaces import Box, Simple
from sb3port.families.base import Family, Network, action_outputs, class_names

_CLASSES = ("MlpPolicy", "CnnPolicy", "MultiInputPolicy")
_OPTIONS = ("activation_fn", "normalize_images")
SDE_OPTIONS = ("log_std_init", "use_expln", "clip_mean")


def replay_family(
    name: str,
    package: str,
    keys: Collection[str],
    networks: tuple[Network, ...],
    *,
    actions: tuple[type[Simple], ...] = (Box,),
    options: tuple[str, ...] = (),
    defaults: Mapping[str, Any] | None = None,
    others: tuple[str, ...] = _CLASSES,
) -> Family:
    """Give a family.

    Args:
        name: Of its policy class in SB3 or sb3-contrib.
        package: Where that is, but for `.policies`.
        keys: Those of the algorithms that have such policies.
        networks: The networks of a policy, the one that acts first.
        actions: The action spaces that it takes.
        options: Keyword arguments that tensors do not tell, beside those of all.
        defaults: What SB3 takes for options that nobody gives.
        others: The other names of its classes.
    """

    def owns(spec: PolicySpec) -> bool:
        return isinstance(spec, ReplaySpec) and spec.algorithm in keys

    def recognises(tensors: frozenset[str], imports: frozenset[str]) -> bool:
        begin = tuple(network.prefix for network in networks if network.prefix)
        fits = bool(begin) and all(tensor.startswith(begin) for tensor in tensors)
        return fits and any(imported.startswith(f"{package}.") for imported in imports)

    return Family(
        name,
        class_names((f"{package}.policies",), (name, *others)),
        owns=owns,
        recognises=recognises,
        options=(*_OPTIONS, *options),
        infer=lambda _: {},
        actions=actions,
        outputs=action_outputs,
        latent_inputs=lambda _, features: features,
        shapes=lambda *_: {},
        algorithm=next(iter(keys)) if len(keys) == 1 else None,
        networks=networks,
        defaults={"activation_fn": "ReLU", **(defaults or {})},
    )
