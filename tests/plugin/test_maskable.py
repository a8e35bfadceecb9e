"""A maskable policy gives the numbers of sb3-contrib's MaskablePPO, bit for bit, whatever the mask."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy

from lerobot_policy_ppo import PPOConfig, make_ppo_pre_post_processors
from tests.gym_spaces import space_to_json

from .oracles import VECTOR, actions_of, make_config, make_pair, observations, oracle_input, port_input
from .test_spaces_parity import CNN, COMBINED, IMAGE, MIXED

MASK = "observation.action_mask"
ROWS = 9
ACTION_SPACES = {
    "discrete": (spaces.Discrete(5), 5),
    "multi-discrete": (spaces.MultiDiscrete([3, 2, 4]), 9),
    "multi-discrete-one": (spaces.MultiDiscrete([6]), 6),
    "multi-binary": (spaces.MultiBinary(4), 8),
}
OBSERVATIONS: dict[str, dict[str, Any]] = {
    "vector": {"observation": VECTOR},
    "image": {"observation": IMAGE, **CNN},
    "dict-separate": {"observation": MIXED, **COMBINED, "share_features_extractor": False},
}
MASKS = ("none", "all", "random", "one", "nothing")

Pair = tuple[MaskableActorCriticPolicy, PPOPolicy]


@pytest.fixture(params=ACTION_SPACES)
def action(request: pytest.FixtureRequest) -> tuple[spaces.Space, int]:
    return ACTION_SPACES[request.param]


def mask_of(kind: str, size: int) -> np.ndarray | None:
    rng = np.random.default_rng(1)
    masks = {
        "all": np.ones((ROWS, size), bool),
        "random": rng.random((ROWS, size)) < 0.5,
        "one": np.eye(size, dtype=bool)[rng.integers(size, size=ROWS)],
        "nothing": np.zeros((ROWS, size), bool),
    }
    return masks.get(kind)


def batch_of(
    pair: Pair, mask: np.ndarray | None, dtype: torch.dtype = torch.bool
) -> tuple[Any, dict[str, Any]]:
    raw = observations(pair[0].observation_space, ROWS)
    batch = port_input(pair[0].observation_space, raw)
    if mask is not None:
        batch[MASK] = torch.as_tensor(mask).to(dtype)
    return oracle_input(raw), batch


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("kind", MASKS)
def test_actions_values_and_likelihoods(
    action: tuple[spaces.Space, int], observation: str, kind: str
) -> None:
    pair = oracle, port = make_pair(**OBSERVATIONS[observation], action=action[0], maskable=True)
    mask = mask_of(kind, action[1])
    obs, batch = batch_of(pair, mask)
    others = actions_of(action[0], ROWS)
    with torch.no_grad():
        expected, values, log_prob = oracle(obs, deterministic=True, action_masks=mask)
        actions, _ = port.predict(batch)
        got_values, got_log_prob, _ = port.evaluate_actions(batch, actions)
        theirs = oracle.evaluate_actions(
            obs, others, action_masks=None if mask is None else torch.as_tensor(mask)
        )
        ours = port.evaluate_actions(batch, others)
    assert torch.equal(actions, expected)
    assert torch.equal(got_values, values.flatten())
    assert torch.equal(got_log_prob, log_prob)
    assert torch.equal(ours[0], theirs[0].flatten())
    assert torch.equal(ours[1], theirs[1])
    assert torch.equal(ours[2], theirs[2])
    assert torch.equal(port.predict_values(batch), values.flatten())


def test_masks_change_actions_and_hold(action: tuple[spaces.Space, int]) -> None:
    pair = make_pair(action=action[0], maskable=True)
    mask = mask_of("one", action[1])
    actions = pair[1].predict(batch_of(pair, mask)[1])[0]
    assert not torch.equal(actions, pair[1].predict(batch_of(pair, None)[1])[0])
    if isinstance(action[0], spaces.Discrete):
        assert np.array_equal(np.eye(action[1], dtype=bool)[actions], mask)


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.int8, torch.uint8, torch.int64, torch.float32, torch.float64]
)
def test_masks_of_any_type(dtype: torch.dtype, action: tuple[spaces.Space, int]) -> None:
    pair = oracle, port = make_pair(action=action[0], maskable=True)
    mask = mask_of("random", action[1])
    obs, batch = batch_of(pair, mask, dtype)
    batch[MASK] = batch[MASK] * 3 if dtype is not torch.bool else batch[MASK]
    expected, _ = oracle.predict(obs.numpy(), deterministic=True, action_masks=mask)
    assert np.array_equal(port.predict(batch)[0].numpy(), expected)


@pytest.mark.parametrize("kind", MASKS)
def test_same_noise_same_samples(action: tuple[spaces.Space, int], kind: str) -> None:
    pair = oracle, port = make_pair(action=action[0], maskable=True)
    mask = mask_of(kind, action[1])
    obs, batch = batch_of(pair, mask)
    torch.manual_seed(1)
    expected = [oracle._predict(obs, action_masks=mask) for _ in range(3)]
    torch.manual_seed(1)
    got = [port.predict(batch, deterministic=False)[0] for _ in range(3)]
    assert all(torch.equal(a, b) for a, b in zip(expected, got, strict=True))
    assert kind == "one" or not torch.equal(got[0], got[1])


@pytest.mark.parametrize("kind", ["none", "random"])
def test_gradients(action: tuple[spaces.Space, int], kind: str) -> None:
    pair = oracle, port = make_pair(action=action[0], maskable=True)
    mask = mask_of(kind, action[1])
    obs, batch = batch_of(pair, mask)
    masks = None if mask is None else torch.as_tensor(mask)
    others = actions_of(action[0], ROWS)
    for values, log_prob, entropy in (
        oracle.evaluate_actions(obs, others, action_masks=masks),
        port.evaluate_actions(batch, others),
    ):
        (values.mean() + log_prob.mean() + entropy.mean()).backward()
    for (name, expected), got in zip(oracle.named_parameters(), port.parameters(), strict=True):
        assert torch.equal(expected.grad, got.grad), name


def test_logits_are_normalised_twice() -> None:
    """sb3-contrib does so even without a mask, which shows in the last bits: a plain head would not do."""
    pair = make_pair(action=spaces.Discrete(5), maskable=True)
    plain = PPOPolicy(make_config(VECTOR, spaces.Discrete(5))).eval()
    plain.load_state_dict(pair[1].state_dict())
    different = []
    for seed in range(20):
        batch = port_input(VECTOR, observations(VECTOR, 64, seed))
        actions = pair[1].predict(batch)[0]
        one, other = (policy.evaluate_actions(batch, actions)[1] for policy in (pair[1], plain))
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
        different.append(not torch.equal(one, other))
    assert any(different)


def test_a_row_without_any_choice_has_no_entropy() -> None:
    """With so many choices rounding no longer hides that forbidden ones are left out of the sum."""
    oracle, port = make_pair(action=spaces.Discrete(100), maskable=True)
    raw, mask = observations(VECTOR, 3), np.zeros((3, 100), bool)
    actions = torch.zeros(3, dtype=torch.int64)
    expected = oracle.evaluate_actions(torch.as_tensor(raw), actions, action_masks=torch.as_tensor(mask))[2]
    batch = {**port_input(VECTOR, raw), MASK: torch.as_tensor(mask)}
    assert torch.equal(port.evaluate_actions(batch, actions)[2], expected)
    assert not expected.any()


def test_a_plain_policy_ignores_masks() -> None:
    pair = make_pair(action=spaces.Discrete(5))
    _, batch = batch_of(pair, mask_of("one", 5))
    _, unmasked = batch_of(pair, None)
    assert torch.equal(pair[1].predict(batch)[0], pair[1].predict(unmasked)[0])
    _, without_choices = make_pair()
    assert torch.equal(without_choices.predict(batch)[0], without_choices.predict(unmasked)[0])


def test_masks_survive_the_pipeline() -> None:
    """Batched, and of one observation, which needs a batch dimension."""
    _, port = make_pair(action=spaces.Discrete(5), maskable=True)
    pre, post = make_ppo_pre_post_processors(port.config)
    raw, mask = torch.as_tensor(observations(VECTOR, ROWS)), torch.as_tensor(mask_of("one", 5))
    batch = pre({"observation.state": raw, MASK: mask})
    assert torch.equal(batch[MASK], mask)
    expected = mask.float().argmax(dim=1)
    assert torch.equal(post(port.select_action(batch)).squeeze(1), expected)
    one = pre({"observation.state": raw[0], MASK: mask[0]})
    assert one[MASK].shape == (1, 5)
    assert torch.equal(post(port.select_action(one)), expected[:1, None])


def test_features_name_the_mask(action: tuple[spaces.Space, int]) -> None:
    config = make_config(VECTOR, action[0], maskable=True)
    config.validate_features()
    assert config.input_features == {
        "observation.state": PolicyFeature(FeatureType.STATE, (5,)),
        MASK: PolicyFeature(FeatureType.STATE, (action[1],)),
    }
    del config.input_features[MASK]
    PPOPolicy(config)
    config.input_features[MASK] = PolicyFeature(FeatureType.STATE, (action[1] + 1,))
    with pytest.raises(ValueError, match="action_mask"):
        PPOPolicy(config)


def test_masks_of_the_wrong_size_raise() -> None:
    pair = make_pair(action=spaces.Discrete(5), maskable=True)
    _, batch = batch_of(pair, mask_of("all", 4))
    with pytest.raises(ValueError, match=r"action_mask has shape \(9, 4\)"):
        pair[1].predict(batch)


def test_behaviour_cloning_honours_masks() -> None:
    pair = make_pair(action=spaces.Discrete(5), maskable=True)
    mask = mask_of("random", 5)
    _, batch = batch_of(pair, mask)
    _, unmasked = batch_of(pair, None)
    actions = torch.ones(ROWS, 1)
    masked, plain = (pair[1].forward({**x, "action": actions}, "none")[0] for x in (batch, unmasked))
    allowed = torch.as_tensor(mask)[:, 1]
    assert (masked[allowed] <= plain[allowed]).all()
    assert (masked[~allowed] > 1e6).all()


def test_an_observation_may_be_named_like_the_mask() -> None:
    """Then the mask has another key, also where a policy is made from features alone."""
    space = spaces.Dict({"action_mask": spaces.MultiBinary(5), "x": VECTOR})
    _, port = make_pair(space, spaces.Discrete(5), maskable=True, features_extractor="CombinedExtractor")
    seen, mask = observations(space, ROWS), torch.as_tensor(mask_of("one", 5))
    batch = port_input(space, seen) | {"observation.policy.action_mask": mask}
    assert torch.equal(port.predict(batch)[0], mask.float().argmax(dim=1))
    inputs = {key: PolicyFeature(FeatureType.STATE, tensor.shape[1:]) for key, tensor in batch.items()}
    config = PPOConfig(input_features=inputs, action_space=space_to_json(spaces.Discrete(5)), maskable=True)
    assert list(config.gym_observation_space()) == ["action_mask", "x"]
