"""Where vector environments were when a training was cut off: it goes on from there, or says why not."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3port.environments.vector_cartpole import SameStepCartPole
from sb3port.errors import NotPortable
from sb3port.ppo.runs.resuming import resume
from sb3port.ppo.runs.running import train

from .test_resuming import RUN, TINY, Watcher, run_fresh, run_on, same_runs
from .test_resuming import RunOptions as Options

VECTOR = Options("CartPole-v1", TINY, 600, 2, save_every=100, run={**RUN, "vec_env": "vector"})


def test_cut_off_and_resumed(tmp_path: Path) -> None:
    """A vector environment that gives its state goes on where it was."""
    whole, again = tmp_path / "whole", tmp_path / "again"
    run_fresh(VECTOR, whole)
    run_fresh(VECTOR, again)
    same_runs(whole, again)
    run_on(sorted((again / "checkpoints").glob("0*"))[1])
    same_runs(whole, again)


@pytest.mark.parametrize(
    ("place", "new"),
    [
        ((), {"bit_generator": "PCG64"}),
        (("totals", "array"), [0.0]),
        (("totals", "array"), ["x", "y"]),
        (("lengths", "dtype"), "object"),
        (("vector", "random", "state", "inc"), -1),
        (("vector",), {}),
    ],
    ids=range(6),
)
def test_states_of_something_else(place: Sequence[str], new: Any, tmp_path: Path) -> None:
    """They are refused in a sentence; what an environment of the user's says of itself only it can judge."""
    run_fresh(VECTOR, tmp_path)
    checkpoint = sorted((tmp_path / "checkpoints").glob("0*"))[1]
    path = checkpoint / "training_state" / "training.json"
    content = json.loads(path.read_text())
    inner = content["environments"][0]
    *way, last = ("generator", *place)
    for key in way:
        inner = inner[key]
    inner[last] = new
    path.write_text(json.dumps(content))
    with pytest.raises(NotPortable):
        resume(checkpoint, lambda _: None)


def test_one_without_a_state_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice likewise."""
    run_fresh(VECTOR, tmp_path)
    monkeypatch.delattr(SameStepCartPole, "set_state")
    ends = []
    for _ in range(2):
        warnings: list[str] = []
        trainer, *others = resume(sorted((tmp_path / "checkpoints").glob("0*"))[1], warnings.append)
        assert warnings == [
            "the vector environment of CartPole-v1 cannot be put back to where it was, so that its episodes "
            "begin anew here"
        ]
        train(trainer, *others, Watcher())
        ends.append(trainer.engine.tensors())
    np.testing.assert_equal(*ends)
