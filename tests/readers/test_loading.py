"""Whether today's SB3 loads a file, told from the file alone, against the real SB3 of this environment."""

import importlib
import inspect
import io
import pkgutil
import sys
import warnings
import zipfile
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sb3_contrib
import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv

from sb3port.checkpoint.contents import NO, PARTLY, YES, Loading
from sb3port.families.algorithms import ALGORITHMS
from sb3port.networks.gymnasium_spaces import SpacesOnly
from sb3port.readers.formats.sb3_names import NAMES
from sb3port.readers.meaning.contents import read_contents
from sb3port.readers.places.source import SourceOptions, resolve
from tests.conformance.cases import sampled
from tests.conftest import REPOSITORY, ZOO

from .making import change, save

PACKAGES = {"stable_baselines3": stable_baselines3, "sb3_contrib": sb3_contrib}
CLASSES = {
    "PPO": PPO,
    "A2C": A2C,
    "TRPO": sb3_contrib.TRPO,
    "MaskablePPO": sb3_contrib.MaskablePPO,
    "RecurrentPPO": sb3_contrib.RecurrentPPO,
    **{name: getattr(stable_baselines3, name) for name in ("SAC", "TD3", "DDPG", "DQN")},
    **{name: getattr(sb3_contrib, name) for name in ("QRDQN", "TQC", "CrossQ", "ARS")},
}
OLD = ("gym", "rl_zoo3", "imitation")
BYTECODE = "learning_rate: bytecode of Python"
_ALL = sorted((REPOSITORY / "fixtures").rglob("*.zip"))
OFF_POLICY = [path for path in _ALL if "off_policy_eras" in path.parts]
ZIPS = [path for path in _ALL if path not in OFF_POLICY]

pytestmark = pytest.mark.skipif(
    any(map(find_spec, OLD)), reason=f"SB3 loads more where one of {', '.join(OLD)} is"
)


def told(path: Path) -> tuple[Loading, str]:
    contents = read_contents(resolve(str(path), SourceOptions()), False, True)
    assert contents.loading is not None
    return contents.loading, contents.algorithm


def goals(path: Path) -> DummyVecEnv | None:
    """Give an environment where SB3 wants one to load a model: for HER's replay buffer."""
    checkpoint = read_contents(resolve(str(path), SourceOptions()), False, True).checkpoint
    replay = checkpoint.training.replay if checkpoint else {}
    if checkpoint is None or not str(replay.get("replay_buffer_class", "")).endswith(".HerReplayBuffer"):
        return None
    return DummyVecEnv([lambda: SpacesOnly(checkpoint.spec)])


def loaded(path: Path, algorithm: str) -> tuple[str, str]:
    """Give SB3's own verdict, and its error or the settings that it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            CLASSES[algorithm].load(path, env=goals(path), device="cpu")
        except Exception as error:
            return NO, str(error)
    lost = [
        str(w.message).split()[4].rstrip(".") for w in caught if "Could not deserialize" in str(w.message)
    ]
    meant = sorted(set(lost) - {"lr_schedule", "exploration_schedule"})  # which SB3 makes anew
    return PARTLY if meant else YES, " ".join(meant)


def agree(path: Path) -> None:
    """Hold what is told from a file against what SB3 does with it."""
    loading, algorithm = told(path)
    if any(problem.startswith(BYTECODE) for problem in loading.problems):
        return  # SB3 would run it, and may end this process
    verdict, why = loaded(path, algorithm)
    later = all(" when training goes on: " in loss for loss in loading.losses)
    assert loading.verdict == (PARTLY if verdict == YES and loading.losses and later else verdict), why
    text = " ".join((*loading.problems, *loading.losses))
    assert all(name in text for name in why.split() if verdict == PARTLY)
    if why.startswith("No module named"):
        assert why in loading.problems[0]


@pytest.mark.parametrize("path", ZIPS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_fixtures(path: Path) -> None:
    agree(path)


@pytest.mark.parametrize("name", sampled([f"{path.parts[-3]}/{path.stem}" for path in OFF_POLICY], 9))
def test_fixtures_of_several_networks(name: str) -> None:
    era, stem = name.split("/")
    agree(REPOSITORY / "fixtures" / "off_policy_eras" / era / stem / f"{stem}.zip")


@pytest.mark.zoo
def test_two_models_of_the_zoo_load_as_they_are(zoo: Path) -> None:
    paths = sorted(ZOO.glob("*/*.zip"))
    for path in paths:
        agree(path)
    assert [path.stem for path in paths if told(path)[0].verdict == YES] == [
        "a2c-CartPole-v1",
        "a2c-Pendulum-v1",
    ]


@pytest.mark.parametrize(
    ("fixture", "reason"),
    [
        ("1.6.2/ppo-shared", "it has layers that actor and critic share, which SB3 has not had since 1.8"),
        ("1.6.0/ppo_lstm-cnn", "its LSTMs are not those that its policy_kwargs say"),
        ("1.0/ppo-gsde-features", "it has sde_net_arch, which SB3 has not had since 1.3"),
        ("1.8.0/ppo-squash-without-sde", "it has squash_output without gSDE, which SB3 refuses since 2.2.1"),
    ],
)
def test_what_would_come_after_gym_is_told_too(fixture: str, reason: str) -> None:
    (path,) = (REPOSITORY / "fixtures" / "eras" / fixture).glob("*.zip")
    assert any(reason in problem for problem in told(path)[0].problems)


def test_the_layers_that_are_told_are_those_that_stop_sb3(tmp_path: Path) -> None:
    """Each with its spaces in Gymnasium's words, so that SB3 comes so far."""
    made = save(PPO, tmp_path / "model.zip", policy_kwargs={"net_arch": {"pi": [4], "vf": [4]}})
    cases: dict[str, dict[str, Any]] = {
        "its layers are": {"policy_kwargs": {"net_arch": [8]}},
        "sde_net_arch": {"policy_kwargs": {"net_arch": [4], "sde_net_arch": []}},
        "without policy_class": {"policy_class": {":type:": "", ":serialized:": GONE}},
        "without observation_space": {"observation_space": {":type:": "", ":serialized:": GONE}},
        "No module named 'my_runs'": {"note": {":type:": "", ":serialized:": ABSENT}},
    }
    for reason, changed in cases.items():
        path = change(made, tmp_path / "changed.zip", changed)
        contents = read_contents(resolve(str(path), SourceOptions()), False, True)
        assert contents.loading is not None
        assert loaded(path, "PPO")[0] == NO
        if contents.checkpoint is None and reason in ("its layers are", "sde_net_arch"):
            continue  # refused, so that only pickles tell
        assert any(reason in problem for problem in contents.loading.problems), (reason, contents.loading)


# Of a class that SB3 had in 2020, and of one that nobody has.
GONE = "Y3N0YWJsZV9iYXNlbGluZXMzLnBwby5wb2xpY2llcwpQUE9Qb2xpY3kKLg=="
ABSENT = "Y215X3J1bnMuY29uZmlnCkNvbmZpZwopUi4="


def test_members_that_are_missing_or_have_no_place(tmp_path: Path) -> None:
    made = save(PPO, tmp_path / "model.zip")
    for name, reason in (("policy.optimizer.pth", "it has no"), ("other.pth", "is nothing of the model")):
        with zipfile.ZipFile(made) as old, zipfile.ZipFile(tmp_path / "other.zip", "w") as new:
            for member in old.namelist():
                if member != name:
                    new.writestr(member, old.read(member))
            if name == "other.pth":
                new.writestr(name, old.read("policy.pth"))
        loading, _ = told(tmp_path / "other.zip")
        assert any(name in problem and reason in problem for problem in loading.problems)
        assert loaded(tmp_path / "other.zip", "PPO")[0] == NO


def test_sb3_loads_random_weights_in_place_of_a_compiled_cnns(tmp_path: Path) -> None:
    """It takes the message on missing keys for that of a zip before 1.7, and leaves out what does not fit."""
    image = spaces.Box(0, 255, (3, 36, 36), "uint8")
    made = save(PPO, tmp_path / "model.zip", "CnnPolicy", image, policy_kwargs={"net_arch": [4]})
    with zipfile.ZipFile(made) as archive:
        tensors = torch.load(io.BytesIO(archive.read("policy.pth")), weights_only=True)
    compiled = {name.replace(".", "._orig_mod.", 1): value for name, value in tensors.items()}
    written = io.BytesIO()
    torch.save(compiled, written)
    path = change(made, tmp_path / "compiled.zip", policy_pth=written.getvalue())
    loading, _ = told(path)
    assert loading.verdict == PARTLY
    assert any("random weights" in loss for loss in loading.losses)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights = PPO.load(path, device="cpu").policy.state_dict()
    assert not torch.equal(
        weights["mlp_extractor.policy_net.0.weight"], tensors["mlp_extractor.policy_net.0.weight"]
    )


def test_which_numpy_it_takes(tmp_path: Path) -> None:
    assert told(save(PPO, tmp_path / "model.zip"))[0].needs == "NumPy 2"
    old = REPOSITORY / "fixtures" / "eras" / "2.0.0" / "ppo-box-linear" / "ppo-box-linear.zip"
    assert told(old)[0].needs == ""


def test_code_of_this_python_is_taken(tmp_path: Path) -> None:
    made = save(A2C, tmp_path / "model.zip", learning_rate=lambda progress: 1e-3 * progress)
    assert told(made)[0].verdict == YES
    info = f"- Python: 3.{sys.version_info.minor + 1}.0".encode()
    foreign = change(made, tmp_path / "foreign.zip", system_info_txt=info)
    assert told(foreign)[0].problems[0].startswith(BYTECODE)


def test_off_policy_files_are_told_by_their_pickles(tmp_path: Path) -> None:
    made = save(SAC, tmp_path / "sac.zip", buffer_size=10)
    SAC.load(made, device="cpu")
    assert told(made)[0].verdict == YES
    path = change(made, tmp_path / "old.zip", {"action_space": {":type:": "", ":serialized:": ABSENT}})
    assert "No module named 'my_runs'" in told(path)[0].problems[0]
    with pytest.raises(ModuleNotFoundError):
        SAC.load(path, device="cpu")


def modules(package: ModuleType) -> list[ModuleType]:
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [importlib.import_module(module.name) for module in found]


def test_the_names_of_sb3_are_those_of_the_packages() -> None:
    there = {module.__name__: module for package in PACKAGES.values() for module in modules(package)}
    there |= PACKAGES
    for name, known in NAMES.items():
        assert [k for k in known if not hasattr(there[name], k)] == []
    for name, module in there.items():
        if name.endswith(("env_checker", "atari_wrappers", "results_plotter")):  # nothing of them is pickled
            continue
        defined = {k for k, v in vars(module).items() if inspect.isclass(v) and v.__module__ == name}
        assert {k for k in defined if not k.startswith("_")} <= NAMES.get(name, frozenset())


def test_defaults_are_those_of_sb3() -> None:
    for algorithm in ALGORITHMS:
        parameters = inspect.signature(CLASSES[algorithm.name]).parameters
        given = {**algorithm.default_rates, **algorithm.default_settings}
        if algorithm.key == "ars":  # whose attribute is named for what it is made into
            given["delta_std"] = given.pop("delta_std_schedule")
        assert {name: parameters[name].default for name in given} == given
