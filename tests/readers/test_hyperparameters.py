"""Which settings are believed where a zip and `config.yml` do not agree."""

import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import sb3_contrib
import stable_baselines3

from sb3port.checkpoint.checkpoint import ConfiguredTraining, TrainingSettings
from sb3port.checkpoint.schedules import (
    ConstantSchedule,
    CustomSchedule,
    LinearSchedule,
    Schedule,
    SimpleLinearSchedule,
)
from sb3port.families.algorithms import A2C, ALGORITHMS, PPO
from sb3port.families.hyperparameters import believed, training_doubts, true_settings
from tests.ports import port_of

from .making import read

RATE = "learning_rate"
LOST = ConstantSchedule(0.0)
CUSTOM = CustomSchedule("f", (0.1,))
LINEAR = SimpleLinearSchedule(7e-4)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda algorithm: algorithm.name)
def test_default_rates_are_those_of_sb3(algorithm: Any) -> None:
    package = stable_baselines3 if hasattr(stable_baselines3, algorithm.name) else sb3_contrib
    signature = inspect.signature(getattr(package, algorithm.name))
    # ARS's attribute is named for what it is made into.
    arguments = {name: name.removesuffix("_schedule") for name in algorithm.schedules}
    defaults = {name: signature.parameters[argument].default for name, argument in arguments.items()}
    assert {name: value for name, value in defaults.items() if value is not None} == algorithm.default_rates


@pytest.mark.parametrize(
    ("saved", "configured", "true"),
    [
        (ConstantSchedule(0.1), None, ConstantSchedule(0.1)),
        (ConstantSchedule(0.1), {}, ConstantSchedule(0.1)),
        (ConstantSchedule(0.1), {RATE: LINEAR}, ConstantSchedule(0.1)),
        (LOST, None, None),
        (LOST, {}, ConstantSchedule(3e-4)),
        (LOST, {RATE: LINEAR}, LINEAR),
        (CUSTOM, None, None),
        (CUSTOM, {RATE: LINEAR}, LINEAR),
        (ConstantSchedule(3e-4), {RATE: LINEAR}, LINEAR),
        (ConstantSchedule(3e-4), {}, ConstantSchedule(3e-4)),
        (LinearSchedule(7e-4, 0.0, 1.0), {RATE: LINEAR}, LinearSchedule(7e-4, 0.0, 1.0)),
    ],
)
def test_schedules(saved: Schedule, configured: dict[str, Schedule] | None, true: Schedule | None) -> None:
    training = TrainingSettings({RATE: saved}, {}, "Adam")
    config = None if configured is None else ConfiguredTraining(configured)
    assert believed(training, config, PPO).schedules == ({} if true is None else {RATE: true})


@pytest.mark.parametrize(("saved", "configured", "true"), [(1, 8, 8), (4, 8, 4), (1, None, 1)])
def test_number_of_environments(saved: int, configured: int | None, true: int) -> None:
    training = TrainingSettings({}, {"n_envs": saved, "n_steps": 5}, "Adam")
    config = None if configured is None else ConfiguredTraining({}, {"n_envs": configured, "n_steps": 7})
    assert believed(training, config, A2C).hyperparameters == {"n_envs": true, "n_steps": 5}


def doubts(schedules: dict[str, Schedule], config: ConfiguredTraining | None, **settings: Any) -> list[str]:
    return training_doubts(TrainingSettings(schedules, settings, "Adam"), config, PPO)


def test_doubts_are_said_in_sentences() -> None:
    config = ConfiguredTraining(
        {RATE: LINEAR, "clip_range": ConstantSchedule(0.1)}, {"n_envs": 8, "n_steps": 5}
    )
    saved: dict[str, Schedule] = {RATE: LOST, "clip_range": ConstantSchedule(0.2)}
    assert doubts(saved, config, n_envs=1, n_steps=6, gamma=0.9) == [
        "learning_rate is 0 in the file, as after loading with a placeholder and saving again: its value is "
        "lost, training goes on with linear 0.0007 to 0",
        "the zip has other settings than config.yml: clip_range 0.2 (config.yml: 0.1), n_envs 1 "
        "(config.yml: 8), n_steps 6 (config.yml: 5); training goes on with config.yml's clip_range, n_envs",
    ]
    assert "it must be given anew" in doubts({RATE: CUSTOM}, None)[0]


def test_no_doubts_where_both_agree() -> None:
    config = ConfiguredTraining({RATE: LINEAR}, {"max_grad_norm": 5, "n_timesteps": 10})
    assert doubts({RATE: LinearSchedule(7e-4, 0.0, 1.0)}, config, max_grad_norm=5.0, num_timesteps=16) == []


def test_a_port_tells_the_same(tmp_path: Path, pendulum: Path) -> None:
    folder = Path(shutil.copytree(pendulum, tmp_path / "source"))
    (folder / "config.yml").write_text("learning_rate: lin_0.5\nn_steps: 3")
    port_of(folder, tmp_path / "port", verify=False)
    from sb3port.ports.reading import read_port

    assert true_settings(read_port(tmp_path / "port")) == true_settings(read(folder))


@pytest.mark.zoo
@pytest.mark.parametrize(
    ("name", "rate"), [("a2c-CartPole-v1", ConstantSchedule(7e-4)), ("a2c-Pendulum-v1", LINEAR)]
)
def test_zoo_models_that_lost_their_learning_rate(
    name: str, rate: Schedule, zoo: Path, tmp_path: Path
) -> None:
    checkpoint = read(zoo / name)
    assert checkpoint.training.schedules[RATE] == LOST
    assert true_settings(checkpoint).schedules[RATE] == rate
    (warning,) = checkpoint.warnings
    assert warning.startswith("learning_rate is 0 in the file")
    port_of(zoo / name, tmp_path / "port", verify=False)
    config = json.loads((tmp_path / "port" / "config.json").read_text())
    assert config["optimizer_lr"] == 7e-4
