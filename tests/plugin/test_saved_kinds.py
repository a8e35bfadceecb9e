"""Ports of every kind are saved and loaded with the same bytes, and old ports still load."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from lerobot.policies.factory import make_pre_post_processors
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from safetensors.torch import load_file, save_file
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from lerobot_policy_ppo import VecNormalizeProcessorStep, make_ppo_pre_post_processors
from tests.gym_spaces import (
    flat_size,
    image_shape,
    is_image,
    observation_parts,
    space_from_json,
    space_to_json,
)

from .oracles import ACTIONS, VECTOR, make_config, make_pair, observations, port_input
from .test_recurrent import CASES as RECURRENT
from .test_spaces_parity import CASES, MIXED, OBSERVATIONS

KINDS: dict[str, dict[str, Any]] = {
    **{name: CASES[name] for name in ("image-shared", "image-separate", "dict-shared", "dict-separate")},
    **{name: CASES[name] for name in CASES if name.startswith("action-")},
    "discrete-shared": CASES["discrete-shared"],
    "maskable": {"action": spaces.MultiDiscrete([2, 3], start=[1, 1]), "maskable": True},
    "shared-layers": {"net_arch": {"shared": [8], "pi": [4], "vf": []}},
    **{
        name: RECURRENT[name]
        for name in ("vector-own", "vector-linear", "vector-shared", "dict-separate-own")
    },
}
STATISTICS = "policy_preprocessor_step_2_sb3port_vec_normalize.safetensors"
NEW_FIELDS = (
    "features_extractor_kwargs",
    "share_features_extractor",
    "maskable",
    "lstm_hidden_size",
    "n_lstm_layers",
    "shared_lstm",
    "enable_critic_lstm",
)


def port_of(kind: str) -> PPOPolicy:
    if kind == "shared-layers":
        return PPOPolicy(make_config(VECTOR, ACTIONS, **KINDS[kind]))
    return make_pair(**KINDS[kind])[1]


def statistics(port: PPOPolicy) -> VecNormalizeProcessorStep | None:
    """Statistics for every Box that is no image."""
    rng = np.random.default_rng(0)
    boxes = {
        key: flat_size(part)
        for key, part in observation_parts(port.config.gym_observation_space()).items()
        if isinstance(part, spaces.Box) and not is_image(part)
    }
    stats = {
        key: {"mean": rng.normal(size=n), "var": rng.uniform(0.1, 2, size=n), "count": 12.5}
        for key, n in boxes.items()
    }
    return VecNormalizeProcessorStep(stats=stats) if stats else None


def save(folder: Path, port: PPOPolicy) -> Path:
    for part in (port, *make_ppo_pre_post_processors(port.config, vec_normalize=statistics(port))):
        part.save_pretrained(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def batch_for(port: PPOPolicy, n: int = 7) -> dict[str, Tensor]:
    space = port.config.gym_observation_space()
    return port_input(space, observations(space, n))


@pytest.mark.parametrize("kind", KINDS)
def test_round_trip_gives_the_same_bytes(kind: str, tmp_path: Path) -> None:
    port = port_of(kind).eval()
    first = save(tmp_path / "first", port)
    policy = PPOPolicy.from_pretrained(first)
    pre, post = make_pre_post_processors(policy.config, pretrained_path=str(first))
    for part in (policy, pre, post):
        part.save_pretrained(tmp_path / "second")
    assert contents(first) == contents(tmp_path / "second")
    assert (STATISTICS in contents(first)) == (statistics(port) is not None)
    assert list(load_file(first / "model.safetensors")) == sorted(dict(port.named_parameters()))
    batch = pre(batch_for(port))
    assert torch.equal(post(policy.select_action(dict(batch))), post(port.select_action(dict(batch))))


@pytest.mark.parametrize("kind", KINDS)
def test_loading_is_strict(kind: str, tmp_path: Path) -> None:
    folder = save(tmp_path, port_of(kind))
    tensors = load_file(folder / "model.safetensors")
    for name in list(tensors)[:: max(1, len(tensors) // 4)]:
        without = {key: tensor for key, tensor in tensors.items() if key != name}
        save_file(without, folder / "model.safetensors")
        with pytest.raises(ValueError, match=f"{name} is missing"):
            PPOPolicy.from_pretrained(folder)
    save_file({**tensors, "lstm_critic.extra": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"lstm_critic\.extra is unknown"):
        PPOPolicy.from_pretrained(folder)


@pytest.mark.parametrize("kind", ["action-box", "action-discrete", "action-gsde"])
def test_ports_without_the_new_fields_load(kind: str, tmp_path: Path) -> None:
    port = port_of(kind).eval()
    folder = save(tmp_path, port)
    config = json.loads((folder / "config.json").read_text())
    for name in NEW_FIELDS:
        del config[name]
    (folder / "config.json").write_text(json.dumps(config, indent=4))
    again = PPOPolicy.from_pretrained(folder)
    batch = batch_for(port)
    actions = port.predict(batch)[0]
    assert torch.equal(again.predict(batch)[0], actions)
    for got, expected in zip(
        again.evaluate_actions(batch, actions), port.evaluate_actions(batch, actions), strict=True
    ):
        assert (got is None and expected is None) or torch.equal(got, expected)
    again.save_pretrained(tmp_path / "again")
    assert set(json.loads((tmp_path / "again" / "config.json").read_text())) == {*config, *NEW_FIELDS}


@pytest.mark.parametrize("kind", KINDS)
def test_steps(kind: str) -> None:
    """LeRobot's own step batches vectors and images; ours is there for all else, after the statistics."""
    port = port_of(kind)
    pre, _ = make_ppo_pre_post_processors(port.config, vec_normalize=statistics(port))
    names = [type(step)._registry_name for step in pre.steps]
    box = isinstance(port.config.gym_observation_space(), spaces.Box)
    assert ("sb3port_to_batch" in names) == (port.config.maskable or not box)
    if statistics(port):
        assert names[2] == "sb3port_vec_normalize"
    assert names[-2:] == ["device_processor", "normalizer_processor"]


@pytest.mark.parametrize("name", OBSERVATIONS)
def test_single_observations_get_a_batch_dimension(name: str) -> None:
    _, port = make_pair(**OBSERVATIONS[name])
    pre, _ = make_ppo_pre_post_processors(port.config, vec_normalize=statistics(port))
    batch = batch_for(port)
    rows = pre(dict(batch))
    for row in range(3):
        one = pre({key: x[row] for key, x in batch.items()})
        again = pre({key: x[row : row + 1] for key, x in batch.items()})
        for key, x in one.items():
            if key.startswith("observation."):
                assert torch.equal(x, rows[key][row : row + 1]), key
        assert torch.equal(port.predict_values(one), port.predict_values(again))
    if isinstance(OBSERVATIONS[name]["observation"], spaces.Discrete):
        number = pre({"observation.state": batch["observation.state"][0, 0]})
        assert torch.equal(
            port.predict_values(number),
            port.predict_values(pre({"observation.state": batch["observation.state"][:1]})),
        )


def test_one_element_features_of_a_dataset() -> None:
    """LeRobot's datasets give them as `(B,)`."""
    _, port = make_pair(**OBSERVATIONS["dict"])
    pre, _ = make_ppo_pre_post_processors(port.config)
    batch = batch_for(port)
    squeezed = {
        key: x.squeeze(1) if key in ("observation.one", "observation.choice") else x
        for key, x in batch.items()
    }
    assert torch.equal(port.predict_values(pre(squeezed)), port.predict_values(pre(batch)))


def test_vec_normalize_of_some_keys_of_a_dict() -> None:
    """Against SB3's VecNormalize with `norm_obs_keys`."""
    oracle = VecNormalize.__new__(VecNormalize)
    oracle.norm_obs, oracle.clip_obs, oracle.epsilon = True, 0.7, 1e-3
    oracle.norm_obs_keys = ["one", "z"]
    rng = np.random.default_rng(3)
    oracle.obs_rms = {name: RunningMeanStd(shape=MIXED[name].shape) for name in oracle.norm_obs_keys}
    for rms in oracle.obs_rms.values():
        rms.mean, rms.var = rng.normal(size=rms.mean.shape), rng.uniform(0.1, 4, size=rms.var.shape)
    raw = observations(MIXED, 40)
    expected = port_input(MIXED, oracle.normalize_obs({name: part.copy() for name, part in raw.items()}))
    step = VecNormalizeProcessorStep(
        clip_obs=oracle.clip_obs,
        epsilon=oracle.epsilon,
        stats={
            f"observation.{name}": {
                "mean": rms.mean.reshape(-1),
                "var": rms.var.reshape(-1),
                "count": rms.count,
            }
            for name, rms in oracle.obs_rms.items()
        },
    )
    _, port = make_pair(**OBSERVATIONS["dict"])
    pre, _ = make_ppo_pre_post_processors(port.config, vec_normalize=step)
    got = pre(port_input(MIXED, raw))
    for key, x in expected.items():
        assert torch.equal(got[key].double(), x.double()), key
    assert not torch.equal(got["observation.z"].double(), torch.as_tensor(raw["z"].reshape(40, -1)).double())
    assert set(step.state_dict()) == {
        f"observation.{k}.{s}" for k in ("one", "z") for s in ("mean", "var", "count")
    }


@pytest.mark.parametrize(
    "space",
    [
        MIXED,
        spaces.MultiDiscrete([3, 2], start=[1, -4]),
        spaces.MultiDiscrete([[3, 2], [4, 5]]),
        spaces.MultiBinary(5),
        spaces.MultiBinary([2, 3]),
    ],
    ids=str,
)
def test_json_of_spaces(space: spaces.Space) -> None:
    form = json.loads(json.dumps(space_to_json(space)))
    again = space_from_json(form)
    assert again == space
    assert space_to_json(again) == form
    if isinstance(space, spaces.Dict):
        assert list(again.spaces) == list(space.spaces) != sorted(space.spaces)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 36, 40), (3, 36, 40)),
        ((36, 40, 3), (3, 36, 40)),
        ((4, 4, 4), (4, 4, 4)),
        ((9, 8, 12), (12, 9, 8)),
    ],
)
@pytest.mark.filterwarnings("ignore:Treating image space as channels-last")
def test_channels_are_where_sb3_takes_them(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    from stable_baselines3.common.preprocessing import is_image_space_channels_first

    space = spaces.Box(0, 255, shape, np.uint8)
    assert image_shape(space) == expected
    assert is_image_space_channels_first(space) == (shape == expected)
