"""Wrong words on the command line: one sentence, what was meant, and no torch before that is said."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from sb3port.cli.app import app
from sb3port.cli.panels import PANELS
from sb3port.cli.training_options import Algorithm, Engine, Policy, Tracker, Vectors
from sb3port.cli.values import BadValue, number, whole_number
from sb3port.errors import UsageError, did_you_mean

from .conftest import PENDULUM, Cli

GROUP = typer.main.get_command(app)
assert isinstance(GROUP, TyperGroup)
HEAVY = {"torch", "stable_baselines3", "sb3_contrib", "lerobot"}
PEN = "train --env Pendulum-v1 --out run"
# What is written, and what is in the answer.
WRONG = (
    ("covert x", "sb3port has no command covert", "did you mean convert?"),
    ("eval port --episode 3", "sb3port eval has no option --episode", "did you mean --episodes?"),
    ("eval port --env Pendulm-v1", "none of this name", "did you mean Pendulum-v1?"),
    ("eval port --render humen", "--render is 'humen', but it must be human", "did you mean human?"),
    ("eval port --wrapper FrameSkp", "there is no wrapper FrameSkp", "did you mean FrameSkip?"),
    ("eval port --plot there.png", "there.png exists", "--force"),
    ("eval port --json=3", "--json takes no value", "write --json alone"),
    ("eval prt", "prt is neither a file or folder", "did you mean port?"),
    ("export port --to onx", "--to is 'onx', but it must be one of sb3, onnx", "did you mean onnx?"),
    ("export port full", "full exists", "--force"),
    ("export port --out full", "full exists", "--force"),
    ("export port new --observations nope.npz", "nope.npz is not a file", ""),
    ("export port new --observations there.npz", "there.npz is not a whole zip archive", ""),
    ("convert nope.zip", "nope.zip is neither a file or folder", ""),
    ("convert SRC one --out other", "both one and --out other say where to write", "name one place"),
    ("convert SRC --filename ppo-Pendulum-v.zip", "no file ppo-Pendulum-v.zip", "did you mean ppo-Pend"),
    ("convert SRC new --report-dir there.png", "which is a file and no folder", "name a folder"),
    ("repair SRC full", "full exists", "--force"),
    ("repair SRC new --learning-rate abc", "--learning-rate is 'abc', which is no number", "3e-4"),
    ("repair SRC new --observations nope.npz", "nope.npz is not a file", ""),
    ("verify port --observations recorder", "recorder is not a file", "did you mean recorded?"),
    ("verify port --observations rollout", "a rollout needs an environment", "--env ID"),
    ("verify", "sb3port verify needs PORT", "write it like this: sb3port verify ports/"),
    ("record nope.zip --out new.npz", "nope.zip is neither a file or folder", ""),
    ("record SRC", "sb3port record needs --out", "write it like this: sb3port record "),
    ("record SRC --out", "--out needs a value", "write it like --out PATH"),
    ("record SRC --out there.npz", "there.npz exists", "--force"),
    ("record SRC --out x --format np", "--format is 'np'", "did you mean npz?"),
    ("train Pendulum-v1", "sb3port train has no use for Pendulum-v1", "sb3port train --env CartPole-v1"),
    ("train --env Pendulum-v1", "sb3port train needs --out, or --resume", "sb3port train --env"),
    (f"{PEN} --algo ppoo", "--algo is 'ppoo'", "did you mean ppo?"),
    (f"{PEN} --policy MlpPolcy", "--policy is 'MlpPolcy'", "did you mean MlpPolicy?"),
    (f"{PEN} --device cpuu", "--device is 'cpuu'", "did you mean cpu?"),
    (f"{PEN} --n-step 5", "sb3port train has no option --n-step", "did you mean --n-steps?"),
    (f"{PEN} --steps 1e5.5", "--steps is '1e5.5', which is no whole number", "100_000 or 1e5"),
    (f"{PEN} --save-every 1.5", "--save-every is '1.5', which is no whole number", "100_000 or 1e5"),
    (f"{PEN} --n-envs 0", "--n-envs is '0', but it must be at least 1", ""),
    (f"{PEN} --gamma 1.5", "gamma of the command line is 1.5", ""),
    (f"{PEN} --learning-rate abc", "learning_rate of the command line is 'abc'", "lin_X"),
    (f"{PEN} --target-kl x", "--target-kl is 'x', which is no number", "or none"),
    (f"{PEN} --policy-kwargs dict(net_arc=[8])", "policy_kwargs has net_arc", "did you mean net_arch?"),
    (f"{PEN} --normalize-kwargs dict(norm_ob=False)", "has norm_ob", "did you mean norm_obs?"),
    (
        f"{PEN} --track tensorbord",
        "--track is 'tensorbord', but it must be one of",
        "did you mean tensorboard?",
    ),
    (f"{PEN} --track mlflow", "--track mlflow needs mlflow, which is not installed", "pip install"),
    (f"{PEN} --eval-every 10 --eval-episodes 0", "--eval-every needs episodes", "take 1 or more"),
    (f"{PEN} --config no.yml", "no.yml is not a file", ""),
    (f"{PEN} --config kys.yml", "kys.yml is not a file", "did you mean keys.yml?"),
    (f"{PEN} --config keys.yml", "keys.yml asks for n_stepz", "did you mean n_steps? or leave it out"),
    (f"{PEN} --config values.yml", "gamma of values.yml is 1.5", ""),
    (f"{PEN} --config rows.yml", "rows.yml has no hyperparameters for Pend", "did you mean Pendulum-v0?"),
    ("train --env Pendulum-v1 --out there.png", "there.png is a file, and a run is a folder", "--out"),
    ("train --env Pendulum-v1 --out done", "done holds a run already", "sb3port train --resume done"),
    ("train --resume nowhere", "nowhere holds no checkpoint of a training", "--out"),
    ("finetune port --steps 5", "sb3port finetune needs --out", "sb3port finetune ports/"),
    ("finetune port --out new", "--steps is needed", "--steps 1e5"),
    ("finetune prt --steps 5 --out new", "prt is neither a file or folder", "did you mean port?"),
    ("finetune port --steps 5 --out done", "done holds a run already", "sb3port train --resume done"),
    ("finetune port --steps 5 --out new --engine exct", "--engine is 'exct'", "did you mean exact?"),
    ("finetune port --steps 5 --out new --gamma 2", "gamma of the command line is 2", ""),
    ("finetune port --steps 5 --out new --config keys.yml", "asks for n_stepz", "did you mean n_steps?"),
    ("push port me/x --returns nope.json", "nope.json cannot be read", "eval PORT --json"),
    ("report full --to htm", "--to is 'htm'", "did you mean html?"),
    ("inspect nope.zip", "nope.zip is neither a file or folder", ""),
    ("diff SRC nope.zip", "nope.zip is neither a file or folder", ""),
)


@pytest.fixture
def laid_out(here: Path) -> Path:
    """What the wrong commands name: files and folders that are in the way, and hyperparameters."""
    (here / "full").mkdir()
    for name in ("full/x", "there.npz", "there.png"):
        (here / name).write_text("in the way")
    (here / "done/checkpoints/last").mkdir(parents=True)
    for name, row in (("keys", "v1: {n_stepz: 5}"), ("values", "v1: {gamma: 1.5}"), ("rows", "v0: {}")):
        (here / f"{name}.yml").write_text(f"Pendulum-{row}\n")
    return here


@pytest.mark.parametrize(("words", "error", "hint"), WRONG, ids=[words for words, _, _ in WRONG])
def test_one_sentence_and_what_was_meant(
    cli: Cli, port: Path, laid_out: Path, words: str, error: str, hint: str
) -> None:
    before = sorted(laid_out.rglob("*"))
    result = cli(*words.replace("SRC", str(PENDULUM)).split())
    assert result.code in (2, 4), result.err  # 4 for what is no recording
    result.fails(result.code, error, hint)
    assert result.err.count("\nerror: ") + result.err.startswith("error: ") == 1
    assert sorted(laid_out.rglob("*")) == before


SCRIPT = """
import os, sys
from sb3port.cli.app import main
for line in sys.stdin.read().splitlines():
    sys.argv = ["sb3port", *line.split()]
    try:
        main()
    except SystemExit:
        pass
    heavy = HEAVY & {name.partition(".")[0] for name in sys.modules}
    if heavy:
        sys.exit(f"{line} imports {heavy}")
"""


def test_wrong_words_are_found_before_torch_is_loaded(port: Path, laid_out: Path) -> None:
    """All of them in one process, of which none may have loaded what takes seconds."""
    lines = "\n".join(words for words, _, _ in WRONG).replace("SRC", str(PENDULUM))
    script = SCRIPT.replace("HEAVY", repr(HEAVY))
    ended = subprocess.run(
        [sys.executable, "-c", script], input=lines, capture_output=True, text=True, cwd=laid_out, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e5", 100_000), ("100_000", 100_000), ("1.5e3", 1500), ("7", 7), ("2E2", 200), (10, 10)],
)
def test_whole_numbers(text: object, value: int) -> None:
    found = whole_number(1)(text)
    assert (found, type(found)) == (value, int)


@pytest.mark.parametrize("text", ["1e5.5", "1.5", "many", "", "inf", "nan", "1e400", "1e99", "0x10", "1e-5"])
def test_no_whole_numbers(text: str) -> None:
    with pytest.raises(BadValue, match="which is no whole number"):
        whole_number()(text)


def test_limits() -> None:
    for text, least in (("0", 1), ("-1e5", 0)):
        with pytest.raises(BadValue, match=f"must be at least {least}"):
            whole_number(least)(text)
    with pytest.raises(BadValue, match="must be at most 1,000"):
        whole_number(1, 1000)("1001")
    with pytest.raises(BadValue, match="no number"):
        number()("nan")
    assert number(0)("3e-4") == 3e-4


def test_steps_may_be_written_short(cli: Cli) -> None:
    tiny = ("--n-steps", "3.2e1", "--batch-size", "3_2", "--n-epochs", 1, "--n-envs", 1, "--eval-episodes", 0)
    result = cli("train", "--env", "CartPole-v1", "--out", "run", "--steps", "6.4e1", *tiny, "-v")
    result.succeeds()
    assert "train   CartPole-v1, 1 environment, 64 steps" in result.err
    assert re.search(r"^update  32 steps: .*\bapprox_kl ", result.err, re.MULTILINE)


def test_words_are_those_of_the_tables() -> None:
    from sb3port.environments.fresh_spec import ALGORITHMS, check_policy
    from sb3port.ppo.engines.table import ENGINES
    from sb3port.ppo.runs import stepping
    from sb3port.ppo.tracking.table import TRACKERS

    assert list(Algorithm) == list(ALGORITHMS)
    assert set(Engine) - set(ENGINES) == {"auto", "fast"}
    assert set(ENGINES) <= set(Engine)
    assert set(Vectors) == {*stepping._WAYS, "auto"}
    assert list(Tracker) == list(TRACKERS)
    for policy in Policy:
        check_policy("ppo_lstm", policy, {})
    with pytest.raises(UsageError, match="no policy Mlp"):
        check_policy("ppo", "Mlp", {})


def test_did_you_mean() -> None:
    assert did_you_mean("PENDULUM", ["Pendulum", "CartPole"]) == "did you mean Pendulum?"
    assert did_you_mean("x", ["Pendulum"]) is None
    assert did_you_mean("x", ["Pendulum"], "see here") == "see here"
    assert did_you_mean("Pendulm", ["Pendulum"], "see here", "go") == "did you mean Pendulum? or go"


def test_every_option_has_a_panel() -> None:
    named = [name for names in PANELS.values() for name in names]
    assert len(named) == len(set(named))
    for command in GROUP.commands.values():
        options = {param.name for param in command.params if param.param_type_name == "option"}
        assert options <= set(named), command.name


def test_commands_that_write_take_out() -> None:
    for name in ("convert", "export", "repair", "record", "train", "finetune", "report"):
        assert "out" in {param.name for param in GROUP.commands[name].params}
    for name, command in GROUP.commands.items():
        wanted = set() if name == "report" else {"json", "quiet", "verbose"}
        assert wanted | {"limits"} <= {param.name for param in command.params}, name


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("sb3port con", ["convert"]),
        ("sb3port export port --to ", ["sb3", "onnx", "torch", "numpy"]),
        ("sb3port train --env Pendul", ["Pendulum-v1"]),
        ("sb3port train --alg", ["--algo"]),
    ],
)
def test_completion(cli: Cli, monkeypatch: pytest.MonkeyPatch, words: str, found: list[str]) -> None:
    monkeypatch.setenv("_SB3PORT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    result = cli()
    assert result.code == 0
    assert result.out.split() == found
    assert result.err == ""


def test_completion_can_be_installed(tmp_path: Path) -> None:
    """In a process of its own, whose home is elsewhere and whose shell is bash."""
    env = os.environ | {"HOME": str(tmp_path)}
    command = f"{sys.executable} -m sb3port --install-completion || exit 1; true"  # bash stays its parent
    subprocess.run(["bash", "-c", command], env=env, check=True, capture_output=True)
    script = (tmp_path / ".bash_completions/sb3port.sh").read_text()
    assert "_SB3PORT_COMPLETE=complete_bash" in script
    assert "sb3port.sh" in (tmp_path / ".bashrc").read_text()
