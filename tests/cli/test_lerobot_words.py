"""`--env.type=...` of LeRobot's commands, in ours."""

import json
from pathlib import Path

import pytest

from sb3port.cli.lerobot_words import from_lerobot
from sb3port.errors import UsageError
from sb3port.ports.reading import read_port

from .conftest import Cli


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--out r --env CartPole-v1", "--out r --env CartPole-v1"),
        ("--env.type=pusht --out r", "--out r --env lerobot:pusht"),
        ("--env.type pusht --steps 9", "--steps 9 --env lerobot:pusht"),
        (
            "--env.discover_packages_path=mine.envs --env.type=own",
            "--env lerobot:mine.envs:own",
        ),
        ("--env.type=gymnasium --env.task=CartPole-v1", "--env CartPole-v1"),
        (
            "--env.type=gymnasium --env.discover_packages_path=hover --env.task=Hover-v0",
            "--env hover:Hover-v0",
        ),
        (
            "--env.type=gymnasium --env.task=A-v0 --env.env_kwargs={} --env.wrappers={} --env.frame_stack=4"
            " --env.episode_length=9 --env.use_masking=false --env.render_mode=rgb_array",
            "--env A-v0 --frame-stack 4 --max-episode-steps 9 --no-masking",
        ),
        (
            '--env.type=gymnasium --env.task=A-v0 --env.env_kwargs={"a":1} --env.wrappers={"TimeFeature":{}}',
            '--env A-v0 --env-kwargs {"a":1} --wrapper {"TimeFeature":{}}',
        ),
    ],
    ids=range(8),
)
def test_words_of_lerobot_are_ours(words: str, expected: str) -> None:
    assert from_lerobot(words.split()) == expected.split()


def test_fields_are_arguments() -> None:
    words = ["--env.type=x", "--env.n=3", "--env.on=true", "--env.to=null", "--env.a.b=c d", "--env.a.c=[1]"]
    *_, option, text = from_lerobot(words)
    assert option == "--env-kwargs"
    assert json.loads(text) == {"n": 3, "on": True, "to": None, "a": {"b": "c d", "c": [1]}}


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        ("--env.obs_type=state", "--env.obs_type is for an environment of LeRobot's", "--env.type=pusht"),
        ("--env.type=gymnasium", "needs --env.task", "--env.task=Pendulum-v1"),
        ("--env.type=gymnasium --env.task=A-v0 --env.framestack=2", "--env.framestack", "frame_stack"),
        ("--env.type=x --env.a=1 --env.a.b=2", "--env.a.b is within --env.a", "--env.type="),
        ("--env.type= --out run", "--env.type is for an environment of LeRobot's", "--env.type=pusht"),
        ("--env.type --out run", "--env.type needs a value", "--env.type=pusht"),
    ],
    ids=range(6),
)
def test_what_means_nothing_is_said(words: str, said: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        from_lerobot(words.split())
    assert said in refused.value.message
    assert hint in (refused.value.hint or "")


def test_a_gymnasium_environment_is_trained_in_by_its_id(cli: Cli, tmp_path: Path) -> None:
    tiny = ("--n-envs", 1, "--n-steps", 32, "--steps", 32, "--eval-episodes", 0)
    words = ("train", "--env.type=gymnasium", "--env.task", "CartPole-v1", *tiny)
    cli(*words, "--out", tmp_path / "run").succeeds()
    assert read_port(tmp_path / "run/checkpoints/last/pretrained_model").environment.env_id == "CartPole-v1"


def test_a_hint_is_in_words_of_ours(cli: Cli, tmp_path: Path) -> None:
    words = ("train", "--env.type=gymnasium", "--env.task=LunarLander-v2", "--out", tmp_path / "run")
    cli(*words).fails(2, f"run: sb3port train --out {tmp_path / 'run'} --env LunarLander-v3")


def test_an_environment_of_lerobots_needs_lerobot(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sb3port.errors.missing", lambda extra: ["lerobot"] if extra == "lerobot" else [])
    cli("train", "--env.type=pusht", "--out", "run").fails(2, "lerobot:pusht needs lerobot", "pip install")
