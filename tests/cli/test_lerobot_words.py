"""`--env.type=...` of LeRobot's commands, in ours."""

import json

import pytest

from sb3port.cli.lerobot_words import from_lerobot
from sb3port.errors import UsageError


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
    ],
    ids=range(4),
)
def test_what_means_nothing_is_said(words: str, said: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        from_lerobot(words.split())
    assert said in refused.value.message
    assert hint in (refused.value.hint or "")
