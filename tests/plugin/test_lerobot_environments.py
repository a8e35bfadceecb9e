"""Training in LeRobot's own environments: what is seen and earned is what `lerobot-eval` gives the port."""

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.envs.factory import make_env
from lerobot.envs.utils import preprocess_observation
from lerobot.policies.factory import make_pre_post_processors
from lerobot.scripts import lerobot_eval
from lerobot_policy_ppo.env_spaces import renamed_keys, seen_observation
from lerobot_policy_ppo.modeling_ppo import PPOPolicy

import sb3port
from lerobot_policy_ppo import PPOConfig
from sb3port.commands.evaluate import evaluate_port
from sb3port.environments.choosing import check_id
from sb3port.environments.lerobot_environments import _of_one
from sb3port.environments.making import open_env
from sb3port.environments.rollouts import Setting
from sb3port.environments.vectors import open_vector
from sb3port.environments.wrapping import Wrapping
from sb3port.errors import NeedsOption, UsageError
from sb3port.families.features import batch_key
from sb3port.networks.gymnasium_spaces import space_of
from sb3port.ports.reading import read_port
from sb3port.ppo.runs.evaluations import read_evaluations
from sb3port.ppo.runs.logs import read_log

from .lerobot_types import IMAGE, POSITION, FollowConfig, TurnedConfig

FOLLOW, TURNED = (f"lerobot:{FollowConfig.__module__}:{kind}" for kind in ("follow", "turned"))
TINY = {"n_steps": 16, "batch_size": 16, "n_epochs": 1}
SMALL = {"net_arch": [8], "features_extractor_kwargs": {"cnn_output_dim": 8}}
EPISODES, SEED = 3, 40


def lerobots_batch(config: FollowConfig, seed: int) -> dict[str, torch.Tensor]:
    """The first batch that `lerobot-eval` hands to a policy."""
    ((vec,),) = (suite.values() for suite in make_env(config, n_envs=1).values())
    raw, _ = vec.reset(seed=[seed])
    batch = config.get_env_processors()[0](preprocess_observation(raw))
    return {key: value for key, value in batch.items() if key.startswith("observation.")}


@pytest.mark.parametrize(
    "config",
    [
        FollowConfig(),
        FollowConfig(kind="states"),
        FollowConfig(kind="pixels"),
        FollowConfig(kind="pixels_agent_pos"),
        FollowConfig(kind="cameras"),
        TurnedConfig(),
    ],
    ids=lambda config: f"{config.type} {config.kind}",
)
def test_what_is_seen_is_what_lerobot_shows(config: FollowConfig) -> None:
    env = open_env({"follow": FOLLOW, "turned": TURNED}[config.type], {"kind": config.kind})
    observation, _ = env.reset(seed=7)
    assert env.observation_space.contains(observation)
    assert env.unwrapped.began == {"lerobot_new_rollout": True}  # type: ignore[attr-defined]
    seen = observation if isinstance(observation, dict) else {"": observation}
    spaces = env.observation_space if isinstance(observation, dict) else {"": env.observation_space}
    batch = {batch_key(name, space_of(spaces[name])): array for name, array in seen.items()}  # type: ignore[index,arg-type]
    expected = lerobots_batch(config, 7)
    assert set(batch) == set(expected)
    for key, value in expected.items():
        array = batch[key]
        shown = array.transpose(2, 0, 1) / np.float32(255) if array.dtype == np.uint8 else array
        np.testing.assert_array_equal(shown.astype(np.float32), value[0].numpy())


def lerobots_episodes(config: FollowConfig, port: Path) -> list[dict[str, Any]]:
    """Episodes of the port as `lerobot-eval` plays them."""
    ((vec,),) = (suite.values() for suite in make_env(config, n_envs=1).values())
    policy = PPOPolicy.from_pretrained(port)
    pipelines = make_pre_post_processors(policy.config, pretrained_path=str(port))
    around = config.get_env_processors()
    info = lerobot_eval.eval_policy(vec, policy, *around, *pipelines, n_episodes=EPISODES, start_seed=SEED)
    return list(info["per_episode"])


@pytest.mark.parametrize(
    ("config", "tolerance"),
    [
        (FollowConfig(), 1e-12),
        (FollowConfig(kind="states"), 1e-12),
        # LeRobot lays images out in another order, so that convolutions differ in the last bits.
        (FollowConfig(kind="pixels_agent_pos"), 1e-5),
        (TurnedConfig(), 1e-5),
    ],
    ids=lambda value: f"{value.type} {value.kind}" if isinstance(value, FollowConfig) else "",
)
def test_lerobot_eval_gives_the_same_returns(config: FollowConfig, tolerance: float, tmp_path: Path) -> None:
    env, images = {"follow": FOLLOW, "turned": TURNED}[config.type], config.kind not in ("state", "states")
    run = sb3port.train(
        env,
        tmp_path / "run",
        env_kwargs={"kind": config.kind},
        steps=32,
        n_envs=2,
        normalize=not images,
        policy_kwargs=SMALL if images else {"net_arch": [8]},
        hyperparameters=TINY,
        eval_episodes=2,
    )
    setting = Setting(env, range(SEED, SEED + EPISODES), Wrapping({"kind": config.kind}))
    found, theirs = evaluate_port(run.port, setting), lerobots_episodes(config, run.port)
    assert found.returns == pytest.approx([row["sum_reward"] for row in theirs], rel=tolerance)
    assert list(found.successes) == [row["success"] for row in theirs]
    assert len({round(value, 6) for value in found.returns}) == EPISODES
    noted = read_port(run.port).environment
    assert (noted.env_id, noted.env_kwargs) == (env, {"kind": config.kind})


def test_successes_are_told_everywhere_and_runs_go_on(tmp_path: Path) -> None:
    """In log, report and `evaluations.npz`; a resumed run has the bits of one that was not cut off."""
    how: dict[str, Any] = {"n_envs": 2, "hyperparameters": TINY, "eval_episodes": 4, "save_every": 32}
    whole = sb3port.train(FOLLOW, tmp_path / "whole", steps=96, **how)
    rows = [row["rollout/success_rate"] for row in read_log(tmp_path / "whole" / "progress.jsonl")]
    told = read_evaluations(tmp_path / "whole" / "evaluations.npz")
    assert all(0 <= row <= 1 for row in rows)
    assert len({*rows}) > 1
    assert [len(result.successes or ()) for result in told] == [4, 4, 4]
    assert "| successes in training |" in (tmp_path / "whole" / "report.md").read_text(encoding="utf-8")
    sb3port.train(FOLLOW, tmp_path / "cut", steps=32, **how)
    again = sb3port.resume(tmp_path / "cut", 96, env=FOLLOW)
    assert weights(again.port) == weights(whole.port)


def weights(port: Path) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in read_port(port).tensors.items()}


def test_a_file_alone_does_not_choose_it_and_fine_tuning_names_it(tmp_path: Path) -> None:
    port = sb3port.train(
        FOLLOW, tmp_path / "run", steps=16, n_envs=1, hyperparameters=TINY, eval_episodes=0
    ).port
    with pytest.raises(NeedsOption) as refused:
        sb3port.finetune(port, tmp_path / "more", 16)
    assert refused.value.options == ("--env", FOLLOW)
    with pytest.warns(UserWarning, match="lerobot-eval puts no"):
        sb3port.train(
            FOLLOW,
            tmp_path / "wrapped",
            steps=16,
            n_envs=1,
            wrappers=["gymnasium.wrappers:ClipAction"],
            hyperparameters=TINY,
            eval_episodes=0,
        )
    done = sb3port.finetune(port, tmp_path / "more", 16, env=FOLLOW, eval_episodes=0)
    assert done.steps == 32
    card = (done.port / "README.md").read_text(encoding="utf-8")
    module = FollowConfig.__module__
    assert f"--env.discover_packages_path={module} --env.type=follow --eval.n_episodes" in card


def test_arguments_of_gymnasiums_make_become_fields() -> None:
    env = open_env(FOLLOW, {}, render_mode="rgb_array", max_episode_steps=3, disable_env_checker=True)
    assert (env.render_mode, env.get_wrapper_attr("_max_episode_steps")) == ("rgb_array", 3)
    assert open_env(FOLLOW, {"kind": "bare"}).observation_space.shape == (2,)


def test_an_image_beside_a_state_has_lerobots_key_everywhere() -> None:
    """In policies that LeRobot makes, and in Gymnasium's environments that call it so."""
    kinds = {"observation.image": FeatureType.VISUAL, "observation.state": FeatureType.STATE}
    shapes = {"observation.image": (3, 40, 44), "observation.state": (2,)}
    config = PPOConfig(
        device="cpu",
        input_features={key: PolicyFeature(kind, shapes[key]) for key, kind in kinds.items()},
        output_features={"action": PolicyFeature(FeatureType.ACTION, (2,))},
    )
    config.validate_features()
    assert set(config.gym_observation_space().spaces) == {"observation_image", "state"}  # type: ignore[attr-defined]
    space = gym.spaces.Dict(observation_image=IMAGE, pixels=IMAGE, x=POSITION)
    shown = preprocess_observation(_of_one(seen_observation(space, space.sample(), None)))
    assert {renamed_keys(space).get(key, key) for key in shown} == {
        "observation.image",
        "observation.images.pixels",
        "observation.x",
    }


def test_a_success_once_is_one_of_the_episode() -> None:
    """As `lerobot-eval` counts it."""
    env = open_env(FOLLOW, {"episode_length": 3})
    wanted = env.get_wrapper_attr
    for _ in range(2):
        env.reset(seed=5)
        told = []
        for away in (9.0, 0.0, 9.0):
            *_, info = env.step(wanted("wanted") + away)
            told.append(info["is_success"])
        assert told == [False, True, True]


def test_vector_environments_are_not_lerobots() -> None:
    with pytest.raises(UsageError, match="stepped as LeRobot makes it") as refused:
        open_vector(FOLLOW, 2, Wrapping())
    assert "--vec-env dummy" in (refused.value.hint or "")


MODULE = FollowConfig.__module__


@pytest.mark.parametrize(
    ("env_id", "kwargs", "said", "hint"),
    [
        ("lerobot:pusht", {}, "gym_pusht", "lerobot[pusht]"),
        (FOLLOW, {"type": "of_the_hub"}, "type is no argument of it", "name it in the id"),
        ("lerobot:push", {}, "no environment of the type push", "pusht"),
        (FOLLOW, {"kinds": "state"}, "kinds", "its fields are task, fps, kind, episode_length"),
        (FOLLOW, {"episode_length": "long"}, "episode_length", "its fields are"),
        (FOLLOW, {"task": "Nowhere-v0"}, "'gym_follow' required", ""),
        (FOLLOW, {"kind": "robot"}, "shows a dictionary under robot_state", "obs_type"),
        (FOLLOW, {"kind": "dotted"}, "no name of its own for arm.joints", "obs_type"),
        (f"lerobot:{MODULE}:several", {}, "is 2 tasks: suite/0, suite/1", "task_ids"),
        (f"lerobot:{MODULE}:of_the_hub", {}, "code from the Hub", "a package of yours"),
        ("lerobot:no_such_module:follow", {}, "no module no_such_module", "install it"),
        ("lerobot:gymnasium", {}, "need no LeRobot here", "--env Pendulum-v1"),
        ("lerobot:", {}, "names no type", "lerobot:pusht"),
    ],
)
def test_what_cannot_be_made_is_said(env_id: str, kwargs: dict[str, Any], said: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        open_env(check_id(env_id), kwargs)
    assert said in refused.value.message
    assert hint in (refused.value.hint or "")


def test_it_is_json_what_a_run_notes(tmp_path: Path) -> None:
    out = sb3port.train(
        FOLLOW,
        tmp_path / "run",
        env_kwargs={"kind": "states", "episode_length": 4},
        steps=16,
        n_envs=1,
        hyperparameters=TINY,
        eval_episodes=0,
    )
    noted = json.loads((out.port / "sb3port.json").read_text(encoding="utf-8"))
    assert noted["environment"]["env_kwargs"] == {"kind": "states", "episode_length": 4}
    assert set(json.loads((out.port / "config.json").read_text())["input_features"]) == {
        "observation.state",
        "observation.environment_state",
        "observation.load",
    }
