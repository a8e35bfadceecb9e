"""Algorithms, spaces and options crossed: the policies that conformance is tested with."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import TRPO, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.base_class import BaseAlgorithm

from sb3port.families.activations import NAMES

VECTOR = spaces.Box(-np.inf, np.inf, (4,), np.float32)
FLOAT64 = spaces.Box(-1e3, 1e3, (5,), np.float64)
MATRIX = spaces.Box(-1.0, 1.0, (1, 6), np.float32)
IMAGE = spaces.Box(0, 255, (36, 36, 3), np.uint8)
PLANES = spaces.Box(0.0, 1.0, (2, 36, 36), np.float32)
MASK_SEEN = spaces.Dict({"action_mask": spaces.MultiBinary(4), "x": VECTOR})
OBSERVATIONS: dict[str, spaces.Space[Any]] = {
    "vector": VECTOR,
    "integers": spaces.Box(-5, 5, (3,), np.int64),
    "cube": spaces.Box(-1.0, 1.0, (2, 3, 2)),
    "image": IMAGE,
    "image-channels-first": spaces.Box(0, 255, (4, 36, 40), np.uint8),
    "discrete": spaces.Discrete(5),
    "multidiscrete": spaces.MultiDiscrete([3, 2, 4]),
    "multibinary": spaces.MultiBinary(5),
    "multibinary-matrix": spaces.MultiBinary([2, 3]),
    "dict": spaces.Dict({"z": VECTOR, "a": spaces.Box(-1.0, 1.0, (2, 2))}),
    "dict-of-most": spaces.Dict({"v": VECTOR, "camera": IMAGE, "goal": spaces.Discrete(3), "a": VECTOR}),
    "dict-of-all": spaces.Dict(
        {
            "v": VECTOR,
            "camera": IMAGE,
            "goal": spaces.Discrete(3),
            "bits": spaces.MultiBinary(2),
            "gears": spaces.MultiDiscrete([2, 3]),
            "a": spaces.Box(-1.0, 1.0, (3,), np.float64),
        }
    ),
}
ONE = spaces.Box(-2.0, 2.0, (1,), np.float32)
UNEVEN = spaces.Box(np.float32([-0.4, -1.0, 0.0]), np.float32([0.4, 3.0, 1.0]), dtype=np.float32)
WIDE = spaces.Box(-1.0, 1.0, (2, 2), np.float32)
UNEVEN_WIDE = spaces.Box(np.float32([[-1, -2], [-3, -4]]), np.float32([[1, 2], [3, 4]]), dtype=np.float32)
DOUBLE = spaces.Box(-0.1, 0.7, (2,), np.float64)
ACTIONS: dict[str, spaces.Space[Any]] = {
    "box": UNEVEN,
    "discrete": spaces.Discrete(4),
    "multidiscrete": spaces.MultiDiscrete([2, 4, 3]),
    "multibinary": spaces.MultiBinary(3),
}


@dataclass
class Case:
    """One policy to build.

    Args:
        algorithm: Class that builds it.
        observation: Observation space.
        action: Action space.
        normalize: Whether VecNormalize normalises its observations, or which keys of a Dict, or rewards only.
        settings: Arguments of the algorithm.
        policy_kwargs: Those of the policy.
        mlp: Whether an image is flattened instead of convolved.
    """

    algorithm: Callable[..., BaseAlgorithm] = PPO
    observation: spaces.Space[Any] = field(default_factory=lambda: VECTOR)
    action: spaces.Space[Any] = field(default_factory=lambda: UNEVEN)
    normalize: list[str] | bool | Literal["reward"] = False
    settings: dict[str, Any] = field(default_factory=dict)
    policy_kwargs: dict[str, Any] = field(default_factory=dict)
    mlp: bool = False

    @property
    def policy(self) -> str:
        """SB3's name of its policy."""
        kind = "MultiInput" if isinstance(self.observation, spaces.Dict) else "Mlp"
        is_image = self.observation.dtype == np.uint8 or self.policy_kwargs.get("normalize_images") is False
        if not self.mlp and is_image and len(self.observation.shape or ()) == 3:
            kind = "Cnn"
        return f"{kind}{'Lstm' if self.algorithm is RecurrentPPO else ''}Policy"


LSTM = {"lstm_hidden_size": 6}
SHARED = {**LSTM, "shared_lstm": True, "enable_critic_lstm": False}
NO_CRITIC = {**LSTM, "enable_critic_lstm": False}
SMALL_CNN = {"features_extractor_kwargs": {"features_dim": 8}}
UNSCALED_CNN = SMALL_CNN | {"normalize_images": False}
APART = {"share_features_extractor": False}
SDE = {"use_sde": True}

_SPACES = {
    **{f"ppo-sees-{name}": Case(PPO, space) for name, space in OBSERVATIONS.items()},
    **{f"ppo-{name}": Case(action=space) for name, space in ACTIONS.items()},
    **{f"a2c-{name}": Case(A2C, action=space, normalize=True) for name, space in ACTIONS.items()},
    **{f"trpo-{name}": Case(TRPO, OBSERVATIONS["dict"], space) for name, space in ACTIONS.items()},
    "ppo-discrete-start": Case(action=spaces.Discrete(3, start=5)),
    "ppo-uneven-bounds": Case(action=UNEVEN, normalize=True),
    "ppo-matrix-spaces": Case(PPO, MATRIX, WIDE, normalize=True),
    "ppo-uneven-matrix": Case(PPO, MATRIX, UNEVEN_WIDE),
    "ppo-float64": Case(PPO, FLOAT64, normalize=True),
    "ppo-float64-without-statistics": Case(PPO, FLOAT64, ONE),
    "ppo-float64-actions": Case(action=DOUBLE),
}
# Activations with arguments: those that need some, and some of the others.
_ARGUMENTS: dict[str, dict[str, Any]] = {
    **{name: {"dim": -1} for name in ("LogSoftmax", "Softmax", "Softmin")},
    "Threshold": {"threshold": 0.1, "value": -0.5},
    "LeakyReLU": {"negative_slope": 0.2},
    "ELU": {"alpha": 0.5},
    "Softplus": {"beta": 2, "threshold": 1.5},
    "Hardtanh": {"min_val": -0.5, "max_val": 2.0},
    "GELU": {"approximate": "tanh"},
}
WITH_ARGUMENTS = {f"ppo-{name}-with-arguments": name for name in _ARGUMENTS}
ACTIVATIONS = NAMES - {"LogSoftmax", "Softmax", "Softmin", "Threshold"}
_OPTIONS = {
    **{
        f"ppo-{name}": Case(action=ONE, policy_kwargs={"activation_fn": getattr(torch.nn, name)})
        for name in sorted(ACTIVATIONS)
    },
    **{
        case: Case(
            action=ONE, policy_kwargs={"activation_fn": partial(getattr(torch.nn, name), **_ARGUMENTS[name])}
        )
        for case, name in WITH_ARGUMENTS.items()
    },
    "ppo-gsde": Case(settings=SDE),
    "ppo-gsde-expln": Case(settings=SDE, policy_kwargs={"use_expln": True}),
    "ppo-gsde-not-full": Case(settings=SDE, policy_kwargs={"full_std": False}),
    "ppo-gsde-one-action-not-full": Case(action=ONE, settings=SDE, policy_kwargs={"full_std": False}),
    "ppo-gsde-squashed": Case(settings=SDE, policy_kwargs={"squash_output": True}),
    "ppo-gsde-all-flags": Case(
        settings=SDE, policy_kwargs={"squash_output": True, "use_expln": True, "full_std": False}
    ),
    "ppo-gsde-log-std": Case(
        action=ONE, settings=SDE, policy_kwargs={"log_std_init": -2, "ortho_init": False}
    ),
    "a2c-gsde": Case(A2C, settings=SDE),
    "trpo-gsde": Case(TRPO, action=ONE, settings=SDE),
    "ppo-unequal-nets": Case(action=ONE, policy_kwargs={"net_arch": {"pi": [7], "vf": [9, 8, 7]}}),
    "ppo-no-hidden-layers": Case(action=spaces.Discrete(3), policy_kwargs={"net_arch": []}),
    "vector-apart": Case(PPO, policy_kwargs=APART),
    "cnn-small": Case(PPO, IMAGE, policy_kwargs=SMALL_CNN),
    "cnn-apart": Case(PPO, IMAGE, policy_kwargs=SMALL_CNN | APART),
    "cnn-layers": Case(PPO, IMAGE, policy_kwargs=SMALL_CNN | {"net_arch": {"pi": [5], "vf": [7, 6]}}),
    "cnn-gsde": Case(PPO, IMAGE, settings=SDE, policy_kwargs=SMALL_CNN),
    "cnn-unscaled": Case(PPO, IMAGE, policy_kwargs=UNSCALED_CNN),
    "cnn-normalized-rewards": Case(PPO, IMAGE, normalize="reward", policy_kwargs=SMALL_CNN),
    "cnn-planes": Case(PPO, PLANES, policy_kwargs=UNSCALED_CNN),
    "cnn-planes-normalized": Case(PPO, PLANES, normalize=True, policy_kwargs=UNSCALED_CNN),
    "image-in-mlp": Case(PPO, IMAGE, mlp=True),
    "dict-apart": Case(PPO, OBSERVATIONS["dict-of-all"], policy_kwargs=APART),
    "dict-small-cnn": Case(
        A2C, OBSERVATIONS["dict-of-all"], policy_kwargs={"features_extractor_kwargs": {"cnn_output_dim": 7}}
    ),
    "dict-normalized": Case(PPO, OBSERVATIONS["dict"], normalize=True),
    "dict-partly-normalized": Case(PPO, OBSERVATIONS["dict-of-all"], normalize=["a", "v"]),
}
_MASKABLE = {
    **{
        f"mask-{observation}-{action}": Case(MaskablePPO, OBSERVATIONS[observation], ACTIONS[action])
        for observation in ("vector", "image", "dict-of-all")
        for action in ("discrete", "multidiscrete", "multibinary")
    },
    "mask-apart": Case(MaskablePPO, OBSERVATIONS["dict"], ACTIONS["discrete"], policy_kwargs=APART),
    "mask-seen": Case(MaskablePPO, MASK_SEEN, ACTIONS["discrete"], normalize=["x"]),
    "mask-normalized": Case(MaskablePPO, VECTOR, ACTIONS["multidiscrete"], normalize=True),
}
_RECURRENT = {
    **{
        f"lstm-{observation}-{action}": Case(
            RecurrentPPO, OBSERVATIONS[observation], ACTIONS[action], policy_kwargs=LSTM
        )
        # sb3-contrib cannot build an LSTM behind a MultiDiscrete in a Dict
        for observation in ("vector", "image", "dict-of-most")
        for action in ACTIONS
    },
    "lstm-shared": Case(RecurrentPPO, policy_kwargs=SHARED),
    "lstm-no-critic": Case(RecurrentPPO, policy_kwargs=NO_CRITIC),
    "lstm-two-layers": Case(RecurrentPPO, policy_kwargs={**LSTM, "n_lstm_layers": 2}),
    "lstm-gsde": Case(RecurrentPPO, settings=SDE, policy_kwargs=LSTM),
    "lstm-apart": Case(RecurrentPPO, IMAGE, policy_kwargs={**LSTM, **APART, **SMALL_CNN}),
    "lstm-normalized": Case(RecurrentPPO, normalize=True, policy_kwargs=SHARED),
}
CASES = {**_SPACES, **_OPTIONS, **_MASKABLE, **_RECURRENT}


def cases(every: int, others: int = 1) -> list[Any]:
    """Name all cases: all but some, of memory and pictures and of others, are left to `make thorough`."""
    slow = [name for name in CASES if name.startswith("lstm") or "dict" in name or "cnn" in name]
    quick = [name for name in CASES if name not in slow]
    left = {name for number, name in enumerate(slow) if number % every}
    left |= {name for number, name in enumerate(quick) if number % others}
    left |= WITH_ARGUMENTS.keys() - {"ppo-LeakyReLU-with-arguments", "ppo-Softmax-with-arguments"}
    return [pytest.param(name, marks=pytest.mark.thorough) if name in left else name for name in CASES]


def sampled(names: Iterable[str], every: int) -> list[Any]:
    """Name all, of which all but every n-th are left to `make thorough`."""
    return [
        name if number % every == 0 else pytest.param(name, marks=pytest.mark.thorough)
        for number, name in enumerate(names)
    ]
