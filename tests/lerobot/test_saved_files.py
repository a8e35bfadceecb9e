"""What sb3port writes without LeRobot is what LeRobot itself writes, byte for byte."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from stable_baselines3 import PPO

from lerobot_policy_ppo import PPOConfig, VecNormalizeProcessorStep, make_ppo_pre_post_processors
from sb3port import load_policy
from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.networks import own_extractors as own
from sb3port.ports.reading import read_port
from tests import own_extractors
from tests.conformance.building import saved
from tests.conformance.cases import CASES, sampled
from tests.golden.test_zoo import MODELS
from tests.ports import port_of

FIXTURES = Path(__file__).parents[2] / "fixtures" / "hub" / "sb3port"
FROZEN = "tests.own_extractors:Frozen"
CONFORMANCE = (
    "ppo-uneven-bounds",
    "ppo-uneven-matrix",
    "ppo-matrix-spaces",
    "ppo-float64",
    "ppo-gsde-squashed",
    "ppo-gsde-log-std",
)


def saved_again(port: Path, folder: Path) -> None:
    """Load a port with LeRobot and save it again: policy and both processors."""
    kind = json.loads((port / "config.json").read_text())["type"]
    policy = get_policy_class(kind).from_pretrained(port)
    for part in (policy, *make_pre_post_processors(policy.config, pretrained_path=str(port))):
        part.save_pretrained(folder)


def built_by_lerobot(checkpoint: Checkpoint, folder: Path) -> None:
    """Build policy and processors with LeRobot's and the plugin's own classes, and save them."""
    spec, normalizer = checkpoint.spec, checkpoint.normalizer
    config = PPOConfig(
        device="cpu",
        observation_space=spec.observation_space.to_json(),
        action_space=spec.action_space.to_json(),
        net_arch={"pi": list(spec.net_arch.pi), "vf": list(spec.net_arch.vf)},
        activation_fn=spec.activation_fn,
        ortho_init=spec.ortho_init,
        use_sde=spec.use_sde,
        log_std_init=spec.log_std_init,
        full_std=spec.full_std,
        use_expln=spec.use_expln,
        squash_output=spec.squash_output,
        optimizer_lr=checkpoint.training.schedules["learning_rate"](1.0),
    )
    policy = PPOPolicy(config)
    policy.load_state_dict({name: torch.tensor(array) for name, array in checkpoint.tensors.items()})
    step = None
    if normalizer is not None:
        rms = normalizer.obs_rms
        statistics = {"mean": rms.mean.ravel(), "var": rms.var.ravel(), "count": np.float64(rms.count)}
        step = VecNormalizeProcessorStep(
            normalizer.clip_obs, normalizer.epsilon, {"observation.state": statistics}
        )
    for part in (policy, *make_ppo_pre_post_processors(config, vec_normalize=step)):
        part.save_pretrained(folder)


def assert_same_files(port: Path, other: Path) -> None:
    names = sorted(path.name for path in other.iterdir())
    assert {"config.json", "model.safetensors", "policy_preprocessor.json", "policy_postprocessor.json"} <= {
        *names
    }
    ours = {path.name for path in port.iterdir() if path.suffix == ".safetensors"}
    assert ours <= set(names)
    for name in names:
        assert (port / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize("name", ["ppo-Pendulum-v1", "ppo-CartPole-v1"])
def test_fixture_saved_again_is_the_same(name: str, tmp_path: Path) -> None:
    done = port_of(FIXTURES / name, tmp_path / "port", verify=False)
    saved_again(tmp_path / "port", tmp_path / "again")
    assert_same_files(tmp_path / "port", tmp_path / "again")
    built_by_lerobot(done.checkpoint, tmp_path / "built")
    assert_same_files(tmp_path / "port", tmp_path / "built")


@pytest.mark.parametrize("name", CONFORMANCE)
def test_conformance_case_saved_again_is_the_same(name: str, tmp_path: Path) -> None:
    saved(CASES[name], tmp_path / name)
    done = port_of(tmp_path / name, tmp_path / "port", verify=False)
    saved_again(tmp_path / "port", tmp_path / "again")
    assert_same_files(tmp_path / "port", tmp_path / "again")
    built_by_lerobot(done.checkpoint, tmp_path / "built")
    assert_same_files(tmp_path / "port", tmp_path / "built")


@pytest.mark.zoo
@pytest.mark.parametrize("name", sampled(MODELS, 3))
def test_zoo_model_saved_again_is_the_same(name: str, zoo: Path, tmp_path: Path) -> None:
    port_of(zoo / name, tmp_path / "port", verify=False)
    saved_again(tmp_path / "port", tmp_path / "again")
    assert_same_files(tmp_path / "port", tmp_path / "again")


def test_tied_parameters_are_saved_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port has them under both names, and LeRobot saves them under one: both load, and compute the same."""
    monkeypatch.setattr(own, "_registered", {})
    own.register_extractor(FROZEN, own_extractors.Frozen)
    kwargs = {"features_extractor_class": own_extractors.Frozen}
    model = PPO("MlpPolicy", "Pendulum-v1", n_steps=8, batch_size=8, policy_kwargs=kwargs, device="cpu")
    model.save(tmp_path / "model.zip")
    port_of(tmp_path / "model.zip", tmp_path / "port", verify=False, extractor=FROZEN)
    saved_again(tmp_path / "port", tmp_path / "again")
    assert len(read_port(tmp_path / "again").tensors) < len(read_port(tmp_path / "port").tensors)
    seen = np.float32([[0.1, 0.2, 0.3]])
    expected, _ = model.predict(seen, deterministic=True)
    for folder in (tmp_path / "port", tmp_path / "again"):
        assert np.array_equal(load_policy(folder).predict(seen)[0], expected)
        with torch.no_grad():
            action = PPOPolicy.from_pretrained(folder).select_action(
                {"observation.state": torch.tensor(seen)}
            )
        assert np.array_equal(action.numpy(), expected)
