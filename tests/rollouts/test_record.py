"""Recordings: what is in them, and that both forms of them give it back to the last bit."""

import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from sb3port.commands.policies import read_policy
from sb3port.commands.record import RecordOptions, record
from sb3port.commands.verify import VerifyOptions, verify
from sb3port.environments.dataset import write_dataset
from sb3port.environments.recording import Recording, write_npz
from sb3port.errors import NotPortable, UsageError
from sb3port.networks.observations import Digest, Observations, ObservationSet
from sb3port.parity.observations.datasets import dataset_observations
from sb3port.parity.observations.recorded import recorded_observations
from tests.conformance.cases import sampled

from .models import MODELS, SEEDS, Model, episodes_of_sb3, make_model


def recorded(model: Model, label: Path | None = None, deterministic: bool = True) -> Recording:
    return record(str(label or model.source), RecordOptions(model.kind.env_id, SEEDS, deterministic))


def whole(found: ObservationSet) -> Observations:
    (batch,) = found.batches()
    return batch


def digest(found: ObservationSet) -> str:
    result = Digest()
    for batch in found.batches():
        result.add(batch)
    return result.hexdigest()


def on(path: Path) -> VerifyOptions:
    return VerifyOptions((str(path),), reload=False)


@pytest.mark.parametrize("name", sampled(MODELS, 4))
def test_both_forms_give_the_rollout_back(name: str, tmp_path: Path) -> None:
    model = make_model(name, tmp_path / "model")
    recording = recorded(model)
    expected = episodes_of_sb3(model)
    assert np.array_equal(recording.taken, np.array([a for actions, _ in expected for a in actions]))
    assert recording.reward.tolist() == [reward for _, rewards in expected for reward in rewards]
    write_npz(recording, tmp_path / "a.npz")
    write_dataset(recording, tmp_path / "data")
    spec = read_policy(model.source).spec
    sets = recorded_observations(tmp_path / "a.npz", spec), dataset_observations(tmp_path / "data", spec)
    assert digest(sets[0]) == digest(sets[1])
    plain, dataset = map(whole, sets)
    for key, array in plain.parts.items():
        assert (array.dtype, array.shape) == (dataset.parts[key].dtype, dataset.parts[key].shape)
    for column in ("value", "log_prob", "sampled_action", "action"):
        assert np.array_equal(plain.recorded[column], dataset.recorded[column])
        assert plain.recorded[column].dtype == dataset.recorded[column].dtype
    port = model.port(tmp_path / "port")
    for path in (tmp_path / "a.npz", tmp_path / "data"):
        report = verify(port, None, on(path))
        assert report.verdict == "bit-exact"
        assert report.observations[0].count == len(recording)
        ids = [check.id for check in report.checks]
        assert "distribution.log_prob:recorded" in ids
        assert "distribution.log_prob:reference" in ids


@pytest.mark.parametrize(
    "name", ["box-normalized", "gsde-squashed", "discrete", "multibinary", "maskable", "lstm"]
)
def test_samples_and_their_log_probabilities(name: str, tmp_path: Path) -> None:
    model = make_model(name, tmp_path / "model")
    recording = recorded(model, deterministic=False)
    expected = [action for actions, _ in episodes_of_sb3(model, False) for action in actions]
    assert np.array_equal(recording.taken, np.array(expected))
    assert not np.array_equal(recording.taken, recording.outputs["action"])
    policy = model.sb3.policy
    if name != "lstm":
        batch, _ = policy.obs_to_tensor(model.shown(recording.observations.values))
        masks = recording.observations.masks
        given = {} if masks is None else {"action_masks": masks}
        with torch.no_grad():
            sampled = torch.as_tensor(recording.sampled, dtype=torch.float32)
            value, log_prob, _ = policy.evaluate_actions(batch, sampled, **given)
        assert np.allclose(recording.outputs["log_prob"], log_prob, atol=1e-5)
        assert np.allclose(recording.outputs["value"], value.flatten(), atol=1e-5)
    arrays = recording.arrays()
    assert np.array_equal(arrays["taken_action"], recording.taken)
    assert np.array_equal(arrays["action"], recording.outputs["action"])
    port = model.port(tmp_path / "port")
    write_dataset(recording, tmp_path / "data")
    assert verify(port, None, on(tmp_path / "data")).verdict == "bit-exact"


@pytest.mark.parametrize("name", ["box-normalized", "dict", "image", "lstm", "maskable", "multibinary"])
@pytest.mark.parametrize("deterministic", [True, False])
def test_a_port_does_what_sb3_does(name: str, deterministic: bool, tmp_path: Path) -> None:
    model = make_model(name, tmp_path / "model")
    port = model.port(tmp_path / "port")
    one, other = recorded(model, None, deterministic), recorded(model, port, deterministic)
    assert np.array_equal(one.taken, other.taken)
    assert one.returns == other.returns
    for column, values in one.outputs.items():
        assert np.array_equal(values, other.outputs[column]), column
    assert (one.policy, other.policy) == ("SB3 of model", "port of model")


def test_lerobot_reads_what_it_wrote(tmp_path: Path) -> None:
    recording = recorded(make_model("image", tmp_path / "model"))
    write_dataset(recording, tmp_path / "data")
    dataset = LeRobotDataset("local/data", root=tmp_path / "data", video_backend="pyav")
    assert (dataset.num_episodes, dataset.num_frames) == (len(SEEDS), len(recording))
    assert dataset.features["observation.image"]["dtype"] == "image"
    images = recording.observations.parts[""]
    for row in (0, len(recording) - 1):
        frame = dataset[row]
        pixels = (frame["observation.image"] * 255).round().to(torch.uint8).numpy()
        assert np.array_equal(pixels, images[row])
        assert frame["action"].item() == recording.taken[row]
        assert frame["next.done"].item() == (recording.terminated | recording.truncated)[row]
        assert frame["task"] == "rollouts/image-v0"
    described = json.loads((tmp_path / "data" / "meta" / "sb3port.json").read_text())
    assert described["seeds"] == list(SEEDS)


def test_what_an_npz_holds(tmp_path: Path) -> None:
    recording = recorded(make_model("box", tmp_path / "model"))
    write_npz(recording, tmp_path / "sub" / "a.npz")
    with np.load(tmp_path / "sub" / "a.npz") as archive:
        arrays = dict(archive)
    metadata = json.loads(arrays["metadata"].tobytes())
    assert (metadata["env"], metadata["deterministic"]) == ("rollouts/vector-box-v0", True)
    assert arrays["seed"].tolist() == list(SEEDS)
    ends = np.flatnonzero(arrays["done"])
    assert arrays["episode"][ends].tolist() == [0, 1, 2]
    assert arrays["step"][np.append(0, ends[:-1] + 1)].tolist() == [0, 0, 0]
    assert np.array_equal(arrays["done"], arrays["terminated"] | arrays["truncated"])
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["a.npz"]


class Broken(gymnasium.Env[Any, Any]):
    """Observations that end in NaN."""

    observation_space = spaces.Box(-np.inf, np.inf, (5,), np.float32)
    action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.steps = 0
        return np.zeros(5, np.float32), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        return np.full(5, np.nan if self.steps == 2 else 0.0, np.float32), 0.0, False, False, {}


gymnasium.register("rollouts/Broken-v0", Broken, disable_env_checker=True)


def test_nan_is_refused(tmp_path: Path) -> None:
    model = make_model("box", tmp_path / "model")
    with pytest.raises(UsageError, match="NaN or infinite observations at step 2 of"):
        record(str(model.source), RecordOptions("rollouts/Broken-v0", (9,)))


def test_datasets_that_do_not_fit(tmp_path: Path) -> None:
    recording = recorded(make_model("box", tmp_path / "model"))
    write_dataset(recording, tmp_path / "data")
    image = read_policy(make_model("image", tmp_path / "image").source).spec
    with pytest.raises(NotPortable, match=r"holds no observation\.image"):
        dataset_observations(tmp_path / "data", image)
    with pytest.raises(UsageError, match="is not a LeRobotDataset"):
        dataset_observations(tmp_path, image)
    (parquet,) = (tmp_path / "data" / "data").rglob("*.parquet")
    parquet.write_bytes(parquet.read_bytes()[:100])
    with pytest.raises(NotPortable, match="does not hold recorded observations"):
        dataset_observations(tmp_path / "data", recording.spec)
