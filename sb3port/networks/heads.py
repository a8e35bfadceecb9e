"""Which head belongs to which action space. A new action space is one row in each table that applies."""

from collections.abc import Callable
from typing import Any

from sb3port.checkpoint.checkpoint import PolicySpec
from sb3port.checkpoint.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Simple
from sb3port.networks.categorical import BernoulliHead, CategoricalHead, MultiCategoricalHead
from sb3port.networks.distributions import ActionHead
from sb3port.networks.gaussian import GaussianHead, StateDependentHead


def make_head(spec: PolicySpec) -> ActionHead:
    """The head for the action space of a policy.

    Raises:
        ValueError: No head supports the space.
    """
    space, table = spec.action_space, _MASKABLE_HEADS if spec.maskable else _HEADS
    for space_type, make in table.items():
        if isinstance(space, space_type):
            return make(space, spec)
    supported = ", ".join(space_type.__name__ for space_type in table)
    kind = "maskable policies" if spec.maskable else "policies"
    raise ValueError(f"action_space is {space}, but the supported types for {kind} are {supported}.")


def _box(space: Box, spec: PolicySpec) -> ActionHead:
    return StateDependentHead(space, spec) if spec.use_sde else GaussianHead(space, spec)


def _discrete(space: Discrete, spec: PolicySpec) -> ActionHead:
    return CategoricalHead(space.n, spec.maskable)


def _multi_discrete(space: MultiDiscrete, spec: PolicySpec) -> ActionHead:
    _check_rank(space)
    return MultiCategoricalHead(space.nvec.tolist(), spec.maskable)


def _multi_binary(space: MultiBinary, spec: PolicySpec) -> ActionHead:
    _check_rank(space)
    n = space.shape[0]
    return MultiCategoricalHead([2] * n, masked=True) if spec.maskable else BernoulliHead(n)


def _check_rank(space: Simple) -> None:
    if len(space.shape) > 1:
        raise ValueError(f"action_space is {space}, but SB3 has policies for rank 1 only.")


_MASKABLE_HEADS: dict[type[Simple], Callable[[Any, PolicySpec], ActionHead]] = {
    Discrete: _discrete,
    MultiDiscrete: _multi_discrete,
    MultiBinary: _multi_binary,
}
_HEADS: dict[type[Simple], Callable[[Any, PolicySpec], ActionHead]] = {Box: _box, **_MASKABLE_HEADS}
