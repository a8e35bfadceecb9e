"""Features extractors that are not SB3's: their arguments, and their layers."""

import base64
from pathlib import Path
from typing import Any

import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common import policies, torch_layers
from torch import nn

from sb3port.errors import NotPortable, UsageError
from sb3port.families.extractors.combined import COMBINED
from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.places.source import SourceOptions, resolve
from tests.conftest import REPOSITORY
from tests.ports import port_of

from .making import change, read, save

IMITATION = REPOSITORY / "fixtures/eras/2.2.1/ppo-imitation/ppo-imitation.zip"
NETWORKS = "cimitation.util.networks\n"


def with_argument(argument: str, folder: Path) -> Path:
    """Give the extractor of imitation's policy an argument, in a pickle of protocol 0."""
    cls = "Vfeatures_extractor_class\ncimitation.policies.base\nNormalizeFeaturesExtractor\n"
    pickled = f"(d{cls}sVfeatures_extractor_kwargs\n(d{argument}ss.".encode()
    kwargs = {":type:": "<class 'dict'>", ":serialized:": base64.b64encode(pickled).decode()}
    return change(IMITATION, folder / "model.zip", {"policy_kwargs": kwargs})


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (f"Vnormalize_class\n{NETWORKS}EMANorm\n", "only imitation.util.networks.RunningNorm is supported"),
        ("Vnormalize_class\nVRunningNorm\n", "only imitation.util.networks.RunningNorm is supported"),
        ("Vmomentum\nI1\n", "no supported features extractor takes: momentum"),
    ],
)
def test_what_would_compute_something_else_is_refused(argument: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(NotPortable, match=message):
        read(with_argument(argument, tmp_path))


def test_the_normaliser_that_is_supported_may_be_named(tmp_path: Path) -> None:
    spec = read(with_argument(f"Vnormalize_class\n{NETWORKS}RunningNorm\n", tmp_path)).spec
    assert spec.features_extractor == "NormalizeFeaturesExtractor"
    assert spec.features_extractor_kwargs == {}


class OtherCNN(torch_layers.BaseFeaturesExtractor):
    """A NatureCNN that somebody edited in their copy of SB3; the file names SB3's all the same."""

    def __init__(self, observation_space: spaces.Box, features_dim: int = 8, **_: Any) -> None:
        super().__init__(observation_space, features_dim)
        self.cnn = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 2), nn.ReLU(), nn.Flatten())
        self.linear = nn.Sequential(nn.Linear(4 * 12 * 4, features_dim), nn.ReLU())

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Give the features."""
        return self.linear(self.cnn(observations))


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    init = policies.ActorCriticCnnPolicy.__init__
    defaults = tuple(OtherCNN if d is torch_layers.NatureCNN else d for d in init.__defaults__)
    monkeypatch.setattr(init, "__defaults__", defaults)
    images = spaces.Box(0.0, 1.0, (1, 15, 7))
    return save(PPO, tmp_path / "edited.zip", "CnnPolicy", images, policy_kwargs={"normalize_images": False})


def test_other_layers_than_a_nature_cnn_has_are_named(edited: Path) -> None:
    with pytest.raises(NotPortable) as caught:
        read(edited)
    assert caught.value.message.startswith(
        "the layers of edited.zip are not those of SB3's NatureCNN, although its policy names that: "
        "cnn.0.weight is (8, 1, 3, 3) instead of (32, 1, 8, 8); "
    )
    assert "cnn.4.weight is missing" in caught.value.message
    assert str(caught.value.hint).endswith("--extractor MODULE:CLASS")


@pytest.mark.long
def test_their_code_may_be_the_user_s(edited: Path, tmp_path: Path) -> None:
    name = f"{__name__}:OtherCNN"
    done = port_of(edited, tmp_path / "port", extractor=name)
    assert done.checkpoint.spec.features_extractor == name
    assert done.report is not None
    assert done.report.verdict == "bit-exact"


def test_a_nature_cnn_needs_no_code_of_the_user_s(tmp_path: Path) -> None:
    images = spaces.Box(0, 255, (36, 36, 1), "uint8")
    kwargs = {"features_extractor_kwargs": {"features_dim": 4}}
    path = save(PPO, tmp_path / "cnn.zip", "CnnPolicy", images, policy_kwargs=kwargs)
    with pytest.raises(UsageError, match="has no features extractor of your own"):
        read_checkpoint(resolve(str(path), SourceOptions()), extractor="theirs:CNN")


def test_the_cnns_of_a_dict_are_looked_at_one_by_one() -> None:
    layers = torch_layers.CombinedExtractor(spaces.Dict({"i": spaces.Box(0, 255, (3, 36, 36), "uint8")}))
    tensors = {name: tensor.numpy() for name, tensor in layers.state_dict().items()}
    assert COMBINED.differences(tensors) == []
    changed = tensors | {"extractors.i.cnn.2.bias": tensors["extractors.i.cnn.2.bias"][:5]}
    assert COMBINED.differences(changed) == ["extractors.i.cnn.2.bias is (5,) instead of (64,)"]
