"""Statistics of one frame beside a policy of several: what must tell that they belong together."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

from sb3port.checkpoint.frames import frame_space, missing, stack_of, stacks_of
from sb3port.errors import NotPortable, UsageError
from sb3port.files.port_files import PREPROCESSOR_FILE
from sb3port.ports.lerobot_folder import read_running
from sb3port.ports.reading import read_port
from tests.ports import port_of

from .making import BOX, Still, read

STACK = "frame_stack: 2\nnormalize: true"


def saved(folder: Path, space: spaces.Space[Any] = BOX, trained: bool = True, **kwargs: Any) -> Path:
    """Save a policy of two frames, with the statistics of one."""
    normalizer = VecNormalize(DummyVecEnv([lambda: Still(space, BOX)]), **kwargs)
    policy = "MultiInputPolicy" if isinstance(space, spaces.Dict) else "MlpPolicy"
    env = VecFrameStack(normalizer, 2)
    model = PPO(
        policy, env, n_steps=4, batch_size=4, n_epochs=1, policy_kwargs={"net_arch": [4]}, device="cpu"
    )
    if trained:
        model.learn(4)
    folder.mkdir()
    model.save(folder / "model.zip")
    normalizer.save(str(folder / "vec_normalize.pkl"))
    return folder


def test_config_tells(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", trained=False)
    (folder / "config.yml").write_text(STACK)
    checkpoint = read(folder)
    assert checkpoint.normalizer is not None
    assert checkpoint.normalizer.statistics[""].mean.shape == (3,)
    assert checkpoint.spec.observation_space.shape == (6,)
    assert not any("frame" in warning for warning in checkpoint.warnings)


def test_the_zip_tells(tmp_path: Path) -> None:
    """It holds the last observation before VecNormalize; the environment of the training follows from it."""
    checkpoint = read(saved(tmp_path / "model"))
    assert checkpoint.warnings == ()
    assert checkpoint.environment.frame_stack == 2


def test_the_user_tells(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", trained=False)
    (folder / "vec_normalize.pkl").rename(tmp_path / "mine.pkl")
    checkpoint = read(folder, vecnormalize=tmp_path / "mine.pkl")
    (warning,) = [text for text in checkpoint.warnings if "frame" in text]
    assert "statistics of one frame of shape (3,), which are applied to each of 2 frames" in warning


ANOTHER = r"of shape \(3,\), but the model observes \(6,\): .* another model"


def test_other_frames_are_of_another_model(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", trained=False)
    (folder / "config.yml").write_text("frame_stack: 3\nnormalize: true")
    with pytest.raises(UsageError, match=ANOTHER):
        read(folder)


@pytest.mark.parametrize("config", ["", "frame_stack: 2"], ids=["nothing tells", "frames alone"])
def test_what_nothing_tells_is_left_out(config: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", trained=False)
    (folder / "config.yml").write_text(config)
    checkpoint = read(folder)
    assert checkpoint.normalizer is None
    assert any(re.search(ANOTHER, warning) for warning in checkpoint.warnings)


def test_the_zip_beats_config(tmp_path: Path) -> None:
    """Its last observation before VecNormalize is a stack already."""
    folder = saved(tmp_path / "model")
    whole = VecNormalize(VecFrameStack(DummyVecEnv([lambda: Still(BOX, BOX)]), 2))
    model = PPO("MlpPolicy", whole, n_steps=4, batch_size=4, policy_kwargs={"net_arch": [4]}, device="cpu")
    model.learn(4).save(folder / "model.zip")
    (folder / "config.yml").write_text(STACK)
    with pytest.raises(UsageError, match="another model"):
        read(folder)
    whole.save(str(folder / "vec_normalize.pkl"))
    assert read(folder).normalizer.statistics[""].mean.shape == (6,)


def test_statistics_of_the_stack_are_preferred(tmp_path: Path) -> None:
    """Those of one frame would need to be shown."""
    folder = saved(tmp_path / "model", trained=False)
    whole = VecNormalize(VecFrameStack(DummyVecEnv([lambda: Still(BOX, BOX)]), 2))
    whole.save(str(folder / "normalize.pkl"))
    checkpoint = read(folder)
    assert checkpoint.provenance.files["statistics"].name == "normalize.pkl"


def test_parts_of_a_dict(tmp_path: Path) -> None:
    def space() -> spaces.Dict:
        return spaces.Dict({"z": BOX, "a": spaces.Box(-1.0, 1.0, (2, 2)), "n": BOX})

    folder = saved(tmp_path / "model", space(), norm_obs_keys=["z", "a"])
    checkpoint = read(folder)
    assert checkpoint.normalizer is not None
    stacks = stacks_of(checkpoint.normalizer, checkpoint.spec.observation_space)
    assert {key: stack.frame for key, stack in stacks.items()} == {"z": (3,), "a": (2, 2)}
    frame = frame_space(checkpoint.spec.observation_space, stacks)
    assert {key: part.shape for key, part in frame.spaces.items()} == {"a": (2, 2), "n": (3,), "z": (3,)}


def test_frames_of_whole_numbers_are_refused(tmp_path: Path) -> None:
    """VecFrameStack keeps them in an array of their own type, which rounds what VecNormalize gives."""
    folder = saved(tmp_path / "model", spaces.Box(0, 9, (3,), np.int64))
    with pytest.raises(NotPortable, match="which VecFrameStack then rounds to int64"):
        read(folder)


def test_a_port_has_the_statistics_of_one_frame(tmp_path: Path) -> None:
    port = port_of(saved(tmp_path / "model"), tmp_path / "port", verify=False).port
    path = port / PREPROCESSOR_FILE
    content = json.loads(path.read_text())
    step = next(s for s in content["steps"] if s["registry_name"] == "sb3port_vec_normalize")
    assert step["config"]["shapes"] == {"observation.state": [6]}
    for checkpoint in (read_port(port), read_running(port)):
        assert checkpoint.normalizer is not None
        assert checkpoint.normalizer.statistics[""].mean.shape == (3,)
    del step["config"]["shapes"]
    path.write_text(json.dumps(content))
    with pytest.raises(NotPortable, match="are of one frame, and the step knows no shape"):
        read_running(port)


@pytest.mark.parametrize(
    ("frame", "observation", "shape"),
    [
        ((3,), (6,), (1, 2, 3)),
        ((2, 3), (2, 9), (2, 3, 3)),
        ((2, 3), (4, 3), (1, 2, 6)),
        ((1, 3), (1, 6), (1, 2, 3)),
        ((4, 5, 1), (4, 5, 4), (20, 4, 1)),
    ],
)
def test_shapes_tell_how_frames_lie(frame: Any, observation: Any, shape: Any) -> None:
    stack = stack_of(frame, observation)
    assert stack is not None
    assert stack.shape == shape
    assert stack.repeated(np.zeros(frame)).shape == observation


@pytest.mark.parametrize(
    ("frame", "observation"),
    [
        ((3,), (3,)),
        ((3,), (7,)),
        ((6,), (3,)),
        ((2, 3), (4, 6)),
        ((2, 3, 4), (2, 6, 4)),
        ((), ()),
        ((0,), (6,)),
        ((3,), (2, 3)),
    ],
)
def test_shapes_of_no_stack(frame: Any, observation: Any) -> None:
    assert stack_of(frame, observation) is None


def test_frames_that_are_not_there() -> None:
    stack = stack_of((2,), (6,))
    assert stack is not None
    rows = np.array(
        [[0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, -0.0, 0, 0, 0], [0, 2, 0, 0, 0, 0]], np.float32
    )
    seen = [[1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [0] * 6]
    assert missing(rows, stack).astype(int).tolist() == seen
