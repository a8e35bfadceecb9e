"""Rollouts that are no whole minibatches, and steps that are no whole rollouts: what is said of them."""

import warnings

import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from sb3port.checkpoint.checkpoint import EnvironmentSpec
from sb3port.commands.train import begin_training
from sb3port.commands.training_arguments import PolicyOptions, RunOptions
from sb3port.ppo.hyperparameters import Hyperparameters
from sb3port.ppo.runs.settings import RunSettings, overshoot


@pytest.mark.parametrize(
    ("n_steps", "n_envs", "batch_size", "rest"),
    [(64, 2, 32, 0), (64, 2, 48, 32), (8, 1, 256, 8), (50, 3, 150, 0), (50, 3, 149, 1)],
)
def test_a_truncated_minibatch_is_told_where_sb3_tells_it(
    n_steps: int, n_envs: int, batch_size: int, rest: int
) -> None:
    sizes = {"n_steps": n_steps, "batch_size": batch_size}
    with warnings.catch_warnings(record=True) as theirs:
        warnings.simplefilter("always")
        PPO("MlpPolicy", make_vec_env("CartPole-v1", n_envs), device="cpu", **sizes)
    ours: list[str] = []
    options = RunOptions("CartPole-v1", sizes, n_steps * n_envs, n_envs)
    begin_training(options, PolicyOptions(), lambda _: None, ours.append).envs.close()
    told = [text for text in ours if "minibatch" in text]
    assert len(told) == bool(rest) == any("truncated mini-batch" in str(one.message) for one in theirs)
    if rest:
        assert f"n_steps * n_envs = {n_steps * n_envs} " in told[0]
        assert f"the last minibatch of each epoch has only {rest}:" in told[0]


@pytest.mark.parametrize(
    ("until", "done", "said"),
    [
        (10_000, 0, "10,000 is not a multiple of n_steps * n_envs = 2,048 * 4: trains 16,384"),
        (16_384, 0, ""),
        (26_384, 16_384, "10,000 is not a multiple of n_steps * n_envs = 2,048 * 4: trains 16,384"),
        (1, 0, "1 is not a multiple of n_steps * n_envs = 2,048 * 4: trains 8,192"),
    ],
)
def test_more_steps_than_were_asked_for(until: int, done: int, said: str) -> None:
    run = RunSettings(EnvironmentSpec("CartPole-v1"), until, Hyperparameters(n_steps=2048), 4)
    assert overshoot(run, done) == said
