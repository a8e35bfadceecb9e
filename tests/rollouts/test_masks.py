"""Masks of actions: where an environment says them, what happens without, and in policies with a memory."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from lerobot.configs.policies import PreTrainedConfig
from lerobot.envs.factory import make_env
from lerobot.policies.factory import make_policy, make_pre_post_processors
from lerobot.scripts.lerobot_eval import eval_policy
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.evaluation import evaluate_policy

import sb3port
from lerobot_policy_ppo import GymnasiumEnvConfig
from sb3port.checkpoint.checkpoint import EnvironmentSpec
from sb3port.commands.evaluate import evaluate_port, evaluate_sb3
from sb3port.commands.observation_sets import rollout_observations
from sb3port.commands.policies import find_policy
from sb3port.commands.record import RecordOptions, record
from sb3port.commands.train import begin_finetuning, begin_training, resume_run
from sb3port.commands.training_arguments import PolicyOptions, RunOptions
from sb3port.environments.given import AS_IN_TRAINING
from sb3port.environments.rollouts import Setting
from sb3port.errors import UsageError
from sb3port.parity.oracle.recurrent_maskable import RecurrentMaskableActorCriticPolicy
from sb3port.ports.reading import read_port
from sb3port.ppo.runs.running import Watcher, train
from tests.ports import port_of, verified

from .spaces_env import SMALL, VECTOR, SpacesEnv, ported, register

SIX = spaces.Discrete(6)
LEARNS = {"n_steps": 8, "batch_size": 4, "n_epochs": 1}
ENVS = {
    where: register(f"masks-{where}", limit=5, observations=VECTOR, actions=SIX, masks=where, length=4)
    for where in ("method", "info", None)
}
WRONG = register("masks-wrong", limit=5, observations=VECTOR, actions=SIX, masks="info", mask_size=5)
BEST = 4 * 5.0  # four steps of the only action that is allowed


def in_eval(port: Path, env: str, use_masking: bool = True) -> float:
    return evaluate_port(port, Setting(env, [0], use_masking=use_masking)).mean


def in_eval_of_sb3(port: Path, env: str, use_masking: bool = True) -> float:
    return evaluate_sb3(read_port(port), Setting(env, [0], use_masking=use_masking)).mean


def in_record(port: Path, env: str, use_masking: bool = True) -> float:
    return record(str(port), RecordOptions(env, [0], use_masking=use_masking)).returns[0]


def in_rollout(port: Path, env: str, use_masking: bool = True) -> float:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sb3port.commands.observation_sets.ROLLOUT_STEPS", 4)
        found = rollout_observations(read_port(port), EnvironmentSpec(env), use_masking)
    (batch,) = found.batches()
    return 4 * 5.0 if batch.masks is not None and batch.masks.sum() == 4 else 0.0


def in_finetune(port: Path, env: str, use_masking: bool = True) -> float:
    options = RunOptions(env, LEARNS, steps=8, n_envs=1, run={"use_masking": use_masking})
    trainer, _ = begin_finetuning(find_policy(port), options, lambda _: None)
    trainer.iterate()
    return trainer.collector.progress.episodes[0][0]


def in_lerobot(port: Path, env: str, use_masking: bool = True) -> float:
    config = PreTrainedConfig.from_pretrained(port)
    config.pretrained_path, config.device = port, "cpu"
    told = GymnasiumEnvConfig(task=env, use_masking=use_masking, render_mode=None)
    policy = make_policy(config, env_cfg=told)
    pre, post = make_pre_post_processors(config, pretrained_path=str(port))
    vec = make_env(told, n_envs=1)["gymnasium"][0]
    found = eval_policy(vec, policy, *told.get_env_processors(), pre, post, n_episodes=1, start_seed=0)
    return found["per_episode"][0]["sum_reward"]


WAYS: dict[str, Callable[..., float]] = {
    "eval": in_eval,
    "eval --compare": in_eval_of_sb3,
    "record": in_record,
    "verify": in_rollout,
    "finetune": in_finetune,
    "lerobot-eval": in_lerobot,
}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that would do anything but the last action, which alone is allowed."""
    env = SpacesEnv(VECTOR, SIX, masks="method", length=4)
    model = MaskablePPO("MlpPolicy", env, policy_kwargs={"net_arch": [4]}, **SMALL)
    model.policy.action_net.bias.data[-1] = -50.0
    with pytest.raises(ValueError, match="does not support action masking"):
        evaluate_policy(model, SpacesEnv(VECTOR, SIX, length=4), warn=False)
    assert evaluate_policy(model, env, 1, warn=False)[0] == BEST
    return ported(model, tmp_path_factory.mktemp("masks") / "model")


@pytest.mark.parametrize("where", ["method", "info"])
@pytest.mark.parametrize("way", WAYS)
def test_both_places_count_everywhere(way: str, where: str, port: Path) -> None:
    assert WAYS[way](port, ENVS[where]) == BEST


@pytest.mark.parametrize("way", WAYS)
def test_without_masks_it_is_refused(way: str, port: Path) -> None:
    """As sb3-contrib refuses it, with its way out."""
    with pytest.raises((UsageError, ValueError), match=r"action_masks\(\)") as caught:
        WAYS[way](port, ENVS[None])
    hint = f"{caught.value} {getattr(caught.value, 'hint', '')}"
    assert ("--env.use_masking=false" if way == "lerobot-eval" else "--no-masking") in hint
    assert "ActionMasker" in hint
    assert WAYS[way](port, ENVS[None], False) != BEST


@pytest.mark.parametrize("way", [way for way in WAYS if way != "lerobot-eval"])
def test_a_mask_of_another_length(way: str, port: Path) -> None:
    with pytest.raises(UsageError, match="a mask of 5 actions, but there are 6 choices"):
        WAYS[way](port, WRONG)


def test_training_with_masks_of_info(tmp_path: Path) -> None:
    """Also where the run is resumed: the info of the step before is there again."""
    options = RunOptions(ENVS["info"], LEARNS, 16, 1, save_every=8, run={"eval_episodes": 1})
    trainer = begin_training(options, PolicyOptions("ppo_mask"), lambda _: None)
    outcome = train(trainer, None, tmp_path / "run", Watcher())
    assert outcome.best_return == BEST
    again = resume_run(
        tmp_path / "run" / "checkpoints" / "000008", lambda _: None, (ENVS["info"], AS_IN_TRAINING), None
    )
    resumed = train(*again, Watcher())
    one, other = (read_port(found.last / "pretrained_model").tensors for found in (outcome, resumed))
    assert all(np.array_equal(array, other[name]) for name, array in one.items())


def test_training_without_masks(tmp_path: Path) -> None:
    options = RunOptions(ENVS[None], LEARNS, 8, 1)
    with pytest.raises(UsageError, match="does not say which actions are allowed"):
        begin_training(options, PolicyOptions("ppo_mask"), lambda _: None)
    run = {"use_masking": False, "eval_episodes": 1}
    trainer = begin_training(
        RunOptions(ENVS[None], LEARNS, 8, 1, run=run), PolicyOptions("ppo_mask"), lambda _: None
    )
    out = tmp_path / "run"
    train(trainer, None, out, Watcher())
    state = out / "checkpoints" / "last" / "training_state" / "training.json"
    assert json.loads(state.read_text())["settings"]["use_masking"] is False

    sb3 = MaskablePPO("MlpPolicy", gymnasium.make(ENVS[None]), n_steps=8, batch_size=4, n_epochs=1, seed=0)
    sb3.learn(8, use_masking=False)
    tensors = read_port(out / "checkpoints" / "last" / "pretrained_model").tensors
    weights = {name: array.numpy() for name, array in sb3.policy.state_dict().items()}
    assert all(np.array_equal(array, weights[name]) for name, array in tensors.items())


@pytest.mark.parametrize("actions", [SIX, spaces.MultiBinary(3)], ids=["discrete", "multibinary"])
def test_a_policy_with_memory_and_masks(actions: Any, tmp_path: Path) -> None:
    """A class of the author's own that is vouched for keeps both, and is proved against sb3-contrib's."""
    env = SpacesEnv(VECTOR, actions)
    kwargs = {"net_arch": [4], "lstm_hidden_size": 5}
    model = RecurrentPPO(RecurrentMaskableActorCriticPolicy, env, policy_kwargs=kwargs, **SMALL)
    (tmp_path / "own").mkdir()
    model.save(tmp_path / "own" / "own.zip")
    port_of(tmp_path / "own", tmp_path / "port", verify=False, assume_standard_forward=True)
    spec = read_port(tmp_path / "port").spec
    assert (spec.maskable, spec.lstm_hidden_size, spec.algorithm) == (True, 5, "ppo_lstm")
    report = verified(tmp_path / "port")
    assert report.verdict == "bit-exact"

    policy, state, expected_state = sb3port.load_policy(tmp_path / "port"), None, None
    rows, rng = np.zeros((3, 3), np.float32), np.random.default_rng(0)
    for _ in range(5):
        masks = np.arange(18).reshape(3, 6) % 2 == rng.integers(2)
        rows = rng.normal(size=(3, 3)).astype(np.float32)
        model.policy.action_masks = masks
        expected, expected_state = model.predict(rows, expected_state, deterministic=True)
        action, state = policy.predict(rows, state, action_masks=masks)
        assert np.array_equal(action, expected)
        if actions is SIX:
            assert masks[np.arange(3), action].all()


def test_that_policy_in_environments(tmp_path: Path) -> None:
    env = SpacesEnv(VECTOR, SIX)
    kwargs = {"net_arch": [4], "lstm_hidden_size": 5}
    model = RecurrentPPO(RecurrentMaskableActorCriticPolicy, env, policy_kwargs=kwargs, **SMALL)
    (tmp_path / "own").mkdir()
    model.save(tmp_path / "own" / "own.zip")
    port_of(tmp_path / "own", tmp_path / "port", verify=False, assume_standard_forward=True)
    for way, run in WAYS.items():
        assert run(tmp_path / "port", ENVS["info"]) == BEST, way
        with pytest.raises((UsageError, ValueError), match=r"action_masks\(\)"):
            run(tmp_path / "port", ENVS[None])
    with pytest.raises(sb3port.errors.Sb3portError, match="neither SB3 nor sb3-contrib has a policy"):
        sb3port.export(tmp_path / "port", tmp_path / "sb3", verify=False)
