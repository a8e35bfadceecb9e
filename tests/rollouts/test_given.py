"""What users write of an environment: all of its forms, and the sentence for everything else."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from sb3port.checkpoint.checkpoint import EnvironmentSpec, Wrapper
from sb3port.environments.choosing import check_id, choose_environment, needed_words
from sb3port.environments.given import Around, around, read_env_kwargs, read_wrapper
from sb3port.errors import NeedsOption, UsageError
from sb3port.families.wrappers import applied, wrapper_text


@pytest.mark.parametrize(
    ("texts", "kwargs"),
    [
        (['{"continuous": true}'], {"continuous": True}),
        (["{'continuous': True}"], {"continuous": True}),
        (["dict(continuous=True, gravity=-9.5)"], {"continuous": True, "gravity": -9.5}),
        (["continuous:True", "gravity:-9.5"], {"continuous": True, "gravity": -9.5}),
        (["continuous=True"], {"continuous": True}),
        (["continuous=true", "a=null"], {"continuous": True, "a": None}),
        (["map_name:'8x8'"], {"map_name": "8x8"}),
        (["map_name=8x8"], {"map_name": "8x8"}),
        (["file=/a/b c.xml"], {"file": "/a/b c.xml"}),
        (["desc=['SF', 'HG']"], {"desc": ["SF", "HG"]}),
        (["goal={'x': (1, 2)}"], {"goal": {"x": (1, 2)}}),
        (["a=1", '{"a": 2, "b": 3}'], {"a": 2, "b": 3}),
        (["{}"], {}),
        (["url=http://x:8"], {"url": "http://x:8"}),
    ],
)
def test_arguments(texts: list[str], kwargs: dict[str, Any]) -> None:
    assert read_env_kwargs(texts) == kwargs


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "without a value has no arguments"),
        ("continuous", "--env-kwargs continuous has no arguments"),
        ("[1, 2]", "[1, 2] has no arguments"),
        ("{continuous", "has arguments that cannot be read: {continuous"),
        ("{1: 2}", "has arguments that cannot be read"),
        ('{"a": NaN}', "has arguments that cannot be read"),
        ("dict(a=open('x'))", "has arguments that cannot be read"),
        ("a=open('x')", "a is open('x'), which is no value"),
        ("a=", "a is empty"),
        ("1a=2", "1a=2 has no arguments"),
    ],
)
def test_what_is_no_arguments(text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_env_kwargs([text])
    assert said in refused.value.message
    assert refused.value.hint is not None
    assert "a=1" in refused.value.hint


OURS = "sb3port.environments.wrappers."


@pytest.mark.parametrize(
    ("text", "name", "kwargs"),
    [
        ("TimeFeature", f"{OURS}TimeFeature", {}),
        ('FrameSkip:{"skip": 2}', f"{OURS}FrameSkip", {"skip": 2}),
        ("FrameSkip:{'skip': 2}", f"{OURS}FrameSkip", {"skip": 2}),
        ("FrameSkip:dict(skip=2)", f"{OURS}FrameSkip", {"skip": 2}),
        ("FrameSkip(skip=2)", f"{OURS}FrameSkip", {"skip": 2}),
        ('{"FrameSkip": {"skip": 2}}', f"{OURS}FrameSkip", {"skip": 2}),
        ("TimeFeatureWrapper", f"{OURS}TimeFeature", {}),
        ("sb3_contrib.common.wrappers.TimeFeatureWrapper", f"{OURS}TimeFeature", {}),
        ("stable_baselines3.common.vec_env:VecFrameStack(n_stack=4)", f"{OURS}FrameStack", {"n_stack": 4}),
        ("ClipReward:{'min_reward': -1}", f"{OURS}ClipReward", {"min_reward": -1}),
        ("NormalizeReward", "gymnasium.wrappers:NormalizeReward", {}),
        ("mine:Mine", "mine:Mine", {}),
        ("a.b.Mine", "a.b:Mine", {}),
        ("mine:FrameSkip", "mine:FrameSkip", {}),
        ('a.b:Mine:{"x": [1, {"y": 2}]}', "a.b:Mine", {"x": [1, {"y": 2}]}),
    ],
)
def test_wrappers(text: str, name: str, kwargs: Mapping[str, Any]) -> None:
    (found,) = read_wrapper(text)
    assert found == Wrapper(name, kwargs)
    assert read_wrapper(wrapper_text(found)) == (found,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Framestack", "did you mean FrameStack?"),
        ("TimeLimits", "did you mean TimeLimit?"),
        ("Nothing", "name it like FrameSkip"),
        ("FrameSkip:skip=2", "name it like FrameSkip"),
        ("FrameSkip:{skip", "name it like FrameSkip"),
        ("a b", "name it like FrameSkip"),
        ("mine:", "name it like FrameSkip"),
        ("", "name it like FrameSkip"),
        ("FrameSkip:dict(skip=open('x'))", "name it like FrameSkip"),
    ],
)
def test_what_is_no_wrapper(text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_wrapper(text)
    assert said in (refused.value.hint or "")


def test_python_says_the_same() -> None:
    said = around({"g": 9}, ["FrameSkip", {"mine:Mine": {"x": 1}, "TimeFeature": None}], 4)
    names = (f"{OURS}FrameSkip", "mine:Mine", f"{OURS}TimeFeature")
    assert said == Around({"g": 9}, tuple(map(Wrapper, names, ({}, {"x": 1}, {}))), 4)
    for wrong in ({"env_kwargs": {"g": object()}}, {"frame_stack": 0}, {"wrappers": [{"FrameSkip": 3}]}):
        with pytest.raises(UsageError):
            around(**wrong)  # type: ignore[arg-type]


NOTED = EnvironmentSpec(
    "Pendulum-v1",
    {"g": 9.0, "file": "/etc/x"},
    (Wrapper("rl_zoo3.wrappers.FrameSkip", {"skip": 3}), Wrapper("mine:Mine", {"x": 1})),
    2,
)


def test_the_user_goes_before_the_file() -> None:
    said = around({"file": "mine.xml"}, ["TimeFeature"], 4)
    found = choose_environment(NOTED, None, said)
    assert (found.env_id, found.env_kwargs) == ("Pendulum-v1", {"g": 9.0, "file": "mine.xml"})
    assert [wrapper.name for wrapper in applied(found)] == ["TimeFeature", "FrameStack"]
    assert applied(found)[1].kwargs == {"n_stack": 4}
    plain = choose_environment(NOTED, None, Around(recorded=False))
    assert plain == EnvironmentSpec("Pendulum-v1")


def test_frames_of_the_user_stand_for_those_of_the_file() -> None:
    stack = Wrapper("stable_baselines3.common.vec_env.VecFrameStack", {"n_stack": 2})
    noted = EnvironmentSpec("Pendulum-v1", wrappers=(stack,))
    assert applied(choose_environment(noted))[0].kwargs == {"n_stack": 2}
    (only,) = applied(choose_environment(noted, None, Around(frame_stack=3)))
    assert only.kwargs == {"n_stack": 3}
    assert applied(choose_environment(noted, None, Around(frame_stack=1))) == ()


def test_what_a_file_does_not_decide_is_said_in_one_command() -> None:
    with pytest.raises(NeedsOption) as refused:
        choose_environment(NOTED)
    words = refused.value.options
    assert words[::2] == ("--env-kwargs", "--wrapper", "--wrapper")
    assert json.loads(words[1]) == {"file": "/etc/x"}
    said = around(read_env_kwargs([words[1]]), words[3::2])
    chosen = choose_environment(NOTED, None, said)
    assert chosen.env_kwargs == NOTED.env_kwargs
    assert applied(chosen) == applied(NOTED)
    assert needed_words(NOTED, None, said) == ()


@pytest.mark.parametrize(
    ("env_id", "words"),
    [
        ("LunarLander-v2", ("--env", "LunarLander-v3")),
        ("LunarLanderContinuous-v2", ("--env", "LunarLanderContinuous-v3")),
        ("Pendulum-v0", ("--env", "Pendulum-v1")),
        ("FrozenLake-v0", ("--env", "FrozenLake-v1")),
        ("HalfCheetah-v3", ("--env", "HalfCheetah-v5")),
        ("Walker2d-v2", ("--env", "Walker2d-v5")),
        ("Humanoid-v3", ("--env", "Humanoid-v4")),
        ("Ant-v3", ("--env", "Ant-v4", "--env-kwargs", '{"use_contact_forces": true}')),
        ("AntBulletEnv-v0", ("--env", "pybullet_envs_gymnasium:AntBulletEnv-v0")),
        ("BreakoutNoFrameskip-v4", ("--env", "ale_py:BreakoutNoFrameskip-v4")),
        ("ALE/Pong-v5", ("--env", "ale_py:ALE/Pong-v5")),
        ("FetchReach-v1", ("--env", "gymnasium_robotics:FetchReach-v1")),
        ("PandaReach-v3", ("--env", "panda_gym:PandaReach-v3")),
    ],
)
def test_environments_that_have_moved(env_id: str, words: tuple[str, ...]) -> None:
    for choose in (lambda: check_id(env_id), lambda: choose_environment(EnvironmentSpec(env_id))):
        with pytest.raises(NeedsOption) as refused:
            choose()
        assert refused.value.options == words


def test_ids_that_are_there() -> None:
    assert check_id("Pendulum") == "Pendulum-v1"
    assert check_id("HalfCheetah-v4") == "HalfCheetah-v4"
    with pytest.raises(UsageError) as refused:
        check_id("cartpole-v1")
    assert "did you mean CartPole-v1?" in (refused.value.hint or "")


@pytest.mark.parametrize("env_id", ["Ant-v3", "Humanoid-v2", "Reacher-v2", "InvertedDoublePendulum-v2"])
def test_successors_have_the_spaces_of_old(env_id: str) -> None:
    """Gym's documentation tells the sizes."""
    from sb3port.environments.making import open_env
    from sb3port.families.environment_ids import home_of

    sizes = {"Ant": 111, "Humanoid": 376, "Reacher": 11, "InvertedDoublePendulum": 11}
    home = home_of(env_id)
    env = open_env(home.env_id, home.env_kwargs)
    assert env.observation_space.shape == (sizes[env_id.partition("-")[0]],)
    env.close()
