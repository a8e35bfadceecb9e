"""Exports to SB3: shared layers, schedules, places, and ports that are not what they say."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from stable_baselines3 import PPO
from stable_baselines3.common.utils import LinearSchedule

import sb3port
from sb3port.checkpoint.schedules import ConstantSchedule
from sb3port.commands.policies import ReadOptions, read_policy
from sb3port.errors import NotPortable, UsageError
from sb3port.exports.zoo_form import zoo_form
from sb3port.families.hyperparameters import true_settings
from tests.conftest import REPOSITORY
from tests.exports import REFUSED, export_of, repaired, zip_of
from tests.ports import port_of
from tests.readers.making import save

ERAS = REPOSITORY / "fixtures" / "eras"


def test_shared_layers_become_two_copies(tmp_path: Path) -> None:
    done = repaired(ERAS / "1.6.2" / "ppo-shared", tmp_path / "repaired")
    assert done.report is not None
    assert done.report.verdict == "bit-exact"
    assert any("shared layers" in warning for warning in done.checkpoint.warnings)
    original = read_policy(ERAS / "1.6.2" / "ppo-shared")
    policy = PPO.load(zip_of(done), device="cpu").policy
    shared = torch.as_tensor(np.array(original.tensors["mlp_extractor.shared_net.0.weight"]))
    nets = policy.mlp_extractor
    assert torch.equal(nets.policy_net[0].weight, shared)
    assert torch.equal(nets.value_net[0].weight, shared)
    moments = policy.optimizer.state_dict()["state"]
    names = [name for name, _ in policy.named_parameters()]
    assert {names[number] for number in range(len(names)) if number not in moments} == {
        f"mlp_extractor.{net}.0.{part}" for net in ("policy_net", "value_net") for part in ("weight", "bias")
    }


def test_linear_schedules_keep_their_values(cartpole: Path, tmp_path: Path) -> None:
    original = read_policy(cartpole).training.schedules
    model = PPO.load(zip_of(repaired(cartpole, tmp_path / "repaired", verify=False)), device="cpu")
    assert isinstance(model.learning_rate, LinearSchedule)
    for progress in (1.0, 0.7, 0.2, 0.0):
        assert model.lr_schedule(progress) == pytest.approx(original["learning_rate"](progress), rel=1e-12)
        assert model.clip_range(progress) == pytest.approx(original["clip_range"](progress), rel=1e-12)


def test_rates_can_be_given_anew(cartpole: Path, tmp_path: Path) -> None:
    done = repaired(cartpole, tmp_path / "repaired", verify=False, rates={"learning_rate": 5e-4})
    model = PPO.load(zip_of(done), device="cpu")
    assert model.learning_rate == 5e-4
    with pytest.raises(UsageError, match="has no clip_range_vf"):
        repaired(cartpole, tmp_path / "other", rates={"clip_range_vf": 0.1})
    assert not (tmp_path / "other").exists()


def test_zip_shows_that_statistics_belong_to_it(pendulum: Path, tmp_path: Path) -> None:
    done = repaired(pendulum, tmp_path / "repaired", verify=False)
    (done.folder / "vec_normalize.pkl").unlink()
    with pytest.raises(UsageError, match="trained with VecNormalize"):
        read_policy(done.folder)


def edited(port: Path, name: str, **fields: Any) -> Path:
    content = json.loads((port / name).read_text())
    (port / name).write_text(json.dumps({**content, **fields}))
    return port


CUSTOM = {"type": "CustomSchedule", "qualname": "main.<locals>.<lambda>", "constants": [0.1]}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"schedules": {"learning_rate": CUSTOM}}, "learning_rate is a custom function"),
        ({"optimizer_class": "Adamant"}, "optimiser Adamant"),
        ({"optimizer_class": "Tensor"}, "optimiser Tensor"),
        ({"optimizer_kwargs": {"momentum": 1}}, "SB3 cannot express this PPO model"),
    ],
)
def test_what_sb3_has_not_is_refused(
    fields: dict[str, Any], reason: str, pendulum: Path, tmp_path: Path
) -> None:
    port_of(pendulum, tmp_path / "port", verify=False)
    training = json.loads((tmp_path / "port" / "sb3port.json").read_text())["training"]
    edited(tmp_path / "port", "sb3port.json", training={**training, **fields}, configured=None)
    with pytest.raises((NotPortable, UsageError), match=reason):
        export_of(tmp_path / "port", tmp_path / "export")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["port"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_sb3_has_lost_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotPortable, match=REFUSED[name]):
        repaired(ERAS / name, tmp_path / "repaired")
    assert not any(tmp_path.iterdir())


def test_a_rate_that_was_lost_comes_from_config_yml(pendulum: Path, tmp_path: Path) -> None:
    port_of(pendulum, tmp_path / "port", verify=False)
    content = json.loads((tmp_path / "port" / "sb3port.json").read_text())
    zero, right = ({"type": "ConstantSchedule", "val": value} for value in (0.0, 0.0025))
    schedules = {**content["training"]["schedules"], "learning_rate": zero}
    configured = {"schedules": {"learning_rate": right}, "hyperparameters": {}}
    training = {**content["training"], "schedules": schedules}
    edited(tmp_path / "port", "sb3port.json", training=training, configured=configured)
    done = export_of(tmp_path / "port", tmp_path / "export", verify=False)
    assert PPO.load(zip_of(done), device="cpu").learning_rate == 0.0025


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "policy_preprocessor.json"])
def test_a_port_that_was_changed_is_refused(name: str, pendulum: Path, tmp_path: Path) -> None:
    port_of(pendulum, tmp_path / "port", verify=False)
    content = (tmp_path / "port" / name).read_bytes()
    changed = content.replace(b'"Tanh"', b'"ReLU"').replace(b"10.0", b"11.0")
    (tmp_path / "port" / name).write_bytes(changed[:-4] + bytes(4) if changed == content else changed)
    with pytest.raises(NotPortable, match=f"changed since the conversion: {name}"):
        export_of(tmp_path / "port", tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_nothing_is_replaced_without_force(pendulum: Path, tmp_path: Path) -> None:
    port_of(pendulum, tmp_path / "port", verify=False)
    export_of(tmp_path / "port", tmp_path / "a" / "b", verify=False)
    with pytest.raises(UsageError, match="exists"):
        export_of(tmp_path / "port", tmp_path / "a" / "b", verify=False)
    export_of(tmp_path / "port", tmp_path / "a" / "b", verify=False, force=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match="mine is not an export"):
        export_of(tmp_path / "port", tmp_path / "mine", verify=False, force=True)


def test_a_port_is_no_source_of_repair(pendulum: Path, tmp_path: Path) -> None:
    port_of(pendulum, tmp_path / "port", verify=False)
    with pytest.raises(UsageError, match="is a port"):
        repaired(tmp_path / "port", tmp_path / "repaired")


def test_python_has_both(pendulum: Path, tmp_path: Path) -> None:
    done = sb3port.repair(pendulum, tmp_path / "repaired", rates={"learning_rate": 1e-3}, verify=False)
    assert PPO.load(zip_of(done), device="cpu").learning_rate == 1e-3
    port = sb3port.convert(pendulum, tmp_path / "port", verify=False).port
    exported = sb3port.export(port, tmp_path / "export", to="numpy", outputs=["action", "value"])
    assert exported.files == ("ppo_Pendulum_v1.npz", "ppo_Pendulum_v1.py")
    assert exported.report is not None
    assert exported.report.holds()
    with pytest.raises(UsageError, match="is no format"):
        sb3port.export(port, tmp_path / "other", to="tflite")


def test_settings_beside_a_source_stay_beside_it(cartpole: Path, tmp_path: Path) -> None:
    """In plain YAML, which rl_zoo3 and sb3port read alike: no tag of Python's, and no text that runs."""
    done = repaired(cartpole, tmp_path / "repaired", verify=False)
    before, after = (read_policy(place) for place in (cartpole, done.folder))
    assert after.environment == before.environment
    assert after.warnings == before.warnings
    assert before.configured is not None
    assert after.configured is not None
    assert before.configured.hyperparameters.items() <= after.configured.hyperparameters.items()
    for name, schedule in before.configured.schedules.items():
        assert [after.configured.schedules[name](p) for p in (1.0, 0.5)] == [schedule(p) for p in (1.0, 0.5)]
    texts = {name: (done.folder / name).read_text() for name in ("config.yml", "args.yml")}
    assert not any("!!" in text for text in texts.values())
    loaded = {name: yaml.load(text, Loader=yaml.UnsafeLoader) for name, text in texts.items()}
    assert loaded["args.yml"] == {"algo": "ppo", "env": "CartPole-v1", "env_kwargs": None}
    assert loaded["config.yml"]["learning_rate"] == "lin_0.001"
    port = port_of(cartpole, tmp_path / "port", verify=False)
    exported = export_of(tmp_path / "port", tmp_path / "exported", verify=False)
    assert (exported.folder / "config.yml").read_text() == texts["config.yml"]
    assert port is not None


def test_a_given_rate_is_not_taken_back_by_config_yml(cartpole: Path, tmp_path: Path) -> None:
    """Not even SB3's own default, which is what a zip has that has lost its rate."""
    done = repaired(cartpole, tmp_path / "repaired", verify=False, rates={"learning_rate": 3e-4})
    again = read_policy(done.folder)
    assert true_settings(again).schedules["learning_rate"] == ConstantSchedule(3e-4)


def test_statistics_that_were_left_out_are_not_asked_for_again(pendulum: Path, tmp_path: Path) -> None:
    done = repaired(pendulum, tmp_path / "repaired", use_stats=False, verify=False)
    assert "normalize" not in (done.folder / "config.yml").read_text().replace("normalize_advantage", "")
    assert read_policy(done.folder).normalizer is None


def test_names_in_settings_become_no_code(tmp_path: Path) -> None:
    """rl_zoo3 evaluates `normalize`: a name that is none of VecNormalize's is not written into it."""
    name = "x=__import__('os').system('touch ran'), norm_reward"
    save(PPO, tmp_path / "model.zip")
    settings = {"normalize": {name: True, "norm_obs": False}, "policy": "MlpPolicy"}
    (tmp_path / "config.yml").write_text(yaml.safe_dump(settings))
    made = repaired(tmp_path / "model.zip", tmp_path / "repaired", use_stats=False, verify=False)
    assert "system" not in (made.folder / "config.yml").read_text()
    checkpoint = read_policy(tmp_path / "model.zip", ReadOptions(use_stats=False))
    assert zoo_form(checkpoint).content["normalize"] == "dict(norm_obs=False)"
    training = replace(
        checkpoint.training, optimizer_class="Adam); evil(", optimizer_kwargs={"eps=1), evil(x": 1}
    )
    assert "evil" not in str(zoo_form(replace(checkpoint, training=training)).content)
