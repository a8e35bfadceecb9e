"""Schedules that SB3 has no class for: what its users get of them in a zip, without code in it."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cloudpickle import cloudpickle
from stable_baselines3 import PPO
from stable_baselines3.common.utils import FloatSchedule

from sb3port.checkpoint.schedules import CustomSchedule, ExpressionSchedule
from sb3port.commands.policies import find_policy
from sb3port.commands.train import begin_finetuning
from sb3port.commands.training_arguments import RunOptions
from sb3port.errors import UsageError
from sb3port.exports.sb3_schedules import sb3_formula
from sb3port.ports.reading import read_port
from sb3port.readers.formats.pickles import read_pickle
from sb3port.readers.meaning.schedules import read_schedule
from tests.exports import export_of, repaired, zip_of
from tests.ports import port_of

FORMULAS = {
    "0.0003 * progress_remaining ** 2 + 1e-06": 1e-14,
    "(progress_remaining - 0.5) ** 3 * -0.001": 1e-14,
    "0.0003 if progress_remaining > 0.7 else 1e-05": 0.0,
    "0.0001 + 0.0002 * (1 + math.cos(math.pi * (1 - progress_remaining)))": 2e-7,
    "0.2 * progress_remaining ** 0.5": 2e-7,
    "max(progress_remaining * 0.001, 1e-05)": 2e-7,
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas_reach_sb3_without_code(formula: str) -> None:
    schedule = ExpressionSchedule(formula)
    pickled = cloudpickle.dumps(sb3_formula(schedule, "learning_rate"), protocol=4)
    names = set(map(str, read_pickle(pickled, "test").imports))
    assert names <= {"functools.partial", "numpy.polyval", "numpy.interp"}
    theirs = FloatSchedule(pickle.loads(pickled))
    progress = [*np.random.default_rng(0).random(500), 1.0, 0.5, 0.25, 0.0]
    largest = max(abs(schedule(p)) for p in progress)
    assert max(abs(theirs(p) - schedule(p)) for p in progress) <= FORMULAS[formula] * largest
    for wrapped in (theirs.value_schedule, theirs):  # SB3 wraps a clip range, and saves it so
        again = read_schedule(read_pickle(cloudpickle.dumps(wrapped), "test").value, "test")
        assert again == schedule


def test_a_formula_is_believed_only_where_it_gives_what_sb3_gets() -> None:
    lying = sb3_formula(ExpressionSchedule("0.1 * progress_remaining ** 3"), "learning_rate")
    vars(lying)["expression"] = "0.1 * progress_remaining ** 2"
    read = read_schedule(read_pickle(cloudpickle.dumps(lying), "test").value, "test")
    assert isinstance(read, CustomSchedule)


def test_a_curve_of_the_authors_own_goes_everywhere(tmp_path: Path) -> None:
    """The name is the tutorial's; the values are what counts."""

    def linear_schedule(initial_value: float) -> Callable[[float], float]:
        def func(progress_remaining: float) -> float:
            return progress_remaining * progress_remaining * initial_value

        return func

    model = PPO("MlpPolicy", "Pendulum-v1", learning_rate=linear_schedule(3e-4), device="cpu")
    model.save(tmp_path / "m.zip")
    port = port_of(tmp_path / "m.zip", tmp_path / "port", verify=False)
    read_again = read_port(tmp_path / "port").training.schedules["learning_rate"]
    assert read_again == port.checkpoint.training.schedules["learning_rate"]
    assert port.checkpoint.warnings == ()
    for done in (
        repaired(tmp_path / "m.zip", tmp_path / "repaired", verify=False),
        export_of(tmp_path / "port", tmp_path / "export", verify=False),
    ):
        loaded = PPO.load(zip_of(done), device="cpu")
        assert loaded.lr_schedule(0.5) == model.lr_schedule(0.5) == 7.5e-05
        assert any("SB3 has no class for the learning_rate" in said for said in done.checkpoint.warnings)
    options, policy = RunOptions("Pendulum-v1", steps=64), find_policy(tmp_path / "port")
    trainer, _ = begin_finetuning(policy, options, lambda _: None)
    assert trainer.settings.hyperparameters.learning_rate(0.5) == 7.5e-05
    config = json.loads((tmp_path / "port" / "config.json").read_text())
    assert config["optimizer_lr"] == 3e-4


def test_a_formula_without_a_value_is_not_written(tmp_path: Path) -> None:
    model = PPO("MlpPolicy", "Pendulum-v1", learning_rate=lambda p: 1e-6 / p, device="cpu")
    model.save(tmp_path / "m.zip")
    port = port_of(tmp_path / "m.zip", tmp_path / "port", verify=False)
    assert any("no finite value when 0% of the training remains" in w for w in port.checkpoint.warnings)
    with pytest.raises(UsageError, match="learning_rate is 1e-06 / progress_remaining, which has no finite"):
        repaired(tmp_path / "m.zip", tmp_path / "repaired", verify=False)
    repaired(tmp_path / "m.zip", tmp_path / "repaired", verify=False, rates={"learning_rate": 1e-4})
