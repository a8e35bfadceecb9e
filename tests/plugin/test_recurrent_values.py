"""Values beside `select_action` are those of sb3-contrib's RecurrentPPO, bit for bit, along episodes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from torch import Tensor

from .oracles import VECTOR, make_pair, observations, oracle_input, port_input
from .test_recurrent import ARRANGEMENTS, CASES

ROWS, STEPS = 3, 5
Pair = tuple[RecurrentActorCriticPolicy, PPOPolicy]


def zero_states(oracle: RecurrentActorCriticPolicy) -> RNNStates:
    layers, _, hidden = oracle.lstm_hidden_state_shape
    zeros = torch.zeros(layers, ROWS, hidden)
    return RNNStates((zeros, zeros), (zeros, zeros))


def episode(
    oracle: RecurrentActorCriticPolicy, starts: list[Tensor], same: bool = False, seed: int = 0
) -> Iterator[tuple[dict[str, Tensor], Tensor, Tensor, Tensor, RNNStates]]:
    """A batch of each step, and what `policy.forward` gives for it with the states of both carried."""
    states = zero_states(oracle)
    for step, start in enumerate(starts):
        raw = observations(oracle.observation_space, ROWS, seed=seed if same else seed + step)
        with torch.no_grad():
            action, value, log_prob, states = oracle(oracle_input(raw), states, start, deterministic=True)
        yield port_input(oracle.observation_space, raw), action, value.flatten(), log_prob, states


def copied(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor.clone() for key, tensor in batch.items()}


# Images are slow, and the critic's memory is the same behind them.
SOME = [*(f"vector-{name}" for name in ARRANGEMENTS), "image-separate-own", "dict-separate-linear"]
SOME += ["gsde-shared", "gsde-squashed-own", "discrete-own"]
NEVER = [torch.zeros(ROWS)] * STEPS
AGAIN = [torch.tensor(start) for start in ([0.0, 0, 0], [0, 1, 0], [0, 0, 0], [1, 0, 1], [1, 1, 1])]


@pytest.mark.parametrize("name", SOME)
def test_values_along_episodes(name: str) -> None:
    """In both orders of the calls, asked once or twice, with rows that begin anew, and after a reset."""
    oracle, port = make_pair(**CASES[name])
    for seed, starts in ((0, AGAIN), (20, NEVER)):
        port.reset()
        for step, (batch, action, value, *_) in enumerate(episode(oracle, starts, seed=seed)):
            start = None if seed else starts[step]
            with torch.no_grad():
                before = port.predict_values(batch, episode_starts=start)
                acted = port.select_action(batch, start)
                after = [port.predict_values(batch) for _ in range(2)]
            assert all(torch.equal(one, value) for one in (before, *after))
            assert np.array_equal(acted.double().numpy().ravel(), action.double().numpy().ravel())


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("is_copied", [False, True])
@pytest.mark.parametrize("value_first", [False, True])
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_the_order_of_calls_does_not_matter(
    arrangement: str, value_first: bool, is_copied: bool, same: bool
) -> None:
    """Also where every observation is the same, and where it is preprocessed for each call."""
    oracle, port = make_pair(observation=VECTOR, action=spaces.Discrete(4), **ARRANGEMENTS[arrangement])
    for batch, _, value, *_ in episode(oracle, NEVER, same):
        again = copied(batch) if is_copied else batch
        if not value_first:
            port.select_action(batch)
        with torch.no_grad():
            assert torch.equal(port.predict_values(again), value)
        if value_first:
            port.select_action(batch)


def test_a_batch_that_is_filled_anew() -> None:
    """An environment may write every observation to the same place."""
    oracle, port = make_pair(**CASES["vector-own"])
    place: dict[str, Tensor] = {}
    for batch, _, value, *_ in episode(oracle, NEVER):
        for key, tensor in batch.items():
            place.setdefault(key, torch.empty_like(tensor)).copy_(tensor)
        with torch.no_grad():
            assert torch.equal(port.predict_values(place), value)
            port.select_action(place)
            assert torch.equal(port.predict_values(place), value)


@pytest.mark.parametrize("name", SOME)
def test_states_carried_by_hand(name: str) -> None:
    """`explore` is SB3's `policy.forward`: it gives the critic's state, too, also with likeliest actions."""
    oracle, port = make_pair(**CASES[name])
    states: Any = None
    for (batch, action, value, log_prob, after), start in zip(episode(oracle, AGAIN), AGAIN, strict=True):
        with torch.no_grad():
            asked = port.predict_values(batch, states.vf if states else None, start)
        ours, values, log_probs, states = port.explore(batch, states, start, deterministic=True)
        assert np.array_equal(ours.double().numpy().ravel(), action.double().numpy().ravel())
        assert torch.equal(values, value)
        assert torch.equal(asked, value)
        assert torch.equal(log_probs, log_prob)
        for mine, theirs in zip((*states.pi, *states.vf), (*after.pi, *after.vf), strict=True):
            assert torch.equal(mine, theirs)
        port.reset()


def test_values_of_other_rows_are_refused() -> None:
    _, port = make_pair(**CASES["vector-own"])
    four = port_input(VECTOR, observations(VECTOR, 4))
    alone = port.predict_values(four)
    port.select_action(port_input(VECTOR, observations(VECTOR, 2)))
    with pytest.raises(ValueError, match="4 rows, but the policy remembers 2"):
        port.predict_values(four)
    with pytest.raises(ValueError, match="3 elements for 2 rows"):
        port.select_action(port_input(VECTOR, observations(VECTOR, 2)), torch.zeros(3))
    port.reset()
    assert torch.equal(port.predict_values(four), alone)


def test_gradients_of_values_stay_within_the_step() -> None:
    _, port = make_pair(**CASES["vector-own"])
    batch = port_input(VECTOR, observations(VECTOR, 2))
    for _ in range(2):
        port.select_action(batch)
    port.predict_values(batch).sum().backward()
    assert port.lstm_critic.weight_ih_l0.grad.abs().sum() > 0
