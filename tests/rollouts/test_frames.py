"""Statistics of one frame, for policies of several: what SB3's VecFrameStack around VecNormalize does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from lerobot.policies.factory import make_pre_post_processors
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

from sb3port import load_policy
from sb3port.commands.evaluate import evaluate_port
from sb3port.commands.policies import read_policy
from sb3port.environments.choosing import choose_environment
from sb3port.environments.rollouts import Setting
from sb3port.environments.wrappers import wrap
from sb3port.environments.wrapping import wrapping_in
from sb3port.inference.observations import ObservationReader
from sb3port.ports.reading import read_port
from tests.exports import export_of, zip_of
from tests.ports import batch_of, port_of, verified

from .frames import SPACES, WALK, Stacked, Walk, saved, trained

STEPS = 40


def row(observation: Any) -> Any:
    if isinstance(observation, dict):
        return {key: part[0].copy() for key, part in observation.items()}
    return observation[0].copy()


def steps_of(stacked: Stacked, kind: str, **kwargs: Any) -> list[tuple[Any, Any, Any]]:
    """Step SB3's environment and ours together; give raw stacks, SB3's normalised ones, and its actions."""
    order = {0: "first", -1: "last"}[getattr(stacked.env.stacked_obs, "repeat_axis", -1)]
    ours = wrap(
        Walk(kind, **kwargs),
        "FrameStack",
        {"n_stack": stacked.env.stacked_obs.n_stack, "channels_order": order},
    )
    stacked.env.seed(5)
    seen, (raw, _) = stacked.env.reset(), ours.reset(seed=5)
    found = []
    for _ in range(STEPS):
        actions, _ = stacked.model.predict(seen, deterministic=True)
        found.append((raw, row(seen), actions[0]))
        seen, _, dones, _ = stacked.env.step(actions)
        raw, _, terminated, truncated, _ = ours.step(actions[0])
        assert (terminated or truncated) == dones[0]
        raw = ours.reset()[0] if dones[0] else raw
    return found


def parts(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"": value}


def assert_same(ours: Any, theirs: Any) -> None:
    assert parts(ours).keys() == parts(theirs).keys()
    for key, array in parts(theirs).items():
        assert np.array_equal(np.float32(parts(ours)[key]).reshape(array.shape), np.float32(array)), key


@pytest.mark.parametrize("kind", SPACES)
def test_whole_episodes_are_those_of_sb3(kind: str, tmp_path: Path) -> None:
    """From the first step on, where an episode begins with frames of zeros, and others are not there yet."""
    torch.set_num_threads(1)
    stacked = trained(kind, 3, zeros=0 if kind == "picture" else 2)
    port_of(saved(stacked, tmp_path / "model"), tmp_path / "port", verify=False)
    checkpoint = read_port(tmp_path / "port")
    assert checkpoint.warnings == ()
    policy, reader = load_policy(tmp_path / "port"), ObservationReader(checkpoint.spec, checkpoint.normalizer)
    lerobot = PPOPolicy.from_pretrained(tmp_path / "port")
    before, after = make_pre_post_processors(lerobot.config, pretrained_path=str(tmp_path / "port"))
    for raw, seen, action in steps_of(stacked, kind, zeros=0 if kind == "picture" else 2):
        assert_same(reader(raw)[0], seen)
        assert np.array_equal(policy.predict(raw)[0], action)
        rows = {key: np.float32(part)[None] for key, part in parts(raw).items()}
        batch = batch_of(rows if isinstance(raw, dict) else rows[""])
        batch = {
            key: part.flatten(1) for key, part in before(batch).items() if key.startswith("observation.")
        }
        if kind in ("vector", "picture"):  # LeRobot rounds float64 before it comes here
            assert np.array_equal(after(lerobot.select_action(batch)).numpy()[0], action)


def test_stacks_that_the_user_makes(tmp_path: Path) -> None:
    """SB3's own VecFrameStack without a VecNormalize gives zeros where there is no frame."""
    stacked = trained("vector", 4, zeros=0)
    port = port_of(saved(stacked, tmp_path / "model"), tmp_path / "port", verify=False).port
    policies = load_policy(port), load_policy(port, backend="numpy")
    raw_env = VecFrameStack(DummyVecEnv([lambda: Walk(zeros=0)]), 4)
    for env in (raw_env, stacked.env):
        env.seed(2)
    raw, seen = raw_env.reset(), stacked.env.reset()
    for _ in range(STEPS):
        expected, _ = stacked.model.predict(seen, deterministic=True)
        assert np.array_equal(policies[0].predict(raw)[0], expected)
        np.testing.assert_allclose(policies[1].predict(raw)[0], expected, rtol=0, atol=1e-6)
        (seen, _, _, _), (raw, _, _, _) = stacked.env.step(expected), raw_env.step(expected)


@pytest.mark.parametrize(
    ("kind", "order"), [("vector", None), ("dict", None), ("picture", None), ("matrix of float64", "first")]
)
def test_they_verify_and_go_back_to_sb3(kind: str, order: str | None, tmp_path: Path) -> None:
    stacked = trained(kind, 2, order, zeros=0)
    port = port_of(saved(stacked, tmp_path / "model"), tmp_path / "port", verify=False).port
    assert verified(port).verdict == "bit-exact"
    done = export_of(port, tmp_path / "sb3")
    assert done.report is not None
    assert done.report.verdict == "bit-exact"

    env = VecNormalize.load(
        str(tmp_path / "sb3" / "vec_normalize.pkl"), DummyVecEnv([lambda: Walk(kind, zeros=0)])
    )
    env.training = env.norm_reward = False
    again = Stacked(PPO.load(zip_of(done), device="cpu"), env, VecFrameStack(env, 2, order))
    for mine, theirs in zip(steps_of(again, kind, zeros=0), steps_of(stacked, kind, zeros=0), strict=True):
        assert_same(mine[1], theirs[1])
        assert np.array_equal(mine[2], theirs[2])
    back = read_policy(tmp_path / "sb3")
    assert back.warnings == ()
    assert back.environment.frame_stack == 2


@pytest.mark.parametrize("target", ["numpy", "torch", pytest.param("onnx", marks=pytest.mark.long)])
def test_exports_have_the_frames(target: str, tmp_path: Path) -> None:
    port = port_of(saved(trained("vector", 3), tmp_path / "model"), tmp_path / "port", verify=False).port
    done = export_of(port, tmp_path / "out", target=target)
    assert done.report is not None
    assert done.report.verdict in ("bit-exact", "within noise")


def test_eval_earns_what_sb3_earns(tmp_path: Path) -> None:
    stacked = trained("vector", 3)
    port = port_of(saved(stacked, tmp_path / "model"), tmp_path / "port", verify=False).port
    wrapping = wrapping_in(choose_environment(read_port(port).environment, WALK))
    assert wrapping.names == ("FrameStack(n_stack=3)",)
    ours = evaluate_port(port, Setting(WALK, range(3), wrapping)).returns
    theirs = []
    for seed in range(3):
        stacked.env.seed(seed)
        seen, total, done = stacked.env.reset(), 0.0, False
        while not done:
            actions, _ = stacked.model.predict(seen, deterministic=True)
            seen, rewards, dones, _ = stacked.env.step(actions)
            total, done = total + float(rewards[0]), bool(dones[0])
        theirs.append(total)
    assert list(ours) == pytest.approx(theirs, rel=1e-6)


def test_spaces_are_those_of_the_environments() -> None:
    """What is tested has the spaces that it says."""
    for kind, space in SPACES.items():
        observed = Walk(kind).reset(seed=0)[0]
        assert all(part in parts_of(space)[key] for key, part in parts(observed).items())


def parts_of(space: Any) -> dict[str, Any]:
    return dict(space.spaces) if isinstance(space, spaces.Dict) else {"": space}
