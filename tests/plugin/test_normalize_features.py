"""imitation's running statistics, which change in training alone."""

import torch
from gymnasium import spaces

from lerobot_policy_ppo import PPOConfig
from sb3port.networks.extractors import make_extractor
from tests.gym_spaces import space_to_json

SPACE = spaces.Box(-1.0, 1.0, (2, 3))


def test_statistics_are_those_of_all_rows_seen_in_training() -> None:
    action = space_to_json(spaces.Discrete(2))
    form = space_to_json(SPACE)
    config = PPOConfig(
        features_extractor="NormalizeFeaturesExtractor", observation_space=form, action_space=action
    )
    extractor = make_extractor(config.spec)
    rows = torch.randn(50, 2, 3, generator=torch.Generator().manual_seed(0)) * 4 + 7
    for batch in rows.split((30, 1, 19)):
        extractor(batch)
    flat = rows.flatten(1)
    assert extractor.normalize.count == 50
    torch.testing.assert_close(extractor.normalize.running_mean, flat.mean(0))
    torch.testing.assert_close(extractor.normalize.running_var, flat.var(0, unbiased=False))
    before = extractor.eval().state_dict()["normalize.running_mean"].clone()
    normalized = extractor(rows)
    assert torch.equal(extractor.normalize.running_mean, before)
    torch.testing.assert_close(normalized.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalized.var(0, unbiased=False), torch.ones(6))
