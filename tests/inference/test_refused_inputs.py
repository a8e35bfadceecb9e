"""Every input of `predict` that SB3 or sb3-contrib refuse is refused here, too, in a sentence of ours."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import PPO

import sb3port
from sb3port.errors import UnfitInput
from tests.rollouts.spaces_env import SMALL, VECTOR, SpacesEnv, ported

FOUR = spaces.Discrete(4)
NET: dict[str, Any] = {"net_arch": [4]}
LSTM: dict[str, Any] = {**NET, "lstm_hidden_size": 5}
PARTS = spaces.Dict(a=VECTOR, b=spaces.Discrete(3))
MODELS: dict[str, Callable[[], Any]] = {
    "box": lambda: _made(PPO, VECTOR, spaces.Box(-1, 1, (2,), np.float32)),
    "gsde": lambda: _made(PPO, VECTOR, spaces.Box(-1, 1, (2,), np.float32), use_sde=True),
    "discrete": lambda: _made(PPO, VECTOR, FOUR),
    "multidiscrete": lambda: _made(PPO, VECTOR, spaces.MultiDiscrete([2, 3])),
    "multibinary": lambda: _made(PPO, VECTOR, spaces.MultiBinary(3)),
    "of-choice": lambda: _made(PPO, spaces.Discrete(4), FOUR),
    "of-choices": lambda: _made(PPO, spaces.MultiDiscrete([2, 3]), FOUR),
    "dict": lambda: _made(PPO, PARTS, FOUR),
    "maskable": lambda: _made(MaskablePPO, VECTOR, FOUR),
    "recurrent": lambda: _made(RecurrentPPO, VECTOR, FOUR),
}
Z = np.zeros(3, np.float32)
ROWS = np.zeros((2, 3), np.float32)


def _made(algorithm: Any, observations: Any, actions: Any, **kwargs: Any) -> Any:
    name = "MultiInput" if isinstance(observations, spaces.Dict) else "Mlp"
    recurrent = algorithm is RecurrentPPO
    return algorithm(
        f"{name}{'Lstm' if recurrent else ''}Policy",
        SpacesEnv(observations, actions),
        policy_kwargs=LSTM if recurrent else NET,
        **SMALL,
        **kwargs,
    )


def _states(count: int, hidden: int = 5) -> tuple[Any, ...]:
    return (np.zeros((1, count, hidden), np.float32),) * 2


# What is given, and words of the sentence that refuses it.
REFUSED: dict[str, tuple[str, Any, dict[str, Any], str]] = {
    **{
        f"nan-{kind}": (kind, np.full(3, np.nan, np.float32), {}, "NaN")
        for kind in ("box", "gsde", "discrete", "multidiscrete", "multibinary", "maskable", "recurrent")
    },
    "one-nan-of-a-batch": ("box", np.array([[0, 0, 0], [0, np.nan, 0]], np.float32), {}, "NaN"),
    "infinite": ("box", np.full(3, np.inf, np.float32), {}, "infinite"),
    "nan-under-a-mask": ("maskable", np.full(3, np.nan), {"action_masks": np.ones(4, bool)}, "NaN"),
    "reset": ("box", (Z, {}), {}, "observation, info = env.reset()"),
    "reset-maskable": ("maskable", (Z, {}), {}, "observation, info = env.reset()"),
    "reset-recurrent": ("recurrent", (Z, {}), {}, "observation, info = env.reset()"),
    "reset-dict": ("dict", ({"a": Z, "b": np.array(1)}, {}), {}, "observation, info = env.reset()"),
    "objects": ("box", np.array([0.0, 0.0, 0.0], object), {}, "object"),
    "strings": ("box", np.array(["1", "2", "3"]), {}, "no array of numbers"),
    "dates": ("box", np.zeros(3, "M8[s]"), {}, "no array of numbers"),
    "long": ("box", np.zeros(3, np.longdouble), {}, "no array of numbers"),
    "nothing": ("box", None, {}, "NoneType"),
    "ragged": ("box", [[0.0], [0.0, 1.0]], {}, "no array of numbers"),
    "a-dictionary": ("box", {"a": Z}, {}, "dict"),
    "number": ("box", 1.0, {}, "the shape ()"),
    "rank": ("box", np.zeros((2, 2, 3)), {}, "(2, 2, 3)"),
    "short": ("box", np.zeros(2), {}, "the shape (2,), but the policy takes (3,)"),
    "none-of-them": ("discrete", np.zeros((0, 3), np.float32), {}, "the shape (0, 3)"),
    "choice-beyond": ("of-choice", 4, {}, "0 to below 4"),
    "choice-negative": ("of-choice", -1, {}, "0 to below 4"),
    "choice-nan": ("of-choice", np.nan, {}, "0 to below 4"),
    "choice-rank": ("of-choice", np.zeros((2, 1), int), {}, "(2, 1)"),
    "choices-beyond": ("of-choices", np.array([2, 0]), {}, "0 to below [2, 3]"),
    "choices-short": ("of-choices", np.zeros(3, int), {}, "(3,)"),
    "key-missing": ("dict", {"a": Z}, {}, "has no b"),
    "key-unknown": ("dict", {"a": Z, "b": np.array(1), "c": Z}, {}, "has c"),
    "unequally-many": ("dict", {"a": ROWS, "b": np.zeros(3, int)}, {}, "not equally many"),
    "an-array": ("dict", Z, {}, "the space is a Dict"),
    "mask-longer": ("maskable", Z, {"action_masks": np.ones(5, bool)}, "(5,), but there are 4 choices"),
    "mask-of-two": ("maskable", Z, {"action_masks": np.ones(8, bool)}, "4 choices for each of 1"),
    "mask-of-one": ("maskable", ROWS, {"action_masks": np.ones(4, bool)}, "4 choices for each of 2"),
    "mask-unlike": ("box", Z, {"action_masks": np.ones(4, bool)}, "this one is not"),
    "fewer-rows": ("recurrent", Z[None], {"state": _states(3)}, "(1, 1, 5) for 1 observations"),
    "state-alone": ("recurrent", Z[None], {"state": _states(1)[:1]}, "not the pair"),
    "state-narrow": ("recurrent", Z[None], {"state": _states(1, 4)}, "(1, 1, 5)"),
    "state-nan": ("recurrent", Z[None], {"state": tuple(s + np.nan for s in _states(1))}, "NaN"),
    "starts": ("recurrent", ROWS, {"episode_start": np.ones(3, bool)}, "of 3 observations, but there are 2"),
}
# SB3 takes the rows for a sequence of each state, in silence.
BROADCAST = {
    "more-rows": ("recurrent", ROWS, {"state": _states(1)}, "(1, 2, 5) for 2 observations"),
    "four-rows": ("recurrent", np.zeros((4, 3)), {"state": _states(2)}, "begin anew with state=None"),
}


class Made:
    """A model of every kind, and its port."""

    def __init__(self, folder: Path) -> None:
        self.sb3 = {name: make() for name, make in MODELS.items()}
        self.ports = {name: ported(model, folder / name) for name, model in self.sb3.items()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


@pytest.mark.parametrize("name", [*REFUSED, *BROADCAST])
def test_what_sb3_refuses(name: str, made: Made) -> None:
    kind, observation, given, words = {**REFUSED, **BROADCAST}[name]
    if name in REFUSED:
        with pytest.raises(Exception):  # noqa: B017, PT011 (whatever torch and numpy say)
            made.sb3[kind].predict(observation, deterministic=True, **given)
    policy = sb3port.load_policy(made.ports[kind])
    for deterministic in (True, False):
        with pytest.raises(UnfitInput, match=re.escape(words)):
            policy.predict(observation, deterministic=deterministic, **given)


@pytest.mark.parametrize("name", ["nan-box", "nan-discrete", "nan-maskable", "key-unknown", "choice-beyond"])
def test_in_numpy(name: str, made: Made) -> None:
    kind, observation, given, words = REFUSED[name]
    policy = sb3port.load_policy(made.ports[kind], backend="numpy")
    with pytest.raises(UnfitInput, match=re.escape(words)):
        policy.predict(observation, **given)


ACCEPTED: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "list": ("box", [0.1, 0.2, 0.3], {}),
    "lists": ("box", [[0.1, 0.2, 0.3]], {}),
    "numbers": ("box", (0.1, 0.2, 0.3), {}),
    "float64": ("box", np.full(3, 0.1), {}),
    "float16": ("box", np.full(3, 0.1, np.float16), {}),
    "integers": ("box", np.ones(3, np.uint16), {}),
    "flags": ("box", np.ones(3, bool), {}),
    "tensor": ("box", torch.ones(3), {}),
    "beyond-the-bounds": ("box", np.full(3, 50, np.float32), {}),
    "fraction": ("of-choice", 1.5, {}),
    "array": ("of-choice", np.array([1]), {}),
    "nothing-allowed": ("maskable", Z, {"action_masks": np.zeros(4, bool)}),
    "mask-of-floats": ("maskable", Z, {"action_masks": [0, 0.5, 0, 0]}),
    "mask-flat": ("maskable", ROWS, {"action_masks": np.arange(8) % 4 == 2}),
    "state-list": ("recurrent", Z[None], {"state": list(_states(1)), "episode_start": True}),
    "without-starts": ("recurrent", ROWS, {"state": _states(2)}),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_sb3_takes(name: str, made: Made) -> None:
    kind, observation, given = ACCEPTED[name]
    expected, _ = made.sb3[kind].predict(observation, deterministic=True, **given)
    action, _ = sb3port.load_policy(made.ports[kind]).predict(observation, **given)
    assert np.array_equal(action, expected)
    assert action.shape == expected.shape


BATCHES = {
    "nan": ("box", {"observation.state": torch.full((1, 3), torch.nan)}, "NaN"),
    "nan-discrete": ("discrete", {"observation.state": torch.full((1, 3), torch.nan)}, "NaN"),
    "nan-recurrent": ("recurrent", {"observation.state": torch.full((2, 3), torch.nan)}, "NaN"),
    "choice": ("of-choice", {"observation.state": torch.tensor([[4]])}, "0 to below 4"),
    "short": ("box", {"observation.state": torch.zeros(1, 2)}, "(batch, 3)"),
    "missing": ("dict", {"observation.a": torch.zeros(1, 3)}, "observation.b is missing"),
    "mask": (
        "maskable",
        {"observation.state": torch.zeros(1, 3), "observation.action_mask": torch.ones(1, 5)},
        "observation.action_mask has shape (1, 5), but the policy needs (batch, 4)",
    ),
}


@pytest.mark.parametrize("name", BATCHES)
def test_in_lerobot(name: str, made: Made) -> None:
    kind, batch, words = BATCHES[name]
    policy = PPOPolicy.from_pretrained(made.ports[kind])
    with pytest.raises(ValueError, match=re.escape(words)):
        policy.select_action(batch)


def test_a_state_goes_on_and_begins_anew(made: Made) -> None:
    """The way out that the sentence names."""
    policy = sb3port.load_policy(made.ports["recurrent"])
    _, state = policy.predict(ROWS)
    assert state is not None
    policy.predict(ROWS, state)
    with pytest.raises(UnfitInput):
        policy.predict(Z, state)
    policy.predict(Z, None)
