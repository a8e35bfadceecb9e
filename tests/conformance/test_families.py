"""Families x observations x actions x options: what SB3 and sb3-contrib build and save, ported, to the bit.

Every case is saved by SB3 with weights of our choosing, read, ported, loaded by LeRobot, and compared with
the model itself: most likely actions, random ones from the same noise, values, log-probabilities, entropies,
and the memory of recurrent policies.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from lerobot.configs.policies import PreTrainedConfig
from lerobot.policies.factory import make_pre_post_processors
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from sb3_contrib import TRPO, MaskablePPO, RecurrentPPO
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from lerobot_policy_ppo import PPOConfig
from sb3port.checkpoint import Checkpoint
from sb3port.port import spec_json
from sb3port.readers.port import read_port
from tests.lerobot.test_saved_files import assert_same_files, saved_again
from tests.ports import Outputs, assert_same_bits, batch_of, port_of

COUNT, N_SEQUENCES = 24, 4

VECTOR = spaces.Box(-np.inf, np.inf, (4,), np.float32)
IMAGE = spaces.Box(0, 255, (36, 36, 3), np.uint8)
MASK_SEEN = spaces.Dict({"action_mask": spaces.MultiBinary(4), "x": VECTOR})
PLANES = spaces.Box(0.0, 1.0, (2, 36, 36), np.float32)
OBSERVATIONS: dict[str, spaces.Space[Any]] = {
    "vector": VECTOR,
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
ACTIONS: dict[str, spaces.Space[Any]] = {
    "box": spaces.Box(np.float32([-0.4, -1.0, 0.0]), np.float32([0.4, 3.0, 1.0])),
    "discrete": spaces.Discrete(4),
    "multidiscrete": spaces.MultiDiscrete([2, 4, 3]),
    "multibinary": spaces.MultiBinary(3),
}


@dataclass
class Case:
    """One policy to build."""

    algorithm: Callable[..., BaseAlgorithm] = PPO
    observation: spaces.Space[Any] = field(default_factory=lambda: VECTOR)
    action: spaces.Space[Any] = field(default_factory=lambda: ACTIONS["box"])
    normalize: list[str] | bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    policy_kwargs: dict[str, Any] = field(default_factory=dict)
    mlp: bool = False

    @property
    def policy(self) -> str:
        kind = "MultiInput" if isinstance(self.observation, spaces.Dict) else "Mlp"
        if not self.mlp and isinstance(self.observation, spaces.Box) and len(self.observation.shape) == 3:
            kind = "Cnn"
        return f"{kind}{'Lstm' if self.algorithm is RecurrentPPO else ''}Policy"


LSTM = {"lstm_hidden_size": 6}
SHARED = {**LSTM, "shared_lstm": True, "enable_critic_lstm": False}
NO_CRITIC = {**LSTM, "enable_critic_lstm": False}
SMALL_CNN = {"features_extractor_kwargs": {"features_dim": 8}}
APART = {"share_features_extractor": False}
SDE = {"use_sde": True}

CASES = {
    **{f"ppo-{name}": Case(PPO, space) for name, space in OBSERVATIONS.items()},
    **{f"a2c-{name}": Case(A2C, action=space) for name, space in ACTIONS.items()},
    **{f"trpo-{name}": Case(TRPO, OBSERVATIONS["dict"], space) for name, space in ACTIONS.items()},
    **{
        f"mask-{observation}-{action}": Case(MaskablePPO, OBSERVATIONS[observation], ACTIONS[action])
        for observation in ("vector", "image", "dict-of-all")
        for action in ("discrete", "multidiscrete", "multibinary")
    },
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
    "cnn-small": Case(PPO, IMAGE, policy_kwargs=SMALL_CNN),
    "cnn-apart": Case(PPO, IMAGE, policy_kwargs=SMALL_CNN | APART),
    "cnn-layers": Case(PPO, IMAGE, policy_kwargs=SMALL_CNN | {"net_arch": {"pi": [5], "vf": [7, 6]}}),
    "cnn-gsde": Case(PPO, IMAGE, settings=SDE, policy_kwargs=SMALL_CNN),
    "cnn-unscaled": Case(PPO, IMAGE, policy_kwargs=SMALL_CNN | {"normalize_images": False}),
    "cnn-planes": Case(PPO, PLANES, policy_kwargs=SMALL_CNN | {"normalize_images": False}),
    "cnn-planes-normalized": Case(
        PPO, PLANES, normalize=True, policy_kwargs=SMALL_CNN | {"normalize_images": False}
    ),
    "image-in-mlp": Case(PPO, IMAGE, mlp=True),
    "dict-apart": Case(PPO, OBSERVATIONS["dict-of-all"], policy_kwargs=APART),
    "dict-small-cnn": Case(
        A2C, OBSERVATIONS["dict-of-all"], policy_kwargs={"features_extractor_kwargs": {"cnn_output_dim": 7}}
    ),
    "dict-normalized": Case(PPO, OBSERVATIONS["dict"], normalize=True),
    "dict-partly-normalized": Case(PPO, OBSERVATIONS["dict-of-all"], normalize=["a", "v"]),
    "vector-apart": Case(PPO, policy_kwargs=APART),
    "mask-apart": Case(MaskablePPO, OBSERVATIONS["dict"], ACTIONS["discrete"], policy_kwargs=APART),
    "mask-seen": Case(MaskablePPO, MASK_SEEN, ACTIONS["discrete"], normalize=["x"]),
    "mask-normalized": Case(MaskablePPO, VECTOR, ACTIONS["multidiscrete"], normalize=True),
}


class Stub(gymnasium.Env[Any, Any]):
    """An environment of random observations, in which all actions are allowed."""

    def __init__(self, case: Case) -> None:
        self.observation_space, self.action_space = case.observation, case.action

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        return self.observation_space.sample(), 1.0, False, bool(self.np_random.random() < 0.2), {}

    def action_masks(self) -> np.ndarray:
        return np.ones(_choices(self.action_space), bool)


def _choices(space: spaces.Space[Any]) -> int:
    if isinstance(space, spaces.MultiBinary):
        return 2 * int(space.n)
    return int(space.n if isinstance(space, spaces.Discrete) else space.nvec.sum())


def build(case: Case, folder: Path) -> tuple[Any, VecNormalize | None]:
    """Build a model, train it for a few steps, shake its weights, and save it."""
    env: Any = DummyVecEnv([lambda: Stub(case)])
    case.observation.seed(3)
    normalizer = None
    if case.normalize:
        keys = case.normalize if isinstance(case.normalize, list) else None
        normalizer = VecNormalize(env, clip_obs=2.5, norm_obs_keys=keys)
    algorithm: Any = case.algorithm
    kwargs = {"n_steps": 8, **({} if algorithm is A2C else {"batch_size": 8}), **case.settings}
    policy_kwargs = {"net_arch": {"pi": [6], "vf": [5]}, **case.policy_kwargs}
    model = algorithm(
        case.policy, normalizer or env, seed=1, device="cpu", policy_kwargs=policy_kwargs, **kwargs
    )
    if not (algorithm is RecurrentPPO and isinstance(case.action, spaces.MultiBinary)):
        model.learn(16)  # which fails for those in sb3-contrib itself
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    folder.mkdir()
    model.save(folder / "model.zip")
    if normalizer is not None:
        normalizer.save(str(folder / "vec_normalize.pkl"))
        normalizer.training = False
    return model, normalizer


def observe(space: spaces.Space[Any]) -> Any:
    """Draw a batch; images are as the policy has them, channels first."""
    if isinstance(space, spaces.Dict):
        return {key: observe(part) for key, part in space.spaces.items()}
    space.seed(5)
    batch = np.array([space.sample() for _ in range(COUNT)])
    is_image = batch.ndim == 4 and batch.dtype == np.uint8 and batch.shape[-1] == 3
    return np.ascontiguousarray(np.moveaxis(batch, -1, 1)) if is_image else batch


@dataclass
class Extras:
    """What only some policies are given, as SB3 and as the port take it."""

    sb3: dict[str, Any] = field(default_factory=dict)
    port: dict[str, Any] = field(default_factory=dict)
    states: RNNStates | None = None
    starts: torch.Tensor | None = None


def extras_for(case: Case) -> Extras:
    rng = np.random.default_rng(2)
    if case.algorithm is MaskablePPO:
        masks = rng.random((COUNT, _choices(case.action))) < 0.5
        first = np.cumsum([0, *_group_sizes(case.action)[:-1]])
        masks[:, first] = True
        key = "observation.policy.action_mask" if case.observation is MASK_SEEN else "observation.action_mask"
        return Extras({"action_masks": masks}, {key: torch.as_tensor(masks)})
    if case.algorithm is RecurrentPPO:
        shape = (4, case.policy_kwargs.get("n_lstm_layers", 1), N_SEQUENCES, 6)
        states = torch.as_tensor(rng.standard_normal(shape), dtype=torch.float32)
        starts = torch.as_tensor(rng.random(COUNT) < 0.3).float()
        return Extras(states=RNNStates((states[0], states[1]), (states[2], states[3])), starts=starts)
    return Extras()


def _group_sizes(space: spaces.Space[Any]) -> list[int]:
    if isinstance(space, spaces.MultiBinary):
        return [2] * int(space.n)
    return [int(space.n)] if isinstance(space, spaces.Discrete) else space.nvec.tolist()


@torch.no_grad()
def sb3_says(model: Any, observations: Any, extras: Extras) -> tuple[Outputs, torch.Tensor]:
    """Ask the model itself: outputs, and the actions that were drawn."""
    policy = model.policy
    policy.set_training_mode(False)
    batch, _ = policy.obs_to_tensor(observations)
    given = (extras.states.pi, extras.starts) if extras.states else ()
    found = policy.get_distribution(batch, *given, **extras.sb3)
    distribution, final = found if extras.states else (found, None)
    torch.manual_seed(7)
    if policy_uses_sde(policy):
        policy.reset_noise(COUNT)
    sampled = distribution.sample()
    memory = (extras.states, extras.starts) if extras.states else ()
    value, log_prob, entropy = policy.evaluate_actions(batch, sampled, *memory, **extras.sb3)
    outputs = {
        "mode": _integers(distribution.mode(), model),
        "sampled": _integers(sampled, model),
        "value": value.flatten(),
        "log_prob": log_prob,
        "entropy": entropy,
    }
    if extras.states:
        vf = policy.predict_values(batch, extras.states.vf, extras.starts)
        outputs |= {"predicted value": vf.flatten(), "hidden": final[0], "cell": final[1]}
    else:
        action, _ = model.predict(observations, deterministic=True, **extras.sb3)
        outputs |= {
            "predicted value": policy.predict_values(batch).flatten(),
            "action": _integers(torch.as_tensor(action), model),
        }
    return outputs, sampled


def policy_uses_sde(policy: Any) -> bool:
    return bool(getattr(policy, "use_sde", False))


def _integers(actions: torch.Tensor, model: Any) -> torch.Tensor:
    """SB3 has binary actions in float32; the port gives integers."""
    return actions.long() if isinstance(model.action_space, spaces.MultiBinary) else actions


@torch.no_grad()
def port_says(folder: Path, observations: Any, extras: Extras, actions: torch.Tensor) -> Outputs:
    """Ask the port, through `from_pretrained` and both pipelines."""
    policy = PPOPolicy.from_pretrained(folder)
    preprocess, postprocess = make_pre_post_processors(policy.config, pretrained_path=str(folder))
    batch = preprocess(batch_of(observations) | extras.port)
    memory = {"lstm_states": extras.states.pi, "episode_starts": extras.starts} if extras.states else {}
    mode, final = policy.predict(batch, **memory)
    torch.manual_seed(7)
    if policy.config.use_sde:
        policy.reset_noise(COUNT)
    sampled, _ = policy.predict(batch, deterministic=False, **memory)
    both = {**memory, "lstm_states": extras.states} if extras.states else {}
    value, log_prob, entropy = policy.evaluate_actions(batch, actions, **both)
    outputs = {"mode": mode, "sampled": sampled, "value": value, "log_prob": log_prob, "entropy": entropy}
    if extras.states:
        critic = {**memory, "lstm_states": extras.states.vf}
        predicted = policy.predict_values(batch, **critic)
        return {**outputs, "predicted value": predicted, "hidden": final[0], "cell": final[1]}
    selected = postprocess(policy.select_action(batch))
    action = selected.flatten() if mode.ndim == 1 else selected
    return {**outputs, "predicted value": policy.predict_values(batch), "action": action}


@pytest.mark.parametrize("name", CASES)
def test_port_computes_what_sb3_computes(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    model, normalizer = build(case, tmp_path / name)
    done = port_of(tmp_path / name, tmp_path / "port")
    assert done.report is not None
    assert done.report.verdict == "bit-exact"
    observations, extras = observe(case.observation), extras_for(case)
    normalized = normalizer.normalize_obs(observations) if normalizer else observations
    expected, actions = sb3_says(model, normalized, extras)
    assert_same_bits(port_says(tmp_path / "port", observations, extras, actions), expected)
    if case.algorithm is RecurrentPPO:
        assert_same_rollout(model, tmp_path / "port", observations, normalized)
    assert_same_parameters(model, done.checkpoint)


ONE_OF_EACH = ("ppo-dict-of-all", "cnn-apart", "mask-seen", "lstm-shared", "dict-normalized")


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_port_saved_again_is_the_same(name: str, tmp_path: Path) -> None:
    """What is written without LeRobot is what LeRobot writes, and it reads back as what was written."""
    build(CASES[name], tmp_path / name)
    done = port_of(tmp_path / name, tmp_path / "port", verify=False)
    saved_again(tmp_path / "port", tmp_path / "again")
    assert_same_files(tmp_path / "port", tmp_path / "again")
    spaces_only = PPOConfig(
        observation_space=done.checkpoint.spec.observation_space.to_json(),
        action_space=done.checkpoint.spec.action_space.to_json(),
        maskable=done.checkpoint.spec.maskable,
    )
    spaces_only.features_extractor = done.checkpoint.spec.features_extractor
    spaces_only.validate_features()
    assert spaces_only.input_features == PreTrainedConfig.from_pretrained(tmp_path / "port").input_features
    again = read_port(tmp_path / "port")
    assert spec_json(again.spec) == spec_json(done.checkpoint.spec)
    assert list(again.tensors) == list(done.checkpoint.tensors)
    if done.checkpoint.normalizer is not None:
        assert again.normalizer is not None
        for key, rms in done.checkpoint.normalizer.statistics.items():
            assert np.array_equal(again.normalizer.statistics[key].mean, rms.mean)
            assert np.array_equal(again.normalizer.statistics[key].var, rms.var)


def assert_same_parameters(model: Any, checkpoint: Checkpoint) -> None:
    """The port has SB3's parameters, in SB3's order, by which the optimiser's state is named."""
    parameters = dict(model.policy.named_parameters())
    assert list(checkpoint.tensors) == list(parameters)
    left_out = set(model.policy.state_dict()) - set(parameters)
    assert set(checkpoint.provenance.ignored) == left_out
    assert checkpoint.optimizer is not None
    for name, state in checkpoint.optimizer.state.items():
        original = model.policy.optimizer.state[parameters[name]]
        for key, value in state.items():
            assert torch.equal(torch.as_tensor(np.array(value)), torch.as_tensor(original[key]).cpu())


def assert_same_rollout(model: Any, folder: Path, observations: Any, normalized: Any) -> None:
    """`select_action` remembers what `predict` is given back, until `reset`."""
    policy = PPOPolicy.from_pretrained(folder)
    preprocess, postprocess = make_pre_post_processors(policy.config, pretrained_path=str(folder))
    for _ in range(2):
        policy.reset()
        state = None
        for begin in range(0, COUNT, 6):
            rows = slice(begin, begin + 6)
            action, state = model.predict(_rows(normalized, rows), state, deterministic=True)
            selected = postprocess(policy.select_action(preprocess(batch_of(_rows(observations, rows)))))
            expected = _integers(torch.as_tensor(action), model)
            assert torch.equal(selected.reshape(expected.shape), expected)


def _rows(values: Any, rows: slice) -> Any:
    return {key: array[rows] for key, array in values.items()} if isinstance(values, dict) else values[rows]
