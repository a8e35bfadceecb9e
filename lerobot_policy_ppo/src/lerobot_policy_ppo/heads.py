"""Which head belongs to which action space. A new action space is one row in each table that applies."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gymnasium import spaces

from lerobot_policy_ppo.categorical import BernoulliHead, CategoricalHead, MultiCategoricalHead
from lerobot_policy_ppo.distributions import ActionHead
from lerobot_policy_ppo.gaussian import GaussianHead, StateDependentHead

if TYPE_CHECKING:
    from lerobot_policy_ppo.configuration_ppo import PPOConfig


def make_head(space: spaces.Space[Any], config: "PPOConfig") -> ActionHead:
    """The head for an action space.

    Raises:
        ValueError: No head supports the space.
    """
    table = _MASKABLE_HEADS if config.maskable else _HEADS
    for space_type, make in table.items():
        if isinstance(space, space_type):
            return make(space, config)
    supported = ", ".join(space_type.__name__ for space_type in table)
    kind = "maskable policies" if config.maskable else "policies"
    raise ValueError(f"action_space is {space}, but the supported types for {kind} are {supported}.")


def _box(space: spaces.Box, config: "PPOConfig") -> ActionHead:
    return StateDependentHead(space, config) if config.use_sde else GaussianHead(space, config)


def _discrete(space: spaces.Discrete, config: "PPOConfig") -> ActionHead:
    return CategoricalHead(int(space.n), config.maskable)


def _multi_discrete(space: spaces.MultiDiscrete, config: "PPOConfig") -> ActionHead:
    _check_rank(space)
    return MultiCategoricalHead(space.nvec.tolist(), config.maskable)


def _multi_binary(space: spaces.MultiBinary, config: "PPOConfig") -> ActionHead:
    _check_rank(space)
    n = space.shape[0]
    return MultiCategoricalHead([2] * n, masked=True) if config.maskable else BernoulliHead(n)


def _check_rank(space: spaces.Space[Any]) -> None:
    if len(space.shape or ()) > 1:
        raise ValueError(f"action_space is {space}, but SB3 has policies for rank 1 only.")


_MASKABLE_HEADS: dict[type[spaces.Space[Any]], Callable[[Any, "PPOConfig"], ActionHead]] = {
    spaces.Discrete: _discrete,
    spaces.MultiDiscrete: _multi_discrete,
    spaces.MultiBinary: _multi_binary,
}
_HEADS: dict[type[spaces.Space[Any]], Callable[[Any, "PPOConfig"], ActionHead]] = {
    spaces.Box: _box,
    **_MASKABLE_HEADS,
}
