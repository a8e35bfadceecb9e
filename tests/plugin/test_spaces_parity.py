"""Every kind of observation and action gives SB3's numbers, bit for bit."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecTransposeImage
from torch import Tensor, nn

from .oracles import (
    ACTIONS,
    IMAGE,
    VECTOR,
    actions_of,
    make_config,
    make_fresh_oracle,
    make_pair,
    observations,
    oracle_input,
    port_input,
    weights,
)

CNN = {"features_extractor": "NatureCNN", "features_extractor_kwargs": {"features_dim": 24}}
COMBINED = {"features_extractor": "CombinedExtractor", "features_extractor_kwargs": {"cnn_output_dim": 17}}
UNSCALED = {"normalize_images": False}
CHOICES = spaces.MultiDiscrete([3, 2, 5])
COINS = spaces.MultiBinary(4)
FLOATS = spaces.Box(-3.0, 3.0, (2, 36, 36), np.float32)
# Not in alphabetical order, and with every type of space.
MIXED = spaces.Dict(
    [
        ("z", spaces.Box(-np.inf, np.inf, (2, 3), np.float64)),
        ("eye", IMAGE),
        ("choice", spaces.Discrete(4)),
        ("bits", spaces.MultiBinary([2, 2])),
        ("a", spaces.MultiDiscrete([2, 3])),
        ("one", spaces.Box(-1.0, 1.0, (1,), np.float32)),
    ]
)
OBSERVATIONS: dict[str, dict[str, Any]] = {
    "image": {"observation": IMAGE, **CNN},
    "image-unscaled": {"observation": IMAGE, **CNN, **UNSCALED},
    "image-wide": {"observation": IMAGE, "features_extractor": "NatureCNN"},
    "image-flat": {"observation": spaces.Box(0, 255, (1, 4, 5), np.uint8)},
    "image-flat-unscaled": {"observation": spaces.Box(0, 255, (1, 4, 5), np.uint8), **UNSCALED},
    "floats-as-image": {"observation": FLOATS, **CNN, **UNSCALED},
    "floats-flat": {"observation": FLOATS},
    "discrete": {"observation": spaces.Discrete(6)},
    "discrete-one": {"observation": spaces.Discrete(1)},
    "multi-discrete": {"observation": CHOICES},
    "multi-discrete-one": {"observation": spaces.MultiDiscrete([4])},
    "multi-binary": {"observation": COINS},
    "multi-binary-matrix": {"observation": spaces.MultiBinary([2, 3])},
    "dict": {"observation": MIXED, **COMBINED},
    "dict-default": {"observation": MIXED, "features_extractor": "CombinedExtractor"},
    "dict-unscaled": {"observation": spaces.Dict({"f": FLOATS, "eye": IMAGE}), **COMBINED, **UNSCALED},
    "dict-vectors": {"observation": spaces.Dict([("b", VECTOR), ("a", VECTOR)]), **COMBINED},
}
ACTION_SPACES: dict[str, dict[str, Any]] = {
    "box": {"action": ACTIONS},
    "gsde": {"action": ACTIONS, "use_sde": True, "squash_output": True},
    "discrete": {"action": spaces.Discrete(4)},
    "multi-discrete": {"action": CHOICES},
    "multi-discrete-start": {"action": spaces.MultiDiscrete([3, 2], start=[4, -1])},
    "multi-discrete-one": {"action": spaces.MultiDiscrete([7])},
    "multi-binary": {"action": COINS},
    "multi-binary-one": {"action": spaces.MultiBinary(1)},
}
CASES = {
    **{
        f"{name}-{share}": {**kwargs, **ACTION_SPACES[action], "share_features_extractor": share == "shared"}
        for name, kwargs in OBSERVATIONS.items()
        for share, action in (("shared", "discrete"), ("separate", "box"))
    },
    **{f"action-{name}": kwargs for name, kwargs in ACTION_SPACES.items()},
    "image-gsde": {**OBSERVATIONS["image"], **ACTION_SPACES["gsde"]},
    "dict-multi-discrete": {**OBSERVATIONS["dict"], **ACTION_SPACES["multi-discrete"]},
    "image-multi-binary": {**OBSERVATIONS["image"], **ACTION_SPACES["multi-binary"]},
    "image-no-layers": {**OBSERVATIONS["image"], "net_arch": {"pi": [], "vf": []}, "activation_fn": "ReLU"},
}


@pytest.fixture(params=CASES, ids=list(CASES))
def pair(request: pytest.FixtureRequest) -> tuple[ActorCriticPolicy, PPOPolicy]:
    return make_pair(**CASES[request.param])


def inputs(oracle: ActorCriticPolicy, n: int) -> tuple[Any, dict[str, Tensor]]:
    raw = observations(oracle.observation_space, n)
    return oracle_input(raw), port_input(oracle.observation_space, raw)


@pytest.mark.parametrize("n", [1, 9])
def test_actions_values_and_likelihoods(pair: tuple[ActorCriticPolicy, PPOPolicy], n: int) -> None:
    oracle, port = pair
    obs, batch = inputs(oracle, n)
    others = actions_of(oracle.action_space, n)
    with torch.no_grad():
        expected, values, log_prob = oracle(obs, deterministic=True)
        actions, state = port.predict(batch)
        again, got_log_prob, _ = port.evaluate_actions(batch, actions)
        expected_values, expected_log_prob, expected_entropy = oracle.evaluate_actions(
            obs, _floats(oracle, others)
        )
        got = port.evaluate_actions(batch, others)
    assert state is None
    assert torch.equal(actions, expected.reshape(actions.shape).to(actions.dtype))
    assert torch.equal(actions.double(), expected.reshape(actions.shape).double())
    assert torch.equal(again, values.flatten())
    assert torch.equal(got_log_prob, log_prob)
    assert torch.equal(port.predict_values(batch), oracle.predict_values(obs).flatten())
    assert torch.equal(got[0], expected_values.flatten())
    assert torch.equal(got[1], expected_log_prob)
    assert (got[2] is None) == (expected_entropy is None)
    assert got[2] is None or torch.equal(got[2], expected_entropy)


def _floats(oracle: ActorCriticPolicy, actions: Tensor) -> Tensor:
    """SB3 has the actions of a MultiBinary in float32."""
    return actions.float() if isinstance(oracle.action_space, spaces.MultiBinary) else actions


@pytest.mark.parametrize("name", ACTION_SPACES)
def test_predict_is_that_of_sb3(name: str) -> None:
    """Against SB3's `predict`, and the shapes and dtypes that LeRobot gets."""
    oracle, port = make_pair(**ACTION_SPACES[name])
    raw = observations(VECTOR, 50)
    expected, _ = oracle.predict(raw, deterministic=True)
    batch = port_input(VECTOR, raw)
    actions = port.predict(batch)[0]
    assert actions.shape == expected.shape
    assert actions.dtype == (
        torch.float32 if "action-box" in name or name in ("box", "gsde") else torch.int64
    )
    if actions.dtype == torch.int64:
        assert np.array_equal(actions.numpy(), expected)
        assert len(torch.unique(actions, dim=0)) > 1
    selected = port.select_action(batch)
    assert torch.equal(selected, actions.reshape(50, -1))
    assert torch.equal(port.predict_action_chunk(batch), selected.unsqueeze(1))


def test_same_noise_same_samples(pair: tuple[ActorCriticPolicy, PPOPolicy]) -> None:
    oracle, port = pair
    obs, batch = inputs(oracle, 5)
    results = []
    for policy, sample in (
        (oracle, lambda: oracle._predict(obs)),
        (port, lambda: port.predict(batch, False)[0]),
    ):
        torch.manual_seed(1)
        if oracle.use_sde:
            policy.reset_noise(5)
        with torch.no_grad():
            results.append([sample().double() for _ in range(3)] + [torch.rand(1)])
    for expected, got in zip(*results, strict=True):
        assert torch.equal(expected.reshape(got.shape), got)


def test_gradients(pair: tuple[ActorCriticPolicy, PPOPolicy]) -> None:
    oracle, port = pair
    obs, batch = inputs(oracle, 8)
    actions = actions_of(oracle.action_space, 8)
    for policy, observation in ((oracle, obs), (port, batch)):
        taken = _floats(oracle, actions) if policy is oracle else actions
        values, log_prob, entropy = policy.evaluate_actions(observation, taken)
        (values.mean() + log_prob.mean() + (0.0 if entropy is None else entropy.mean())).backward()
    expected, got = (dict(policy.named_parameters()) for policy in pair)
    assert list(expected) == list(got)
    for name, parameter in expected.items():
        assert torch.equal(parameter.grad, got[name].grad), name


@pytest.mark.parametrize("name", ["image-shared", "dict-separate", "dict-shared", "action-multi-binary"])
@pytest.mark.parametrize("ortho_init", [True, False])
def test_same_seed_same_initialisation(name: str, ortho_init: bool) -> None:
    kwargs = {"observation": VECTOR, **CASES[name], "ortho_init": ortho_init}
    torch.manual_seed(3)
    port = PPOPolicy(make_config(**kwargs))
    torch.manual_seed(3)
    expected = weights(make_fresh_oracle(**kwargs))
    assert list(port.state_dict()) == list(expected)
    assert all(torch.equal(expected[key], tensor) for key, tensor in port.state_dict().items())


@pytest.mark.parametrize("case", ["image", "image-unscaled", "image-flat", "image-flat-unscaled", "dict"])
def test_images_as_lerobot_gives_them(case: str) -> None:
    """LeRobot divides by 255: the policy sees the same numbers as from integers."""
    _, port = make_pair(**OBSERVATIONS[case])
    space = OBSERVATIONS[case]["observation"]
    raw = observations(space, 4)
    batch = port_input(space, raw)
    floats = {key: x.to(torch.float32).div_(255) if x.dtype == torch.uint8 else x for key, x in batch.items()}
    assert any(x.dtype == torch.uint8 for x in batch.values())
    for got, expected in zip(
        port.evaluate_actions(floats, torch.zeros(4, 3)),
        port.evaluate_actions(batch, torch.zeros(4, 3)),
        strict=True,
    ):
        assert torch.equal(got, expected)


def test_all_integers_survive_the_division_by_255() -> None:
    space = spaces.Box(0, 255, (1, 16, 16), np.uint8)
    raw = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    port = PPOPolicy(make_config(space, ACTIONS, **UNSCALED))
    # As LeRobot divides, and as graphics cards do, which multiply by the reciprocal.
    for images in (raw, raw.to(torch.float32).div_(255), raw.to(torch.float32) * (1 / 255)):
        assert torch.equal(port.preprocess({"observation.image": images}), raw.float())


@pytest.mark.parametrize("saved", ["first", "last"])
def test_channels_last(saved: str) -> None:
    """Wherever the channels are in the space and in the batch, SB3's networks see them first."""
    oracle, port = make_pair(IMAGE, spaces.Discrete(3), **CNN)
    last = spaces.Box(0, 255, (36, 44, 3), np.uint8)
    again = PPOPolicy(make_config(IMAGE if saved == "first" else last, spaces.Discrete(3), **CNN)).eval()
    again.load_state_dict(port.state_dict())
    raw = observations(last, 4)
    transposed = VecTransposeImage.transpose_image(raw)
    expected = oracle.predict_values(torch.as_tensor(transposed)).flatten()
    assert torch.equal(again.predict_values({"observation.image": torch.as_tensor(raw)}), expected)
    assert torch.equal(again.predict_values({"observation.image": torch.as_tensor(transposed)}), expected)
    assert tuple(again.config.input_features["observation.image"].shape) == (3, 36, 44)


class OldMlpExtractor(nn.Module):
    """The MlpExtractor of SB3 before 1.8, with layers that policy and value share."""

    def __init__(self, shared: nn.Sequential, policy: nn.Sequential, value: nn.Sequential) -> None:
        super().__init__()
        self.shared_net, self.policy_net, self.value_net = shared, policy, value

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        shared = self.shared_net(features)
        return self.policy_net(shared), self.value_net(shared)

    def forward_actor(self, features: Tensor) -> Tensor:
        return self.policy_net(self.shared_net(features))

    def forward_critic(self, features: Tensor) -> Tensor:
        return self.value_net(self.shared_net(features))


def _layers(*sizes: int) -> nn.Sequential:
    pairs = itertools.pairwise(sizes)
    return nn.Sequential(*[layer for n, m in pairs for layer in (nn.Linear(n, m), nn.Tanh())])


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize(
    ("shared", "pi", "vf"), [([7], [6], [4, 3]), ([7, 9], [], []), ([5], [], [8]), ([], [6], [4])]
)
def test_layers_that_policy_and_value_share(
    shared: list[int], pi: list[int], vf: list[int], share: bool
) -> None:
    torch.manual_seed(0)
    kwargs = {"observation": IMAGE, "action": CHOICES, **CNN, "share_features_extractor": share}
    last = [24, *shared][-1]
    oracle = make_fresh_oracle(**kwargs, net_arch=[[*shared, *pi][-1]] if shared or pi else [])
    oracle.mlp_extractor = OldMlpExtractor(_layers(24, *shared), _layers(last, *pi), _layers(last, *vf))
    oracle.value_net = nn.Linear([last, *vf][-1], 1)
    config = make_config(**kwargs, net_arch={"shared": shared, "pi": pi, "vf": vf})
    port = PPOPolicy(config)
    assert list(port.state_dict()) == list(weights(oracle))
    port.load_state_dict(weights(oracle))
    obs, batch = inputs(oracle, 6)
    actions = actions_of(CHOICES, 6)
    for policy, observation in ((oracle, obs), (port, batch)):
        values, log_prob, _ = policy.evaluate_actions(observation, actions)
        (values.mean() + log_prob.mean()).backward()
    assert torch.equal(port.predict_values(batch), oracle.predict_values(obs).flatten())
    assert torch.equal(port.predict(batch)[0], oracle._predict(obs, deterministic=True))
    for (name, expected), got in zip(oracle.named_parameters(), port.parameters(), strict=True):
        assert torch.equal(expected.grad, got.grad), name


def test_coins_fall_to_zero_at_one_half() -> None:
    oracle, port = make_pair(VECTOR, COINS, net_arch={"pi": [], "vf": []})
    for policy in (oracle, port):
        policy.action_net.weight.data.zero_()
        policy.action_net.bias.data = torch.tensor([0.0, 1e-9, -1e-3, 1e-3])
    raw = observations(VECTOR, 2)
    actions = port.predict(port_input(VECTOR, raw))[0]
    assert torch.equal(actions, torch.tensor([[0, 0, 0, 1]] * 2))
    assert np.array_equal(actions.numpy(), oracle.predict(raw, deterministic=True)[0])


def test_one_hot_vectors_ignore_the_start() -> None:
    """SB3 does not subtract the start of a Discrete, and neither does the port."""
    space = spaces.Discrete(6, start=2)
    oracle, port = make_pair(space)
    raw = np.array([2, 3, 5])
    with torch.no_grad():
        expected = oracle.predict_values(torch.as_tensor(raw)).flatten()
    assert torch.equal(port.predict_values({"observation.state": torch.as_tensor(raw)[:, None]}), expected)
    floats = torch.as_tensor(raw, dtype=torch.float32)[:, None]
    assert torch.equal(port.predict_values({"observation.state": floats}), expected)


@pytest.mark.parametrize(
    ("kwargs", "batch", "message"),
    [
        ({"observation": IMAGE, **CNN}, {"observation.image": torch.zeros(2, 3, 44, 36)}, "the policy needs"),
        ({"observation": IMAGE, **CNN}, {"observation.image": torch.zeros(3, 36, 44)}, "the policy needs"),
        ({"observation": CHOICES}, {"observation.state": torch.zeros(2, 4)}, "the policy needs"),
        ({"observation": COINS}, {"observation.bits": torch.zeros(2, 4)}, "observation.state is missing"),
        (
            {"observation": MIXED, **COMBINED},
            {"observation.z": torch.zeros(1, 6)},
            r"observation\.images\.eye is missing",
        ),
    ],
)
def test_observations_of_the_wrong_shape_raise(
    kwargs: dict[str, Any], batch: dict[str, Tensor], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        PPOPolicy(make_config(**kwargs, action=ACTIONS)).predict(batch)
