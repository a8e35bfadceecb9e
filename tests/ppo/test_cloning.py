"""Demonstrations of every kind are cloned; what they do not show is left as it is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sb3port
from sb3port.commands.record import RecordOptions, record, record_chance
from sb3port.commands.train import begin_training
from sb3port.commands.training_arguments import PolicyOptions, RunOptions
from sb3port.environments.dataset import write_dataset
from sb3port.environments.given import Around
from sb3port.environments.recording import write_npz
from sb3port.errors import NotPortable, UsageError
from sb3port.parity.observations.demonstrations import read_demonstrations
from sb3port.ppo.engines.frozen import of_actor
from sb3port.ppo.runs.recipes import Recipe
from sb3port.ppo.runs.trainer import Trainer
from tests.plugin import environments  # noqa: F401 (registers them)
from tests.ports import port_of

ANY = "plugin_tests/Any-v0"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, pendulum: Path) -> Path:
    """Where an expert's Pendulum is, as `.npz` and as port."""
    folder = tmp_path_factory.mktemp("shown")
    port_of(pendulum, folder / "port", verify=False)
    recording = record(folder / "port", RecordOptions("Pendulum-v1", range(4)))
    write_npz(recording, folder / "four.npz")
    return folder


def begun(
    env: str, recipe: Recipe, algorithm: str = "ppo", around: Around | None = None, **run: Any
) -> Trainer:
    torch.set_num_threads(1)
    told = RunOptions(
        env,
        {"n_steps": 64, "batch_size": 64},
        128,
        2,
        run={"eval_episodes": 0, "seed": 3, **run},
        around=around or Around(),
        recipe=recipe,
    )
    new = PolicyOptions(algorithm, normalize=False)
    return begin_training(told, new, lambda _: None)


def test_a_new_policy_does_what_it_was_shown(shown: Path) -> None:
    plain = begun("Pendulum-v1", Recipe())
    trainer = begun("Pendulum-v1", Recipe(demonstrations=shown / "four.npz", bc_epochs=30))
    cloned = trainer.beginning.cloned
    assert cloned is not None
    assert (cloned.steps, len(cloned.losses)) == (800, 30)
    assert cloned.losses[-1] < 0.1 * cloned.losses[0]
    before, after = plain.engine.tensors(), trainer.engine.tensors()
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved == set(of_actor(before)) - {"log_std"}
    with np.load(shown / "four.npz") as recorded:
        seen, done = recorded["observation"], recorded["action"]
    policy = sb3port.load_policy(saved(trainer, shown / "run"))
    assert np.abs(policy.predict(seen)[0] - done).mean() < 0.25


def saved(trainer: Trainer, out: Path) -> Path:
    from sb3port.ppo.runs.checkpoints import save_checkpoint

    out.mkdir()
    return save_checkpoint(trainer, None, out) / "pretrained_model"


def test_random_numbers_of_the_training_are_left_alone(shown: Path) -> None:
    states = []
    for recipe in (Recipe(), Recipe(demonstrations=shown / "four.npz", bc_epochs=2)):
        begun("Pendulum-v1", recipe)
        states.append((torch.rand(3).tolist(), np.random.random_sample(3).tolist()))
    assert states[0] == states[1]


KINDS = {
    "image": ("image", "ppo", None),
    "dict": ("dict", "ppo", None),
    "multi-discrete": ("vector-multi-discrete", "ppo", None),
    "bits": ("multi-discrete", "ppo", None),
    "choices seen": ("discrete", "ppo", None),
    "maskable": ("vector-discrete", "ppo_mask", "method"),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_actions_and_observations(name: str, tmp_path: Path) -> None:
    kind, algorithm, masks = KINDS[name]
    around = Around(env_kwargs={"kind": kind, "masks": masks})
    allows_all = Around(env_kwargs={"kind": kind})
    recording = record_chance(RecordOptions(ANY, range(6), around=allows_all))
    if masks:
        seen = replace(recording.observations, masks=np.ones((len(recording), 5), np.bool_))
        recording = replace(recording, observations=seen)
    write_npz(recording, tmp_path / "chance.npz")
    trainer = begun(ANY, Recipe(demonstrations=tmp_path / "chance.npz", bc_epochs=8), algorithm, around)
    cloned = trainer.beginning.cloned
    assert cloned is not None
    assert cloned.losses[-1] < cloned.losses[0]
    trainer.iterate()


@pytest.mark.long
def test_a_dataset_of_lerobot_is_the_same_demonstration(shown: Path, tmp_path: Path) -> None:
    recording = record(shown / "port", RecordOptions("Pendulum-v1", range(2), deterministic=False))
    write_npz(recording, tmp_path / "two.npz")
    write_dataset(recording, tmp_path / "two")
    assert "action" in recording.outputs  # what it would have done without chance, which is not cloned
    found = [read_demonstrations(tmp_path / name, recording.spec) for name in ("two.npz", "two")]
    assert np.array_equal(found[0].actions, found[1].actions)
    assert np.array_equal(found[0].actions, recording.taken)
    assert np.array_equal(found[0].observations.parts[""], found[1].observations.parts[""])


def test_what_does_not_fit_is_refused(shown: Path, tmp_path: Path) -> None:
    four = shown / "four.npz"
    with pytest.raises(NotPortable, match=r"holds observations of shape \(3,\), but the policy takes \(4,\)"):
        begun("CartPole-v1", Recipe(demonstrations=four))
    with pytest.raises(UsageError, match="demonstrations is not for recurrent policies"):
        begun("Pendulum-v1", Recipe(demonstrations=four), "ppo_lstm")
    with np.load(four) as recorded:
        arrays = dict(recorded)
    for name, change, text in (
        ("none", {"action": None}, "holds no actions: no taken_action and no action"),
        ("wide", {"action": np.zeros((800, 2))}, "holds actions of shape"),
        ("nan", {"action": np.full((800, 1), np.nan)}, "actions that are NaN or infinite"),
        ("far", {"action": np.full((800, 1), 1e300)}, "actions that are NaN or infinite"),
        (
            "far away",
            {"observation": np.full((800, 3), 1e300)},
            "observations that are infinite in numbers of 32",
        ),
    ):
        kept = {key: value for key, value in {**arrays, **change}.items() if value is not None}
        np.savez(tmp_path / f"{name}.npz", **kept)
        with pytest.raises(NotPortable, match=text):
            begun("Pendulum-v1", Recipe(demonstrations=tmp_path / f"{name}.npz"))
    for action, text in ((2, "none of Discrete"), (0.5, "none of Discrete"), (np.nan, "NaN"), (1e300, "NaN")):
        np.savez(
            tmp_path / "choice.npz",
            observation=np.zeros((4, 4), np.float32),
            action=np.array([0, 1, action, 0]),
        )
        with pytest.raises(NotPortable, match=f"holds actions that are {text}"):
            begun("CartPole-v1", Recipe(demonstrations=tmp_path / "choice.npz"))
