"""`train` and `finetune` as a user meets them: what they print, write, refuse and end with."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sb3port.ports.reading import read_port

from .conftest import FIXTURES, Cli
from .test_app import terminal

TINY = ("--n-steps", 64, "--batch-size", 32, "--n-epochs", 2, "--n-envs", 2, "--eval-episodes", 1)
CARTPOLE = ("train", "--env", "CartPole-v1", "--out", "run", *TINY)
LAST = Path("run/checkpoints/last/pretrained_model")


def settings(run: Path = Path("run")) -> dict[str, object]:
    """What a run was told, as its last checkpoint keeps it."""
    file = run / "checkpoints/last/training_state/training.json"
    found: dict[str, object] = json.loads(file.read_text())["settings"]
    return found


def test_train_writes_ports_and_logs(cli: Cli) -> None:
    result = cli(*CARTPOLE, "--steps", 256, "--save-every", 128)
    result.succeeds()
    assert "train   CartPole-v1, 2 environments, 256 steps" in result.err
    assert result.out.splitlines()[0].split() == ["port", "run/checkpoints/000256/pretrained_model"]
    assert {path.name for path in Path("run/checkpoints").iterdir()} == {"000128", "000256", "last", "best"}
    rows = [json.loads(line) for line in Path("run/progress.jsonl").read_text().splitlines()]
    assert [row["time/total_timesteps"] for row in rows] == [128, 256]
    with Path("run/progress.csv").open() as file:
        assert [int(row["time/total_timesteps"]) for row in csv.DictReader(file)] == [128, 256]
    assert read_port(LAST).environment.env_id == "CartPole-v1"
    cli("eval", LAST, "--episodes", 1).succeeds()
    cli("verify", LAST).succeeds()
    cli(*CARTPOLE).fails(2, "run holds a run already", "sb3port train --resume run")
    cli("train", "--resume", "run").succeeds()


def test_json_and_quiet(cli: Cli) -> None:
    result = cli(*CARTPOLE, "--steps", 128, "--json")
    found = json.loads(result.out)
    assert (found["schema"], found["steps"], found["interrupted"]) == ("sb3port.train", 128, False)
    assert found["port"] == "run/checkpoints/000128/pretrained_model"
    assert found["best_return"] > 0
    assert found["last_iteration"]["train/n_updates"] == 2
    quiet = cli("finetune", LAST, "--steps", 128, "--out", "more", "--eval-episodes", 0, "-q")
    assert (quiet.out, quiet.err) == ("more/checkpoints/000256/pretrained_model\n", "")
    assert settings(Path("more"))["until"] == 256


def test_finetune_says_what_it_does_not_believe(cli: Cli, port: Path) -> None:
    noted = json.loads((port / "sb3port.json").read_text())
    noted["training"]["schedules"]["clip_range"] = {"type": "ConstantSchedule", "val": 0.0}
    noted["configured"] = None
    (port / "sb3port.json").write_text(json.dumps(noted))
    call = ("finetune", "port", "--steps", 64, "--out", "run", *TINY)
    result = cli(*call)
    result.succeeds()
    assert "warning: clip_range is 0 in the checkpoint" in result.err
    assert "train   Pendulum-v1, 2 environments, 102,400 to 102,464 steps" in result.err


def test_a_file_replaces_the_table_and_options_win(cli: Cli) -> None:
    Path("ppo.yml").write_text(
        "Pendulum-v1:\n  n_envs: 2\n  n_timesteps: 128\n  n_steps: 32\n  normalize: true\n"
        "  learning_rate: lin_0.01\n  policy_kwargs: dict(net_arch=[8], activation_fn=nn.ReLU)\n"
        "  env_wrapper: sb3_contrib.common.wrappers.TimeFeatureWrapper\n"
    )
    call = ("train", "--env", "Pendulum-v1", "--config", "ppo.yml", "--eval-episodes", 0)
    cli(*call, "--out", "run").succeeds()
    told = settings()
    assert (told["until"], told["n_envs"]) == (128, 2)
    given = told["hyperparameters"]
    assert (given["n_steps"], given["use_sde"], given["gamma"]) == (
        32,
        False,
        0.99,
    )  # the table has gSDE and 0.9
    assert given["learning_rate"] == {"type": "SimpleLinearSchedule", "initial_value": 0.01}
    config = json.loads((LAST / "config.json").read_text())
    assert (config["net_arch"], config["activation_fn"]) == ({"pi": [8], "vf": [8]}, "ReLU")
    assert config["observation_space"]["shape"] == [4]
    cli(*call, "--out", "2", "--steps", 64, "--n-steps", 16, "--no-normalize", "--n-envs", 1).succeeds()
    told = settings(Path("2"))
    assert (told["until"], told["hyperparameters"]["n_steps"], told["normalise"]) == (64, 16, None)


NEW = "train --env CartPole-v1 --out run"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("train --out run", "sb3port train needs --env"),
        ("train --env Nothing-v0 --out run", "Nothing-v0 cannot be made"),
        (f"{NEW} --algo dqn", "--algo is 'dqn', but it must be one of ppo, ppo_mask, ppo_lstm"),
        (f"{NEW} --engine warp", "--engine is 'warp', but it must be one of auto, exact, fast"),
        (f"{NEW} --device abacus", "no device abacus"),
        (f"{NEW} --vec-env many", "--vec-env is 'many', but it must be one of dummy, subproc"),
        ("train --env Pendulum-v1 --out run --vec-env vector", "registered without a vector environment"),
        (f"{NEW} --vec-env vector --wrapper FrameSkip", "FrameSkip goes around single ones"),
        (f"{NEW} --vec-env envpool", "--vec-env envpool needs envpool"),
        (f"{NEW} --gamma 1.5", "it must be between 0 and 1"),
        (f"{NEW} --learning-rate fast", "give a number, or lin_X"),
        (f"{NEW} --policy-kwargs dict(net", "write it as Python does"),
        (f"{NEW} --policy-kwargs dict(wings=2)", "policy_kwargs has wings"),
        (f"{NEW} --normalize-kwargs dict(wings=2)", "has wings, which is not supported"),
        (f"{NEW} --batch-size 1", "batch_size must be greater than 1"),
        (f"{NEW} --use-sde", "has use_sde, but its actions of Discrete(2) are no Box"),
        (f"{NEW} --algo ppo_mask", "action_masks()"),
        (f"{NEW} --config no.yml", "no.yml is not a file"),
        (f"{NEW} --wrapper x", "there is no wrapper x"),
        ("train --resume nowhere", "nowhere holds no checkpoint of a training"),
        ("train --resume nowhere --gamma 1", "goes on as the run was told"),
        ("finetune port --steps 10", "sb3port finetune needs --out"),
        ("finetune port --out run", "--steps is needed"),
        ("finetune port --out run --steps 9 --no-use-sde", "the policy explores by gSDE"),
        ("finetune port --out run --steps 9 --extractor a:B", "needs no code of your own"),
        (f"{NEW} --extractor a:B", "--extractor is for a run to --resume"),
        ("finetune port --out run --steps 9 --env CartPole-v1", "trained with"),
        ("finetune port --out run --steps 9 --bc-epochs 3", "there are none"),
        ("finetune port --out run --steps 9 --demonstrations no.npz", "no.npz is not there to be cloned"),
        ("finetune port --out run --steps 9 --kl-coef -1", "kl_coef is -1.0, but it must be 0 or more"),
        ("finetune port --out run --steps 9 --kl-coef 1 --engine fast", "kept near the policy"),
        ("finetune port --out run --steps 9 --critic-warmup -1", "--critic-warmup"),
        (f"{NEW} --steps 9 --kl-coef 0.1", "a new one knows nothing"),
        (f"{NEW} --steps 9 --algo ppo_lstm --demonstrations .", "is not for recurrent policies"),
        ("train --resume nowhere --kl-coef 1", "goes on as the run was told"),
    ],
)
def test_refusals(cli: Cli, port: Path, arguments: str, text: str) -> None:
    cli(*arguments.split()).fails(2, text)
    assert not Path("run/checkpoints").exists()


def test_what_it_begins_with_is_said(cli: Cli, port: Path) -> None:
    cli("record", port, "--env", "Pendulum-v1", "--episodes", 1, "--out", "one.npz").succeeds()
    recipe = ("--demonstrations", "one.npz", "--bc-epochs", 2, "--critic-warmup", 100, "--kl-coef", 0.1)
    result = cli(
        "train", "--env", "Pendulum-v1", "--out", "run", "--steps", 256, "--normalize", *recipe, *TINY
    )
    result.succeeds()
    assert "clone   200 steps of one.npz, 2 epochs, loss " in result.err
    assert "warmup  the critic alone learns for 100 steps" in result.err
    assert "warning: statistics of observations begin with the demonstrations" in result.err
    told = settings()
    assert (told["actor_from"], told["kl_coef"], told["bc_epochs"]) == (100, 0.1, 2)
    assert "| `kl_coef` | `0.1` |" in Path("run/report.md").read_text()
    assert "clone" not in cli("train", "--resume", "run", "--steps", 384).err
    result = cli("finetune", port, "--out", "more", "--steps", 128, "--critic-warmup", 64, *TINY)
    assert "the critic alone learns for 64 steps" in result.err
    assert settings(Path("more"))["actor_from"] == 102_464


def test_unknown_wrappers_of_a_file_are_refused(cli: Cli) -> None:
    Path("ppo.yml").write_text("env_wrapper: somewhere.Odd\n")
    call = ("train", "--env", "CartPole-v1", "--out", "run", "--config", "ppo.yml", "--steps", 64, *TINY)
    cli(*call).fails(2, "somewhere.Odd, which we do not have", "--wrapper", "module:Class")
    cli(*call, "--no-wrappers").succeeds()


def test_own_wrappers_are_imported_only_when_named(cli: Cli) -> None:
    Path("mine_for_training.py").write_text(
        "import gymnasium\n\nclass Half(gymnasium.RewardWrapper):\n"
        "    def reward(self, reward):\n        return reward / 2\n"
    )
    own = ("--wrapper", "mine_for_training:Half")
    cli(*CARTPOLE, "--steps", 256, "--save-every", 128, *own).succeeds()
    assert [wrapper.name for wrapper in read_port(LAST).environment.wrappers] == [own[1]]
    first = Path("run/checkpoints/000128")
    cli("train", "--resume", first).fails(2, "a file alone does not decide", " ".join(own))
    cli("train", "--resume", first, *own).succeeds()


def test_environments_stepped_at_once(cli: Cli) -> None:
    result = cli(*CARTPOLE, "--steps", 256, "--vec-env", "auto")
    result.succeeds()
    assert "--vec-env auto takes " in result.err
    at_once = ("train", "--env", "CartPole-v1", "--out", "at_once", *TINY, "--vec-env", "vector")
    assert "2 environments" in cli(*at_once, "--steps", 256).err
    result = cli("train", "--resume", "at_once", "--steps", 512)
    result.succeeds()
    assert "begin anew" not in result.err


def test_the_bar_shows_speed_return_and_time(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch)
    cli(*CARTPOLE, "--steps", 256)
    shown = stream.getvalue()
    assert "steps/s, return " in shown
    assert "0:00:0" in shown


def test_ctrl_c_saves_with_environments_in_processes(here: Path) -> None:
    """The terminal sends it to all processes of the command."""
    command = [sys.executable, "-m", "sb3port", *map(str, CARTPOLE), "--steps", "10000000"]
    command += ["--save-every", "128", "--vec-env", "subproc"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 120
        while not LAST.exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err.decode()
    assert b"Traceback" not in err
    assert b"go on with: sb3port train --resume run" in err
    steps = int(out.decode().split("steps")[1].split()[0].replace(",", ""))
    assert steps == int((here / "run/checkpoints/last").resolve().name)


@pytest.mark.thorough
def test_a_half_trained_port_learns_the_rest(cli: Cli) -> None:
    """The README's command: from -634 to what rl_zoo3 publishes for the whole training, -172 +- 104."""
    cli("convert", FIXTURES / "ppo-Pendulum-v1-half", "ports/half", "--no-verify").succeeds()
    cli("finetune", "ports/half", "--steps", 50_000, "--out", "run", "--save-every", 25_000).succeeds()
    found = json.loads(cli("eval", LAST, "--episodes", 50, "--json").out)
    assert found["mean_return"] > -200
    assert json.loads(cli("verify", LAST, "--json").out)["verdict"] == "bit-exact"
