"""What SB3's policies had once: cases of it that no fixture has, made of those that do."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from gymnasium import spaces
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import create_mlp

from sb3port.errors import NotPortable
from tests.golden.test_eras import ERAS
from tests.plugin.oracles import ACTIONS, VECTOR, make_config
from tests.ports import port_of
from tests.readers.making import change, save

SEPARATE = ERAS / "1.0" / "ppo-gsde-features" / "ppo-gsde-features.zip"


def state_of(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(io.BytesIO(zipfile.ZipFile(path).read("policy.pth")), weights_only=True)


def without_layers(path: Path, version: bytes) -> Path:
    """The checkpoint as it were with `sde_net_arch=[]`: the noise depends on the features themselves."""
    state = {name: tensor for name, tensor in state_of(SEPARATE).items() if not name.startswith("sde_")}
    state["log_std"] = torch.linspace(-1, 0, 8).reshape(4, 2)
    raw = io.BytesIO()
    torch.save(state, raw)
    kwargs = {"sde_net_arch": [], "log_std_init": -1.0, "net_arch": [{"pi": [8], "vf": [8]}]}
    return change(
        SEPARATE,
        path,
        {"policy_kwargs": kwargs},
        policy_pth=raw.getvalue(),
        _stable_baselines3_version=version,
    )


def test_noise_may_depend_on_the_features_themselves(tmp_path: Path) -> None:
    done = port_of(without_layers(tmp_path / "model.zip", b"1.0"), tmp_path / "port")
    assert done.checkpoint.spec.sde_net_arch == ()
    assert done.report is not None
    assert done.report.verdict == "bit-exact"


def test_later_versions_left_sde_net_arch_aside(tmp_path: Path) -> None:
    """From 1.3 on `log_std` is as wide as the policy's latent, whatever `sde_net_arch` says."""
    with pytest.raises(NotPortable, match=r"log_std is \(4, 2\) instead of \(8, 2\)"):
        port_of(without_layers(tmp_path / "model.zip", b"1.3.0"), tmp_path / "port")


def test_features_for_the_noise_learn_from_it() -> None:
    """SB3 1.0 set `learn_features` for an extractor of gSDE's own; the policy's latent never learned."""
    torch.manual_seed(0)
    policy = PPOPolicy(make_config(VECTOR, ACTIONS, use_sde=True, sde_net_arch=[6], net_arch={"pi": [4]}))
    batch = {"observation.state": torch.randn(8, 5)}
    _, _, entropy = policy.evaluate_actions(batch, torch.randn(8, 3))
    assert entropy is not None
    entropy.sum().backward()
    gradients = {name for name, p in policy.named_parameters() if p.grad is not None and p.grad.any()}
    assert gradients == {"log_std", "sde_features_extractor.0.weight", "sde_features_extractor.0.bias"}


def test_initialisation_draws_what_sb3_drew() -> None:
    """SB3 1.0 made the extractor for the noise between the networks and the action layer."""
    torch.manual_seed(1)
    config = make_config(VECTOR, ACTIONS, use_sde=True, sde_net_arch=[6, 4], net_arch={}, ortho_init=False)
    policy = PPOPolicy(config)
    torch.manual_seed(1)
    expected = torch.nn.Sequential(*create_mlp(5, -1, [6, 4], torch.nn.Tanh))
    assert policy.sde_features_extractor is not None
    for ours, theirs in zip(policy.sde_features_extractor.parameters(), expected.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert policy.action_net.weight.equal(torch.nn.Linear(5, 3).weight)


@pytest.mark.parametrize("action", [spaces.Discrete(3), spaces.MultiBinary(2)])
def test_squash_output_means_nothing_to_choices(action: spaces.Space[Any], tmp_path: Path) -> None:
    """SB3 before 2.2.1 let it be set for any policy, and only unscaled Box actions."""
    new = save(PPO, tmp_path / "new.zip", action=action)
    old = {"policy_kwargs": {"net_arch": [4], "squash_output": True}}
    done = port_of(change(new, tmp_path / "model.zip", old), tmp_path / "port")
    assert done.report is not None
    assert done.report.verdict == "bit-exact"
