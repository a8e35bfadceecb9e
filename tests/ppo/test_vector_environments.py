"""Environments that are stepped at once: the episodes of single ones, and what is said of both."""

from dataclasses import replace
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleEnv, CartPoleVectorEnv
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from benchmarks.vector_pendulum import VectorPendulum
from sb3port.checkpoint.checkpoint import EnvironmentSpec, Wrapper
from sb3port.environments.vector_cartpole import SameStepCartPole
from sb3port.environments.vectors import open_vector
from sb3port.environments.wrapping import PLAIN, Wrapping
from sb3port.errors import UsageError
from sb3port.ppo.engines.base import Engine
from sb3port.ppo.hyperparameters import defaults
from sb3port.ppo.rollout.environments import InProcess
from sb3port.ppo.rollout.native import NativeVector
from sb3port.ppo.runs import stepping
from sb3port.ppo.runs.settings import RunSettings

from .sb3 import Case, assert_same, begin_ours, build_sb3, run
from .test_resuming import TINY

LIMIT = 7
PENDULUM = "benchmarks.vector_pendulum:VectorPendulum-v1"


def sync(env_id: str, count: int, mode: AutoresetMode) -> NativeVector:
    """Gymnasium's vector environment of single ones, which takes the seeds that SB3's takes."""
    return NativeVector(SyncVectorEnv([partial(gymnasium.make, env_id)] * count, autoreset_mode=mode))


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
@pytest.mark.parametrize(
    "case",
    [
        Case("CartPole-v1", 240, 2, settings={**TINY, "n_steps": 60}),
        Case("Pendulum-v1", 840, 2, normalise={}, settings={**TINY, "n_steps": 210}),
    ],
    ids=lambda case: case.env,
)
def test_training_is_sb3s(mode: AutoresetMode, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Last observations, what time limits cut off and all that follows, where seeds are the same."""
    envs = sync(case.env, case.n_envs, mode)
    monkeypatch.setattr("tests.ppo.sb3.make_environments", lambda _: envs)
    trainer = run(begin_ours(case))
    assert trainer.collector.progress.episodes
    assert_same(trainer, build_sb3(case).learn(case.steps))


def cartpoles(count: int = 3) -> SameStepCartPole:
    vector = open_vector("CartPole-v1", count, Wrapping({"max_episode_steps": LIMIT}))
    assert isinstance(vector, SameStepCartPole)
    return vector


def test_cartpole_moves_as_gymnasiums_do() -> None:
    """Both of them: the vector one, and each on its own; also beyond the angle that ends an episode."""
    ours, theirs = SameStepCartPole(5, 500), CartPoleVectorEnv(5, 500)
    single = CartPoleEnv()
    single.reset()
    ours.reset(seed=0)
    theirs.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(300):
        before = ours.state.copy()
        theirs.state, actions = before.copy(), rng.integers(0, 2, 5)
        single.state, single.steps_beyond_terminated = before[:, 2].copy(), None
        expected, alone = theirs.step(actions), single.step(actions[2])
        observations, *others, info = ours.step(actions)
        ended = others[1] | others[2]
        last = (
            np.where(ended[:, None], np.stack(_rows(info, 5)), observations) if ended.any() else observations
        )
        for ours_is, theirs_is in zip((last, *others), expected[:4], strict=True):
            np.testing.assert_array_equal(ours_is, theirs_is)
        np.testing.assert_array_equal(last[2], alone[0])
        assert (others[0][2], others[1][2]) == alone[1:3]
        theirs.prev_done[:] = False
        theirs.steps[:] = ours.steps


def _rows(info: dict[str, Any], count: int) -> list[Any]:
    return [np.zeros(4) if row is None else row for row in info.get("final_obs", [None] * count)]


def test_pendulum_moves_as_gymnasiums_does() -> None:
    """That of the benchmarks: what any environment needs to be stepped at once."""
    vector = open_vector(PENDULUM, 3, PLAIN)
    single = gymnasium.make("Pendulum-v1").unwrapped
    assert isinstance(vector, VectorPendulum)
    assert isinstance(single, PendulumEnv)
    single.reset(seed=0)
    vector.reset(seed=0)
    single.state = vector.get_state()["state"][:, 1].copy()
    rng = np.random.default_rng(0)
    for _ in range(199):
        torques = rng.uniform(-3, 3, (3, 1)).astype(np.float32)
        seen, reward, *_ = single.step(torques[1])
        observations, rewards, *others = vector.step(torques)
        np.testing.assert_allclose(observations[1], seen, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(rewards[1], reward, rtol=1e-9)
        assert not np.any(others[:2])
    *_, terminated, truncated, info = vector.step(torques)
    assert truncated.all()
    assert not terminated.any()
    np.testing.assert_allclose(info["final_obs"][1], single.step(torques[1])[0], rtol=1e-5, atol=1e-5)


def test_pendulums_are_resumed_where_they_were() -> None:
    one, other = (NativeVector(open_vector(PENDULUM, 3, PLAIN)) for _ in range(2))
    one.reset(4)
    torques = np.ones((3, 1), np.float32)
    for _ in range(250):
        seen = one.step(torques).observations
    np.testing.assert_equal(other.play(one.recordings()), seen)
    for _ in range(200):
        results = one.step(torques), other.step(torques)
        np.testing.assert_equal(*(tuple(result[:2]) for result in results))
        np.testing.assert_equal(*([vars(e) for e in result.ended] for result in results))


def test_cartpole_begins_again_in_the_same_step() -> None:
    envs = NativeVector(cartpoles())
    assert envs.time_limit == LIMIT
    assert np.abs(envs.reset(3)[""]).max() <= 0.05
    for _ in range(LIMIT - 1):
        assert envs.step(np.array([0, 1, 0])).ended == []
    result = envs.step(np.array([1, 0, 1]))
    assert [(e.index, e.truncated, e.total, e.length, e.success) for e in result.ended] == [
        (index, True, LIMIT, LIMIT, None) for index in range(3)
    ]
    assert all(np.abs(episode.observation).max() > 0.05 for episode in result.ended)
    assert np.abs(result.observations[""]).max() <= 0.05
    assert result.rewards.dtype == np.float32
    assert envs.step(np.array([1, 0, 1])).ended == []


def test_one_that_falls_is_not_cut_off() -> None:
    envs = NativeVector(open_vector("CartPole-v1", 2, PLAIN))
    envs.reset(0)
    ended = [episode for _ in range(30) for episode in envs.step(np.array([0, 0])).ended]
    assert ended
    assert not any(episode.truncated for episode in ended)
    assert all(episode.total == episode.length < 20 for episode in ended)
    assert {episode.index for episode in ended} == {0, 1}


class _Succeeding(gymnasium.Env[Any, Any]):
    """Counts to three or four, of which the second is a success."""

    observation_space = gymnasium.spaces.Dict(n=gymnasium.spaces.Box(0, 9, (1,), np.float32))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._n, self._end = 0, 3 + int(self.np_random.integers(2))
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._n += 1
        over = self._n == self._end
        info = {"is_success": self._end == 4} if over else {}
        return self._seen(), float(action), over and self._end == 3, over, info

    def _seen(self) -> dict[str, Any]:
        return {"n": np.array([self._n], np.float32)}


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_steps_are_those_of_single_ones(mode: AutoresetMode) -> None:
    """Of observations that are dictionaries, with successes."""
    one = InProcess(_Succeeding, 3)
    other = NativeVector(SyncVectorEnv([_Succeeding] * 3, autoreset_mode=mode))
    np.testing.assert_equal(one.reset(5), other.reset(5))
    successes = []
    for number in range(20):
        actions = np.arange(3) * number % 2
        results = one.step(actions), other.step(actions)
        np.testing.assert_equal(*(tuple(result[:2]) for result in results))
        np.testing.assert_equal(*([vars(e) for e in result.ended] for result in results))
        successes += [episode.success for episode in results[1].ended]
    assert {True, False} == set(successes)


@pytest.mark.parametrize(
    ("env_id", "wrapping", "sentence"),
    [
        ("Pendulum-v1", PLAIN, "Pendulum-v1 is registered without a vector environment"),
        (
            "CartPole-v1",
            Wrapping(wrappers=(Wrapper("gymnasium.wrappers:FlattenObservation"),)),
            "FlattenObservation goes around single ones",
        ),
        ("NextStep-v0", PLAIN, "begins an episode one step after"),
        ("Other-v0", PLAIN, "observes Box"),
        ("Absent-v0", PLAIN, "cannot be made"),
    ],
)
def test_refusals(env_id: str, wrapping: Wrapping, sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        open_vector(env_id, 2, wrapping)
    assert sentence in error.value.message
    assert env_id == "Absent-v0" or "--vec-env dummy" in (error.value.hint or "")


def test_one_that_can_be_asked_begins_again_in_the_same_step() -> None:
    """As `AtariVectorEnv` of ale_py, which would else do so one step later."""
    assert open_vector("Asked-v0", 2, PLAIN).metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


def _asked(num_envs: int, autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP, **_: Any) -> SyncVectorEnv:
    return SyncVectorEnv([CartPoleEnv] * num_envs, autoreset_mode=autoreset_mode)


def _next_step(num_envs: int, **_: Any) -> SyncVectorEnv:
    return _asked(num_envs)


def _other(num_envs: int, **_: Any) -> SyncVectorEnv:
    return SyncVectorEnv(
        [partial(gymnasium.make, "Pendulum-v1")] * num_envs, autoreset_mode=AutoresetMode.DISABLED
    )


for _name, _entry in {"NextStep": _next_step, "Other": _other, "Asked": _asked}.items():
    gymnasium.register(f"{_name}-v0", CartPoleEnv, vector_entry_point=_entry)


def test_masks_are_refused() -> None:
    with pytest.raises(UsageError, match="does not say which actions are allowed"):
        NativeVector(cartpoles()).check_masks()


def test_values_of_what_was_cut_off_are_asked_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the engine does not mind, once a rollout; rewards are the same but for the last bits."""
    case = Case("Pendulum-v1", 840, 2, normalise={}, settings={**TINY, "n_steps": 420})
    rewards, sizes = [], []
    for one_by_one in (True, False):
        monkeypatch.setattr(Engine, "values_one_by_one", one_by_one)
        trainer = begin_ours(case)
        asked: list[int] = []
        ask = trainer.engine.values

        def counted(seen: Any, recall: Any, ask: Any = ask, asked: list[int] = asked) -> Any:
            asked.append(len(seen[""]))
            return ask(seen, recall)

        monkeypatch.setattr(trainer.engine, "values", counted)
        rewards.append(trainer.collector.collect().rewards.copy())
        sizes.append(asked)
    assert sizes == [[1, 1, 1, 1, 2], [4, 2]]
    np.testing.assert_allclose(*rewards, rtol=1e-5)


def settings_of(way: str, count: int = 4, env: str = "CartPole-v1") -> RunSettings:
    return RunSettings(EnvironmentSpec(env), 100, defaults("ppo"), count, way)


def told(
    settings: RunSettings, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, list[str]]:
    """Choose, where a step takes so long and there are two processors."""
    monkeypatch.setattr(stepping, "_seconds", lambda _: seconds)
    monkeypatch.setattr(stepping, "_cores", lambda: 2)
    sentences: list[str] = []
    return stepping.chosen(settings, sentences.append).vec_env, sentences


@pytest.mark.parametrize(
    ("way", "count", "seconds", "sentence"),
    [
        ("subproc", 4, 1e-5, "--vec-env dummy would step 14.5 times as fast"),
        ("subproc", 4, 1e-3, ""),
        ("subproc", 1, 1e-5, ""),
        ("dummy", 4, 1e-2, "CartPole-v1 takes 10.0 ms: --vec-env subproc would step 1.9 times as fast"),
        ("dummy", 4, 5e-4, ""),
        ("dummy", 1, 1e-2, ""),
        ("dummy", 4, None, ""),
        ("vector", 4, 1e-2, ""),
    ],
)
def test_advice(
    way: str, count: int, seconds: float | None, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, sentences = told(settings_of(way, count), seconds, monkeypatch)
    assert name == way
    assert len(sentences) == bool(sentence)
    assert sentence in "".join(sentences)


@pytest.mark.parametrize(
    ("env", "count", "seconds", "name"),
    [
        ("CartPole-v1", 64, 1e-5, "vector"),
        ("CartPole-v1", 1, 1e-9, "dummy"),
        ("Pendulum-v1", 4, 1e-5, "dummy"),
        ("Pendulum-v1", 4, 1e-2, "subproc"),
        ("Pendulum-v1", 4, None, "dummy"),
    ],
)
def test_auto(
    env: str, count: int, seconds: float | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, sentences = told(settings_of("auto", count, env), seconds, monkeypatch)
    assert found == name
    assert f"--vec-env auto takes {name}" in sentences[0]


def test_measuring_leaves_the_training_alone() -> None:
    """Random numbers, and an environment that cannot be stepped so."""
    before = np.random.get_state()[1].copy()
    assert stepping._seconds(settings_of("dummy")) is not None
    np.testing.assert_array_equal(before, np.random.get_state()[1])
    assert stepping._seconds(replace(settings_of("dummy"), environment=EnvironmentSpec("Absent-v0"))) is None


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1", "Hopper-v5"])
def test_envpool(env_id: str) -> None:
    """Episodes end as Gymnasium's do; of what they compute EnvPool knows."""
    pytest.importorskip("envpool", reason="EnvPool is not installed")
    from sb3port.environments.pools import open_pool

    envs = NativeVector(open_pool(env_id, 3, Wrapping({"max_episode_steps": LIMIT + 3})))
    envs.reset(1)
    lengths = np.zeros(3, int)
    ended = []
    for _ in range(3 * LIMIT):
        result = envs.step(np.zeros((3, *envs.action_space.shape)))
        lengths += 1
        for episode in result.ended:
            assert episode.length == lengths[episode.index]
            assert episode.truncated == (episode.length == envs.time_limit)
            assert not np.array_equal(episode.observation, result.observations[""][episode.index])
            lengths[episode.index] = 0
        ended += result.ended
    assert ended
    envs.close()


def test_absent_envpool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sb3port.errors.find_spec", lambda name: None if name == "envpool" else name)
    with pytest.raises(UsageError, match="--vec-env envpool needs envpool"):
        stepping.make_environments(settings_of("envpool"))
