"""The same training twice: by SB3 and by us."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
import yaml
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecEnv,
    VecFrameStack,
    VecNormalize,
    VecTransposeImage,
)

from sb3port.checkpoint.checkpoint import EnvironmentSpec, Normalizer
from sb3port.commands.policies import find_policy, read_options
from sb3port.commands.train import begin_finetuning
from sb3port.commands.training_arguments import RunOptions
from sb3port.environments.fresh_spec import fresh_spec
from sb3port.ppo.hyperparameters import changed, defaults
from sb3port.ppo.runs.settings import RunSettings
from sb3port.ppo.runs.starting import start_fresh
from sb3port.ppo.runs.stepping import make_environments
from sb3port.ppo.runs.trainer import Trainer
from tests.ports import port_of

CLASSES: dict[str, type[BaseAlgorithm]] = {"ppo": PPO, "ppo_mask": MaskablePPO, "ppo_lstm": RecurrentPPO}
_SEED, _LATER_SEED = 3, 7


@dataclass(frozen=True)
class Case:
    """A training.

    Args:
        env: Environment id.
        steps: Environment steps.
        n_envs: How many environments.
        algorithm: A key of `CLASSES`.
        policy: SB3's name of the policy.
        normalise: Arguments of VecNormalize, None for none.
        policy_kwargs: SB3's, the activation by name.
        env_kwargs: Arguments of the environment.
        wrapper: A wrapper of SB3's around it, which `begin_ours` does not know.
        frame_stack: How many observations are stacked, after normalising.
        transposed: Whether images get their channels first before they are normalised.
        engine: Ours.
        vec_env: "dummy" or "subproc", for both.
        settings: Hyperparameters; "lin_X" or formulas for schedules.
    """

    env: str
    steps: int
    n_envs: int = 1
    algorithm: str = "ppo"
    policy: str = "MlpPolicy"
    normalise: Mapping[str, Any] | None = None
    policy_kwargs: Mapping[str, Any] = field(default_factory=dict)
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    wrapper: Any = None
    frame_stack: int | None = None
    transposed: bool = False
    engine: str = "exact"
    vec_env: str = "dummy"
    settings: Mapping[str, Any] = field(default_factory=dict)


def vec_env(case: Case) -> VecEnv:
    """SB3's environments, normalised as rl_zoo3 does it: by the discount factor of the training."""
    kwargs = dict(case.env_kwargs)
    cls = {"dummy": DummyVecEnv, "subproc": SubprocVecEnv}[case.vec_env]
    venv = make_vec_env(
        case.env, case.n_envs, _SEED, env_kwargs=kwargs, wrapper_class=case.wrapper, vec_env_cls=cls
    )
    venv = VecTransposeImage(venv) if case.transposed else venv
    if case.normalise is not None:
        venv = VecNormalize(venv, gamma=case.settings.get("gamma", 0.99), **case.normalise)
    return VecFrameStack(venv, case.frame_stack) if case.frame_stack else venv


def build_sb3(case: Case) -> BaseAlgorithm:
    """Make SB3's model."""
    settings = {name: _for_sb3(value) for name, value in case.settings.items()}
    kwargs = dict(case.policy_kwargs)
    if "activation_fn" in kwargs:
        kwargs["activation_fn"] = getattr(torch.nn, kwargs["activation_fn"])
    policy = case.policy.replace("Policy", "LstmPolicy") if case.algorithm == "ppo_lstm" else case.policy
    make = partial(CLASSES[case.algorithm], policy, vec_env(case), seed=_SEED, device="cpu")
    return make(policy_kwargs=kwargs, **settings)


def train_sb3(case: Case) -> BaseAlgorithm:
    """Train with SB3."""
    return build_sb3(case).learn(case.steps)


def begin_ours(case: Case) -> Trainer:
    """Begin the same training with our trainer."""
    gamma = case.settings.get("gamma", 0.99)
    normalise, keys = None, (case.normalise or {}).get("norm_obs_keys")
    if case.normalise is not None:
        flags = {name: value for name, value in case.normalise.items() if name != "norm_obs_keys"}
        normalise = Normalizer(None, None, **{"gamma": gamma, **flags})
    base = defaults(case.algorithm)
    settings = RunSettings(
        EnvironmentSpec(case.env, case.env_kwargs, frame_stack=case.frame_stack),
        case.steps,
        changed(base, case.settings, "the test"),
        case.n_envs,
        case.vec_env,
        seed=_SEED,
        engine=case.engine,
        normalise=normalise,
        norm_obs_keys=keys,
    )
    envs = make_environments(settings)
    spec = fresh_spec(
        case.algorithm,
        case.policy,
        envs.observation_space,
        envs.action_space,
        settings.hyperparameters.use_sde,
        case.policy_kwargs,
    )
    return start_fresh(settings, spec, envs)


def run(trainer: Trainer) -> Trainer:
    """Train to the end."""
    while not trainer.is_over:
        trainer.iterate()
    return trainer


def finetune(case: Case, source: Path, port: Path, extractor: str | None = None) -> tuple[Trainer, list[str]]:
    """Port what SB3 saved, and do as many steps again; give the trainer and the warnings."""
    port_of(source, port, verify=False, extractor=extractor)
    warnings: list[str] = []
    options = RunOptions(case.env, steps=case.steps, run={"seed": _LATER_SEED})
    policy = find_policy(port, read_options(extractor=extractor))
    return run(begin_finetuning(policy, options, warnings.append)[0]), warnings


def finetune_sb3(case: Case, source: Path) -> BaseAlgorithm:
    """Let SB3 load what it saved, and do as many steps again."""
    venv = make_vec_env(case.env, case.n_envs, seed=_LATER_SEED, env_kwargs=dict(case.env_kwargs))
    venv = VecTransposeImage(venv) if case.transposed else venv
    if case.normalise is not None:
        venv = VecNormalize.load(str(source / "vec_normalize.pkl"), venv)
    venv = VecFrameStack(venv, case.frame_stack) if case.frame_stack else venv
    load = CLASSES[case.algorithm].load
    model = load(source / f"{source.name}.zip", env=venv, device="cpu", seed=_LATER_SEED)
    before = model._n_updates
    model.learn(case.steps, reset_num_timesteps=False)
    model._n_updates -= before  # ours counts from where it begins
    return model


@dataclass(frozen=True)
class Pair:
    """The same array of two trainings."""

    ours: Any
    theirs: Any

    @property
    def same(self) -> bool:
        """Whether they are equal to the bit."""
        one, other = (torch.as_tensor(np.array(array)) for array in (self.ours, self.theirs))
        return torch.equal(one, other)

    @property
    def gap(self) -> float:
        """The largest difference."""
        return float(np.abs(np.asarray(self.ours, np.float64) - np.asarray(self.theirs, np.float64)).max())

    @property
    def size(self) -> int:
        """How many numbers they have."""
        return int(np.size(self.ours))


def compared(trainer: Trainer, model: BaseAlgorithm) -> dict[str, Pair]:
    """Pair weights, optimiser, last rollout and normaliser."""
    counts = (trainer.counters.num_timesteps, trainer.counters.n_updates)
    assert counts == (model.num_timesteps, model._n_updates), counts
    pairs = _weights(trainer, model) | _optimizer(trainer, model) | _rollout(trainer, model)
    pairs |= _statistics(trainer, model)
    return {name: Pair(*pair) for name, pair in pairs.items()}


def assert_same(trainer: Trainer, model: BaseAlgorithm) -> None:
    """Compare them bit for bit, and say by how much they differ."""
    different = {name: pair.gap for name, pair in compared(trainer, model).items() if not pair.same}
    assert not different, different


Pairs: TypeAlias = dict[str, tuple[Any, Any]]


def _weights(trainer: Trainer, model: BaseAlgorithm) -> Pairs:
    theirs = {name: array.numpy() for name, array in model.policy.state_dict().items()}
    ours = trainer.engine.tensors()
    aliases = ("pi_features_extractor.", "vf_features_extractor.")
    theirs = {name: array for name, array in theirs.items() if name in ours or not name.startswith(aliases)}
    assert list(ours) == list(theirs)
    return {name: (array, theirs[name]) for name, array in ours.items()}


def _optimizer(trainer: Trainer, model: BaseAlgorithm) -> Pairs:
    ours, theirs = trainer.engine.optimizer(), model.policy.optimizer
    group = {key: value for key, value in theirs.param_groups[0].items() if key != "params"}
    assert group == dict(ours.group), (group, ours.group)
    named = list(model.policy.named_parameters())
    state = {n: theirs.state[p] for n, (_, p) in enumerate(named) if p in theirs.state}
    assert set(state) == set(ours.state)
    assert ours.count == len(named)
    return {
        f"optimiser {named[number][0]} {key}": (ours.state[number][key], np.asarray(value))
        for number, row in state.items()
        for key, value in row.items()
    }


def _rollout(trainer: Trainer, model: BaseAlgorithm) -> Pairs:
    flat, theirs = trainer.collector._rollout.by_environment(), model.rollout_buffer
    names = ("actions", "values", "log_probs", "advantages", "returns")
    pairs: Pairs = {name: (getattr(flat, name), getattr(theirs, name)) for name in names}
    rewards = theirs.swap_and_flatten(theirs.rewards)
    pairs["rewards"] = (flat.rewards, rewards)
    seen = theirs.observations if isinstance(theirs.observations, dict) else {"": theirs.observations}
    pairs |= {f"observations {key}": (flat.observations[key], array) for key, array in seen.items()}
    return {name: (a, np.asarray(b, np.asarray(a).dtype).reshape(a.shape)) for name, (a, b) in pairs.items()}


def _statistics(trainer: Trainer, model: BaseAlgorithm) -> Pairs:
    theirs = model.get_vec_normalize_env()
    if theirs is None:
        assert trainer.normaliser is None
        return {}
    assert trainer.normaliser is not None
    ours = trainer.normaliser.normalizer()
    pairs: Pairs = {"returns": (trainer.normaliser.returns, theirs.returns)}
    found = {"rewards": (ours.ret_rms, theirs.ret_rms)}
    if theirs.norm_obs:
        rms = theirs.obs_rms if isinstance(theirs.obs_rms, dict) else {"": theirs.obs_rms}
        assert set(ours.statistics) == set(rms)
        found |= {f"observations {key}": (ours.statistics[key], rms[key]) for key in rms}
    for name, pair in found.items():
        for part in ("mean", "var", "count"):
            pairs[f"{part} of {name}"] = tuple(np.asarray(getattr(rms, part)) for rms in pair)
    return pairs


def _for_sb3(value: Any) -> Any:
    """A schedule of the zoo as the function that rl_zoo3 makes of it, a formula as one that says it."""
    if not isinstance(value, str):
        return value
    if not value.startswith("lin_"):
        return eval(f"lambda progress_remaining: {value}")
    start = float(value.removeprefix("lin_"))
    schedule: Callable[[float], float] = lambda remaining: remaining * start  # noqa: E731
    return schedule


def save_sb3(model: BaseAlgorithm, folder: Path) -> Path:
    """Save a model, its statistics and the arguments of its environment as the zoo does."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / f"{folder.name}.zip")
    normaliser = model.get_vec_normalize_env()
    if normaliser is not None:
        normaliser.save(str(folder / "vec_normalize.pkl"))
    kwargs = getattr(model.get_env().envs[0].unwrapped.spec, "kwargs", None)
    if kwargs:
        (folder / "env_kwargs.yml").write_text(yaml.safe_dump(kwargs))
    return folder
