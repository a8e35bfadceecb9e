"""Asking SB3's model and its port the same questions about the same batch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from lerobot.policies.factory import make_pre_post_processors
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.recurrent.type_aliases import RNNStates

from tests.conformance.building import COUNT, group_sizes, rows_of
from tests.conformance.cases import MASK_SEEN, Case
from tests.ports import Outputs, batch_of

N_SEQUENCES = 4


@dataclass
class Extras:
    """What only some policies are given, as SB3 and as the port take it."""

    sb3: dict[str, Any] = field(default_factory=dict)
    port: dict[str, Any] = field(default_factory=dict)
    states: RNNStates | None = None
    starts: torch.Tensor | None = None


def extras_for(case: Case) -> Extras:
    """Draw masks, or states and starts of episodes."""
    rng = np.random.default_rng(2)
    if case.algorithm is MaskablePPO:
        sizes = group_sizes(case.action)
        masks = rng.random((COUNT, sum(sizes))) < 0.5
        masks[:, np.cumsum([0, *sizes[:-1]])] = True
        key = "observation.policy.action_mask" if case.observation is MASK_SEEN else "observation.action_mask"
        return Extras({"action_masks": masks}, {key: torch.as_tensor(masks)})
    if case.algorithm is RecurrentPPO:
        shape = (4, case.policy_kwargs.get("n_lstm_layers", 1), N_SEQUENCES, 6)
        states = torch.as_tensor(rng.standard_normal(shape), dtype=torch.float32)
        starts = torch.as_tensor(rng.random(COUNT) < 0.3).float()
        return Extras(states=RNNStates((states[0], states[1]), (states[2], states[3])), starts=starts)
    return Extras()


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
    if getattr(policy, "use_sde", False):
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
            "action": _integers(torch.as_tensor(action), model).reshape(COUNT, -1),
        }
    return outputs, sampled


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
    return {**outputs, "predicted value": policy.predict_values(batch), "action": selected}


def _integers(actions: torch.Tensor, model: Any) -> torch.Tensor:
    """SB3 has binary actions in float32; the port gives integers."""
    return actions.long() if isinstance(model.action_space, spaces.MultiBinary) else actions


def assert_same_rollout(model: Any, folder: Path, observations: Any, normalized: Any) -> None:
    """`select_action` remembers, row by row, what `predict` is given back, until `reset`."""
    policy = PPOPolicy.from_pretrained(folder)
    preprocess, postprocess = make_pre_post_processors(policy.config, pretrained_path=str(folder))
    for _ in range(2):
        policy.reset()
        state = None
        for begin in range(0, COUNT, 6):
            rows = slice(begin, begin + 6)
            action, state = model.predict(rows_of(normalized, rows), state, deterministic=True)
            selected = postprocess(policy.select_action(preprocess(batch_of(rows_of(observations, rows)))))
            expected = _integers(torch.as_tensor(action), model)
            assert torch.equal(selected.reshape(expected.shape), expected)
