"""Statistics are paired by one rule, however the source is named: by the zip, its folder, or one above."""

import pickle
import shlex
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.errors import Unsafe, UsageError
from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.places import source_files
from sb3port.readers.places.recorded import recorded_source
from sb3port.readers.places.source import SourceOptions, resolve

from .making import BOX, Still, change, read, save


@cache
def statistics(count: int, size: int = 3) -> bytes:
    """Give statistics that have seen so many observations."""
    box = spaces.Box(-1.0, 1.0, (size,))
    made = VecNormalize(DummyVecEnv([lambda: Still(box, BOX)]))
    made.obs_rms.count = float(count)
    return pickle.dumps(made)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(PPO, tmp_path_factory.mktemp("model") / "model.zip")


def lay_out(folder: Path, model: Path, files: str) -> Path:
    """Write files from words of `kind:name`.

    `+64` is a zip that shows VecNormalize after 64 steps, `-64` one that shows none, `64` statistics that
    have seen 64 observations, and `o64` those of other observations.
    """
    for kind, _, name in (word.partition(":") for word in files.split()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind[0] in "+-":
            shown = [0.0] if kind[0] == "+" else None
            data = {"num_timesteps": int(kind[1:]), "_last_obs": [0.0], "_last_original_obs": shown}
            change(model, path, data)
        else:
            path.write_bytes(statistics(int(kind.lstrip("o")), 9 if kind[0] == "o" else 3))
    return folder


def ways(root: Path, name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Give every way to name a zip: itself, without its ending, a folder above, and unzipped."""
    zipped = root / name
    yield zipped, {}
    yield zipped.with_suffix(""), {}
    for folder in zipped.parents[: len(Path(name).parts)]:
        inside = str(zipped.relative_to(folder))
        yield folder, {"filename": inside}
        yield folder, {"filename": inside.removesuffix(".zip")}


def unzipped(root: Path, name: str) -> tuple[Path, dict[str, Any]]:
    """Unzip a checkpoint in place of its zip, and name the folder."""
    folder = (root / name).with_suffix("")
    shutil.unpack_archive(root / name, folder)
    (root / name).unlink()
    return folder, {}


def answer(root: Path, path: Path, options: dict[str, Any]) -> str:
    """Give which statistics are taken, as a path below the root; "none"; or "refused"."""
    try:
        checkpoint = read(path, **options)
    except UsageError:
        return "refused"
    again = read_checkpoint(recorded_source(checkpoint.provenance))
    assert again.provenance.files == checkpoint.provenance.files
    found = checkpoint.provenance.files.get("statistics")
    base = path if path.is_dir() else path.parent
    return (base / found.name).resolve().relative_to(root.resolve()).as_posix() if found else "none"


LAYOUTS = [
    # EvalCallback saves the best model in a folder of its own.
    ("+64:models/best_model/best_model.zip 64:models/vec_normalize.pkl", "models/vec_normalize.pkl"),
    ("+64:logs/run/best/best_model.zip 99:logs/vec_normalize.pkl", "logs/vec_normalize.pkl"),
    ("+64:m/a.zip 64:stats/vec_normalize.pkl", "stats/vec_normalize.pkl"),
    ("+64:a/b/c/d/e/best_model.zip 64:vec_normalize.pkl", "vec_normalize.pkl"),
    ("+64:models/run1/m.zip 64:stats/run1/v.pkl 64:stats/run2/v.pkl", "stats/run1/v.pkl"),
    # Versions in names.
    ("+64:m/walker_v2.zip -64:m/walker_v1.zip 64:stats/vec_v2.pkl", "stats/vec_v2.pkl"),
    ("-64:m/walker_v1.zip +64:m/walker_v2.zip 64:stats/vec_v2.pkl", "none"),
    ("-64:walker.zip 64:vec_normalize_v6.pkl", "none"),
    ("+64:m/walker_v2.zip 64:m/vec_v1.pkl 65:m/vec_v2.pkl 64:m/vec.pkl", "m/vec_v2.pkl"),
    # What shows no VecNormalize.
    ("-64:first.zip o64:vec_normalize.pkl", "none"),
    ("-64:first.zip 500:vec_normalize.pkl", "none"),
    ("-64:gen_policy/model.zip 64:gen_policy/vec_normalize.pkl", "gen_policy/vec_normalize.pkl"),
    ("-64:first.zip", "none"),
    # What shows it, and has none that fit.
    ("+64:a.zip", "refused"),
    ("+64:a.zip o64:vec_normalize.pkl", "refused"),
    ("+64:b.zip +64:a.zip 64:a_vec.pkl", "refused"),
    ("+64:r2/a.zip +64:r1/a.zip 64:r1/vec_normalize.pkl", "refused"),
    ("+64:a.zip o64:vec_normalize.pkl 64:b.pkl", "b.pkl"),
    # Snapshots: their own, else those of another time in the training.
    ("+64:ppo_64_steps.zip 64:ppo_vecnormalize_64_steps.pkl 99:vec_normalize.pkl",
     "ppo_vecnormalize_64_steps.pkl"),
    ("+3000:ppo_3000_steps.zip 1000:ppo_vec_1000_steps.pkl 2000:ppo_vec_2000_steps.pkl",
     "ppo_vec_2000_steps.pkl"),
    ("+64:ppo_walker_best.zip 99:ppo_walker_final_vec.pkl +99:ppo_walker_final.zip",
     "ppo_walker_final_vec.pkl"),
    ("+64:best_model.zip +99:walker_final.zip 99:walker_final_vec.pkl", "walker_final_vec.pkl"),
    ("+64:run/best/best_model.zip 64:run/checkpoints/p_vec_64_steps.pkl +64:run/checkpoints/p_64_steps.zip",
     "run/checkpoints/p_vec_64_steps.pkl"),
    # Several.
    ("+64:a.zip 500:x.pkl 900:y.pkl", "refused"),
    ("+64:a.zip 500:vec_normalize.pkl 900:vecnormalize.pkl", "refused"),
    ("+64:a.zip 500:x.pkl 500:y.pkl", "x.pkl"),  # copies
    ("+64:a.zip 64:y.pkl 900:x.pkl", "y.pkl"),
    ("+64:a.zip 900:vec_normalize.pkl 64:a_vec.pkl", "a_vec.pkl"),
    ("+64:a/b.zip 64:a/vec_normalize.pkl 65:vec_normalize.pkl", "a/vec_normalize.pkl"),
    # rl_zoo3.
    ("+64:Ant-v3_1/best_model.zip +99:Ant-v3_1/Ant-v3.zip 99:Ant-v3_1/Ant-v3/vecnormalize.pkl",
     "Ant-v3_1/Ant-v3/vecnormalize.pkl"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), LAYOUTS)
def test_the_same_however_it_is_named(tmp_path: Path, model: Path, files: str, expected: str) -> None:
    root = lay_out(tmp_path / "root", model, files)
    (root / ".git").mkdir()  # what other tests left above is of other work
    name = files.split(maxsplit=1)[0].partition(":")[2]
    answers = {answer(root, path, options) for path, options in ways(root, name)}
    answers.add(answer(root, *unzipped(root, name)))
    assert answers == {expected}


def said(checkpoint: Checkpoint) -> str:
    return "; ".join([checkpoint.provenance.pairing, *checkpoint.warnings])


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (LAYOUTS[0][0], "vec_normalize.pkl, one folder above: the zip shows VecNormalize, its shape fits"),
        (
            "+64:a/b.zip 99:vec_normalize.pkl",
            "may be of another step than b.zip: it has seen 99 observations",
        ),
        (
            "-64:a.zip 500:vec_normalize.pkl",
            "has seen 436 observations more or fewer than the model has steps",
        ),
        ("-64:a_v1.zip 64:vec_v2.pkl", "vec_v2.pkl, beside it, has the name of another model or time"),
        ("-64:a.zip o64:vec_normalize.pkl", "are of shape (9,), but the model observes (3,)"),
        ("+3000:p_3000_steps.zip 1000:p_vec_1000_steps.pkl", "may be of another step than p_3000_steps.zip"),
        ("+64:a.zip 64:x.pkl", "x.pkl is taken for its statistics: no other pickle fits"),
    ],
)
def test_what_is_said(tmp_path: Path, model: Path, files: str, words: str) -> None:
    root = lay_out(tmp_path / "root", model, files)
    sentences = said(read(root / files.split(maxsplit=1)[0].partition(":")[2]))
    assert words in sentences
    assert str(tmp_path) not in sentences  # they are kept in the port, and go where that goes


def test_the_hint_is_a_command_that_runs(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names what is best for this zip, from where the user is, in whatever folder the zip is."""
    lay_out(tmp_path / "the runs", model, "+64:best/a.zip 500:vec_normalize.pkl 90:vecnormalize.pkl")
    monkeypatch.chdir(tmp_path)
    for named in (["the runs/best/a"], ["the runs", "--filename", "best/a.zip"]):
        options = {"filename": named[2]} if len(named) > 1 else {}
        with pytest.raises(UsageError) as caught:
            resolve_and_read(named[0], **options)
        words = shlex.split(str(caught.value.hint).rpartition(": ")[2])
        assert words == ["sb3port", "convert", *named, "--vecnormalize", "the runs/vecnormalize.pkl"]
        taken = resolve_and_read(named[0], vecnormalize=Path(words[-1]), **options)
        assert taken.normalizer is not None


def resolve_and_read(label: str, **options: Any) -> Checkpoint:
    return read_checkpoint(resolve(label, SourceOptions(**options)))


def test_what_is_missing_is_said_with_a_command(tmp_path: Path, model: Path) -> None:
    root = lay_out(tmp_path / "r", model, "+64:b.zip +64:a.zip 64:a_vec.pkl")
    with pytest.raises(UsageError, match=r"a_vec\.pkl, beside it, is named for another model") as caught:
        read(root, filename="b.zip")
    hint = str(caught.value.hint)
    assert hint.endswith(f"sb3port convert {root} --filename b.zip --no-stats")
    assert "a_vec" not in hint
    with pytest.raises(UsageError) as caught:
        read_checkpoint(resolve(str(root / "b.zip"), SourceOptions()), assume_standard_forward=True)
    assert str(caught.value.hint).endswith(f"{root / 'b.zip'} --assume-standard-forward --no-stats")


@pytest.mark.parametrize("name", ["../vec_normalize.pkl", "vec_normalize.pkl"])
def test_vecnormalize_is_seen_from_the_checkpoint_or_the_source(
    tmp_path: Path, model: Path, name: str
) -> None:
    root = lay_out(tmp_path / "r", model, "-64:best/a.zip 500:vec_normalize.pkl 900:best/x.pkl")
    options = {"filename": "best/a.zip", "vecnormalize": Path(name)}
    assert read(root, **options).normalizer is not None
    if name.startswith(".."):
        assert read(root / "best" / "a.zip", vecnormalize=Path(name)).normalizer is not None


def test_nothing_is_looked_for_above_a_repository(tmp_path: Path, model: Path) -> None:
    root = lay_out(tmp_path / "r", model, "+64:work/best/a.zip 64:vec_normalize.pkl")
    assert read(root / "work" / "best").normalizer is not None
    (root / "work" / ".git").mkdir()
    for path, options in ways(root, "work/best/a.zip"):
        with pytest.raises(UsageError, match="no statistics"):
            read(path, **options)


def test_nothing_is_looked_for_in_a_home_or_where_everyone_writes(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = lay_out(tmp_path / "r", model, "+64:best/a.zip 64:vec_normalize.pkl")
    assert read(root / "best").normalizer is not None
    root.chmod(0o1777)
    with pytest.raises(UsageError, match="no statistics"):
        read(root / "best")
    root.chmod(0o755)
    monkeypatch.setenv("HOME", str(root))
    with pytest.raises(UsageError, match="no statistics"):
        read(root / "best")


def test_links_above_lead_nowhere_else(tmp_path: Path, model: Path) -> None:
    root = lay_out(tmp_path / "r", model, "+64:best/a.zip 64:secret/vec.pkl")
    work = tmp_path / "work"
    work.mkdir()
    shutil.move(root / "best", work / "best")
    (work / "vec_normalize.pkl").symlink_to(root / "secret" / "vec.pkl")
    with pytest.raises((UsageError, Unsafe)):
        read(work / "best")


def test_a_large_tree_above_is_not_walked(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of folders above only those are looked into that are named like parts of a training."""
    root = lay_out(tmp_path / "r", model, "+64:best/a.zip 64:stats/vec_normalize.pkl")
    for number in range(50):
        (root / f"project{number}x" / "deep").mkdir(parents=True)
    seen: list[str] = []
    scan = source_files.os.scandir
    monkeypatch.setattr(source_files.os, "scandir", lambda path: (seen.append(str(path)), scan(path))[1])
    assert read(root / "best" / "a.zip").normalizer is not None
    assert not [path for path in seen if "project" in path]


def test_config_yml_tells_it_too(tmp_path: Path, model: Path) -> None:
    root = lay_out(tmp_path / "r", model, "-64:a.zip 500:vec_normalize.pkl")
    assert read(root).normalizer is None
    (root / "config.yml").write_text("normalize: true\nn_timesteps: 64\n")
    assert "config.yml shows VecNormalize" in read(root).provenance.pairing
