"""`compare`: our runs, SB3's logs and rl_zoo3's folders side by side, with intervals that can be checked."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from stable_baselines3.common.results_plotter import load_results

import sb3port
from sb3port.commands.comparing.intervals import difference_of, mean_of, t_quantile

from .conftest import Cli

SMALL: dict[str, Any] = {"n_steps": 64, "batch_size": 32, "n_epochs": 2, "learning_rate": 3e-4}
STEPS = 512


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds by us and by SB3, one of ours with another learning rate, and a folder of rl_zoo3."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        given = {**SMALL, "gamma": 0.99, "gae_lambda": 0.95, "clip_range": 0.2}
        sb3port.train(
            "CartPole-v1", folder / f"ours{seed}", steps=STEPS, n_envs=2, seed=seed, hyperparameters=given
        )
        env = make_vec_env("CartPole-v1", 2, seed, monitor_dir=str(folder / f"sb3-{seed}"))
        model = PPO("MlpPolicy", env, seed=seed, device="cpu", **SMALL)
        model.set_logger(configure(str(folder / f"sb3-{seed}"), ["csv"]))
        zoo = folder / "logs/ppo" / f"CartPole-v1_{seed + 1}"
        callback = EvalCallback(make_vec_env("CartPole-v1", 1), None, None, 3, 64, str(zoo), verbose=0)
        model.learn(STEPS, callback=callback)
        (zoo / "CartPole-v1").mkdir()
        (zoo / "CartPole-v1/args.yml").write_text(
            f"!!python/object/apply:collections.OrderedDict\n- - - a\n    - b\n  - - seed\n    - {seed}\n"
        )
        shutil.copy(folder / f"sb3-{seed}/0.monitor.csv", zoo)
    given = {**SMALL, "learning_rate": 1e-5}
    sb3port.train("CartPole-v1", folder / "slow", steps=256, n_envs=2, hyperparameters=given)
    return folder


@pytest.fixture
def runs(made: Path, here: Path) -> Path:
    shutil.copytree(made, here, symlinks=True, dirs_exist_ok=True)
    return here


def compared(cli: Cli, *args: object) -> dict[str, Any]:
    result = cli("compare", *args, "--json")
    result.succeeds()
    found: dict[str, Any] = json.loads(result.out)
    return found


def test_ours_are_sb3s(cli: Cli, runs: Path) -> None:
    """The same seeds and settings: the same returns, with the interval that NumPy and a table give."""
    ours, theirs = compared(cli, "ours0", "ours1", "sb3-0", "sb3-1/progress.csv")["groups"]
    assert (ours["env"], ours["name"], ours["at"]) == ("CartPole-v1", "PPO, exact", STEPS)
    assert (theirs["name"], [run["seed"] for run in ours["runs"]]) == ("PPO, SB3", [0, 1])
    values = [run["training"] for run in ours["runs"]]
    assert [run["training"] for run in theirs["runs"]] == pytest.approx(values)
    half = 12.7062 * np.std(values, ddof=1) / math.sqrt(2)
    assert ours["training"]["high"] - ours["training"]["mean"] == pytest.approx(half, rel=1e-4)
    assert theirs["above_first"]["training"]["mean"] == pytest.approx(0, abs=1e-9)
    assert ours["above_first"]["training"] is None


def test_monitors_are_read_as_sb3_reads_them(cli: Cli, runs: Path) -> None:
    (group,) = compared(cli, *(path for path in runs.glob("sb3-0/*monitor.csv")), "--at", 10_000)["groups"]
    assert group["env"] == "CartPole-v1"
    (whole,) = compared(cli, runs / "sb3-0")["groups"]
    (runs / "sb3-0/progress.csv").unlink()
    (monitors,) = compared(cli, runs / "sb3-0")["groups"]
    last = load_results(str(runs / "sb3-0"))["r"].to_numpy()[-100:]
    assert monitors["training"]["mean"] == pytest.approx(last.mean())
    assert whole["training"]["mean"] == pytest.approx(last.mean(), rel=0.1)


def test_folders_of_rl_zoo3(cli: Cli, runs: Path) -> None:
    (group,) = compared(cli, *sorted(runs.glob("logs/ppo/*")))["groups"]
    assert (group["env"], group["name"]) == ("CartPole-v1", "PPO, SB3")
    assert [run["seed"] for run in group["runs"]] == [0, 1]
    with np.load(runs / "logs/ppo/CartPole-v1_1/evaluations.npz") as file:
        expected = file["results"][file["timesteps"] <= group["at"]][-1].mean()
    assert group["runs"][0]["evaluation"] == pytest.approx(expected)


def test_what_differs_sets_groups_apart(cli: Cli, runs: Path) -> None:
    result = cli("compare", "ours0", "slow", "-v")
    result.succeeds()
    assert "warning: runs of CartPole-v1 have 256 to 512 steps; all are looked at after 256" in result.err
    assert "learning_rate 0.0003" in result.out
    assert "learning_rate 1e-05" in result.out
    assert "above the first evaluated" in result.out
    assert "ours0: seed 0, " in result.out
    found = compared(cli, "ours0", "slow", "--at", 128)
    assert {group["at"] for group in found["groups"]} == {128}
    assert found["groups"][0]["training"]["low"] is None


def test_the_picture(cli: Cli, runs: Path) -> None:
    cli("compare", "ours0", "ours1", "slow", "--plot", "a.png", "-q").succeeds()
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    cli("compare", "ours0", "--plot", "a.png").fails(2, "a.png exists", "--force")
    text = Path("sb3-1/0.monitor.csv").read_text().replace("CartPole", "Pendulum")
    Path("other.monitor.csv").write_text(text)
    cli("compare", "ours0", "other.monitor.csv", "--plot", "b.png").fails(2, "have no common scale")


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("torch", "gymnasium", "matplotlib", "stable_baselines3"):
            raise ImportError(name)
sys.meta_path.insert(0, Blocker())
from sb3port.cli.app import main
main()
"""


def test_it_needs_no_torch(runs: Path) -> None:
    words = [sys.executable, "-c", BLOCKED, "compare", "ours0", "sb3-0"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "PPO, SB3" in done.stdout


@pytest.mark.parametrize(
    ("text", "code", "sentence"),
    [
        ("a,b\n1,2\n", 4, "no column time/total_timesteps"),
        ("time/total_timesteps,rollout/ep_rew_mean\n", 2, "has no returns yet"),
        ("\xff\xfe", 4, "is no text"),
        ("time/total_timesteps,rollout/ep_rew_mean\n100,\x1b[31m\n", 2, "has no returns yet"),
    ],
    ids=["columns", "empty", "binary", "cut"],
)
def test_what_is_no_log(cli: Cli, text: str, code: int, sentence: str) -> None:
    Path("progress.csv").write_bytes(text.encode("latin-1"))
    cli("compare", "progress.csv").fails(code, sentence)


def test_what_is_no_run(cli: Cli, runs: Path) -> None:
    cli("compare", "our0").fails(2, "our0 is neither a run nor a log", "did you mean ours0?")
    cli("compare", "logs").fails(2, "holds none of progress.csv, monitor.csv and evaluations.npz")
    Path("x.monitor.csv").write_text("r,l,t\n1,2,3\n")
    cli("compare", "x.monitor.csv").fails(4, "does not begin as a monitor of SB3's does")
    cli("compare", "ours0", "--at", 3).fails(2, "no run of CartPole-v1 has a return after 3 steps")


@pytest.mark.parametrize(
    ("freedom", "t"), [(1, 12.7062), (2, 4.30265), (4, 2.77645), (9, 2.26216), (30, 2.04227), (1e6, 1.95997)]
)
def test_quantiles_are_those_of_the_tables(freedom: float, t: float) -> None:
    assert t_quantile(freedom) == pytest.approx(t, rel=1e-5)


def test_welch() -> None:
    """Against scipy.stats.ttest_ind(..., equal_var=False).confidence_interval()."""
    found = difference_of([1.0, 2.0, 4.0, 8.0], [2.0, 2.5, 3.0])
    assert (found.mean, found.half) == (pytest.approx(1.25), pytest.approx(4.8331705, rel=1e-4))
    assert difference_of([1.0], [2.0, 3.0]).half is None
    assert difference_of([1.0, 1.0], [2.0, 2.0]).half == 0.0
    assert mean_of([3.0]).half is None
