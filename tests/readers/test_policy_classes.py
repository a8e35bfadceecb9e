"""Policy classes and extractors that are not SB3's: what is taken for SB3's, and what is refused by name."""

import subprocess
import sys
from pathlib import Path

import pytest

from sb3port.errors import NotPortable
from sb3port.ports.manifest import read_provenance
from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.places.source import SourceOptions, resolve
from tests.ports import port_of, verified

from .making import read

MODULE = """
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy

class Plain(ActorCriticPolicy):
    "Nothing of its own."

class Small(ActorCriticPolicy):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs, net_arch=[4])

class Other(ActorCriticPolicy):
    def forward(self, obs, deterministic=False):
        return super().forward(-obs, deterministic)

class Deep(ActorCriticPolicy):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.more = torch.nn.Linear(3, 2)

class Remembering(RecurrentActorCriticPolicy):
    "Of another family."

class Extractor(BaseFeaturesExtractor):
    def __init__(self, space):
        super().__init__(space, 3)
        self.flatten = torch.nn.Flatten()
    def forward(self, x):
        return self.flatten(x)
"""
SCRIPT = """
import sys
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from sb3_contrib import RecurrentPPO
import theirs

class MyPolicy(ActorCriticPolicy):
    pass

class MyExtractor(FlattenExtractor):
    pass

sys.path.insert(0, {tests!r})
from readers.making import save
save(PPO, "by_value.zip", MyPolicy)
save(PPO, "extractor_by_value.zip", policy_kwargs=dict(features_extractor_class=MyExtractor))
save(PPO, "extractor.zip", policy_kwargs=dict(features_extractor_class=theirs.Extractor))
for name in ("Plain", "Other", "Deep"):
    save(PPO, name + ".zip", getattr(theirs, name))
save(PPO, "Small.zip", theirs.Small, policy_kwargs=None)
save(RecurrentPPO, "Remembering.zip", theirs.Remembering, policy_kwargs=dict(lstm_hidden_size=4))
"""


@pytest.fixture(scope="module")
def custom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Zips of classes of a user's own: in the script, or in a module beside it."""
    folder = tmp_path_factory.mktemp("custom")
    (folder / "theirs.py").write_text(MODULE)
    (folder / "script.py").write_text(SCRIPT.format(tests=str(Path(__file__).parents[1])))
    subprocess.run([sys.executable, "script.py"], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("assume", [False, True])
@pytest.mark.parametrize(
    ("name", "class_name"), [("by_value", "MyPolicy"), ("extractor_by_value", "MyExtractor")]
)
def test_a_class_whose_code_the_file_carries_is_named(
    name: str, class_name: str, assume: bool, custom: Path
) -> None:
    """It is no danger to whoever does not run it, but nobody here can tell what it computes."""
    source = resolve(str(custom / f"{name}.zip"), SourceOptions())
    with pytest.raises(NotPortable, match=class_name) as caught:
        read_checkpoint(source, assume_standard_forward=assume)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("name", "hidden", "lstm"), [("Plain", 4, None), ("Small", 4, None), ("Remembering", 64, 4)]
)
def test_a_class_that_only_constructs_itself_is_taken(
    name: str, hidden: int, lstm: int | None, custom: Path
) -> None:
    checkpoint = read(custom / f"{name}.zip")
    assert f"theirs.{name}" in checkpoint.warnings[0]
    assert "__init__" in checkpoint.warnings[0]
    assert checkpoint.spec.net_arch.pi[0] == hidden
    assert checkpoint.spec.lstm_hidden_size == lstm
    assert "theirs" not in sys.modules


@pytest.mark.parametrize(
    ("name", "words"), [("Other", r"theirs\.Other.*forward"), ("extractor", "theirs.Extr")]
)
def test_a_class_that_computes_is_named(name: str, words: str, custom: Path) -> None:
    source = resolve(str(custom / f"{name}.zip"), SourceOptions())
    with pytest.raises(NotPortable, match=words) as caught:
        read_checkpoint(source)
    assert caught.value.exit_code == 4
    assert "--assume-standard-forward" in str(caught.value.hint)
    checkpoint = read_checkpoint(source, assume_standard_forward=True)
    assert checkpoint.provenance.assume_standard_forward
    assert "theirs" in checkpoint.warnings[0]


@pytest.mark.parametrize("assume", [False, True])
def test_tensors_of_their_own_are_listed(assume: bool, custom: Path) -> None:
    source = resolve(str(custom / "Deep.zip"), SourceOptions())
    with pytest.raises(NotPortable, match=r"more\.weight has no place; more\.bias has no place"):
        read_checkpoint(source, assume_standard_forward=assume)


def test_the_assumption_is_recorded_and_holds_when_the_port_is_verified(custom: Path, tmp_path: Path) -> None:
    port_of(custom / "Other.zip", tmp_path / "port", verify=False, assume_standard_forward=True)
    assert read_provenance(tmp_path / "port").assume_standard_forward
    assert verified(tmp_path / "port").verdict == "bit-exact"
