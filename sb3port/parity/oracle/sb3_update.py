"""One update of SB3's own PPO, or sb3-contrib's MaskablePPO, on recorded steps."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer, MaskableRolloutBuffer
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import DictRolloutBuffer, RolloutBuffer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv

from sb3port.checkpoint.checkpoint import Array, Checkpoint
from sb3port.checkpoint.spaces import Dict
from sb3port.networks.gymnasium_spaces import SpacesOnly
from sb3port.networks.weights import of_parameters
from sb3port.parity.observations.transitions import Transitions
from sb3port.parity.oracle.oracle import Oracle


def sb3_update(
    checkpoint: Checkpoint, steps: Transitions, learning_rate: float, settings: Mapping[str, Any]
) -> dict[str, Array]:
    """Let SB3 learn from recorded steps.

    Args:
        checkpoint: The policy and its optimiser, of PPO or MaskablePPO.
        steps: What to learn from.
        learning_rate: Of the update.
        settings: Arguments of SB3's constructor.

    Returns:
        All weights, and the optimiser's state as `<parameter>/<name>`.
    """
    oracle = Oracle(checkpoint)
    model = _model(checkpoint, len(steps), settings)
    model.lr_schedule = lambda _: learning_rate
    model.policy, model._logger = oracle.policy, Logger(None, [])
    _load_optimizer(model.policy, checkpoint)
    model.rollout_buffer = _buffer(oracle, steps, model)
    model.train()
    return _weights(model.policy, checkpoint)


def _model(checkpoint: Checkpoint, n_steps: int, settings: Mapping[str, Any]) -> Any:
    """Make SB3's algorithm, without a policy and a buffer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of minibatches that do not divide the rollout
        model: Any = (MaskablePPO if checkpoint.spec.maskable else PPO)(
            "MultiInputPolicy" if isinstance(checkpoint.spec.observation_space, Dict) else "MlpPolicy",
            DummyVecEnv([lambda: SpacesOnly(checkpoint.spec)]),
            n_steps=n_steps,
            device="cpu",
            _init_setup_model=False,
            **settings,
        )
    for name in ("clip_range", "clip_range_vf"):
        value = settings[name]
        setattr(model, name, None if value is None else lambda _, value=value: value)
    return model


def _load_optimizer(policy: Any, checkpoint: Checkpoint) -> None:
    """Make the optimiser of the training, and give it its state."""
    training, saved = checkpoint.training, checkpoint.optimizer
    kwargs = dict(training.optimizer_kwargs) or ({"eps": 1e-5} if training.optimizer_class == "Adam" else {})
    made = getattr(torch.optim, training.optimizer_class)(policy.parameters(), lr=1.0, **kwargs)
    if saved is not None:
        saved = of_parameters(saved, policy, checkpoint.tensors)
        state = {
            number: {key: torch.as_tensor(np.array(value)) for key, value in row.items()}
            for number, row in saved.state.items()
        }
        (group,) = made.state_dict()["param_groups"]
        known = {
            key: tuple(v) if isinstance(v, list) else v for key, v in saved.group.items() if key in group
        }
        made.load_state_dict({"state": state, "param_groups": [{**group, **known}]})
    policy.optimizer = made


def _buffer(oracle: Oracle, steps: Transitions, model: Any) -> RolloutBuffer:
    """Fill SB3's rollout buffer, step by step."""
    policy, normalized = oracle.policy, oracle.normalize(steps.observations)
    is_dict, masks = isinstance(normalized, dict), steps.observations.masks
    plain, maskable = (
        (DictRolloutBuffer, MaskableDictRolloutBuffer) if is_dict else (RolloutBuffer, MaskableRolloutBuffer)
    )
    buffer: Any = (plain if masks is None else maskable)(
        len(steps), policy.observation_space, policy.action_space, "cpu", model.gae_lambda, model.gamma
    )
    for step in range(len(steps)):
        rows = slice(step, step + 1)
        seen = {key: part[rows] for key, part in normalized.items()} if is_dict else normalized[rows]
        thoughts = (torch.from_numpy(array[rows]) for array in (steps.values, steps.log_probs))
        extra = {} if masks is None else {"action_masks": masks[rows]}
        buffer.add(seen, steps.actions[rows], steps.rewards[rows], steps.starts[rows], *thoughts, **extra)
    buffer.compute_returns_and_advantage(torch.zeros(1), steps.ended[-1:])
    return buffer


def _weights(policy: Any, checkpoint: Checkpoint) -> dict[str, Array]:
    found = {name: parameter.detach().numpy() for name, parameter in policy.named_parameters()}
    found |= {name: array.numpy() for name, array in policy.named_buffers() if name in checkpoint.tensors}
    for name, parameter in policy.named_parameters():
        for key, value in policy.optimizer.state.get(parameter, {}).items():
            found[f"{name}/{key}"] = np.asarray(value)
    return found
