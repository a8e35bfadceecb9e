"""The policies of several networks that conformance is tested with: all crossed with all."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import ARS, QRDQN, TQC, CrossQ
from stable_baselines3 import DDPG, DQN, SAC, TD3
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from tests.conformance.building import Stub, save_shaken
from tests.conformance.cases import DOUBLE, FLOAT64, MATRIX, OBSERVATIONS, ONE, UNEVEN, WIDE, Case

CHOICES = spaces.Discrete(4)
_GOALS = {"observation": spaces.Box(-1.0, 1.0, (4,)), "achieved_goal": spaces.Box(-1.0, 1.0, (2,))}
GOALS = spaces.Dict({**_GOALS, "desired_goal": spaces.Box(-1.0, 1.0, (2,))})
SMALL = {"features_extractor_kwargs": {"features_dim": 8}}
SMALL_COMBINED = {"features_extractor_kwargs": {"cnn_output_dim": 8}}
CONTINUOUS: dict[str, Any] = {"sac": SAC, "td3": TD3, "ddpg": DDPG, "tqc": TQC, "crossq": CrossQ}
CHOOSING: dict[str, Any] = {"dqn": DQN, "qrdqn": QRDQN}
_QUANTILES = {"n_quantiles": 5}
_OWN: dict[str, dict[str, Any]] = {"tqc": _QUANTILES, "qrdqn": _QUANTILES}
_SDE = {"use_sde": True}


def _case(key: str, observation: spaces.Space[Any], **more: Any) -> Case:
    algorithm = {**CONTINUOUS, **CHOOSING, "ars": ARS}[key]
    action = more.pop("action", CHOICES if key in CHOOSING else UNEVEN)
    kwargs = {**_OWN.get(key, {}), **more.pop("policy_kwargs", {})}
    return Case(algorithm, observation, action, policy_kwargs=kwargs, **more)


def _extractor(space: spaces.Space[Any]) -> dict[str, Any]:
    if isinstance(space, spaces.Dict):
        return SMALL_COMBINED
    return SMALL if len(space.shape or ()) == 3 and space.dtype == np.uint8 else {}


_SPACES = {
    f"{key}-sees-{name}": _case(key, space, policy_kwargs=_extractor(space))
    for key in (*CONTINUOUS, *CHOOSING)
    for name, space in OBSERVATIONS.items()
    if key != "crossq" or len(space.shape or (1,) * 3) < 3
}
_ACTIONS = {
    f"{key}-{name}": _case(key, MATRIX, action=space, normalize=True)
    for key in CONTINUOUS
    for name, space in {"one": ONE, "wide": WIDE, "float64": DOUBLE}.items()
}
_OPTIONS = {
    **{f"{key}-goals": _case(key, GOALS) for key in (*CONTINUOUS, *CHOOSING) if key != "crossq"},
    **{f"{key}-normalized": _case(key, FLOAT64, normalize=True) for key in (*CONTINUOUS, *CHOOSING, "ars")},
    **{f"{key}-gsde": _case(key, OBSERVATIONS["vector"], settings=_SDE) for key in ("sac", "tqc", "crossq")},
    **{
        f"{key}-gsde-{name}": _case(
            key, OBSERVATIONS["vector"], action=action, settings=_SDE, policy_kwargs=kwargs
        )
        for key in ("sac", "tqc")
        for name, action, kwargs in (
            ("expln", UNEVEN, {"use_expln": True}),
            ("unclipped", ONE, {"clip_mean": 0.0, "log_std_init": -1}),
            ("clipped", ONE, {"clip_mean": 0.5}),
        )
    },
    **{
        f"{key}-shared-cnn": _case(
            key, OBSERVATIONS["image"], policy_kwargs={**SMALL, "share_features_extractor": True}
        )
        for key in ("sac", "td3", "tqc")
    },
    **{
        f"{key}-{name}": _case(key, OBSERVATIONS["vector"], policy_kwargs={"n_critics": count})
        for key in ("sac", "td3", "tqc", "ddpg")
        for name, count in (("one-critic", 1), ("three-critics", 3))
    },
    **{
        f"{key}-linear": _case(key, OBSERVATIONS["vector"], policy_kwargs={"net_arch": []})
        for key in (*CONTINUOUS, *CHOOSING, "ars")
    },
    **{
        f"{key}-elu": _case(key, OBSERVATIONS["vector"], policy_kwargs={"activation_fn": torch.nn.ELU})
        for key in (*CONTINUOUS, *CHOOSING, "ars")
    },
    **{
        f"sac-ent-coef-{name}": _case("sac", OBSERVATIONS["vector"], settings={"ent_coef": value})
        for name, value in (("fixed", 0.1), ("from", "auto_0.2"))
    },
    "crossq-without-norm": _case("crossq", OBSERVATIONS["vector"], policy_kwargs={"batch_norm": False}),
    "td3-noise": _case(
        "td3",
        OBSERVATIONS["vector"],
        settings={"action_noise": NormalActionNoise(np.zeros(3), 0.1 * np.ones(3))},
    ),
    "dqn-explores": _case("dqn", OBSERVATIONS["vector"], settings={"exploration_final_eps": 0.6}),
    "ars-choices": _case("ars", OBSERVATIONS["vector"], action=CHOICES),
    "ars-without-bias": _case("ars", OBSERVATIONS["vector"], policy_kwargs={"with_bias": False}),
    "ars-clipped": _case("ars", OBSERVATIONS["vector"], policy_kwargs={"squash_output": False}),
}
REPLAY_CASES = {**_SPACES, **_ACTIONS, **_OPTIONS}
LINEAR = "ars-of-linear-policy"
REPLAY_CASES[LINEAR] = _case("ars", OBSERVATIONS["vector"], normalize=True)
ALWAYS = (
    *("sac-sees-vector", "sac-gsde", "td3-normalized", "dqn-explores", "qrdqn-sees-discrete", "tqc-goals"),
    *("crossq-sees-vector", "ars-choices"),
)


def replay_cases(names: Iterable[str] = ALWAYS) -> list[Any]:
    """Name all cases; those that are not named here take `make thorough`."""
    kept = frozenset(names)
    return [
        pytest.param(name, marks=[] if name in kept else [pytest.mark.thorough], id=name)
        for name in sorted(REPLAY_CASES)
    ]


def saved_replay(name: str, folder: Path, learns: bool = True) -> tuple[Any, VecNormalize | None]:
    """Build a model, train it so that its optimisers have states, shake its weights, and save it."""
    case = REPLAY_CASES[name]
    env: Any = DummyVecEnv([lambda: Stub(case)])
    case.observation.seed(3)
    normalizer = VecNormalize(env, clip_obs=2.5, epsilon=1e-4) if case.normalize else None
    model = _model(name, case, normalizer or env)
    if learns:
        model.learn(24)
    save_shaken(model, normalizer, folder)
    if normalizer is not None:
        normalizer.training = False
    return model, normalizer


def _model(name: str, case: Case, env: Any) -> Any:
    if case.algorithm is ARS:
        linear = name == LINEAR
        kwargs = {} if linear else {"net_arch": [6], **case.policy_kwargs}
        policy = "LinearPolicy" if linear else "MlpPolicy"
        return ARS(policy, env, n_delta=2, seed=1, device="cpu", policy_kwargs=kwargs, **case.settings)
    sizes: Any = [6] if case.algorithm in CHOOSING.values() else {"pi": [6], "qf": [5]}
    settings = {"learning_starts": 8, "buffer_size": 64, "batch_size": 8, "seed": 1, **case.settings}
    kwargs = {"net_arch": sizes, **case.policy_kwargs}
    return case.algorithm(case.policy, env, device="cpu", policy_kwargs=kwargs, **settings)
