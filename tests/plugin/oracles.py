"""What the tests of the LeRobot plugin share: SB3 policies as oracles, ports of them, and their inputs."""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from numpy.typing import NDArray
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common import torch_layers
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor

from lerobot_policy_ppo import PPOConfig
from tests.gym_spaces import key_of as batch_key
from tests.gym_spaces import space_to_json

VECTOR = spaces.Box(-np.inf, np.inf, (5,), np.float32)
ACTIONS = spaces.Box(np.array([-1.0, -2.0, 0.5], np.float32), np.array([1.0, 3.0, 0.75], np.float32))
IMAGE = spaces.Box(0, 255, (3, 36, 44), np.uint8)

Observation = NDArray[Any] | dict[str, NDArray[Any]]


def make_oracle(observation: spaces.Space, action: spaces.Space, **kwargs: Any) -> ActorCriticPolicy:
    """SB3's policy with weights that differ from any initialisation, biases included.

    Takes the options of `PPOConfig`.
    """
    policy = make_fresh_oracle(observation, action, **kwargs)
    with torch.no_grad():
        for parameter in policy.parameters():
            # Wide layers get less, or what the convolutions give would drown the rest.
            fan_in = parameter[0].numel()
            parameter.add_(torch.randn_like(parameter) * 0.3 / max(1.0, fan_in / 64) ** 0.5)
    return policy.eval()


def make_fresh_oracle(observation: spaces.Space, action: spaces.Space, **kwargs: Any) -> ActorCriticPolicy:
    """SB3's policy as SB3 initialises it."""
    kwargs["activation_fn"] = getattr(torch.nn, kwargs.get("activation_fn", "Tanh"))
    # SB3's own default has no layers after a NatureCNN.
    kwargs.setdefault("net_arch", {"pi": [64, 64], "vf": [64, 64]})
    extractor = kwargs.pop("features_extractor", "FlattenExtractor")
    kwargs["features_extractor_class"] = getattr(torch_layers, extractor)
    kwargs["features_extractor_kwargs"] = dict(kwargs.get("features_extractor_kwargs", {}))
    policy_class = ActorCriticPolicy
    if kwargs.pop("maskable", False):
        policy_class = MaskableActorCriticPolicy
    elif "lstm_hidden_size" in kwargs:
        policy_class = RecurrentActorCriticPolicy
    return policy_class(observation, action, lambda _: 0.0, **kwargs)


def make_config(observation: spaces.Space, action: spaces.Space, **kwargs: Any) -> PPOConfig:
    """The configuration that says what `make_oracle` is told."""
    forms = {"observation_space": space_to_json(observation), "action_space": space_to_json(action)}
    return PPOConfig(device="cpu", **forms, **kwargs)


def weights(oracle: ActorCriticPolicy) -> dict[str, Tensor]:
    """SB3's weights without the second names that it gives to some of them."""
    return {name: parameter.detach() for name, parameter in oracle.named_parameters()}


def make_pair(
    observation: spaces.Space = VECTOR, action: spaces.Space = ACTIONS, seed: int = 0, **kwargs: Any
) -> tuple[ActorCriticPolicy, PPOPolicy]:
    """An oracle and a port with its weights."""
    torch.manual_seed(seed)
    oracle = make_oracle(observation, action, **kwargs)
    port = PPOPolicy(make_config(observation, action, **kwargs)).eval()
    port.load_state_dict(weights(oracle), strict=True)
    return oracle, port


def observations(space: spaces.Space, n: int, seed: int = 0, scale: float = 2.0) -> Any:
    """Random observations `(n, *shape)` in the dtype of the space, a dictionary of them for a Dict."""
    if isinstance(space, spaces.Dict):
        parts = space.spaces.items()
        return {name: observations(part, n, seed + i, scale) for i, (name, part) in enumerate(parts)}
    rng = np.random.default_rng(seed)
    if isinstance(space, spaces.Discrete):
        return rng.integers(space.n, size=n)
    if isinstance(space, spaces.MultiDiscrete):
        return rng.integers(space.nvec, size=(n, len(space.nvec)))
    if isinstance(space, spaces.MultiBinary):
        return rng.integers(2, size=(n, *space.shape)).astype(space.dtype)
    if space.dtype == np.uint8:
        return rng.integers(256, size=(n, *space.shape), dtype=np.uint8)
    return (rng.normal(size=(n, *space.shape)) * scale).astype(space.dtype)


def oracle_input(raw: Observation) -> Any:
    """What SB3's policies take."""
    if isinstance(raw, dict):
        return {name: torch.as_tensor(part) for name, part in raw.items()}
    return torch.as_tensor(raw)


def port_input(space: spaces.Space, raw: Observation) -> dict[str, Tensor]:
    """The same as a LeRobot batch: vectors flattened, images as they are."""
    if isinstance(space, spaces.Dict):
        assert isinstance(raw, dict)
        return {batch_key(part, name): _rows(raw[name]) for name, part in space.spaces.items()}
    assert not isinstance(raw, dict)
    return {batch_key(space): _rows(raw)}


def _rows(raw: NDArray[Any]) -> Tensor:
    """Images keep their shape; here they are what is uint8."""
    return torch.as_tensor(raw if raw.dtype == np.uint8 else raw.reshape(len(raw), -1))


def actions_of(space: spaces.Space, n: int, seed: int = 0) -> Tensor:
    """Random actions that SB3's policies can take."""
    rng = np.random.default_rng(seed)
    if isinstance(space, spaces.Discrete):
        return torch.as_tensor(rng.integers(space.n, size=n))
    if isinstance(space, spaces.MultiDiscrete):
        return torch.as_tensor(rng.integers(space.nvec, size=(n, len(space.nvec))))
    if isinstance(space, spaces.MultiBinary):
        return torch.as_tensor(rng.integers(2, size=(n, space.n)))
    return torch.as_tensor(np.tanh(rng.normal(size=(n, int(np.prod(space.shape))))).astype(np.float32))
