"""The layouts of the world: which checkpoint and which statistics are meant, or what is asked."""

from pathlib import Path

import gymnasium as gym
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3port.errors import NotPortable, Sb3portError, UsageError
from sb3port.ports.manifest import spec_json
from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.places.source import SourceOptions, resolve

from .laying import lay
from .making import change, read

NAME = "ppo-Pendulum-v1"
ZOO_UPLOAD = f"""
zip {NAME}.zip
unzipped {NAME}
stats vec_normalize.pkl
curves train_eval_metrics.zip
text args.yml config.yml env_kwargs.yml results.json replay.mp4 README.md
"""
ZOO_RUN = """
zip Pendulum-v1.zip best_model.zip rl_model_1000_steps.zip rl_model_2000_steps.zip
stats Pendulum-v1/vecnormalize.pkl
text Pendulum-v1/config.yml Pendulum-v1/args.yml Pendulum-v1/command.txt evaluations.npz 0.monitor.csv
"""
CALLBACK = """
zip rl_model_1000_steps.zip rl_model_2000_steps.zip
stats rl_model_vecnormalize_1000_steps.pkl rl_model_vecnormalize_2000_steps.pkl
pickle rl_model_replay_buffer_2000_steps.pkl
"""


def found(folder: Path, **options: str) -> list[str]:
    """Give the names of the checkpoint and of the statistics that are read with it."""
    files = read(folder, **options).provenance.files
    return [files["checkpoint"].name, *(file.name for role, file in files.items() if role == "statistics")]


@pytest.mark.parametrize(
    ("files", "filename", "expected"),
    [
        (ZOO_UPLOAD, None, f"{NAME}.zip vec_normalize.pkl"),
        ("zip lander.zip\nstats vec_normalize.pkl\ntext README.md", None, "lander.zip vec_normalize.pkl"),
        ("zip x.zip\nunzipped x\nzip y.zip\nstats vec_normalize.pkl", None, "x.zip vec_normalize.pkl"),
        ("zip model.zip\nstats vec_normalize.pkl", None, "model.zip vec_normalize.pkl"),
        (ZOO_RUN, None, "Pendulum-v1.zip Pendulum-v1/vecnormalize.pkl"),
        (ZOO_RUN, "best_model", "best_model.zip Pendulum-v1/vecnormalize.pkl"),
        (ZOO_RUN, "rl_model_1000_steps.zip", "rl_model_1000_steps.zip Pendulum-v1/vecnormalize.pkl"),
        (
            CALLBACK,
            "rl_model_1000_steps.zip",
            "rl_model_1000_steps.zip rl_model_vecnormalize_1000_steps.pkl",
        ),
        (
            CALLBACK + "stats vec_normalize.pkl",
            "rl_model_2000_steps.zip",
            "rl_model_2000_steps.zip rl_model_vecnormalize_2000_steps.pkl",
        ),
        ("zip ppo_10.zip ppo_20.zip\nstats vn_10.pkl vn_20.pkl", "ppo_20", "ppo_20.zip vn_20.pkl"),
        ("zip X_model.zip Y_model.zip\nstats X_vec.pkl Y_vec.pkl", "Y_model.zip", "Y_model.zip Y_vec.pkl"),
        (
            "zip ppo_best.zip ppo_last.zip\nstats ppo_best_vecnorm.pkl ppo_last_vecnorm.pkl",
            "ppo_best.zip",
            "ppo_best.zip ppo_best_vecnorm.pkl",
        ),
        ("zip model.zip\nstats vec_normalize_final.pkl", None, "model.zip vec_normalize_final.pkl"),
        ("zip final_model.zip\nstats vecnorm_final.pkl", None, "final_model.zip vecnorm_final.pkl"),
        ("zip model.zip\nstats obs_rms.pkl\npickle ret_rms.pkl", None, "model.zip obs_rms.pkl"),
        ("zip model.zip\nrms obs_rms.pkl", None, "model.zip obs_rms.pkl"),
        ("zip a/model.zip\nstats env_stats.pickle", None, "a/model.zip env_stats.pickle"),
        ("zip best/best_model.zip\nzip final_model.zip\nstats vec_normalize.pkl", "best/best_model.zip",
         "best/best_model.zip vec_normalize.pkl"),
        ("zip best/best_model.zip\nstats vec_normalize.pkl\nothers other.pkl", "best",
         "best/best_model.zip vec_normalize.pkl"),
        ("zip ppo_v1.2\nstats vec_normalize.pkl\ntext config LICENSE", None, "ppo_v1.2 vec_normalize.pkl"),
        ("zip weights.sb3\nstats vec_normalize.pkl\ncurves logs.zip", None, "weights.sb3 vec_normalize.pkl"),
        ("zip a.zip\nstats vec_normalize.pkl\nsb2 old.zip\ncurves logs.zip", None, "a.zip vec_normalize.pkl"),
        ("unzipped .\nstats vec_normalize.pkl", None, "data vec_normalize.pkl"),
        (f"unzipped {NAME}\nstats vec_normalize.pkl", None, f"{NAME}/data vec_normalize.pkl"),
        ("unzipped a b\nstats a/vec_normalize.pkl", "a", "a/data a/vec_normalize.pkl"),
        ("unzipped a\nstats vec_normalize.pkl\ncurves logs.zip train_eval_metrics.zip", None,
         "a/data vec_normalize.pkl"),
        (
            "zip ppo/Ant-v3_1/Ant-v3.zip ppo/Ant-v3_1/best_model.zip a2c/Ant-v3_1/Ant-v3.zip\n"
            "stats ppo/Ant-v3_1/Ant-v3/vecnormalize.pkl a2c/Ant-v3_1/Ant-v3/vecnormalize.pkl",
            "a2c",
            "a2c/Ant-v3_1/Ant-v3.zip a2c/Ant-v3_1/Ant-v3/vecnormalize.pkl",
        ),
    ],
)  # fmt: skip
def test_layout(tmp_path: Path, files: str, filename: str | None, expected: str) -> None:
    folder = lay(tmp_path / NAME, files)
    assert found(folder, **({"filename": filename} if filename else {})) == expected.split()


def test_flattened_mirror(tmp_path: Path) -> None:
    unzipped = lay(tmp_path, "unzipped x") / "x"
    folder = tmp_path / "mirror"
    folder.mkdir()
    for member in ("data", "system_info.txt"):
        (unzipped / member).rename(folder / f"{NAME}_{member}")
    for member in ("policy.pth", "policy.optimizer.pth"):
        (unzipped / member).rename(folder / member)
    lay(folder, "stats vec_normalize.pkl")
    checkpoint = read(folder)
    assert checkpoint.provenance.files["checkpoint"].name == f"{NAME}_data"
    assert checkpoint.provenance.system_info["Python"]
    assert checkpoint.optimizer is not None
    assert found(folder, filename=f"{NAME}_data") == found(folder)


def test_unzipped_is_the_same_checkpoint(tmp_path: Path, pendulum: Path) -> None:
    folder = lay(tmp_path / "x", "unzipped a\nstats vec_normalize.pkl")
    unzipped, zipped = read(folder), read(pendulum)
    assert spec_json(unzipped.spec) == spec_json(zipped.spec)
    assert all((unzipped.tensors[name] == zipped.tensors[name]).all() for name in zipped.tensors)
    assert unzipped.provenance.sb3_version == zipped.provenance.sb3_version
    assert set(unzipped.provenance.files) >= {"checkpoint", "policy.pth", "statistics"}


@pytest.mark.parametrize(
    ("files", "filename", "expected"),
    [
        ("zip m_1000_steps.zip\nstats m_vec_500_steps.pkl", None, "m_vec_500_steps.pkl"),
        (CALLBACK + "zip rl_model_3000_steps.zip", "rl_model_3000_steps.zip",
         "rl_model_vecnormalize_2000_steps.pkl"),
        ("zip a.zip\nstats x.pkl y.pkl", None, "x.pkl"),
        ("zip a.zip\nstats vec_normalize.pkl\nagain a_vec.pkl", None, "a_vec.pkl"),
        ("zip a.zip\nothers vec_normalize.pkl\nstats b.pkl", None, "b.pkl"),
    ],
)  # fmt: skip
def test_statistics_that_are_taken_for_want_of_others(
    tmp_path: Path, files: str, filename: str | None, expected: str
) -> None:
    assert found(lay(tmp_path / "run", files), filename=filename)[1] == expected


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        ("zip a.zip b.zip best_model.zip", UsageError, ["a.zip, b.zip, best_model.zip", "--filename a.zip"]),
        ("zip a.zip b.zip\nunzipped a b", UsageError, ["a.zip, b.zip"]),
        ("unzipped a b", UsageError, ["a, b", "--filename a"]),
        ("zip a_1.0 b_1.0", UsageError, ["a_1.0, b_1.0"]),
        (CALLBACK, UsageError, ["rl_model_1000_steps.zip, rl_model_2000_steps.zip"]),
        ("pointer a.zip", NotPortable, ["a.zip is a Git LFS pointer", "git lfs pull"]),
        ("pointer a.zip b.zip", NotPortable, ["a.zip is a Git LFS pointer"]),
        ("pointer a.zip\nzip b.zip", UsageError, ["a.zip, b.zip"]),
        (f"pointer {NAME}.zip\nzip b.zip", NotPortable, ["Git LFS pointer"]),
        ("zip a.zip\npointer vec_normalize.pkl", NotPortable, ["vec_normalize.pkl is a Git LFS pointer"]),
        ("sb2 a.zip", NotPortable, ["Stable Baselines 2"]),
        ("sb2 a.zip b.zip\ncurves c.zip", NotPortable, ["Stable Baselines 2"]),
        ("curves a.zip b.zip", NotPortable, ["no SB3 checkpoint", "a.zip, b.zip"]),
        ("text README.md policy.pth x_data", NotPortable, ["x: data is damaged"]),
        ("text README.md", NotPortable, ["no SB3 checkpoint"]),
    ],
)
def test_ambiguous_or_none(tmp_path: Path, files: str, error: type[Sb3portError], words: list[str]) -> None:
    with pytest.raises(error) as caught:
        read(lay(tmp_path / NAME, files))
    said = f"{caught.value.message}; {caught.value.hint}"
    assert all(word in said for word in words), said
    assert caught.value.exit_code == error.exit_code


@pytest.mark.parametrize(
    ("files", "filename", "words"),
    [
        ("zip a.zip\nstats x.pkl\nagain y.pkl", None, ["several", "x.pkl, y.pkl", "--vecnormalize", "x.pkl"]),
        ("zip a.zip\nstats vec_normalize.pkl\nagain vecnormalize.pkl", None, ["several", "vecnormalize.pkl"]),
        ("zip a.zip\nothers vec_normalize.pkl", None, ["shape (4,)", "another model"]),
        ("zip a.zip b.zip\nstats a_vec.pkl", "b.zip", ["no statistics"]),
        ("zip r1/a.zip r2/a.zip\nstats r1/vec_normalize.pkl", "r2/a.zip", ["no statistics"]),
        ("zip a.zip\nothers x.pkl\npickle y.pkl", None, ["no statistics"]),
        ("zip a.zip\nstats replay_buffer.pkl", None, ["no statistics"]),
    ],
)  # fmt: skip
def test_statistics_that_are_not_taken(
    tmp_path: Path, files: str, filename: str | None, words: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        read(lay(tmp_path / "run", files), filename=filename)
    said = f"{caught.value.message}; {caught.value.hint}"
    assert all(word in said for word in words), said


def test_several_statistics_are_no_matter_without_any(tmp_path: Path) -> None:
    folder = lay(tmp_path, "zip a.zip\nstats x.pkl y.pkl")
    assert read_checkpoint(resolve(str(folder), SourceOptions()), use_stats=False).normalizer is None


def test_the_shape_tells_statistics_apart(tmp_path: Path) -> None:
    folder = lay(tmp_path, "zip a.zip\nstats x.pkl\nothers y.pkl")
    assert found(folder) == ["a.zip", "x.pkl"]


@pytest.mark.parametrize("filename", [None, "run/x.pkl"])
def test_vecnormalize_names_a_file_of_the_source(tmp_path: Path, filename: str | None) -> None:
    folder = lay(tmp_path / "source", "zip a.zip\nstats x.pkl run/x.pkl")
    name = Path(filename or "x.pkl")
    assert found(folder, vecnormalize=name) == ["a.zip", str(name)]
    assert found(folder / "a.zip", vecnormalize=name) == ["a.zip", str(name)]


def test_vecnormalize_that_is_nowhere(tmp_path: Path) -> None:
    folder = lay(tmp_path, "zip a.zip\nstats x.pkl")
    with pytest.raises(UsageError, match=r"y\.pkl is neither") as caught:
        read(folder, vecnormalize=Path("y.pkl"))
    assert "x.pkl" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["a.zip", "a"])
def test_a_file_finds_its_statistics_in_its_folder(tmp_path: Path, name: str) -> None:
    folder = lay(tmp_path, f"zip {name}\nstats {'a_stats.pkl' if name == 'a' else 'a/vecnormalize.pkl'}")
    assert read(folder / name).normalizer is not None


def test_hidden_folders_and_packages_are_not_searched(tmp_path: Path) -> None:
    hidden = "zip .cache/b.zip a.zip venv/lib/c.zip node_modules/d.zip\ntext venv/pyvenv.cfg"
    folder = lay(tmp_path, f"{hidden}\nstats .x/vec_normalize.pkl vec_normalize.pkl")
    assert found(folder) == ["a.zip", "vec_normalize.pkl"]


def test_checkpoints_are_found_however_deep(tmp_path: Path) -> None:
    folder = lay(tmp_path, "zip a/other.zip a/b/c/d/e/f/g/best_model.zip\nstats vec_normalize.pkl")
    with pytest.raises(UsageError, match=r"a/b/c/d/e/f/g/best_model\.zip, a/other\.zip"):
        read(folder)
    (folder / "a" / "other.zip").unlink()
    (folder / "vec_normalize.pkl").rename(folder / "a" / "b" / "c" / "vec_normalize.pkl")
    assert found(folder) == ["a/b/c/d/e/f/g/best_model.zip", "a/b/c/vec_normalize.pkl"]


@pytest.mark.parametrize("name", ["models/ppo_toy", "models/ppo_v1.2", "models/ppo_toy.zip"])
def test_the_ending_may_be_left_out(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    zipped = f"{name.removesuffix('.zip')}.zip"
    folder = lay(tmp_path, f"zip {zipped} b.zip\nstats models/vec_normalize.pkl")
    monkeypatch.chdir(folder)
    assert resolve(name, SourceOptions()).checkpoint.name == Path(zipped).name
    assert found(folder, filename=name)[0] == zipped


@pytest.mark.parametrize("inside", ["zip x/best.zip", "unzipped x"])
def test_a_folder_with_a_checkpoint_wins_over_the_zip_of_its_name(tmp_path: Path, inside: str) -> None:
    folder = lay(tmp_path, f"zip x.zip b.zip\nstats vec_normalize.pkl\n{inside}")
    expected = "x/best.zip" if inside.startswith("zip") else "x/data"
    assert found(folder, filename="x")[0] == expected
    assert found(folder / "x")[0] == Path(expected).name


def test_a_zip_wins_over_a_folder_of_its_name_without_a_checkpoint(tmp_path: Path) -> None:
    folder = lay(tmp_path, "zip x.zip b.zip\nstats x/vecnormalize.pkl\ntext x/config.yml")
    assert found(folder, filename="x") == ["x.zip", "x/vecnormalize.pkl"] == found(folder / "x")


def warnings_of(folder: Path, **options: object) -> str:
    return "; ".join(read(folder, **options).warnings)


@pytest.mark.parametrize("name", ["best_model.zip", "rl_model_5000_steps.zip", "model.zip"])
def test_snapshot_with_the_final_statistics_is_warned_about(
    tmp_path: Path, pendulum: Path, name: str
) -> None:
    folder = lay(tmp_path / "run", "stats vec_normalize.pkl")
    change(pendulum / f"{NAME}.zip", folder / name, {"num_timesteps": 5000})
    said = warnings_of(folder)
    assert f"vec_normalize.pkl may be of another step than {name}" in said
    assert "102,404 observations" in said
    assert "5,000 steps" in said


def test_statistics_that_count_the_steps_are_not_warned_about(tmp_path: Path) -> None:
    assert "another step" not in warnings_of(lay(tmp_path, "zip best_model.zip\nstats vec_normalize.pkl"))


def test_statistics_told_by_content_are_warned_about(tmp_path: Path) -> None:
    assert "x.pkl is taken for its statistics" in warnings_of(lay(tmp_path, "zip a.zip\nstats x.pkl"))
    assert "is taken" not in warnings_of(tmp_path, vecnormalize=Path("x.pkl"))


def test_statistics_of_other_observations_are_passed_over(tmp_path: Path, cartpole: Path) -> None:
    folder = lay(tmp_path, "stats x.pkl")
    (folder / "a.zip").write_bytes((cartpole / "ppo-CartPole-v1.zip").read_bytes())
    assert "the zip shows no VecNormalize, and the observations that x.pkl normalises" in warnings_of(folder)
    assert read(folder).normalizer is None


def test_another_step_that_the_user_names_is_taken(tmp_path: Path) -> None:
    folder = lay(tmp_path, "zip m_1000_steps.zip\nstats m_vec_500_steps.pkl")
    assert read(folder, vecnormalize=Path("m_vec_500_steps.pkl")).normalizer is not None


def test_bare_running_statistics(tmp_path: Path) -> None:
    normalizer = read(lay(tmp_path, "zip a.zip\nrms obs_rms.pkl")).normalizer
    assert normalizer is not None
    assert (normalizer.clip_obs, normalizer.epsilon) == (10.0, 1e-8)
    assert "clip_obs 10 and epsilon 1e-08 are assumed" in warnings_of(tmp_path)


def test_statistics_that_count_the_steps(tmp_path: Path) -> None:
    """Where nothing else tells them apart, those are taken that have."""
    folder = lay(tmp_path, "zip a.zip\nstats y.pkl")
    fresh = VecNormalize(DummyVecEnv([lambda: gym.make("Pendulum-v1")]))
    fresh.save(str(folder / "x.pkl"))
    assert found(folder) == ["a.zip", "y.pkl"]
    fresh.obs_rms.count = 50_000.0
    fresh.save(str(folder / "z.pkl"))
    (folder / "y.pkl").unlink()
    with pytest.raises(UsageError) as caught:
        read(folder)
    assert "for example z.pkl, which is nearest to the model in steps: " in str(caught.value.hint)
    assert str(caught.value.hint).endswith(f"--vecnormalize {folder / 'z.pkl'}")
