"""What SB3 and sb3-contrib build and save, ported, to the bit.

Every case is saved by SB3 with weights of our choosing, read, ported, loaded by LeRobot, and compared with
the model itself: most likely actions, random ones from the same noise, values, log-probabilities, entropies,
and the memory of recurrent policies.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lerobot.configs.policies import PreTrainedConfig
from lerobot.optim.optimizers import load_optimizer_state
from sb3_contrib import RecurrentPPO
from stable_baselines3 import A2C
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike

from lerobot_policy_ppo import PPOConfig
from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.ports.manifest import normalizer_json, spec_json
from sb3port.ports.reading import read_port
from tests.conformance.asking import assert_same_rollout, extras_for, port_says, sb3_says
from tests.conformance.building import observe, saved
from tests.conformance.cases import CASES, cases
from tests.lerobot.test_saved_files import assert_same_files, saved_again
from tests.ports import assert_same_bits, port_of
from tests.readers.making import read, save


@pytest.mark.parametrize("name", cases(every=10, others=2))
def test_port_computes_what_sb3_computes(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    model, normalizer = saved(case, tmp_path / name)
    done = port_of(tmp_path / name, tmp_path / "port")
    assert done.report is not None
    assert done.report.verdict == "bit-exact"
    observations, extras = observe(case.observation), extras_for(case)
    normalized = normalizer.normalize_obs(observations) if normalizer else observations
    expected, actions = sb3_says(model, normalized, extras)
    assert_same_bits(port_says(tmp_path / "port", observations, extras, actions), expected)
    if case.algorithm is RecurrentPPO:
        assert_same_rollout(model, tmp_path / "port", observations, normalized)
    assert_same_parameters(model, done.checkpoint)
    assert_same_checkpoint(read_port(tmp_path / "port"), done.checkpoint)


def assert_same_parameters(model: Any, checkpoint: Checkpoint) -> None:
    """The port has SB3's parameters, in SB3's order, by which the optimiser's state is numbered."""
    parameters = dict(model.policy.named_parameters())
    numbered = dict(enumerate(parameters.values()))
    assert list(checkpoint.tensors) == list(parameters)
    left_out = set(model.policy.state_dict()) - set(parameters)
    assert set(checkpoint.provenance.ignored) == left_out
    assert checkpoint.optimizer is not None
    assert checkpoint.optimizer.count == len(parameters)
    for number, state in checkpoint.optimizer.state.items():
        original = model.policy.optimizer.state[numbered[number]]
        for key, value in state.items():
            assert torch.equal(torch.as_tensor(np.array(value)), torch.as_tensor(original[key]).cpu())


def assert_same_checkpoint(again: Checkpoint, original: Checkpoint) -> None:
    """A port reads back as what was written."""
    assert spec_json(again.spec) == spec_json(original.spec)
    assert again.training == original.training
    assert [(key, a.tobytes()) for key, a in again.tensors.items()] == [
        (key, a.tobytes()) for key, a in original.tensors.items()
    ]
    assert normalizer_json(again.normalizer) == normalizer_json(original.normalizer)
    if original.normalizer is not None:
        assert again.normalizer is not None
        for key, rms in original.normalizer.statistics.items():
            ours = again.normalizer.statistics[key]
            assert ours.mean.shape == rms.mean.shape
            assert (ours.mean.tobytes(), ours.var.tobytes()) == (rms.mean.tobytes(), rms.var.tobytes())


ONE_OF_EACH = ("ppo-sees-dict-of-all", "cnn-apart", "mask-seen", "lstm-shared", "dict-normalized")


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_port_saved_again_is_the_same(name: str, tmp_path: Path) -> None:
    """What is written without LeRobot is what LeRobot writes."""
    saved(CASES[name], tmp_path / name)
    spec = port_of(tmp_path / name, tmp_path / "port", verify=False).checkpoint.spec
    saved_again(tmp_path / "port", tmp_path / "again")
    assert_same_files(tmp_path / "port", tmp_path / "again")
    spaces_only = PPOConfig(
        observation_space=spec.observation_space.to_json(),
        action_space=spec.action_space.to_json(),
        maskable=spec.maskable,
    )
    spaces_only.features_extractor = spec.features_extractor
    spaces_only.validate_features()
    assert spaces_only.input_features == PreTrainedConfig.from_pretrained(tmp_path / "port").input_features


@pytest.mark.parametrize("name", ["ppo-gsde", "a2c-box", "trpo-box", "ppo-discrete"])
def test_optimiser_state_is_carried(name: str, tmp_path: Path) -> None:
    model, _ = saved(CASES[name], tmp_path / name)
    port_of(tmp_path / name, tmp_path / "port", verify=False)
    parameters = list(model.policy.parameters())
    fresh = type(model.policy.optimizer)(parameters, lr=1.0)
    load_optimizer_state(fresh, tmp_path / "port" / "training_state")
    original = model.policy.optimizer.state_dict()
    loaded = fresh.state_dict()
    assert _listed(loaded["param_groups"]) == _listed(original["param_groups"])
    assert loaded["state"].keys() == original["state"].keys()
    for index, tensors in original["state"].items():
        for key, value in tensors.items():
            carried = torch.as_tensor(loaded["state"][index][key])
            assert torch.equal(carried, torch.as_tensor(value)), (index, key)


def _listed(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """JSON knows no tuples."""
    return [{k: list(v) if isinstance(v, tuple) else v for k, v in group.items()} for group in groups]


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({}, "RMSprop"),
        ({"use_rms_prop": False}, "Adam"),
        (
            {"policy_kwargs": {"optimizer_class": RMSpropTFLike, "optimizer_kwargs": {"eps": 1e-5}}},
            "RMSpropTFLike",
        ),
    ],
)
def test_optimiser_is_named_as_it_is(kwargs: dict[str, Any], expected: str, tmp_path: Path) -> None:
    checkpoint = read(save(A2C, tmp_path / "m.zip", **kwargs))
    assert checkpoint.training.optimizer_class == expected
    assert checkpoint.optimizer is not None
