"""What rl_zoo3's files and the model card beside a zip tell, and what is said where they cannot be read."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from sb3port.checkpoint.checkpoint import EnvironmentSpec, Wrapper
from sb3port.commands.verify import verify
from sb3port.errors import Unsafe, UsageError
from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.places.source import SourceOptions, resolve
from tests.ports import port_of

from .making import change, read

TIME = "sb3_contrib.common.wrappers.TimeFeatureWrapper"
CARD = """---
library_name: stable-baselines3
model-index:
- name: PPO
  results:
  - task: {type: reinforcement-learning}
    dataset: {name: LunarLander-v2, type: LunarLander-v2}
---
# PPO
"""


@pytest.fixture
def folder(tmp_path: Path, cartpole: Path) -> Path:
    """A folder with a zip that was trained without VecNormalize, and nothing else."""
    path = tmp_path / "model"
    path.mkdir()
    shutil.copy(cartpole / "ppo-CartPole-v1.zip", path / "model.zip")
    return path


def environment(folder: Path) -> EnvironmentSpec:
    return read(folder).environment


def test_rl_zoo3_tells_everything(folder: Path) -> None:
    (folder / "args.yml").write_text("{env: CartPole-v1, env_kwargs: {a: 1}, algo: ppo}")
    (folder / "config.yml").write_text(f"env_wrapper: [{{{TIME}: {{test_mode: true}}}}, a.B]\nframe_stack: 3")
    (folder / "env_kwargs.yml").write_text("{a: 2, render_mode: rgb_array}")
    checkpoint = read(folder)
    assert checkpoint.environment == EnvironmentSpec(
        "CartPole-v1",
        {"a": 1},
        (Wrapper(TIME, {"test_mode": True}), Wrapper("a.B")),
        3,
        ("args.yml", "config.yml", "env_kwargs.yml"),
    )
    assert checkpoint.warnings[0] == "trained behind a.B, which is not applied: returns will differ"
    assert set(checkpoint.provenance.files) == {"checkpoint", "config", "args", "env_kwargs"}


@pytest.mark.parametrize(
    ("files", "env_kwargs"),
    [
        ({"config.yml": "env_kwargs: {a: 1}", "args.yml": "env_kwargs: {a: 2}"}, {"a": 1}),
        ({"config.yml": "gamma: 0.9", "args.yml": "env_kwargs: {a: 2}", "env_kwargs.yml": "a: 3"}, {"a": 2}),
        ({"args.yml": "env_kwargs: null", "env_kwargs.yml": "{a: 3, render_mode: human}"}, {"a": 3}),
        ({"env_kwargs.yml": "{}"}, {}),
    ],
)
def test_arguments_of_the_environment(
    folder: Path, files: dict[str, str], env_kwargs: dict[str, Any]
) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)
    assert environment(folder).env_kwargs == env_kwargs


def test_the_model_card_tells_the_environment(folder: Path) -> None:
    (folder / "README.md").write_text(CARD)
    assert environment(folder) == EnvironmentSpec("LunarLander-v2", sources=("README.md",))
    (folder / "args.yml").write_text("env: CartPole-v1")
    assert environment(folder).env_id == "CartPole-v1"


@pytest.mark.parametrize(
    "card", ["", "# mine", "---\n", "---\na: [\n---", "---\n!!python/name:a.b ''\n---", "\xff"]
)
def test_other_cards_tell_nothing(folder: Path, card: str) -> None:
    (folder / "README.md").write_bytes(card.encode("latin-1"))
    checkpoint = read(folder)
    assert (checkpoint.environment, checkpoint.warnings) == (EnvironmentSpec(), ())


@pytest.mark.parametrize(
    ("name", "env_id"),
    [
        ("ppo-CartPole-v1", "CartPole-v1"),
        ("PPO-MiniGrid-Empty-5x5-v0", "MiniGrid-Empty-5x5-v0"),
        ("ppo_lstm-CartPoleNoVel-v1", "CartPoleNoVel-v1"),
        ("walker-v3", None),
        ("ppo-CartPole", None),
        ("dqn-CartPole-v1", "CartPole-v1"),
        ("dqns-CartPole-v1", None),
    ],
)
def test_the_name_tells_the_environment(folder: Path, name: str, env_id: str | None) -> None:
    found = environment(folder.rename(folder.with_name(name)))
    assert (found.env_id, found.sources) == (env_id, ("name",) if env_id else ())


@pytest.mark.parametrize("env_id", ["a b", "../x", "x;y", "a/b/c", "", "x" * 300, "a\nb"])
def test_what_cannot_be_an_id_is_none(folder: Path, env_id: str) -> None:
    (folder / "args.yml").write_text(f"env: {env_id!r}")
    assert environment(folder).env_id is None


def test_an_id_with_a_module_is_not_run(folder: Path) -> None:
    (folder / "args.yml").write_text("env: owned:CartPole-v1")
    found = environment(folder)
    assert (found.env_id, found.registered_id) == ("owned:CartPole-v1", None)


@pytest.mark.parametrize(
    ("zip_name", "config"),
    [
        ("model.zip", "config.yml"),
        ("Pendulum-v1_1/Pendulum-v1.zip", "Pendulum-v1_1/Pendulum-v1/config.yml"),
        ("Pendulum-v1_1/best_model.zip", "Pendulum-v1_1/Pendulum-v1/config.yml"),
        ("ppo/Env-v0_12/rl_model_5_steps.zip", "ppo/Env-v0_12/Env-v0/config.yml"),
    ],
)
@pytest.mark.parametrize("kind", ["folder", "file", "innermost"])
def test_where_the_files_are(tmp_path: Path, cartpole: Path, zip_name: str, config: str, kind: str) -> None:
    root = tmp_path / "root"
    for name in (zip_name, config):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(cartpole / "ppo-CartPole-v1.zip", root / zip_name)
    (root / config).write_text("frame_stack: 2")
    label = {"folder": root, "file": root / zip_name, "innermost": (root / zip_name).parent}[kind]
    checkpoint = read(label)
    assert checkpoint.environment.frame_stack == 2
    assert config.endswith(checkpoint.provenance.files["config"].name)


def test_damaged_files_are_left_aside_with_a_warning(folder: Path) -> None:
    (folder / "config.yml").write_text("a: [")
    (folder / "args.yml").write_text("[]")
    (folder / "env_kwargs.yml").write_text("a: !mine 3")
    checkpoint = read(folder)
    assert (checkpoint.environment, checkpoint.configured) == (EnvironmentSpec(), None)
    assert len(checkpoint.warnings) == 3
    assert all(warning.endswith("; the file is left aside") for warning in checkpoint.warnings)
    assert set(checkpoint.provenance.files) == {"checkpoint"}


@pytest.mark.parametrize("name", ["config.yml", "args.yml", "env_kwargs.yml"])
def test_hostile_files_are_refused(folder: Path, name: str) -> None:
    (folder / name).write_text("gamma: !!python/object/apply:os.system [touch owned]")
    with pytest.raises(Unsafe, match=rf"{name} carries the tag !!python/object/apply:os\.system"):
        read(folder)


def test_hyperparameters_of_many_environments(folder: Path) -> None:
    (folder / "config.yml").write_text("A-v0: {frame_stack: 2}\nB-v0: {frame_stack: 3}")
    assert "many environments" in read(folder).warnings[0]
    (folder / "args.yml").write_text("env: B-v0")
    assert environment(folder).frame_stack == 3


@pytest.mark.parametrize(
    ("normalize", "needed"),
    [
        ("true", True),
        ("dict(norm_obs=True, norm_reward=False)", True),
        ("dict(norm_obs=False)", False),
        ("false", False),
    ],
)
@pytest.mark.parametrize("revealed", [True, False])
def test_statistics_that_the_configuration_tells_of(
    folder: Path, normalize: str, needed: bool, revealed: bool
) -> None:
    """A zip that reveals VecNormalize may be of a training that normalised only rewards."""
    if revealed:
        data = {"_last_original_obs": [1.0]}
        change(folder / "model.zip", folder / "changed.zip", data).rename(folder / "model.zip")
    (folder / "config.yml").write_text(f"normalize: {normalize}")
    source = resolve(str(folder), SourceOptions())
    is_error = needed or (revealed and normalize == "false")
    if is_error:
        with pytest.raises(UsageError, match="was trained with VecNormalize") as caught:
            read_checkpoint(source)
        assert "--no-stats" in str(caught.value.hint)
    assert read_checkpoint(source, use_stats=not is_error).normalizer is None


@pytest.mark.thorough
def test_verification_does_not_depend_on_them(folder: Path, tmp_path: Path) -> None:
    (folder / "config.yml").write_text("gamma: 0.9")
    port_of(folder, tmp_path / "port", verify=False)
    (folder / "config.yml").unlink()
    assert verify(tmp_path / "port").verdict == "bit-exact"
