"""The state of a training may be anybody's: what no training wrote is told, before anything is changed."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sb3port.commands.train import begin_training
from sb3port.commands.training_arguments import PolicyOptions, RunOptions
from sb3port.errors import NotPortable, Sb3portError
from sb3port.ppo.runs.resuming import resume
from sb3port.ppo.runs.running import train
from sb3port.ppo.runs.training_state import read_state
from tests.trees import ABSENT, changed, places

SETTINGS = {"n_steps": 32, "batch_size": 32, "n_epochs": 1}
OPTIONS = RunOptions("CartPole-v1", SETTINGS, 192, 2, save_every=64, run={"eval_episodes": 1, "seed": 5})
WRONG = (None, True, -1, 0, 10**400, 2**62, float("inf"), float("nan"), 0.5, "x", [], [1], {}, {"a": 1})
PCG64 = {"bit_generator": "PCG64", "has_uint32": 0, "uinteger": 0}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first checkpoint of a run."""
    out = tmp_path_factory.mktemp("trained") / "run"
    trainer = begin_training(OPTIONS, PolicyOptions("ppo", normalize=True), lambda _: None)
    train(trainer, None, out)
    return min((out / "checkpoints").glob("0*"))


@pytest.fixture
def state(trained: Path) -> Iterator[Path]:
    """The folder of its state, which is put back afterwards; `last` points elsewhere all the time."""
    folder = trained / "training_state"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    last = (trained.parent / "last").readlink()
    assert last.name != trained.name
    yield folder
    for path, content in before.items():
        path.write_bytes(content)
    assert (trained.parent / "last").readlink() == last


def refused(folder: Path) -> bool:
    """Whether a state is refused in a sentence, and not only by what comes of it."""
    try:
        read_state(folder)
    except NotPortable:
        return True
    return False


@pytest.mark.long
def test_values_of_every_wrong_kind(state: Path) -> None:
    """What is not refused is what a training may write."""
    path = state / "training.json"
    content = json.loads(path.read_text())
    taken: dict[str, list[Any]] = {}
    for place in places(content, most=1):
        for new in (*WRONG, *([ABSENT] if place else [])):
            path.write_text(json.dumps(changed(content, place, new)))
            if not refused(state):
                taken.setdefault(".".join(map(str, place)), []).append(new)
    assert taken["counters.num_timesteps"] == [0]
    assert taken["counters.best_return"] == [None, -1, 0, 2**62, 0.5]
    assert taken["environments.0.seed"] == [None, 0, 2**62]
    assert taken["environments.0.generator"] == [None]
    assert taken["environments.0.total"] == [-1, 0, 2**62, 0.5]
    assert taken["settings.seed"] == [None, 0, ABSENT]
    assert taken["settings.hyperparameters.gamma"] == [0, 0.5, ABSENT]
    assert not {"counters", "random", "environments", "format", "settings", "settings.until"} & set(taken)


@pytest.mark.parametrize(
    ("place", "new"),
    [
        (("random", "numpy", 2), 10**6),
        (("random", "numpy", 2), -1),
        (("random", "python", 1, 624), 10**6),
        (("environments", 0, "generator"), {**PCG64, "state": {"state": 2**128, "inc": 1}}),
        (("settings", "n_envs"), 10**9),
        (("settings", "hyperparameters", "n_steps"), 0),
        (("settings", "hyperparameters", "gamma"), 2),
        (("environments", 0), ABSENT),
        (("episodes", 0), [0.0] * 10**5),
    ],
    ids=range(9),
)
def test_numbers_that_lead_out_of_what_they_count(place: Any, new: Any, state: Path) -> None:
    """NumPy looks up what follows the last word of a state, where the place among them is a larger one."""
    path = state / "training.json"
    path.write_text(json.dumps(changed(json.loads(path.read_text()), place, new)))
    assert refused(state)


@pytest.mark.long
def test_what_is_taken_is_gone_on_from_or_refused(state: Path) -> None:
    """Whole numbers for others, too, which torch does not multiply by."""
    path = state / "training.json"
    content = json.loads(path.read_text())
    content["settings"]["hyperparameters"]["vf_coef"] = 1
    path.write_text(json.dumps(content))
    trainer, *_ = resume(state.parent, lambda _: None)
    trainer.iterate()
    trainer.envs.close()
    (state.parent.parent / "last").unlink()
    (state.parent.parent / "last").symlink_to(max(state.parent.parent.glob("0*")).name)
    generator = {"bit_generator": "SFC64", "state": {"state": {"array": [1, 2, 3, 4], "dtype": "uint64"}}}
    generator |= {"has_uint32": 0, "uinteger": 0}
    for change in (
        {"settings": {**content["settings"], "hyperparameters": _with(content, "use_sde", True)}},
        {"settings": {**content["settings"], "hyperparameters": _with(content, "n_steps", 10**12)}},
        {"environments": [{**one, "generator": generator} for one in content["environments"]]},
        {
            "environments": [
                {**one, "generator": {"bit_generator": "Mine"}} for one in content["environments"]
            ]
        },
    ):
        path.write_text(json.dumps({**content, **change}))
        with pytest.raises(NotPortable, match="training in"):
            resume(state.parent, lambda _: None)


def _with(content: Any, name: str, value: Any) -> dict[str, Any]:
    return {**content["settings"]["hyperparameters"], name: value}


ARRAYS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "of one environment": lambda found: {**found, "ended": found["ended"][:1]},
    "numbers for flags": lambda found: {**found, "ended": found["ended"].astype(np.float32)},
    "not which have ended": lambda found: {k: v for k, v in found.items() if k != "ended"},
    "no random numbers": lambda found: {k: v for k, v in found.items() if k != "random.torch"},
    "random numbers of another kind": lambda found: {**found, "random.torch": np.zeros(3, np.float32)},
    "random numbers that are too few": lambda found: {**found, "random.torch": np.zeros(3, np.uint8)},
    "NaN": lambda found: {**found, "returns": np.full_like(found["returns"], np.nan)},
    "returns of others": lambda found: {**found, "returns": np.zeros(5)},
    "returns of more dimensions": lambda found: {**found, "returns": np.zeros((2, 7))},
    "no returns": lambda found: {k: v for k, v in found.items() if k != "returns"},
    "a memory": lambda found: {**found, "memory": np.zeros((2, 4, 1, 8), np.float32)},
    "no observations": lambda found: {k: v for k, v in found.items() if not k.startswith("observations")},
    "other observations": lambda found: {**found, "observations.x": found["observations."]},
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_something_else(name: str, state: Path) -> None:
    path = state / "training.safetensors"
    save_file(ARRAYS[name](load_file(path)), path)
    with pytest.raises(Sb3portError, match="state of the training in") as told:
        resume(state.parent, lambda _: None)
    assert told.value.exit_code == 4


def test_as_it_is_it_is_gone_on_from(state: Path) -> None:
    assert not refused(state)
