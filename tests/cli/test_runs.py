"""Runs are ports wherever one is asked for, by their best checkpoint, and go on beyond their end."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sb3port
from sb3port.errors import UsageError
from sb3port.ports.finding import port_here
from sb3port.ports.reading import read_port

from .conftest import Cli

TINY = ("--n-steps", 32, "--batch-size", 32, "--n-epochs", 1, "--n-envs", 1, "--eval-episodes", 1)
NEW = ("train", "--env", "CartPole-v1", *TINY)
BEST, LAST = "run/checkpoints/000032/pretrained_model", "run/checkpoints/000096/pretrained_model"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three checkpoints, the first of which is the best with a return of 50.5."""
    out = tmp_path_factory.mktemp("trained") / "run"
    sizes = {"n_steps": 32, "batch_size": 32, "n_epochs": 1}
    sb3port.train("CartPole-v1", out, steps=96, n_envs=1, hyperparameters=sizes)
    link, noted = out / "checkpoints/best", out / "checkpoints/000032/training_state/training.json"
    link.unlink()
    link.symlink_to("000032")
    content = json.loads(noted.read_text())
    content["counters"]["best_return"] = 50.5
    noted.write_text(json.dumps(content))
    return out


@pytest.fixture
def run(trained: Path, here: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(trained, here / "run", symlinks=True))


COMMANDS = [
    ("eval", ("--episodes", 1)),
    ("record", ("--episodes", 1, "--out", "x.npz")),
    ("export", ("--to", "numpy", "--no-verify")),
    ("inspect", ()),
    ("finetune", ("--steps", 32, "--out", "more", "--eval-episodes", 0)),
]


@pytest.mark.parametrize(("command", "more"), COMMANDS)
def test_every_command_takes_a_run(command: str, more: tuple[Any, ...], cli: Cli, run: Path) -> None:
    result = cli(command, "run", *more)
    result.succeeds()
    why = "is the best checkpoint of the run: its return was 50.50 with deterministic actions"
    assert f"port    {BEST} {why} (--last takes 000096)\n" in result.err


def test_which_checkpoint_is_taken(run: Path) -> None:
    for place in (run, run / "checkpoints"):
        best, last = port_here(place), port_here(place, last=True)
        assert best is not None
        assert last is not None
        assert best.folder == run / "checkpoints/000032/pretrained_model"
        assert last.folder == run / "checkpoints/000096/pretrained_model"
        assert last.choice.endswith("is the last checkpoint of the run")
    for name in ("000064", "last"):
        one = port_here(run / "checkpoints" / name)
        assert one is not None
        assert (one.folder, one.choice) == (run / "checkpoints" / name / "pretrained_model", "")
    (run / "checkpoints/best").unlink()
    unknown = port_here(run)
    assert unknown is not None
    assert unknown.folder.parent.name == "000096"
    assert unknown.choice.endswith("the last checkpoint of the run, which notes none as the best")
    (run / "checkpoints/last").unlink()
    assert port_here(run) == unknown
    assert port_here(run / "nothing") is None


def test_links_of_a_run_do_not_lead_out_of_it(cli: Cli, run: Path, port: Path) -> None:
    other = port.parent / "elsewhere"
    other.mkdir()
    port.rename(other / "pretrained_model")
    (run / "checkpoints/best").unlink()
    (run / "checkpoints/best").symlink_to(other)
    cli("eval", "run").fails(5, "is a link that leads out of run/checkpoints")


def test_last_push_diff_verify_and_report(cli: Cli, run: Path) -> None:
    assert LAST in cli("diff", "run", LAST, "--last").err
    cli("diff", "run", BEST).succeeds()
    shown = json.loads(cli("push", "run", "me/x", "--last", "--dry-run", "--json").out)
    assert "sb3port.json" in {file["name"] for file in shown["files"]}
    result = cli("verify", "run", "--no-reload", "--report-dir", BEST)
    result.succeeds()
    assert f"port    {BEST} is the best checkpoint" in result.err
    assert "# run: within noise" in cli("report", "run").out or "bit-exact" in cli("report", "run").out
    cli("eval", BEST, "--last").fails(2, "is no run of a training", "drop --last")
    cli("convert", "run").fails(2, "run is a port already", "sb3port verify run")


def test_in_python(run: Path) -> None:
    observation = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    policies = [sb3port.load_policy("run", last=last) for last in (False, True)]
    for policy, name in zip(policies, (BEST, LAST), strict=True):
        assert policy.predict(observation)[0] == sb3port.load_policy(name).predict(observation)[0]
    assert sb3port.evaluate("run", episodes=1).returns == sb3port.evaluate(BEST, episodes=1).returns
    assert sb3port.record("run", episodes=1, last=True).returns == sb3port.record(LAST, episodes=1).returns
    done = sb3port.finetune("run", "more", 32, hyperparameters={"n_steps": 32})
    assert done.steps == 64
    with pytest.raises(UsageError, match="is no run of a training"):
        sb3port.load_policy(BEST, last=True)


def test_a_finished_run_says_how_it_goes_on(cli: Cli) -> None:
    result = cli(*NEW, "--out", "run", "--steps", 40)
    result.succeeds()
    assert "steps   40 is not a multiple of n_steps * n_envs = 32 * 1: trains 64\n" in result.err
    assert "hint: run it with: sb3port eval run\n" in result.err
    assert result.err.endswith("hint: go on with: sb3port train --resume run --steps 128\n")
    again = cli("train", "--resume", "run")
    again.succeeds()
    assert "train   CartPole-v1, all of 64 steps are done\n" in again.err
    assert again.err.endswith("hint: go on with: sb3port train --resume run --steps 128\n")
    on = cli("train", "--resume", "run", "--steps", 128)
    on.succeeds()
    assert "warning: learning_rate, clip_range, by the share of steps that remains: of 128 from now" in on.err
    assert "train   CartPole-v1, 1 environment, 64 to 128 steps\n" in on.err
    assert (
        read_port(Path("run/checkpoints/last/pretrained_model")).training.hyperparameters["num_timesteps"]
        == 128
    )
    cli("train", "--resume", "run", "--steps", 128).fails(2, "run has done 128 steps", "--steps 256")
    cli("train", "--resume", "run", "--steps", 160, "--gamma", 1).fails(2, "goes on as the run was told")


def test_a_run_in_ones_own_environment_goes_on(cli: Cli, here: Path) -> None:
    """Every command that is suggested runs as it stands."""
    (here / "mine_of_runs.py").write_text(
        "import gymnasium\nfrom gymnasium.envs.classic_control import PendulumEnv\n"
        "gymnasium.register('MineOfRuns-v0', PendulumEnv, max_episode_steps=20)\n"
    )
    told = ("--env", "mine_of_runs:MineOfRuns-v0")
    result = cli("train", *told, *TINY, "--out", "run", "--steps", 32)
    result.succeeds()
    hints = [line for line in result.err.splitlines() if line.startswith("hint: ")]
    assert hints == [
        "hint: run it with: sb3port eval run --env mine_of_runs:MineOfRuns-v0",
        "hint: go on with: sb3port train --resume run --steps 64 --env mine_of_runs:MineOfRuns-v0",
    ]
    cli("train", *told, "--out", "run").fails(
        2, "sb3port train --resume run --env mine_of_runs:MineOfRuns-v0\n"
    )
    cli("train", "--resume", "run", "--steps", 64).fails(2, "must be named", *told)
    for hint in hints:
        cli(*hint.partition("sb3port ")[2].split()).succeeds()
    assert Path("run/checkpoints/last").readlink().name == "000064"
