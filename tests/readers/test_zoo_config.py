"""rl_zoo3's hyperparameters as data: every form that its `exp_manager.py` takes."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sb3port.checkpoint.checkpoint import Wrapper
from sb3port.checkpoint.schedules import ConstantSchedule, SimpleLinearSchedule
from sb3port.errors import NotPortable, UsageError
from sb3port.readers.meaning.zoo_config import ZooConfig, read_zoo_config
from tests.golden.test_zoo import MODELS

TIME = "sb3_contrib.common.wrappers.TimeFeatureWrapper"


def read(text: str, env_id: str | None = None) -> ZooConfig:
    return read_zoo_config(text.encode(), env_id)


def saved(**hyperparameters: Any) -> ZooConfig:
    """Read what rl_zoo3's `_save_config` writes of these."""
    ordered = OrderedDict(sorted(hyperparameters.items()))
    return read_zoo_config(yaml.dump(ordered).encode())


def test_what_rl_zoo3_saves() -> None:
    config = saved(
        n_envs=8,
        n_timesteps=1e6,
        policy="MlpPolicy",
        learning_rate="lin_3e-4",
        clip_range=0.2,
        n_steps=32,
        gamma=0.98,
        use_sde=True,
        target_kl=None,
    )
    assert (config.n_envs, config.n_timesteps, config.policy) == (8, 1_000_000, "MlpPolicy")
    assert config.schedules == {
        "learning_rate": SimpleLinearSchedule(3e-4),
        "clip_range": ConstantSchedule(0.2),
    }
    assert config.hyperparameters == {"gamma": 0.98, "n_steps": 32, "use_sde": True, "target_kl": None}
    assert (config.normalize, config.frame_stack, config.env_wrapper, config.unknown) == (False, None, (), ())


@pytest.mark.parametrize(
    ("value", "schedule"),
    [
        ("3e-4", ConstantSchedule(3e-4)),  # a text in YAML 1.1
        ("'0.1'", ConstantSchedule(0.1)),
        ("!!float 1e-3", ConstantSchedule(1e-3)),
        ("1", ConstantSchedule(1.0)),
        ("lin_0.001", SimpleLinearSchedule(0.001)),
    ],
)
def test_schedules(value: str, schedule: object) -> None:
    assert read(f"learning_rate: {value}").schedules["learning_rate"] == schedule


def test_no_clip_range_of_the_value_function() -> None:
    assert read("clip_range_vf: -1").schedules == {}
    assert read("clip_range_vf: null").schedules == {}


@pytest.mark.parametrize(
    ("text", "normalize", "kwargs"),
    [
        ("normalize: true\ngamma: 0.9", True, {"gamma": 0.9}),
        ("normalize: false\ngamma: 0.9", False, {}),
        (
            "normalize: \"{'norm_obs': True, 'norm_reward': False}\"",
            True,
            {"norm_obs": True, "norm_reward": False},
        ),
        ("normalize: dict(norm_obs=False, clip_obs=-1)", True, {"norm_obs": False, "clip_obs": -1}),
        ("normalize: {norm_reward: false}", True, {"norm_reward": False}),
        ("normalize: true\nnormalize_kwargs: {norm_obs: true}", True, {"norm_obs": True}),
    ],
)
def test_normalization(text: str, normalize: bool, kwargs: dict[str, Any]) -> None:
    config = read(text)
    assert (config.normalize, config.normalize_kwargs) == (normalize, kwargs)
    assert config.normalizes_observations == (normalize and kwargs.get("norm_obs", True))


@pytest.mark.parametrize(
    ("value", "wrappers"),
    [
        (TIME, [Wrapper(TIME)]),
        (f"[{TIME}, a.B]", [Wrapper(TIME), Wrapper("a.B")]),
        (f"[{{{TIME}: {{max_steps: 5}}}}, a.B]", [Wrapper(TIME, {"max_steps": 5}), Wrapper("a.B")]),
        (f"{{{TIME}: null}}", [Wrapper(TIME)]),
        ("null", []),
    ],
)
@pytest.mark.parametrize("key", ["env_wrapper", "vec_env_wrapper", "callback"])
def test_wrappers_and_callbacks(key: str, value: str, wrappers: list[Wrapper]) -> None:
    assert getattr(read(f"{key}: {value}"), key) == tuple(wrappers)


def test_policy_kwargs_name_classes() -> None:
    text = """dict(log_std_init=-2.7, activation_fn=nn.ReLU, optimizer_class=th.optim.Adam, share=None,
        net_arch=[dict(pi=[256, 256], vf=[16])], optimizer_kwargs={'eps': 1e-5, 'betas': (0.9, 0.99)})"""
    assert saved(policy_kwargs=text).policy_kwargs == {
        "log_std_init": -2.7,
        "activation_fn": "ReLU",
        "optimizer_class": "Adam",
        "share": None,
        "net_arch": [{"pi": [256, 256], "vf": [16]}],
        "optimizer_kwargs": {"eps": 1e-5, "betas": (0.9, 0.99)},
    }
    assert read("policy_kwargs: dict(optimizer_class=RMSpropTFLike)").policy_kwargs == {
        "optimizer_class": "RMSpropTFLike"
    }


def test_configurations_that_were_python_files() -> None:
    config = saved(policy_kwargs={"activation_fn": torch.nn.ReLU, "net_arch": (8, 8)})
    assert config.policy_kwargs == {"activation_fn": "ReLU", "net_arch": (8, 8)}


def test_environment_arguments() -> None:
    assert read("env_kwargs: {goal_velocity: 0.1}").env_kwargs == {"goal_velocity": 0.1}
    assert read("env_kwargs: dict(g=9.8)\nframe_stack: 4").frame_stack == 4


def test_unknown_keys_are_named() -> None:
    assert read("gamma: 0.9\ntrain_freq: 4\nbuffer_size: 10").unknown == ("buffer_size", "train_freq")


MANY = """
default: {n_timesteps: !!float 1e6, policy: MlpPolicy}
atari: &atari {frame_stack: 4, n_envs: 8, policy: CnnPolicy}
Hopper-v4: &mujoco {normalize: true, n_timesteps: !!float 1e6, gamma: 0.99}
Ant-v4:
  <<: *mujoco
  gamma: 0.9
"""


def test_files_of_many_environments() -> None:
    ant = read(MANY, "Ant-v4")
    assert (ant.normalize, ant.n_timesteps, ant.hyperparameters) == (True, 1_000_000, {"gamma": 0.9})
    assert read(MANY, "BreakoutNoFrameskip-v4").frame_stack == 4
    assert read(MANY, "Pendulum-v1").policy == "MlpPolicy"
    with pytest.raises(UsageError, match="many environments") as caught:
        read(MANY)
    assert "Ant-v4" in str(caught.value.hint)
    with pytest.raises(UsageError, match="no hyperparameters for Pendulum-v1"):
        read("Ant-v4: {gamma: 0.9}", "Pendulum-v1")


def test_a_path_is_named_in_messages(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text("n_steps: many")
    with pytest.raises(NotPortable, match=r"mine\.yml: n_steps is of the wrong kind: 'many'"):
        read_zoo_config(tmp_path / "mine.yml")
    with pytest.raises(NotPortable, match=r"absent\.yml cannot be read"):
        read_zoo_config(tmp_path / "absent.yml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a file of hyperparameters"),
        ("[1, 2]", "not a file of hyperparameters"),
        ("a: [", "is not YAML"),
        ("n_steps: 1.5", "n_steps is of the wrong kind"),
        ("n_steps: true", "n_steps is of the wrong kind"),
        ("gamma: .inf\nn_steps: .inf", "n_steps is of the wrong kind"),
        ("use_sde: 1", "use_sde is of the wrong kind"),
        ("learning_rate: cosine_3", "neither a number nor a schedule"),
        ("learning_rate: .nan", "a number that is too large, or none"),
        ("learning_rate: [1]", "neither a number nor a schedule"),
        ("frame_stack: -4", "no number of observations"),
        ("env_wrapper: {a.B: {}, c.D: {}}", "neither the name of a class"),
        ("env_wrapper: [[a.B]]", "neither the name of a class"),
        ("env_wrapper: a.B; rm -rf", "not the dotted name"),
        ("env_wrapper: {a.B: 3}", "not a dictionary of keyword arguments"),
        ("policy_kwargs: dict(a=)", "not an expression"),
        ("policy_kwargs: dict(a=b)", "neither a plain value"),
        ("policy_kwargs: dict(a=2**9)", "neither a plain value"),
        ("policy_kwargs: dict(**{})", "not an expression|holds the code"),
        ("policy_kwargs: '{**{}}'", "neither a plain value"),
        ("policy_kwargs: '[1]'", "not a dictionary"),
        ("policy_kwargs: '{1: 2}'", "not an expression"),
        ("1: 2", "a key that is not a text"),
        ("a: !mine 3", "the tag !mine"),
        ("a: !!binary YWJj", "the tag tag:yaml.org,2002:binary"),
    ],
)
def test_what_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(NotPortable, match=message) as caught:
        read(text)
    assert "\n" not in caught.value.message


@pytest.mark.zoo
@pytest.mark.parametrize("name", MODELS)
def test_zoo(name: str, zoo: Path) -> None:
    """As rl_zoo3 itself would load them."""
    content = yaml.load((zoo / name / "config.yml").read_text(), Loader=yaml.UnsafeLoader)
    config = read_zoo_config(zoo / name / "config.yml")
    assert config.unknown == ()
    assert config.n_timesteps == content.pop("n_timesteps")
    assert config.normalize == content.pop("normalize", False)
    assert [wrapper.name for wrapper in config.env_wrapper] == list(
        filter(None, [content.pop("env_wrapper", None)])
    )
    assert (config.n_envs, config.policy) == (content.pop("n_envs", 1), content.pop("policy"))
    rates = {key: content.pop(key) for key in ("learning_rate", "clip_range") if key in content}
    starts = {key: float(str(value).removeprefix("lin_")) for key, value in rates.items()}
    assert {key: schedule(1.0) for key, schedule in config.schedules.items()} == starts
    evaluated = eval(content.pop("policy_kwargs", "{}"), {"nn": torch.nn})
    classes = {key: getattr(value, "__name__", value) for key, value in evaluated.items()}
    assert config.policy_kwargs == classes
    assert config.hyperparameters == content
