"""What an environment that is not that of the training leads to: a refusal, a sentence, or nothing.

Every command has the same answer. Where it is a refusal or a sentence, SB3's `load(env=...)` refuses.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from lerobot.configs.policies import PreTrainedConfig
from lerobot.policies.factory import make_policy
from stable_baselines3 import PPO

from lerobot_policy_ppo import GymnasiumEnvConfig, PPOConfig, env_policy
from sb3port.checkpoint.checkpoint import EnvironmentSpec
from sb3port.commands.evaluate import evaluate_port, evaluate_sb3
from sb3port.commands.observation_sets import rollout_observations
from sb3port.commands.policies import find_policy
from sb3port.commands.record import RecordOptions, record
from sb3port.commands.train import begin_finetuning, begin_training
from sb3port.commands.training_arguments import PolicyOptions, RunOptions
from sb3port.environments.rollouts import Setting
from sb3port.errors import Sb3portError, UsageError
from sb3port.ports.reading import read_port

from .spaces_env import SMALL, VECTOR, SpacesEnv, ported, register

F32, F64, U8, I64 = np.float32, np.float64, np.uint8, np.int64
FOUR, PAIR = spaces.Discrete(4), spaces.Box(-1, 1, (2,), F32)
PARTS = spaces.Dict(a=VECTOR, b=spaces.Discrete(3))
IMAGE, UNIT = spaces.Box(0, 255, (36, 36, 3), U8), spaces.Box(0, 1, (3, 36, 36), F32)
INF = np.inf

# Policy's observations and actions, the environment's, and words of the sentence.
Case = tuple[spaces.Space, spaces.Space, spaces.Space, spaces.Space, str]
REFUSED: dict[str, Case] = {
    "rescaled": (VECTOR, PAIR, VECTOR, spaces.Box(-2, 2, (2,), F32), "the actions Box(-2, 2, (2,), float32)"),
    "one-bound": (VECTOR, PAIR, VECTOR, spaces.Box(np.float32([-1, -2]), np.float32([1, 1])), "the actions"),
    "action-shape": (VECTOR, PAIR, VECTOR, spaces.Box(-1, 1, (3,), F32), "the actions"),
    "action-kind": (VECTOR, PAIR, VECTOR, FOUR, "the actions Discrete(4)"),
    "action-integers": (VECTOR, PAIR, VECTOR, spaces.Box(-1, 1, (2,), I64), "int64"),
    "n": (VECTOR, FOUR, VECTOR, spaces.Discrete(5), "the actions Discrete(5)"),
    "start": (VECTOR, FOUR, VECTOR, spaces.Discrete(4, start=1), "start=1"),
    "nvec": (VECTOR, spaces.MultiDiscrete([2, 3]), VECTOR, spaces.MultiDiscrete([3, 2]), "the actions"),
    "bits": (VECTOR, spaces.MultiBinary(3), VECTOR, spaces.MultiBinary(4), "the actions"),
    "image-of-floats": (UNIT, FOUR, IMAGE, FOUR, "the observations Box(0, 255, (36, 36, 3), uint8)"),
    "floats-of-image": (IMAGE, FOUR, UNIT, FOUR, "the observations Box(0, 1, (3, 36, 36), float32)"),
    "image-range": (UNIT, FOUR, spaces.Box(0, 255, (3, 36, 36), F32), FOUR, "the observations"),
    "image-as-floats": (IMAGE, FOUR, spaces.Box(0, 255, (36, 36, 3), F32), FOUR, "float32"),
    "image-size": (IMAGE, FOUR, spaces.Box(0, 255, (40, 36, 3), U8), FOUR, "(40, 36, 3)"),
    "bytes": (spaces.Box(0, 1, (8,), F32), FOUR, spaces.Box(0, 255, (8,), U8), FOUR, "uint8"),
    "cut-to-integers": (spaces.Box(0, 9, (3,), I64), FOUR, spaces.Box(0, 9, (3,), F32), FOUR, "float32"),
    "shape": (VECTOR, FOUR, spaces.Box(-1, 1, (4,), F32), FOUR, "the observations Box(-1, 1, (4,), float32)"),
    "rank": (VECTOR, FOUR, spaces.Box(-1, 1, (1, 3), F32), FOUR, "(1, 3)"),
    "kind": (VECTOR, FOUR, spaces.Discrete(3), FOUR, "the observations Discrete(3)"),
    "unknown-kind": (VECTOR, FOUR, spaces.Tuple([VECTOR]), FOUR, "Tuple"),
    "observed-n": (spaces.Discrete(4), FOUR, spaces.Discrete(5), FOUR, "the observations Discrete(5)"),
    "observed-start": (spaces.Discrete(4), FOUR, spaces.Discrete(4, start=1), FOUR, "start=1"),
    "dict": (PARTS, FOUR, VECTOR, FOUR, "the observations Box"),
    "no-dict": (VECTOR, FOUR, PARTS, FOUR, "the observations Dict"),
    "part": (PARTS, FOUR, spaces.Dict(a=VECTOR, b=spaces.Discrete(4)), FOUR, "Discrete(4)"),
}
# LeRobot's `--rename_map` may bring the key, so that it is missed when the policy is first asked.
MISSING: dict[str, Case] = {
    "key": (PARTS, FOUR, spaces.Dict(a=VECTOR, c=VECTOR), FOUR, "does not observe b, which the policy was"),
}
SAID: dict[str, Case] = {
    "bounds": (VECTOR, FOUR, spaces.Box(-2, 1, (3,), F32), FOUR, "right only if they mean the same"),
    "more-bounded": (spaces.Box(-INF, INF, (3,), F32), FOUR, VECTOR, FOUR, "SB3 would refuse that"),
    "integers": (spaces.Box(0, 9, (3,), F32), FOUR, spaces.Box(0, 9, (3,), I64), FOUR, "int64"),
    "more-keys": (PARTS, FOUR, spaces.Dict(a=VECTOR, b=PARTS["b"], c=VECTOR), FOUR, "also observes c, which"),
}
FLOAT_MAX = float(np.finfo(F32).max)
SILENT: dict[str, Case] = {
    "equal": (PARTS, PAIR, PARTS, PAIR, ""),
    "rounded": (VECTOR, PAIR, spaces.Box(-1, 1.000001, (3,), F32), spaces.Box(-1, 1.000001, (2,), F32), ""),
    "float64": (VECTOR, PAIR, spaces.Box(-1, 1, (3,), F64), spaces.Box(-1, 1, (2,), F64), ""),
    "largest": (
        spaces.Box(-FLOAT_MAX, FLOAT_MAX, (3,), F32),
        FOUR,
        spaces.Box(-INF, INF, (3,), F32),
        FOUR,
        "",
    ),
    "largest64": (
        spaces.Box(-INF, INF, (3,), F64),
        FOUR,
        spaces.Box(-FLOAT_MAX, FLOAT_MAX, (3,), F32),
        FOUR,
        "",
    ),
    "image": (IMAGE, FOUR, IMAGE, FOUR, ""),
    "channels-first": (IMAGE, FOUR, spaces.Box(0, 255, (3, 36, 36), U8), FOUR, ""),
}
EQUAL_TO_SB3 = ("equal", "rounded", "image", "channels-first")
ALL = {**REFUSED, **MISSING, **SAID, **SILENT}


def trained(observations: spaces.Space, actions: spaces.Space) -> Any:
    """A policy of SB3's for spaces."""
    image = getattr(observations, "shape", None) is not None and len(observations.shape) == 3
    kind = "MultiInput" if isinstance(observations, spaces.Dict) else "Cnn" if image else "Mlp"
    kwargs: dict[str, Any] = {"net_arch": [4]}
    if image:
        kwargs["features_extractor_kwargs"] = {"features_dim": 4}
        if observations.dtype == F32:
            kwargs["normalize_images"] = False
            kwargs["features_extractor_kwargs"]["normalized_image"] = True
    return PPO(f"{kind}Policy", SpacesEnv(observations, actions), policy_kwargs=kwargs, **SMALL)


class Ports:
    """One port for each pair of spaces, made when it is first wanted."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._made = folder, dict[str, tuple[Any, Path]]()

    def of(self, observations: spaces.Space, actions: spaces.Space) -> tuple[Any, Path]:
        key = f"{observations} {actions}"
        if key not in self._made:
            model = trained(observations, actions)
            self._made[key] = (model, ported(model, self._folder / str(len(self._made))))
        return self._made[key]


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Ports:
    return Ports(tmp_path_factory.mktemp("ports"))


def in_eval(port: Path, env: str) -> list[str]:
    return list(evaluate_port(port, Setting(env, [0])).warnings)


def in_eval_of_sb3(port: Path, env: str) -> list[str]:
    return list(evaluate_sb3(read_port(port), Setting(env, [0])).warnings)


def in_record(port: Path, env: str) -> list[str]:
    return list(record(str(port), RecordOptions(env, [0])).warnings)


def in_verify(port: Path, env: str) -> list[str]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sb3port.commands.observation_sets.ROLLOUT_STEPS", 4)
        rollout_observations(read_port(port), EnvironmentSpec(env))
    return in_eval(port, env)


def in_finetune(port: Path, env: str) -> list[str]:
    said: list[str] = []
    options = RunOptions(env, {"n_steps": 8, "batch_size": 4}, steps=8, n_envs=1)
    trainer, _ = begin_finetuning(find_policy(port), options, said.append)
    trainer.iterate()
    return said


def in_lerobot(port: Path, env: str) -> list[str]:
    """As `lerobot-eval` makes the policy, before its rollout."""
    config = PreTrainedConfig.from_pretrained(port)
    config.pretrained_path, config.device = port, "cpu"
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(env_policy._logger, "warning", lambda form, text: said.append(form % text))
        policy = make_policy(config, env_cfg=GymnasiumEnvConfig(task=env))
    assert type(policy.config.output_features["action"]).__name__ == "PolicyFeature"
    return said


WAYS: dict[str, Callable[[Path, str], list[str]]] = {
    "eval": in_eval,
    "eval --compare": in_eval_of_sb3,
    "record": in_record,
    "verify": in_verify,
    "finetune": in_finetune,
    "lerobot-eval": in_lerobot,
}


def place(name: str) -> str:
    _, _, observations, actions, _ = ALL[name]
    return register(name, limit=10, observations=observations, actions=actions)


@pytest.mark.parametrize("name", ALL)
def test_what_sb3_refuses(name: str, ports: Ports) -> None:
    observations, actions, _, _, _ = ALL[name]
    _, port = ports.of(observations, actions)
    env = gymnasium.make(place(name))
    zip_path = port.parent / f"{port.parent.name}.zip"
    if name in EQUAL_TO_SB3:
        PPO.load(zip_path, env=env, device="cpu")
    elif name not in SILENT:
        with pytest.raises((ValueError, AssertionError, NotImplementedError)):
            PPO.load(zip_path, env=env, device="cpu")


def crossed(names: Iterable[str]) -> list[Any]:
    """Every case in every way; in CI every case in two ways, and some cases in all."""
    quick = {"eval", "lerobot-eval"}
    pairs = [(name, way) for name in names for way in WAYS]
    return [
        pytest.param(*pair, marks=[] if pair[1] in quick or pair[0] in TOLD else [pytest.mark.thorough])
        for pair in pairs
    ]


TOLD = ("rescaled", "image-of-floats", "key", "bounds", "more-keys")


@pytest.mark.parametrize(("name", "way"), crossed([*REFUSED, *MISSING]))
def test_refused(name: str, way: str, ports: Ports) -> None:
    observations, actions, _, _, words = ALL[name]
    _, port = ports.of(observations, actions)
    if way == "lerobot-eval" and (name in MISSING or name in ("unknown-kind", "rank")):
        pytest.skip("it is refused later, or before any policy is known; vectors are handed on flat")
    with pytest.raises((UsageError, ValueError)) as caught:
        WAYS[way](port, place(name))
    said = str(caught.value)
    assert words in said
    assert place(name) in said


@pytest.mark.parametrize(("name", "way"), crossed([*SAID, *SILENT]))
def test_accepted(name: str, way: str, ports: Ports) -> None:
    observations, actions, _, _, words = ALL[name]
    _, port = ports.of(observations, actions)
    if way == "lerobot-eval" and name == "more-bounded":
        pytest.skip("a policy without bounds may be LeRobot's own")
    said = [text for text in WAYS[way](port, place(name)) if "hyperparameter" not in text]
    assert [words in text for text in said if place(name) in text] == [True] * (name in SAID), said


def test_choices_that_do_not_start_at_zero(tmp_path: Path, ports: Ports) -> None:
    """SB3 cannot train on such observations, and knows nothing of such actions."""
    from_two = spaces.Discrete(4, start=2)
    seen = register("seen-from-two", limit=5, observations=from_two, actions=FOUR)
    done = register("done-from-two", limit=5, observations=VECTOR, actions=from_two)
    given = {"n_steps": 8, "batch_size": 4}
    with pytest.raises(RuntimeError):
        PPO("MlpPolicy", gymnasium.make(seen), **SMALL).learn(8)
    with pytest.raises(UsageError, match=r"observes Discrete\(4, start=2\), and SB3 has no policies for"):
        begin_training(RunOptions(seen, given, 8, 1), PolicyOptions(), lambda _: None)
    said: list[str] = []
    begin_training(RunOptions(done, given, 8, 1), PolicyOptions(), lambda _: None, said.append).iterate()
    assert said == [
        "the actions are Discrete(4, start=2), but SB3 counts choices from 0, and gives no others to "
        "environments"
    ]
    _, port = ports.of(from_two, FOUR)
    for way in (in_eval, in_eval_of_sb3, in_record, in_finetune):
        with pytest.raises(UsageError, match="choice"):
            way(port, seen)


@pytest.mark.parametrize("way", ["eval", "eval --compare", "record", "verify", "finetune"])
def test_observations_that_are_none(way: str, ports: Ports) -> None:
    _, port = ports.of(VECTOR, FOUR)
    nan = np.full(3, np.nan, F32)
    wrong = {
        "nan": (nan, "NaN"),
        "narrow": (np.zeros(2, F32), "the shape (2,)"),
        "words": (np.array(["a"] * 3), "no Box"),
    }
    for name, (observation, words) in wrong.items():
        if way == "finetune" and name != "nan":
            continue  # what numpy makes of it fails in the environment's own name
        env = register(f"wrong-{name}", limit=5, observations=VECTOR, actions=FOUR, observation=observation)
        with pytest.raises(Sb3portError, match=re.escape(words)):
            WAYS[way](port, env)


def test_reset_that_gives_no_info(ports: Ports) -> None:
    class Old(SpacesEnv):
        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            return super().reset(seed=seed, options=options)[0]

    gymnasium.register(
        "spaces/Old-v0",
        Old,
        kwargs={"observations": VECTOR, "actions": FOUR},
        max_episode_steps=5,
        disable_env_checker=True,
    )
    _, port = ports.of(VECTOR, FOUR)
    for way in (in_eval, in_record, in_finetune):
        with pytest.raises(UsageError, match=r"reset\(\) gives no tuple \(observation, info\)"):
            way(port, "spaces/Old-v0")


def test_no_end(ports: Ports) -> None:
    """Episodes that nothing ends are cut where `lerobot-eval` cuts them, and a limit replaces that."""
    _, port = ports.of(VECTOR, FOUR)
    env = register("endless", observations=VECTOR, actions=FOUR, length=None)
    found = evaluate_port(port, Setting(env, [0]))
    assert found.lengths == (1000,)
    assert [
        text for text in found.warnings if "cut after 1000 steps" in text and "--max-episode-steps" in text
    ]
    shorter = evaluate_port(port, Setting(env, [0], max_episode_steps=7))
    assert (shorter.lengths, shorter.warnings) == ((7,), ())
    assert GymnasiumEnvConfig(task=env).gym_kwargs["episode_length"] is None
    recording = record(str(port), RecordOptions(env, [0]))
    assert recording.truncated.sum() == 1
    assert len(recording) == 1000
    assert any("cut after 1000 steps" in text for text in recording.warnings)
    assert len(record(str(port), RecordOptions(env, [0], max_episode_steps=7))) == 7


def test_lerobot_hands_vectors_on_flat(ports: Ports) -> None:
    """Their rank is no matter there, and a policy that LeRobot makes itself knows sizes alone."""
    _, port = ports.of(VECTOR, PAIR)
    flat = spaces.Box(-1, 1, (1, 3), F32), spaces.Box(-1, 1, (2, 1), F32)
    env = register("ranks", limit=5, observations=flat[0], actions=flat[1])
    assert in_lerobot(port, env) == []
    halved = register("ranks-2", limit=5, observations=flat[0], actions=spaces.Box(-2, 2, (2, 1), F32))
    with pytest.raises(ValueError, match=r"actions Box\(-2, 2"):
        in_lerobot(port, halved)
    told = GymnasiumEnvConfig(task=env)
    cloned = make_policy(PPOConfig(device="cpu"), env_cfg=told).config
    assert make_policy(replace(cloned), env_cfg=told).config.action_space["shape"] == [2]
    chosen = register("choices", limit=5, observations=spaces.Discrete(4), actions=FOUR)
    cloned = make_policy(PPOConfig(device="cpu"), env_cfg=GymnasiumEnvConfig(task=chosen)).config
    make_policy(replace(cloned), env_cfg=GymnasiumEnvConfig(task=chosen))
