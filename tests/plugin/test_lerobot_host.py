"""LeRobot finds, builds, saves, loads and trains the policy as one of its own."""

import copy
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from lerobot.configs.policies import PreTrainedConfig
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.factory import get_policy_class, make_policy, make_pre_post_processors
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from safetensors.torch import load_file, save_file

from lerobot_policy_ppo import (
    GymnasiumEnvConfig,
    PPOConfig,
    VecNormalizeProcessorStep,
    make_ppo_pre_post_processors,
)

from .oracles import ACTIONS, VECTOR, make_config, make_pair, observations

STATE = "observation.state"
VECTOR_FEATURE = PolicyFeature(FeatureType.STATE, (5,))
DISCRETE = {"type": "Discrete", "n": 2}
DICT = {"type": "Dict", "spaces": {"a": DISCRETE}}
NESTED = {"type": "Dict", "spaces": {"a": DICT}}
TINY_IMAGE = {"type": "Box", "shape": [3, 35, 40], "dtype": "uint8", "low": 0, "high": 255}


def save_port(folder: Path, port: PPOPolicy, with_statistics: bool = True) -> Path:
    """Write a port as LeRobot does: policy, preprocessor, postprocessor."""
    rng = np.random.default_rng(0)
    stats = {STATE: {"mean": rng.normal(size=5), "var": rng.uniform(0.1, 2, size=5), "count": 1234.5}}
    step = VecNormalizeProcessorStep(stats=stats) if with_statistics else None
    pre, post = make_ppo_pre_post_processors(port.config, vec_normalize=step)
    for part in (port, pre, post):
        part.save_pretrained(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_distribution_name() -> None:
    """LeRobot imports plugins by the verbatim name of their distribution: hyphens would hide this one."""
    assert importlib.metadata.metadata("lerobot_policy_ppo")["Name"] == "lerobot_policy_ppo"


@pytest.mark.long
def test_discovery_without_sb3() -> None:
    """In a fresh interpreter, LeRobot's discovery registers everything without importing SB3."""
    code = """
import sys
from lerobot.utils.import_utils import register_third_party_plugins
register_third_party_plugins()
from lerobot.configs.policies import PreTrainedConfig
from lerobot.envs.configs import EnvConfig
from lerobot.policies.factory import get_policy_class
from lerobot.processor import ProcessorStepRegistry
assert "lerobot_policy_ppo.modeling_ppo" not in sys.modules, "the policy is imported when it is needed"
assert "ppo" in PreTrainedConfig.get_known_choices() and "gymnasium" in EnvConfig.get_known_choices()
names = ("sb3port_vec_normalize", "sb3port_to_batch", "sb3port_clip_action", "sb3port_unscale_action")
assert set(names) <= set(ProcessorStepRegistry.list())
assert get_policy_class("ppo").__name__ == "PPOPolicy"
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"stable_baselines3", "sb3_contrib"}
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_factory_lookups() -> None:
    assert get_policy_class("ppo") is PPOPolicy
    config = make_config(VECTOR, ACTIONS)
    pre, post = make_pre_post_processors(config, dataset_stats=None)
    assert (pre.name, post.name) == ("policy_preprocessor", "policy_postprocessor")


@pytest.mark.parametrize(
    ("action", "kwargs"),
    [
        (ACTIONS, {}),
        (ACTIONS, {"use_sde": True, "squash_output": True}),
        (spaces.Discrete(3, start=1), {"net_arch": {"pi": [], "vf": [4]}}),
        (spaces.Box(-np.inf, np.array([1, np.inf, 0.1]), dtype=np.float64), {"log_std_init": -2}),
    ],
)
def test_round_trip_gives_the_same_bytes(
    action: spaces.Space, kwargs: dict[str, Any], tmp_path: Path
) -> None:
    _, port = make_pair(action=action, **kwargs)
    first = save_port(tmp_path / "first", port)
    policy = PPOPolicy.from_pretrained(first)
    pre, post = make_pre_post_processors(policy.config, pretrained_path=str(first))
    for part in (policy, pre, post):
        part.save_pretrained(tmp_path / "second")
    assert contents(first) == contents(tmp_path / "second")
    assert set(contents(first)) == {
        "config.json",
        "model.safetensors",
        "policy_preprocessor.json",
        "policy_preprocessor_step_2_sb3port_vec_normalize.safetensors",
        "policy_postprocessor.json",
    }
    batch = {STATE: torch.from_numpy(observations(VECTOR, 9))}
    expected_pre, expected_post = make_pre_post_processors(port.config, pretrained_path=str(first))
    got, expected = pre(dict(batch)), expected_pre(dict(batch))
    assert torch.equal(got[STATE], expected[STATE])
    assert torch.equal(post(policy.select_action(got)), expected_post(port.select_action(expected)))


def test_config_has_fields_in_the_agreed_order(tmp_path: Path) -> None:
    make_config(VECTOR, ACTIONS).save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert list(written)[:3] == ["type", "n_obs_steps", "input_features"]
    assert list(written)[-24:] == [
        "normalization_mapping",
        "observation_space",
        "action_space",
        "features_extractor",
        "features_extractor_kwargs",
        "share_features_extractor",
        "net_arch",
        "activation_fn",
        "ortho_init",
        "normalize_images",
        "use_sde",
        "log_std_init",
        "full_std",
        "use_expln",
        "sde_net_arch",
        "squash_output",
        "maskable",
        "lstm_hidden_size",
        "n_lstm_layers",
        "shared_lstm",
        "enable_critic_lstm",
        "optimizer_lr",
        "optimizer_eps",
        "optimizer_grad_clip_norm",
    ]
    assert written["type"] == "ppo"
    assert written["push_to_hub"] is False


def test_lerobot_overrides_find_their_steps(tmp_path: Path) -> None:
    """LeRobot's commands override four steps by name; statistics of training survive a dataset's."""
    folder = save_port(tmp_path, make_pair()[1])
    config = PreTrainedConfig.from_pretrained(folder)
    dataset_stats = {STATE: {"mean": np.full(5, 9.0), "std": np.full(5, 7.0)}}
    normalizer = {"stats": dataset_stats, "features": {}, "norm_map": config.normalization_mapping}
    pre, _ = make_pre_post_processors(
        config,
        pretrained_path=str(folder),
        preprocessor_overrides={
            "device_processor": {"device": "cpu"},
            "rename_observations_processor": {"rename_map": {"observation.robot": STATE}},
            "normalizer_processor": normalizer,
        },
        postprocessor_overrides={"unnormalizer_processor": normalizer},
    )
    raw = torch.from_numpy(observations(VECTOR, 4))
    plain, _ = make_pre_post_processors(config, pretrained_path=str(folder))
    assert torch.equal(pre({"observation.robot": raw})[STATE], plain({STATE: raw})[STATE])
    assert not torch.equal(plain({STATE: raw})[STATE], raw)


@pytest.mark.parametrize("task", ["CartPole-v1", "Pendulum-v1"])
def test_make_policy(task: str, tmp_path: Path) -> None:
    env = GymnasiumEnvConfig(task=task)
    policy = make_policy(PPOConfig(device="cpu", net_arch={"pi": [8], "vf": [8]}), env_cfg=env)
    assert isinstance(policy, PPOPolicy)
    assert policy.config.action_space["type"] == "Box"
    policy.save_pretrained(tmp_path)
    config = PreTrainedConfig.from_pretrained(tmp_path)
    config.pretrained_path = tmp_path
    again = make_policy(config, env_cfg=env)
    assert all(torch.equal(a, b) for a, b in zip(policy.parameters(), again.parameters(), strict=True))


def test_make_policy_for_another_environment_fails(tmp_path: Path) -> None:
    folder = save_port(tmp_path, make_pair()[1])
    config = PreTrainedConfig.from_pretrained(folder)
    config.pretrained_path = folder
    with pytest.raises(ValueError, match=r"Pendulum-v1 has the observations Box.*\(3,\), float32\), but the"):
        make_policy(config, env_cfg=GymnasiumEnvConfig(task="Pendulum-v1"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda tensors: tensors.pop("action_net.bias"), "action_net.bias is missing"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "extra is unknown"),
        (
            lambda tensors: tensors.update(log_std=torch.zeros(4)),
            r"log_std has shape \(4,\) instead of \(3,\)",
        ),
    ],
)
def test_loading_is_strict(spoil: Any, message: str, tmp_path: Path) -> None:
    folder = save_port(tmp_path, make_pair()[1])
    tensors = load_file(folder / "model.safetensors")
    spoil(tensors)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ValueError, match=message):
        PPOPolicy.from_pretrained(folder)


def test_loading_without_weights_fails(tmp_path: Path) -> None:
    folder = save_port(tmp_path, make_pair()[1])
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError):
        PPOPolicy.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation_fn": "Linear"}, "activation Linear, which is not supported"),
        ({"activation_fn": "MultiheadAttention"}, "activation MultiheadAttention, which is not supported"),
        ({"features_extractor": "NatureCNN"}, "features_extractor is 'NatureCNN': a NatureCNN takes images"),
        ({"features_extractor": "CombinedExtractor"}, "a CombinedExtractor takes a Dict"),
        ({"features_extractor": "Custom"}, "features_extractor is 'Custom'"),
        ({"features_extractor_kwargs": {"features_dim": 3}}, "which FlattenExtractor does not take"),
        ({"sde_net_arch": [4], "lstm_hidden_size": 4}, "sde_net_arch and lstm_hidden_size are both set"),
        ({"net_arch": {"pi": [4], "qf": [4]}}, "qf"),
        ({"action_space": {"type": "Tuple", "spaces": []}}, "action_space has type 'Tuple'"),
        ({"action_space": {"type": "Dict", "spaces": {"a": {"type": "Discrete", "n": 2}}}}, "is Dict"),
        ({"action_space": {"type": "MultiBinary", "n": [2, 3]}}, "rank 1 only"),
        ({"action_space": {"type": "MultiDiscrete", "nvec": [[2, 3]]}}, "rank 1 only"),
        ({"action_space": {"type": "Box", "shape": [2]}}, "action_space is not a valid Box"),
        ({"action_space": {"type": "Discrete", "n": 2}, "use_sde": True}, "use_sde"),
        ({"action_space": None}, "needs action_space"),
        ({"observation_space": {"type": "MultiDiscrete", "nvec": [[2, 3]]}}, "rank 1 only"),
        ({"observation_space": NESTED}, "has type 'Dict'"),
        ({"observation_space": {"type": "Dict", "spaces": {}}}, "nothing in it"),
        (
            {"observation_space": {"type": "Dict", "spaces": {"a": {"type": "Box"}}}},
            "space 'a' is not a valid",
        ),
        ({"observation_space": {"type": "Dict", "spaces": {"a": {"type": "Text"}}}}, "has type 'Text'"),
        ({"observation_space": DICT}, "a Dict is for MultiInputPolicy"),
        ({"maskable": True}, "no choices to mask"),
        ({"observation_space": TINY_IMAGE, "features_extractor": "NatureCNN"}, "too small for a NatureCNN"),
        ({"input_features": {STATE: PolicyFeature(FeatureType.STATE, (4,))}}, "has shape"),
        ({"input_features": {"observation.image": PolicyFeature(FeatureType.VISUAL, (3, 9, 9))}}, "exactly"),
        ({"input_features": {STATE: VECTOR_FEATURE, "observation.extra": VECTOR_FEATURE}}, "exactly"),
    ],
)
def test_unsupported_configurations_raise(change: dict[str, Any], message: str) -> None:
    config = make_config(VECTOR, ACTIONS)
    for name, value in change.items():
        setattr(config, name, value)
    with pytest.raises(ValueError, match=message):
        PPOPolicy(config)


@pytest.mark.parametrize("shape", [(5,), (2, 4), (2, 2, 5)])
def test_observations_of_the_wrong_shape_raise(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="the policy needs"):
        make_pair()[1].predict({STATE: torch.zeros(shape)})


def test_shapes_and_dtypes_for_lerobot() -> None:
    batch = {STATE: torch.from_numpy(observations(VECTOR, 6))}
    for action, size, dtype in ((ACTIONS, 3, torch.float32), (spaces.Discrete(4), 1, torch.int64)):
        port = make_pair(action=action)[1]
        assert port.select_action(batch).shape == (6, size)
        assert port.select_action(batch).dtype == dtype
        assert port.predict_action_chunk(batch).shape == (6, 1, size)
        port.reset()
    with pytest.raises(ValueError, match="gSDE only"):
        port.reset_noise()


@pytest.mark.parametrize(
    ("action", "kwargs", "recorded"),
    [
        (ACTIONS, {}, torch.tensor([[0.5, 1.0, 0.6]]).repeat(32, 1)),
        (ACTIONS, {"use_sde": True, "squash_output": True}, torch.tensor([[0.5, 3.0, 0.5]]).repeat(32, 1)),
        (spaces.Discrete(3), {}, torch.full((32, 1), 2.0)),
        (spaces.Discrete(3), {}, torch.full((32,), 2)),
        (spaces.Discrete(3), {"maskable": True}, torch.full((32, 1), 2)),
        (spaces.MultiDiscrete([3, 4]), {}, torch.tensor([[2.0, 1.0]]).repeat(32, 1)),
        (spaces.MultiBinary(3), {}, torch.tensor([[1.0, 0.0, 1.0]]).repeat(32, 1)),
        (spaces.MultiBinary(3), {"maskable": True}, torch.tensor([[1, 0, 1]]).repeat(32, 1)),
    ],
)
def test_behaviour_cloning_learns(
    action: spaces.Space, kwargs: dict[str, Any], recorded: torch.Tensor
) -> None:
    port = make_pair(action=action, **kwargs)[1].train()
    batch = {STATE: torch.from_numpy(observations(VECTOR, 32)), "action": recorded}
    preset = port.config.get_optimizer_preset()
    preset.lr = 0.01
    optimizer = preset.build(port.get_optim_params())
    losses = []
    for _ in range(30):
        loss, log = port.forward(batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(port.parameters(), preset.grad_clip_norm)
        optimizer.step()
        losses.append(loss.item())
        assert log == {"nll": losses[-1]}
    assert losses[-1] < losses[0] - 0.5
    each, _ = port.forward(batch, reduction="none")
    assert each.shape == (32,)
    assert torch.isfinite(each).all()


@pytest.mark.parametrize("use_sde", [True, False])
def test_squashed_cloning_inverts_unscaling(use_sde: bool) -> None:
    """The likelihood of a recorded action is that of the action which the postprocessor unscaled."""
    port = PPOPolicy(make_config(VECTOR, ACTIONS, use_sde=use_sde, squash_output=True))
    batch = {STATE: torch.from_numpy(observations(VECTOR, 8))}
    actions = port.predict(batch, deterministic=False)[0].clamp(-0.99, 0.99)
    _, post = make_ppo_pre_post_processors(port.config)
    losses, _ = port.forward({**batch, "action": post(actions)}, reduction="none")
    torch.testing.assert_close(losses, -port.evaluate_actions(batch, actions)[1], rtol=1e-3, atol=1e-3)


def test_policies_with_noise_can_be_copied() -> None:
    port = make_pair(use_sde=True)[1]
    port.reset_noise(4)
    twin = copy.deepcopy(port)
    batch = {STATE: torch.from_numpy(observations(VECTOR, 4))}
    assert torch.equal(port.predict(batch, False)[0], twin.predict(batch, False)[0])
