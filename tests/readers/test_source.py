"""Which zip and which statistics a folder or a file means, and what is said where that is not clear."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from sb3port.errors import NotPortable, UsageError
from sb3port.readers.places.source import Source, SourceOptions, resolve

from .making import read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is named like a repository."""
    path = tmp_path / "ppo-Pendulum-v1"
    path.mkdir()
    return path


def _put(folder: Path, fixture: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(fixture / f"{fixture.name}.zip", folder / name)


def _resolve(path: Path, **options: object) -> Source:
    return resolve(str(path), SourceOptions(**options))


def test_the_zip_named_like_the_folder_wins(folder: Path, pendulum: Path) -> None:
    _put(folder, pendulum, "best_model.zip", "ppo-Pendulum-v1.zip", "a.zip")
    (folder / "a").mkdir()
    (folder / "a" / "data").touch()
    assert _resolve(folder).checkpoint.name == "ppo-Pendulum-v1.zip"


def test_the_zip_named_like_the_folder_wins_even_when_damaged(folder: Path, pendulum: Path) -> None:
    _put(folder, pendulum, "best_model.zip")
    (folder / "ppo-Pendulum-v1.zip").write_bytes(b"PK\x03\x04 truncated")
    with pytest.raises(NotPortable, match="not a whole zip"):
        read(folder)


def test_the_zip_beside_its_unpacked_folder(folder: Path, pendulum: Path) -> None:
    _put(folder, pendulum, "x.zip", "model.zip")
    (folder / "model").mkdir()
    (folder / "model" / "policy.pth").touch()
    assert _resolve(folder).checkpoint.name == "model.zip"


def test_the_only_checkpoint(folder: Path, pendulum: Path) -> None:
    _put(folder, pendulum, "deep/er/final.zip")
    (folder / "replay.zip").write_bytes(b"no zip")
    (folder / "train_eval_metrics.zip").write_bytes((pendulum / "ppo-Pendulum-v1.zip").read_bytes())
    assert _resolve(folder).checkpoint.name == "deep/er/final.zip"


def test_several_are_all_listed(folder: Path, pendulum: Path) -> None:
    _put(folder, pendulum, "one.zip", "two.zip", "b/three.zip")
    with pytest.raises(UsageError) as caught:
        _resolve(folder)
    assert all(name in caught.value.message for name in ("one.zip", "two.zip", "b/three.zip"))
    assert "--filename" in str(caught.value.hint)


def test_filename_chooses(folder: Path, pendulum: Path) -> None:
    _put(folder, pendulum, "one.zip", "two.zip")
    assert _resolve(folder, filename="two.zip").checkpoint.name == "two.zip"
    with pytest.raises(UsageError, match="three"):
        _resolve(folder, filename="three.zip")


def test_none(folder: Path) -> None:
    (folder / "README.md").touch()
    (folder / "train_eval_metrics.zip").touch()
    with pytest.raises(NotPortable, match="no SB3 checkpoint"):
        _resolve(folder)


def test_an_lfs_pointer_is_called_one(folder: Path) -> None:
    (folder / "model.zip").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(NotPortable, match="Git LFS pointer"):
        read(folder)


@pytest.mark.parametrize(
    "place", ["vec_normalize.pkl", "vecnormalize.pkl", "a/vec_normalize.pkl", "a/vecnormalize.pkl"]
)
def test_places_of_statistics(folder: Path, pendulum: Path, place: str) -> None:
    _put(folder, pendulum, "a.zip")
    (folder / "a").mkdir()
    shutil.copy(pendulum / "vec_normalize.pkl", folder / place)
    for path in (folder, folder / "a.zip"):
        source = _resolve(path)
        assert [source.path(name) for name in source.statistics.names] == [folder / place]


def test_statistics_nearest_first(folder: Path, pendulum: Path) -> None:
    """That in the folder of the zip's own name is the nearest."""
    _put(folder, pendulum, "run/a.zip", "run/a/x")
    for place in ("vec_normalize.pkl", "run/vecnormalize.pkl", "run/a/vecnormalize.pkl"):
        shutil.copy(pendulum / "vec_normalize.pkl", folder / place)
    expected = ("run/a/vecnormalize.pkl", "run/vecnormalize.pkl", "vec_normalize.pkl")
    assert _resolve(folder).statistics.names == expected


def test_missing_statistics(tmp_path: Path, pendulum: Path) -> None:
    _put(tmp_path, pendulum, "model.zip")
    with pytest.raises(UsageError) as caught:
        read(tmp_path)
    assert "--no-stats" in str(caught.value.hint)
    given = read(tmp_path, vecnormalize=pendulum / "vec_normalize.pkl")
    assert given.normalizer is not None
    expected = read(pendulum).normalizer
    assert expected is not None
    assert expected.obs_rms is not None
    assert given.normalizer.obs_rms is not None
    np.testing.assert_array_equal(given.normalizer.obs_rms.mean, expected.obs_rms.mean)


def test_statistics_of_another_shape(cartpole: Path, pendulum: Path) -> None:
    with pytest.raises(UsageError, match=r"shape \(3,\).*\(4,\)"):
        read(cartpole, vecnormalize=pendulum / "vec_normalize.pkl")


def test_options_that_do_not_apply(folder: Path, pendulum: Path) -> None:
    _put(folder, pendulum, "a.zip")
    for path, options in (
        (folder, {"revision": "main"}),
        (folder / "a.zip", {"filename": "a.zip"}),
        (folder, {"vecnormalize": folder / "absent.pkl"}),
    ):
        with pytest.raises(UsageError):
            _resolve(path, **options)


@pytest.mark.parametrize(
    ("label", "meant"),
    [
        ("models/ppo_wlker.zip", "models/ppo_walker.zip"),
        ("models/ppo_wlker", "models/ppo_walker.zip"),
        ("modles/ppo_walker", "models/ppo_walker.zip"),
        ("./models/nothing/like/it", None),
        ("models/best/nothing-like-it", None),
        ("models/unlike", None),
    ],
)
def test_a_path_that_is_absent(
    label: str, meant: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Hub is not asked for it."""
    (tmp_path / "models" / "best").mkdir(parents=True)
    (tmp_path / "models" / "ppo_walker.zip").touch()
    monkeypatch.chdir(tmp_path)
    if label == "modles/ppo_walker":  # may be on the Hub
        label = f"./{label}"
    with pytest.raises(UsageError, match="neither a file or folder on this machine") as caught:
        resolve(label, SourceOptions())
    assert meant is None or f"did you mean {meant}?" in str(caught.value.hint)


def test_what_is_a_folder_deeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training keeps its best in its checkpoints."""
    (tmp_path / "run" / "checkpoints" / "best").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="run/best is neither a file or folder") as caught:
        resolve("run/best", SourceOptions())
    assert str(caught.value.hint).startswith("did you mean run/checkpoints/best?")


@pytest.mark.parametrize("label", ["absent.zip", "a/b/c", "~nobody-here/x/y", "x" * 5000, ""])
def test_what_is_neither_path_nor_repository(
    label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UsageError, NotPortable)):
        resolve(label, SourceOptions())
