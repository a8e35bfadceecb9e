"""What becomes NaN or infinite ends a training with a sentence; the checkpoints before are kept."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from sb3port.commands.train import begin_training
from sb3port.commands.training_arguments import PolicyOptions, RunOptions
from sb3port.errors import TrainingDiverged
from sb3port.ppo.runs.resuming import resume
from sb3port.ppo.runs.running import Watcher, train

TINY = {"n_steps": 32, "batch_size": 16, "n_epochs": 2}


class Breaking(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Pendulum, in which a reward or an observation is bad from one step on, over all episodes."""

    def __init__(self, what: str, value: str, after: int = 100) -> None:
        super().__init__(gymnasium.make("Pendulum-v1"))
        self.what, self.value, self.left = what, float(value), after

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, *rest = self.env.step(action)
        self.left -= 1
        if self.left <= 0 and self.what == "reward":
            reward = self.value
        if self.left <= 0 and self.what == "observation":
            observation = np.full_like(observation, self.value)
        return observation, reward, *rest


gymnasium.register("ppo_tests/Breaking-v0", Breaking)


def began(folder: Path, what: str, value: str, normalize: bool = False, **given: Any) -> Any:
    file = folder / "ppo.yml"
    file.write_text(f"env_kwargs:\n  what: {what}\n  value: {value!r}\nnormalize: {str(normalize).lower()}\n")
    run = RunOptions(
        "ppo_tests/Breaking-v0",
        {**TINY, **given},
        320,
        save_every=32,
        config=file,
        run={"eval_episodes": 0},
    )
    return begin_training(run, PolicyOptions(), lambda _: None)


@pytest.mark.parametrize("normalize", [False, True], ids=["as they are", "normalised"])
@pytest.mark.parametrize(
    ("what", "value"),
    [("reward", "nan"), ("reward", "inf"), ("observation", "nan"), ("observation", "inf")],
)
def test_what_the_environment_gives(tmp_path: Path, what: str, value: str, normalize: bool) -> None:
    trainer = began(tmp_path, what, value, normalize)
    with pytest.raises(
        TrainingDiverged, match=rf"the {what}s of the training hold NaN or infinite"
    ) as stopped:
        train(trainer, None, tmp_path, Watcher())
    assert stopped.value.hint is not None
    assert stopped.value.hint.startswith(f"the last good checkpoint is {tmp_path}/checkpoints/000096;")
    again = resume(tmp_path, lambda _: None, "ppo_tests/Breaking-v0")[0]
    assert again.counters.num_timesteps == 96
    assert all(np.isfinite(array).all() for array in again.engine.tensors().values())


@pytest.mark.parametrize("engine", ["exact", "exact-autograd", "fast-numpy", "fast-numba"])
def test_what_the_learning_makes(tmp_path: Path, engine: str) -> None:
    run = RunOptions(
        "Pendulum-v1", {**TINY, "learning_rate": 1e30}, 320, 1, save_every=32, run={"engine": engine}
    )
    trainer = begin_training(run, PolicyOptions(), lambda _: None)
    with pytest.raises(TrainingDiverged, match=r"became NaN or infinite|hold NaN or infinite"):
        train(trainer, None, tmp_path, Watcher())
    assert not (tmp_path / "checkpoints").exists() or resume(tmp_path, lambda _: None)
