"""VecNormalize pickles of every era: what SB3 2, and SB3 1.0 to today, keep in them."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3port.errors import NotPortable, Unsafe, UsageError
from sb3port.readers.meaning.vecnormalize import read_vecnormalize

from .making import BOX, Still, read, save

DICT = spaces.Dict({"z": BOX, "a": spaces.Box(-1.0, 1.0, (2, 2)), "n": spaces.Discrete(3)})


def statistics(
    path: Path, space: spaces.Space[Any], remove: tuple[str, ...] = (), add: Any = None, **kwargs: Any
) -> VecNormalize:
    """Save a VecNormalize as SB3 does, with other attributes in its pickle."""
    env = VecNormalize(DummyVecEnv([lambda: Still(space, BOX)]), clip_obs=3.0, **kwargs)
    rng = np.random.default_rng(0)
    if env.norm_obs:
        for rms in env.obs_rms.values() if isinstance(env.obs_rms, dict) else [env.obs_rms]:
            rms.mean, rms.var = rng.normal(size=rms.mean.shape), rng.uniform(0.1, 2, rms.mean.shape)
    kept = {name: value for name, value in env.__dict__.items() if name not in remove}
    env.__dict__.clear()
    env.__dict__.update({**kept, **(add or {}), "venv": None, "class_attributes": {}, "returns": None})
    path.write_bytes(pickle.dumps(env))
    return env


def assert_same(ours: Any, theirs: Any) -> None:
    assert ours.mean.tobytes() == theirs.mean.tobytes()
    assert ours.var.tobytes() == theirs.var.tobytes()
    assert ours.mean.shape == theirs.mean.shape


ALL, SOME = {"z", "a"}, {"z"}
ERAS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "today": ({"norm_obs_keys": ["a", "z"]}, ALL),
    "today, one key": ({"norm_obs_keys": ["z"]}, SOME),
    "1.0 to 1.3, a set": (
        {"norm_obs_keys": ["z", "a"], "remove": ("norm_obs_keys",), "add": {"obs_keys": {"a", "z"}}},
        ALL,
    ),
    "1.0 to 1.3, all": (
        {"norm_obs_keys": ["z", "a"], "remove": ("norm_obs_keys",), "add": {"obs_keys": None}},
        ALL,
    ),
    "neither": ({"norm_obs_keys": ["z", "a"], "remove": ("norm_obs_keys",)}, ALL),
    "no key": ({"norm_obs_keys": []}, set()),
}


@pytest.mark.parametrize("era", ERAS)
def test_dict(era: str, tmp_path: Path) -> None:
    kwargs, keys = ERAS[era]
    theirs = statistics(tmp_path / "vec_normalize.pkl", DICT, **kwargs)
    save(PPO, tmp_path / "model.zip", "MultiInputPolicy", DICT)
    normalizer = read(tmp_path / "model.zip").normalizer
    assert normalizer is not None
    assert set(normalizer.statistics) == keys
    assert normalizer.clip_obs == 3.0
    for key, rms in normalizer.statistics.items():
        assert_same(rms, theirs.obs_rms[key])


def test_sb2(tmp_path: Path) -> None:
    """SB2's pickle has `ret` instead of `returns`, and its own module names."""
    path = tmp_path / "vec_normalize.pkl"
    theirs = statistics(path, BOX, ("norm_obs_keys", "obs_spaces"), {"ret": np.zeros(1)})
    raw = pickle.dumps(theirs, 2)
    path.write_bytes(raw.replace(b"cstable_baselines3.", b"cstable_baselines."))
    assert b"stable_baselines3" not in path.read_bytes()
    found = read_vecnormalize(path)
    ours, imports = found.normalizer, found.imports
    assert_same(ours.statistics[""], theirs.obs_rms)
    assert "stable_baselines.common.running_mean_std.RunningMeanStd" in map(str, imports)


@pytest.mark.parametrize("space", [BOX, DICT], ids=["Box", "Dict"])
@pytest.mark.parametrize("missing", [True, False])
def test_rewards_only(space: Any, missing: bool, tmp_path: Path) -> None:
    kwargs = {} if space is BOX else {"norm_obs_keys": ["z"]}
    removed = ("obs_rms",) if missing else ()
    statistics(tmp_path / "vec_normalize.pkl", space, removed, norm_obs=False, **kwargs)
    ours = read_vecnormalize(tmp_path / "vec_normalize.pkl").normalizer
    assert ours.statistics == {}
    assert ours.obs_rms is None
    assert ours.ret_rms is not None


@pytest.mark.parametrize(
    "attributes",
    [
        {"norm_obs_keys": ["z", "missing"]},
        {"norm_obs_keys": [1]},
        {"norm_obs_keys": "z"},
        {"norm_obs_keys": {"z": 1}},
        {"obs_rms": {"z": None}},
        {"obs_rms": OrderedDict(z=3)},
        {"obs_rms": {}},
        {"obs_rms": None},
    ],
    ids=str,
)
def test_damaged(attributes: dict[str, Any], tmp_path: Path) -> None:
    statistics(tmp_path / "vec.pkl", DICT, add=attributes, norm_obs_keys=["z"])
    with pytest.raises(NotPortable):
        read_vecnormalize(tmp_path / "vec.pkl")


class OwnMeanStd(RunningMeanStd):
    """Code of one's own, which nothing here imports by its name."""


class OwnVecNormalize(VecNormalize):
    """Likewise, with an argument of its own."""

    def __init__(self, *args: Any, extra: int = 3, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.extra = extra


OWN = f"{__name__}.OwnVecNormalize"


def saved_own(folder: Path, name: str, protocol: int, moments: type[RunningMeanStd] = RunningMeanStd) -> Any:
    """Save a model, and beside it a VecNormalize of a class that is gone when it is read."""
    env = OwnVecNormalize(DummyVecEnv([lambda: Still(BOX, BOX)]), clip_obs=3.0)
    env.obs_rms = moments(shape=(3,))
    env.obs_rms.update(np.random.default_rng(0).normal(size=(8, 3)))
    raw = pickle.dumps(env, protocol)
    assert b"OwnVecNormalize" in raw
    (folder / name).write_bytes(raw)
    save(PPO, folder / "model.zip")
    return env.obs_rms


@pytest.mark.parametrize("protocol", [0, 2, pickle.DEFAULT_PROTOCOL])
def test_a_class_of_ones_own_counts_as_the_state_that_it_has(protocol: int, tmp_path: Path) -> None:
    theirs = saved_own(tmp_path, "vec_normalize.pkl", protocol, OwnMeanStd)
    checkpoint = read(tmp_path / "model.zip")
    assert checkpoint.normalizer is not None
    assert_same(checkpoint.normalizer.statistics[""], theirs)
    assert checkpoint.normalizer.clip_obs == 3.0
    (warning,) = [text for text in checkpoint.warnings if "own code" in text]
    assert warning == (
        f"vec_normalize.pkl holds a {OWN}, which is taken for a VecNormalize: what its own code changes "
        "is not known"
    )
    assert OWN in checkpoint.provenance.imports


def test_a_class_of_ones_own_is_found_by_its_name(tmp_path: Path) -> None:
    """Of a file whose name says little, a glance sees the name of the class."""
    saved_own(tmp_path, "saved.pkl", 4)
    assert read(tmp_path / "model.zip").normalizer is not None


def test_a_class_in_a_copy_of_sb3_is_vecnormalize(tmp_path: Path) -> None:
    statistics(tmp_path / "vec.pkl", BOX)
    raw = (tmp_path / "vec.pkl").read_bytes()
    (tmp_path / "vec.pkl").write_bytes(raw.replace(b"stable_baselines3.", b"forked_baselines3."))
    found = read_vecnormalize(tmp_path / "vec.pkl")
    assert found.normalizer.clip_obs == 3.0
    assert "holds a forked_baselines3.common.vec_env.vec_normalize.VecNormalize" in found.warnings[0]


@pytest.mark.parametrize("value", [Still(BOX, BOX), np.zeros(3), OwnMeanStd, {"clip_obs": 1.0}], ids=str)
def test_what_has_another_state_is_none(value: Any, tmp_path: Path) -> None:
    (tmp_path / "vec.pkl").write_bytes(pickle.dumps(value))
    with pytest.raises(NotPortable, match="not a saved VecNormalize"):
        read_vecnormalize(tmp_path / "vec.pkl")


def test_a_dangerous_class_stays_dangerous(tmp_path: Path) -> None:
    statistics(tmp_path / "vec.pkl", BOX)
    raw = (tmp_path / "vec.pkl").read_bytes()
    name, other = b"stable_baselines3.common.vec_env.vec_normalize", b"subprocess"
    raw = raw.replace(bytes([len(name)]) + name, bytes([len(other)]) + other)
    assert other in raw
    (tmp_path / "vec.pkl").write_bytes(raw)
    with pytest.raises(Unsafe):
        read_vecnormalize(tmp_path / "vec.pkl")


OTHERS = {
    "of other keys": spaces.Dict({"z": BOX, "b": BOX}),
    "of another shape": spaces.Dict({"z": BOX, "a": BOX}),
    "of no Dict": BOX,
}


@pytest.mark.parametrize("name", OTHERS)
def test_statistics_of_another_model(name: str, tmp_path: Path) -> None:
    statistics(tmp_path / "vec_normalize.pkl", OTHERS[name])
    save(PPO, tmp_path / "model.zip", "MultiInputPolicy", DICT)
    with pytest.raises(UsageError, match="another model"):
        read(tmp_path / "model.zip", vecnormalize=tmp_path / "vec_normalize.pkl")
    left_out = read(tmp_path / "model.zip")
    assert left_out.normalizer is None
    assert "another model" in left_out.provenance.pairing


def test_images_and_choices_are_not_normalised(tmp_path: Path) -> None:
    def image() -> spaces.Dict:  # VecNormalize changes the space that it is given
        return spaces.Dict({"i": spaces.Box(0, 255, (1, 36, 36), np.uint8), "z": BOX})

    statistics(tmp_path / "vec_normalize.pkl", image(), norm_obs_keys=["i"])
    save(PPO, tmp_path / "model.zip", "MultiInputPolicy", image())
    with pytest.raises(NotPortable, match="not supported"):
        read(tmp_path / "model.zip", vecnormalize=tmp_path / "vec_normalize.pkl")
