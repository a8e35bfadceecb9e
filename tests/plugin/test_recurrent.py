"""A recurrent policy gives the numbers of sb3-contrib's RecurrentPPO, bit for bit, over whole episodes."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from torch import Tensor

from sb3port.networks.recurrent import RNNStates as PortStates

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
from .test_spaces_parity import CHOICES, CNN, COMBINED

# No MultiDiscrete: sb3-contrib cannot build an LSTM on top of one.
MIXED = spaces.Dict(
    [("z", VECTOR), ("eye", IMAGE), ("choice", spaces.Discrete(4)), ("bits", spaces.MultiBinary(3))]
)

HIDDEN = 12
ARRANGEMENTS: dict[str, dict[str, Any]] = {
    "own": {"lstm_hidden_size": HIDDEN},
    "linear": {"lstm_hidden_size": HIDDEN, "enable_critic_lstm": False},
    "shared": {"lstm_hidden_size": HIDDEN, "enable_critic_lstm": False, "shared_lstm": True},
    "layers": {"lstm_hidden_size": HIDDEN, "n_lstm_layers": 3},
    "layers-linear": {"lstm_hidden_size": HIDDEN, "n_lstm_layers": 2, "enable_critic_lstm": False},
}
SEPARATE = {"share_features_extractor": False}
KINDS: dict[str, dict[str, Any]] = {
    "vector": {},
    "gsde": {"use_sde": True},
    "gsde-squashed": {"use_sde": True, "squash_output": True, "full_std": False},
    "discrete": {"action": spaces.Discrete(4)},
    "image": {"observation": IMAGE, "action": CHOICES, **CNN},
    "image-separate": {"observation": IMAGE, "action": spaces.MultiBinary(3), **CNN, **SEPARATE},
    "dict": {"observation": MIXED, **COMBINED},
    "dict-separate": {"observation": MIXED, **COMBINED, **SEPARATE},
}
CASES = {
    f"{kind}-{arrangement}": {**kwargs, **options}
    for kind, kwargs in KINDS.items()
    for arrangement, options in ARRANGEMENTS.items()
    if not ("separate" in kind and arrangement == "shared")
}

Pair = tuple[RecurrentActorCriticPolicy, PPOPolicy]


@pytest.fixture(params=CASES, ids=list(CASES))
def pair(request: pytest.FixtureRequest) -> Pair:
    return make_pair(**CASES[request.param])


def random_states(oracle: RecurrentActorCriticPolicy, n_seq: int) -> RNNStates:
    """States in the middle of an episode."""
    layers, _, hidden = oracle.lstm_hidden_state_shape
    generator = torch.Generator().manual_seed(4)
    parts = [torch.randn(layers, n_seq, hidden, generator=generator) for _ in range(4)]
    return RNNStates((parts[0], parts[1]), (parts[2], parts[3]))


def inputs(oracle: RecurrentActorCriticPolicy, n: int) -> tuple[Any, dict[str, Tensor]]:
    raw = observations(oracle.observation_space, n)
    return oracle_input(raw), port_input(oracle.observation_space, raw)


def floats(oracle: RecurrentActorCriticPolicy, actions: Tensor) -> Tensor:
    return actions.float() if isinstance(oracle.action_space, spaces.MultiBinary) else actions


STARTS = {
    "none": torch.zeros(12),
    "all": torch.ones(12),
    "middle": torch.tensor([0.0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 1, 1]),
}


@pytest.mark.parametrize("n_seq", [1, 3, pytest.param(12, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("starts", STARTS)
def test_sequences(pair: Pair, n_seq: int, starts: str) -> None:
    """Several sequences in a batch, and episodes that start in the middle of one."""
    oracle, port = pair
    obs, batch = inputs(oracle, 12)
    actions, states, begin = actions_of(oracle.action_space, 12), random_states(oracle, n_seq), STARTS[starts]
    with torch.no_grad():
        expected = oracle.evaluate_actions(obs, floats(oracle, actions), states, begin)
        got = port.evaluate_actions(batch, actions, PortStates(*states), begin)
        first, first_state = oracle._predict(obs, states.pi, begin, deterministic=True)
        action, state = port.predict(batch, True, states.pi, begin)
        critic_state = states.pi if oracle.shared_lstm else states.vf
        values = oracle.predict_values(obs, critic_state, begin).flatten()
        # Under no_grad as well: torch computes an LSTM in another way when it needs gradients.
        got_values = port.predict_values(batch, critic_state, begin)
        from_bool = port.predict_values(batch, critic_state, begin.bool())
    assert torch.equal(got[0], expected[0].flatten())
    assert torch.equal(got[1], expected[1])
    assert (got[2] is None) == (expected[2] is None)
    assert got[2] is None or torch.equal(got[2], expected[2])
    assert torch.equal(action.double(), first.reshape(action.shape).double())
    assert all(torch.equal(a, b) for a, b in zip(state, first_state, strict=True))
    assert torch.equal(got_values, values)
    assert torch.equal(from_bool, values)


def test_starts_matter(pair: Pair) -> None:
    oracle, port = pair
    _, batch = inputs(oracle, 12)
    states = random_states(oracle, 3)
    actions = actions_of(oracle.action_space, 12)
    none, middle = (port.evaluate_actions(batch, actions, states, STARTS[x])[1] for x in ("none", "middle"))
    changed = none != middle
    assert changed.any()
    # The first rows of the first sequence come before any start.
    # One call of an LSTM and one per step need not agree to the last bit.
    torch.testing.assert_close(none[:2], middle[:2], rtol=0, atol=1e-5)


def test_no_state_is_that_of_a_new_episode(pair: Pair) -> None:
    oracle, port = pair
    obs, batch = inputs(oracle, 5)
    layers, _, hidden = oracle.lstm_hidden_state_shape
    zero = (torch.zeros(layers, 5, hidden),) * 2
    with torch.no_grad():
        expected, values, log_prob, after = oracle(
            obs, RNNStates(zero, zero), torch.zeros(5), deterministic=True
        )
        actions, state = port.predict(batch)
        got = port.evaluate_actions(batch, actions)
        got_values = port.predict_values(batch)
    assert torch.equal(actions.double(), expected.reshape(actions.shape).double())
    assert all(torch.equal(a, b) for a, b in zip(state, after.pi, strict=True))
    assert torch.equal(got[0], values.flatten())
    assert torch.equal(got_values, values.flatten())
    assert torch.equal(got[1], log_prob)


def test_gradients(pair: Pair) -> None:
    oracle, port = pair
    obs, batch = inputs(oracle, 12)
    actions, states = actions_of(oracle.action_space, 12), random_states(oracle, 3)
    for values, log_prob, entropy in (
        oracle.evaluate_actions(obs, floats(oracle, actions), states, STARTS["middle"]),
        port.evaluate_actions(batch, actions, PortStates(*states), STARTS["middle"]),
    ):
        (values.mean() + log_prob.mean() + (0.0 if entropy is None else entropy.mean())).backward()
    expected, got = (dict(policy.named_parameters()) for policy in pair)
    assert list(expected) == list(got)
    for name, parameter in expected.items():
        assert torch.equal(parameter.grad, got[name].grad), name


def test_episodes_through_select_action(pair: Pair) -> None:
    """The state is carried from call to call, as SB3's users carry it through `predict`."""
    oracle, port = pair
    space = oracle.observation_space
    for episode in range(2):
        port.reset()
        state = None
        for step in range(6):
            raw = observations(space, 4, seed=10 * episode + step)
            start = np.full(4, step == 0)
            expected, state = oracle.predict(raw, state=state, episode_start=start, deterministic=True)
            unbounded = port.select_action(port_input(space, raw))
            got = unbounded.numpy().reshape(expected.shape)
            if isinstance(oracle.action_space, spaces.Box) and not oracle.squash_output:
                got = np.clip(got, oracle.action_space.low, oracle.action_space.high)
            elif isinstance(oracle.action_space, spaces.Box):
                got = oracle.unscale_action(got)
            assert np.array_equal(got, expected)
            remembered = port._memory.before_acting(4, None).pi
            assert all(np.array_equal(a.numpy(), b) for a, b in zip(remembered, state, strict=True))


def test_memory_matters() -> None:
    _, port = make_pair(**CASES["vector-own"])
    batch = port_input(VECTOR, observations(VECTOR, 4))
    first = port.select_action(batch)
    assert not torch.equal(port.select_action(batch), first)
    port.reset()
    assert torch.equal(port.select_action(batch), first)


def test_another_number_of_rows_raises() -> None:
    _, port = make_pair(**CASES["vector-own"])
    port.select_action(port_input(VECTOR, observations(VECTOR, 2)))
    four = port_input(VECTOR, observations(VECTOR, 4))
    with pytest.raises(ValueError, match="4 rows, but the policy remembers 2"):
        port.select_action(four)
    port.reset()
    assert port.select_action(four).shape == (4, 3)


@pytest.mark.parametrize(
    ("states", "starts", "message"),
    [
        ((torch.zeros(1, 2, 7), torch.zeros(1, 2, 7)), None, "lstm_states have the shapes"),
        ((torch.zeros(2, 2, HIDDEN), torch.zeros(2, 2, HIDDEN)), None, "lstm_states have the shapes"),
        ((torch.zeros(1, 4, HIDDEN), torch.zeros(1, 4, HIDDEN)), None, "divisor of the 6 rows"),
        (None, torch.zeros(5), "episode_starts has 5 elements for 6 rows"),
    ],
)
def test_states_that_do_not_fit_raise(states: Any, starts: Any, message: str) -> None:
    _, port = make_pair(**CASES["vector-own"])
    with pytest.raises(ValueError, match=message):
        port.predict(port_input(VECTOR, observations(VECTOR, 6)), True, states, starts)


def test_states_for_a_policy_without_memory_raise() -> None:
    _, port = make_pair()
    batch = port_input(VECTOR, observations(VECTOR, 6))
    for call in (
        lambda: port.predict(batch, episode_starts=torch.zeros(6)),
        lambda: port.predict_values(batch, lstm_states=(torch.zeros(1, 6, 4),) * 2),
        lambda: port.evaluate_actions(batch, torch.zeros(6, 3), episode_starts=torch.zeros(6)),
    ):
        with pytest.raises(ValueError, match="for recurrent policies"):
            call()


def test_cloning_needs_sequences() -> None:
    _, port = make_pair(**CASES["vector-own"])
    batch = port_input(VECTOR, observations(VECTOR, 6))
    with pytest.raises(ValueError, match="cannot be cloned"):
        port.forward({**batch, "action": torch.zeros(6, 3)})


@pytest.mark.parametrize("name", CASES)
def test_same_seed_same_initialisation(name: str) -> None:
    kwargs = {"observation": VECTOR, "action": ACTIONS} | CASES[name]
    torch.manual_seed(3)
    port = PPOPolicy(make_config(**kwargs))
    torch.manual_seed(3)
    expected = weights(make_fresh_oracle(**kwargs))
    assert list(port.state_dict()) == list(expected)
    assert all(torch.equal(expected[key], tensor) for key, tensor in port.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shared_lstm": True}, "exclude each other"),
        ({"shared_lstm": True, "enable_critic_lstm": False, **SEPARATE}, "share_features_extractor"),
        (
            {"lstm_hidden_size": None, "shared_lstm": True, "enable_critic_lstm": False},
            "without lstm_hidden_size",
        ),
        ({"maskable": True}, "no choices to mask"),
        ({"n_lstm_layers": 0}, "n_lstm_layers is 0"),
        ({"lstm_hidden_size": 0}, "lstm_hidden_size is 0"),
    ],
)
def test_contradictions_raise(change: dict[str, Any], message: str) -> None:
    kwargs = {"observation": VECTOR, "action": ACTIONS, "lstm_hidden_size": 8} | change
    with pytest.raises(ValueError, match=message):
        PPOPolicy(make_config(**kwargs))
