"""`verify` lets SB3 and us learn from a recorded rollout: the same weights come out of a right port."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stable_baselines3 import A2C

from sb3port.commands.record import RecordOptions, record
from sb3port.commands.verify import VerifyOptions, verify
from sb3port.environments.recording import write_npz
from sb3port.parity.comparison.report import Check
from tests.conformance.cases import sampled
from tests.ports import port_of
from tests.sabotage.wrong_ports import edit_json, edit_tensors

from .models import MODELS, make_model

OPTIMISER = "training_state/optimizer_state.safetensors"
PENDULUM = Path(__file__).parents[2] / "fixtures" / "hub" / "sb3port" / "ppo-Pendulum-v1"


def updates(port: Path, env: str, seeds: range, source: Path | None = None) -> list[Check]:
    """Record a rollout of the source, random as in training, and verify the port with it."""
    file = port.parent / "rollout.npz"
    write_npz(record(str(source or port), RecordOptions(env, seeds, deterministic=False)), file, force=True)
    report = verify(port, None, VerifyOptions((str(file),), reload=False))
    return [check for check in report.checks if check.stage == "update"]


@pytest.mark.long
@pytest.mark.parametrize("name", MODELS)
def test_a_right_port_learns_what_sb3_learns(name: str, tmp_path: Path) -> None:
    model = make_model(name, tmp_path / "model")
    checks = updates(model.port(tmp_path / "port"), model.kind.env_id, range(20))
    if name.startswith("lstm"):
        assert [(check.verdict, check.comparison.reason) for check in checks] == [
            ("skipped", "recorded rollouts do not hold the memory of each step")
        ]
        return
    assert [check.id for check in checks] == ["update.weights:rollout", "update.optimiser:rollout"]
    assert all(check.verdict == "bit-exact" for check in checks), checks
    assert checks[0].comparison.shape[0] == sum(p.numel() for p in model.sb3.policy.parameters())


WRONG: dict[str, Callable[[Path], Any]] = {
    "a moment of the optimiser": lambda port: edit_tensors(
        port, lambda t: t["state/3/exp_avg"].__iadd__(1e-3), OPTIMISER
    ),
    "the count of the optimiser": lambda port: edit_tensors(
        port, lambda t: [t[name].fill(1) for name in t if name.endswith("step")], OPTIMISER
    ),
    "a weight": lambda port: edit_tensors(port, lambda t: t["value_net.weight"].__iadd__(1e-3)),
    "the normaliser": lambda port: edit_json(
        port, "sb3port.json", lambda c: c["normalizer"].update(clip_obs=0.1)
    ),
}


@pytest.mark.parametrize("name", sampled(WRONG, 2))
def test_a_wrong_port_is_noticed(name: str, tmp_path: Path) -> None:
    port = port_of(PENDULUM, tmp_path / "port", verify=False).port
    right = updates(port, "Pendulum-v1", range(1))
    assert [check.verdict for check in right] == ["bit-exact", "bit-exact"]
    WRONG[name](port)
    wrong = updates(port, "Pendulum-v1", range(1), PENDULUM)
    assert [check.verdict for check in wrong] == ["fail", "fail"]
    assert all(check.comparison.reason.startswith("differs by up to") for check in wrong)


def test_other_files_say_nothing_of_it(tmp_path: Path) -> None:
    port = port_of(PENDULUM, tmp_path / "port", verify=False).port
    report = verify(port, None, VerifyOptions((str(PENDULUM / "reference.npz"),), reload=False))
    assert not [check for check in report.checks if check.stage == "update"]


def test_what_another_algorithm_trained_is_left_aside(tmp_path: Path) -> None:
    A2C("MlpPolicy", "CartPole-v1", n_steps=8, device="cpu").learn(16).save(tmp_path / "model.zip")
    port = port_of(tmp_path / "model.zip", tmp_path / "port", verify=False).port
    (check,) = updates(port, "CartPole-v1", range(2))
    assert (check.verdict, check.comparison.reason) == (
        "skipped",
        "it is PPO that learns, and A2C trained this policy",
    )
