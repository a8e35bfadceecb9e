"""`eval` beside SB3, and what it draws and films."""

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from .conftest import CARTPOLE, PENDULUM, Cli

RUN = ("--env", "Pendulum-v1", "--episodes", 3)


def test_compare_runs_sb3_on_the_same_seeds(cli: Cli, port: Path) -> None:
    result = cli("eval", port, *RUN, "--seed", 5, "--compare")
    result.succeeds()
    header, *rows = result.out.splitlines()[:4]
    assert header.split() == ["seed", "port", "SB3", "difference"]
    assert [row.split()[0] for row in rows] == ["5", "6", "7"]
    assert all(row.split()[1] == row.split()[2] and row.split()[3] == "0" for row in rows)
    assert "identical    3 of 3 episodes\n" in result.out
    assert "published    nothing within reach\n" in result.out


def test_compare_sees_a_port_that_acts_otherwise(cli: Cli, port: Path) -> None:
    processors = json.loads((port / "policy_preprocessor.json").read_text())
    processors["steps"][2]["config"]["clip_obs"] = 0.01
    (port / "policy_preprocessor.json").write_text(json.dumps(processors))
    content = json.loads(cli("eval", port, *RUN, "--compare", "--json").out)
    assert content["mean_difference"] == content["mean_return"] - content["sb3"]["mean_return"]
    assert abs(content["mean_difference"]) > 1
    assert "identical    0 of 3 episodes\n" in cli("eval", port, *RUN, "--compare").out


def test_the_source_is_found_as_verify_finds_it(cli: Cli, here: Path) -> None:
    shutil.copytree(PENDULUM, here / "src")
    cli("convert", "src", "port", "--no-verify").succeeds()
    (here / "src").rename(here / "moved")
    cli("eval", "port", *RUN, "--compare").fails(2, "src")
    cli("eval", "port", *RUN, "--compare", "--source", "moved").succeeds()
    cli("eval", "port", *RUN, "--compare", "--source", CARTPOLE).fails(2, "is not the source of this port")
    cli("eval", "port", *RUN, "--source", "moved").fails(2, "add --compare")


def test_published_results_are_told(cli: Cli, here: Path) -> None:
    shutil.copytree(PENDULUM, here / "src")
    results = {"mean_reward": -172.2, "std_reward": 104.1, "n_eval_episodes": 10}
    (here / "src" / "results.json").write_text(json.dumps(results))
    cli("convert", "src", "port", "--no-verify").succeeds()
    result = cli("eval", "port", *RUN, "--compare", "--json")
    published = {"mean": -172.2, "std": 104.1, "episodes": 10, "file": "results.json"}
    assert json.loads(result.out)["published"] == published
    line = "published    -172.20 ± 104.10 (mean ± standard deviation), says results.json\n"
    assert line in cli("eval", "port", *RUN, "--plot", "a.png").out


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_plot(cli: Cli, port: Path, suffix: str) -> None:
    result = cli("eval", port, *RUN, "--plot", f"a.{suffix}")
    result.succeeds()
    assert f"plot         a.{suffix}\n" in result.out
    content = Path(f"a.{suffix}").read_bytes()
    if suffix == "png":
        pixels = np.asarray(Image.open("a.png").convert("RGB")).reshape(-1, 3)
        assert (pixels == (0x00, 0x72, 0xB2)).all(axis=1).any()  # the mean of the port
    assert content[:4] in (b"\x89PNG", b"<?xm", b"%PDF")


@pytest.mark.parametrize("suffix", ["mp4", pytest.param("gif", marks=pytest.mark.thorough)])
def test_video(cli: Cli, port: Path, suffix: str) -> None:
    path = f"films/a.{suffix}"
    result = cli("eval", port, "--env", "Pendulum-v1", "--episodes", 1, "--video", path)
    result.succeeds()
    with av.open(path) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert frames[0].shape == (500, 500, 3)
    assert len(frames) == 201 if suffix == "mp4" else len(frames) > 100
    assert np.abs(frames[0].astype(int) - frames[20]).max() > 100  # something moves
    assert [file.name for file in Path("films").iterdir()] == [f"a.{suffix}"]


def test_files_are_refused_before_anything_runs(cli: Cli, port: Path, here: Path) -> None:
    (here / "there.png").write_bytes(b"")
    cli("eval", port, *RUN, "--plot", "there.png").fails(2, "there.png exists", "--force")
    cli("eval", port, *RUN, "--plot", "a.bmp").fails(2, "a.bmp is none of .png, .svg, .pdf")
    cli("eval", port, *RUN, "--video", "a.avi").fails(2, "a.avi is neither .mp4 nor .gif")
    cli("eval", port, *RUN, "--plot", "there.png", "--force").succeeds()
    assert (here / "there.png").stat().st_size > 1000


def test_an_environment_that_cannot_be_drawn(cli: Cli, here: Path) -> None:
    from tests.rollouts.models import make_model

    port = make_model("box", here / "model").port(here / "port")
    result = cli("eval", port, "--env", "rollouts/vector-box-v0", "--episodes", 1, "--video", "a.gif")
    assert result.code == 2
    assert "rollouts/vector-box-v0 cannot be" in result.err
    assert "episodes     1, seed 0" in result.out  # what was finished is shown
    assert not (here / "a.gif").exists()
