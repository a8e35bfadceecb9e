"""Runs that clone, let the critic learn first, or stay near a policy go on to the same bits."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sb3port.commands.policies import find_policy
from sb3port.commands.record import RecordOptions, record
from sb3port.commands.train import begin_finetuning, begin_training
from sb3port.commands.training_arguments import PolicyOptions, RunOptions
from sb3port.environments.recording import write_npz
from sb3port.errors import NotPortable
from sb3port.ppo.runs.checkpoints import STATE
from sb3port.ppo.runs.recipes import Recipe
from sb3port.ppo.runs.resuming import resume
from sb3port.ppo.runs.running import Watcher, train
from sb3port.ppo.runs.settings import read_settings
from tests.ports import port_of

from .test_resuming import TINY, run_on, same_runs

WARMUP = 250  # ends between two checkpoints
RECIPES = {
    "critic first, in Numba": ("fast-numba", Recipe(critic_warmup=WARMUP)),
    "critic first": ("exact", Recipe(critic_warmup=WARMUP)),
    "near": ("exact", Recipe(kl_coef=0.5)),
    "cloned, critic first, near": ("exact", Recipe(WARMUP, 0.5, Path("shown.npz"), 2)),
}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, cartpole: Path) -> Path:
    """The port of CartPole, and beside it what it does."""
    folder = tmp_path_factory.mktemp("recipes")
    port_of(cartpole, folder / "port", verify=False)
    write_npz(record(folder / "port", RecordOptions("CartPole-v1", range(1))), folder / "shown.npz")
    return folder / "port"


def options(port: Path, name: str) -> RunOptions:
    engine, recipe = RECIPES[name]
    if recipe.demonstrations is not None:
        shown = port.parent / recipe.demonstrations
        recipe = Recipe(recipe.critic_warmup, recipe.kl_coef, shown, recipe.bc_epochs)
    run = {"eval_episodes": 0, "seed": 5, "engine": engine}
    given = {**TINY, "learning_rate": 1e-3, "clip_range": 0.2}
    return RunOptions("CartPole-v1", given, 600, 2, save_every=100, run=run, recipe=recipe)


def finetuned(port: Path, name: str, out: Path) -> None:
    train(*begin_finetuning(find_policy(port), options(port, name), lambda _: None), out, Watcher())


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.thorough) if n == "critic first" else n for n in RECIPES]
)
def test_it_goes_on_to_the_same_bits(name: str, port: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finetuned(port, name, whole)
    finetuned(port, name, cut)
    run_on(sorted((cut / "checkpoints").glob("[0-9]*"))[1])  # in the middle of the warm-up
    same_runs(whole, cut)
    rows = [json.loads(line) for line in (whole / "progress.jsonl").read_text().splitlines()]
    assert all(("train/reference_kl" in row) == bool(RECIPES[name][1].kl_coef) for row in rows)
    told = json.loads((whole / "checkpoints/last" / STATE / "training.json").read_text())["settings"]
    assert told["demonstrations"] == ("shown.npz" if "cloned" in name else None)


def test_the_reference_is_what_fine_tuning_began_from(port: Path, tmp_path: Path) -> None:
    finetuned(port, "near", tmp_path / "run")
    first, *_, last = sorted((tmp_path / "run" / "checkpoints").glob("[0-9]*"))
    began = load_file(port / "model.safetensors")
    for checkpoint in (first, last):
        kept = load_file(checkpoint / STATE / "training.safetensors")
        reference = {k.removeprefix("reference."): v for k, v in kept.items() if k.startswith("reference.")}
        assert reference.keys() == began.keys()
        assert all(np.array_equal(reference[name], began[name]) for name in began)
    _refuses_other_references(last)


def _refuses_other_references(checkpoint: Path) -> None:
    told = checkpoint / STATE / "training.safetensors"
    name, kept = "reference.action_net.bias", load_file(told)
    other = "is to stay near a policy that its own can not have been"
    lost = {key: array for key, array in kept.items() if not key.startswith("reference.")}
    for arrays, said in (
        (lost, "has no policy that it is to stay near"),
        ({**kept, name: kept[name][:1]}, other),
        ({**kept, name: kept[name] * np.nan}, other),
        ({**kept, "reference.more": kept[name]}, other),
    ):
        save_file(arrays, told)
        with pytest.raises(NotPortable, match=said):
            resume(checkpoint, lambda _: None, until=200_000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kl_coef", "near"),
        ("kl_coef", -1.0),
        ("kl_coef", float("nan")),
        ("actor_from", None),
        ("demonstrations", ["shown.npz"]),
        ("n_envs", "two"),
    ],
)
def test_settings_of_another_kind_are_refused(name: str, value: object, port: Path, tmp_path: Path) -> None:
    settings = begin_training(
        options(port, "critic first"), PolicyOptions(), lambda _: None
    ).settings.to_json()
    written = json.loads(json.dumps({"settings": {**settings, name: value}}))
    (tmp_path / "training.json").write_text(json.dumps(written))
    with pytest.raises(NotPortable, match=name):
        read_settings(tmp_path)


def test_a_cloned_policy_is_its_own_reference(port: Path, tmp_path: Path) -> None:
    told = options(port, "cloned, critic first, near")
    trainer = begin_training(told, PolicyOptions(), lambda _: None)
    reference = trainer.beginning.reference
    assert reference is not None
    assert all(np.array_equal(reference[n], array) for n, array in trainer.engine.tensors().items())
    assert trainer.iterate().values["train/reference_kl"] < 1e-6  # the actor is frozen
