"""The policy gives SB3's numbers, bit for bit."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor

from .oracles import ACTIONS, VECTOR, make_config, make_oracle, make_pair, observations

MATRIX = spaces.Box(-np.inf, np.inf, (2, 3), np.float64)
SDE_FLAGS = [
    {"use_sde": True, "full_std": full, "use_expln": expln, "squash_output": squash}
    for full, expln, squash in product([True, False], repeat=3)
]
CASES: dict[str, dict[str, Any]] = {
    "gaussian": {},
    "gaussian-log-std": {"log_std_init": -0.7},
    "matrix-float64": {"observation": MATRIX},
    "matrix-action": {"action": spaces.Box(-1, 1, (2, 2), np.float32)},
    "one-action": {"action": spaces.Box(-2, 2, (1,), np.float32)},
    "discrete": {"action": spaces.Discrete(4)},
    "discrete-start": {"action": spaces.Discrete(3, start=5)},
    "discrete-float64": {"observation": MATRIX, "action": spaces.Discrete(2)},
    "linear": {"net_arch": {"pi": [], "vf": []}},
    "linear-sde": {"net_arch": {"pi": [], "vf": []}, "use_sde": True},
    "unequal": {"net_arch": {"pi": [7], "vf": [11, 5, 3]}},
    "only-vf": {"net_arch": {"vf": [8]}},
    **{f"{name}": {"activation_fn": name} for name in ("ReLU", "ELU", "GELU", "SiLU", "LeakyReLU")},
    **{"sde-" + "".join(str(int(flag)) for flag in flags.values()): flags for flags in SDE_FLAGS},
}


@pytest.fixture(params=CASES, ids=list(CASES))
def pair(request: pytest.FixtureRequest) -> tuple[ActorCriticPolicy, PPOPolicy]:
    return make_pair(**CASES[request.param])


def batches(oracle: ActorCriticPolicy, n: int) -> tuple[Tensor, dict[str, Tensor]]:
    raw = observations(oracle.observation_space, n)
    return torch.as_tensor(raw), {"observation.state": torch.as_tensor(raw)}


@pytest.mark.parametrize("n", [1, 3, 64])
def test_actions_values_and_likelihoods(pair: tuple[ActorCriticPolicy, PPOPolicy], n: int) -> None:
    oracle, port = pair
    obs, batch = batches(oracle, n)
    with torch.no_grad():
        expected, values, log_prob = oracle(obs, deterministic=True)
        actions, state = port.predict(batch)
        _, expected_log_prob, expected_entropy = oracle.evaluate_actions(obs, actions)
        got_values, got_log_prob, entropy = port.evaluate_actions(batch, actions)
    assert state is None
    assert torch.equal(actions, expected.reshape(actions.shape))
    assert torch.equal(got_values, values.flatten())
    assert torch.equal(port.predict_values(batch), got_values)
    assert torch.equal(got_log_prob, log_prob)
    assert torch.equal(got_log_prob, expected_log_prob)
    assert (entropy is None) == (expected_entropy is None)
    assert entropy is None or torch.equal(entropy, expected_entropy)


@pytest.mark.parametrize("n", [1, 4])
def test_same_noise_same_samples(pair: tuple[ActorCriticPolicy, PPOPolicy], n: int) -> None:
    oracle, port = pair
    obs, batch = batches(oracle, n)
    results = []
    for policy, sample in (
        (oracle, lambda: oracle._predict(obs)),
        (port, lambda: port.predict(batch, False)[0]),
    ):
        torch.manual_seed(1)
        if oracle.use_sde:
            policy.reset_noise(n)
        with torch.no_grad():
            results.append([sample() for _ in range(3)])
        results[-1].append(torch.rand(1))
    for expected, got in zip(*results, strict=True):
        assert torch.equal(expected.reshape(got.shape), got)
    actions = results[1][0]
    expected_log_prob = oracle.get_distribution(obs).log_prob(actions)
    assert torch.equal(port.evaluate_actions(batch, actions)[1], expected_log_prob)


def test_gradients(pair: tuple[ActorCriticPolicy, PPOPolicy]) -> None:
    oracle, port = pair
    obs, batch = batches(oracle, 32)
    actions = port.predict(batch, deterministic=False)[0]
    for policy, observation in ((oracle, obs), (port, batch)):
        values, log_prob, entropy = policy.evaluate_actions(observation, actions)
        extra = 0.0 if entropy is None else entropy.mean()
        (values.mean() + log_prob.mean() + extra).backward()
    for (name, expected), (got_name, got) in zip(
        oracle.named_parameters(), port.named_parameters(), strict=True
    ):
        assert name == got_name
        assert torch.equal(expected.grad, got.grad), name


@pytest.mark.parametrize("ortho_init", [True, False])
@pytest.mark.parametrize("case", ["gaussian", "discrete", "unequal", "sde-1000", "sde-1011", "linear-sde"])
def test_same_seed_same_initialisation(case: str, ortho_init: bool) -> None:
    kwargs = (
        {"observation": VECTOR, "action": ACTIONS}
        | CASES[case]
        | {"ortho_init": ortho_init, "log_std_init": -1.0}
    )
    torch.manual_seed(3)
    port = PPOPolicy(make_config(**kwargs))
    torch.manual_seed(3)
    kwargs.pop("activation_fn", None)
    oracle = ActorCriticPolicy(kwargs.pop("observation"), kwargs.pop("action"), lambda _: 0.0, **kwargs)
    expected = oracle.state_dict()
    assert list(expected) == list(port.state_dict())
    assert all(torch.equal(expected[key], tensor) for key, tensor in port.state_dict().items())
    if oracle.use_sde:
        assert torch.equal(oracle.action_dist.exploration_mat, port.head.exploration_mat)
        assert torch.equal(oracle.action_dist.exploration_matrices, port.head.exploration_matrices)


def test_ties_are_broken_by_probabilities() -> None:
    """Logits may differ by less than probabilities can resolve: SB3 takes the first action then."""
    space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    oracle, port = make_pair(space, spaces.Discrete(3), net_arch={"pi": [], "vf": []})
    for policy in (oracle, port):
        policy.action_net.weight.data = torch.eye(3)
        policy.action_net.bias.data = torch.zeros(3)
    logits = torch.randn(2000, 1).repeat(1, 3) * 0.5 + torch.randint(-3, 4, (2000, 3)) * 6e-8
    expected = oracle._predict(logits, deterministic=True)
    assert not torch.equal(logits.argmax(dim=1), expected), "rounding must create ties"
    assert torch.equal(port.predict({"observation.state": logits})[0], expected)


def test_oracle_is_no_constant() -> None:
    oracle = make_oracle(VECTOR, ACTIONS)
    actions, values, _ = oracle(torch.as_tensor(observations(VECTOR, 8)), deterministic=True)
    assert actions.std() > 0.01
    assert values.std() > 0.01
