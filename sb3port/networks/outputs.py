"""What a policy gives for a batch of observations, and how random numbers are the same on both sides.

Outputs are arrays by name:

- `normalized_observation`, with a Dict `normalized_observation.<key>`: what the network sees, float32
  where it was normalised;
- `mean` of a Box or `logits` of a discrete space: what `action_net` gives;
- `value`, of shape `(n,)`;
- `mode`: the most likely action, neither clipped nor scaled, flat for a Box;
- `log_prob` of given actions and `entropy`, of shape `(n,)`; no `entropy` where the distribution has none in
  closed form;
- `sample`: a random action, drawn after `seeded`; with gSDE, the exploration matrices are drawn first, one
  for every row;
- `std` of a squashed Gaussian, before tanh, `(n, A)`;
- `q_value` of given actions, `(n, critics)`, of DQN and QR-DQN those of all choices, `(n, choices)`;
- `quantiles` of TQC, `(n, critics, quantiles)`, and of QR-DQN, `(n, quantiles, choices)`;
- `target_mode`, `target_q_value` and `target_quantiles`: the same of the target networks;
- `action`: the deterministic action for the environment, of the action space's shape;
- `final_states`, of a recurrent policy: the actor's hidden and cell state after the last step, `(2, layers,
  sequences, hidden)`;
- `remembered_action` and `remembered_value`, of a recurrent policy: `action` and `value`, step by step with
  the memory that the policy itself keeps from its reset on.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from sb3port.checkpoint.checkpoint import Array
from sb3port.checkpoint.spaces import Box, Discrete, MultiBinary, Space

if TYPE_CHECKING:  # who reads recorded outputs needs no torch
    from torch import Tensor, nn

Outputs: TypeAlias = dict[str, Array]

OBSERVATION = "normalized_observation"
CRITIC_ACTION, NOISE = "critic_action", "noise"
"""What a recording has for the actions that its critics were asked about, and for the standard normal noise
of its `sampled_action`, by which SB3 tells its log-probability without inverting tanh."""
_SEED = 0
_STAGES = {
    "mean": "network",
    "logits": "network",
    "std": "network",
    "q_value": "network",
    "quantiles": "network",
    "target_mode": "network",
    "target_q_value": "network",
    "target_quantiles": "network",
    "value": "network",
    "mode": "distribution",
    "log_prob": "distribution",
    "entropy": "distribution",
    "sample": "distribution",
    "action": "action",
    "final_states": "recurrent",
    "remembered_action": "recurrent",
    "remembered_value": "recurrent",
}


def stage_of(output: str) -> str:
    """Name the stage of the report in which an output is compared."""
    return "normaliser" if is_observation(output) else _STAGES[output]


def is_observation(output: str) -> bool:
    """Whether an output is a normalised observation."""
    return output.partition(".")[0] == OBSERVATION


def by_key(name: str, values: dict[str, Array]) -> Outputs:
    """Give arrays by the keys of a Dict as `<name>.<key>`, the one of any other space as `<name>`."""
    return {f"{name}.{key}" if key else name: array for key, array in values.items()}


def head_name(space: Space) -> str:
    """Name what `action_net` gives for an action space."""
    return "mean" if isinstance(space, Box) else "logits"


def flat_actions(space: Space, actions: Array) -> "Tensor":
    """Give actions as SB3's `evaluate_actions` takes them: `(n, A)` for a Box, `(n,)` for a Discrete."""
    import torch

    tensor = torch.as_tensor(actions)
    if isinstance(space, Box | MultiBinary):
        return tensor.flatten(1).float()
    return tensor.flatten() if isinstance(space, Discrete) else tensor.flatten(1)


def plain_actions(space: Space, actions: Array) -> Array:
    """Give binary actions, which SB3 has in float32, as the integers that they are."""
    return actions.astype(np.int64) if isinstance(space, MultiBinary) else actions


def in_sequence(steps: list[Array]) -> Array:
    """Turn arrays of one row per sequence, step by step, into rows sequence by sequence."""
    stacked = np.stack(steps, axis=1)
    return stacked.reshape((-1, *stacked.shape[2:]))


def rows_at(values: Any, step: int, steps: int) -> Any:
    """Give the rows of all sequences at one step."""
    if isinstance(values, dict):
        return {key: array[step::steps] for key, array in values.items()}
    return values[step::steps]


@contextmanager
def seeded() -> Iterator[None]:
    """Let torch draw the same random numbers each time, and go on afterwards as if nothing had been drawn."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(_SEED)  # torch.manual_seed also notes it for every other device
        yield


@contextmanager
def all_seeded(*seeds: Callable[[int], object]) -> Iterator[None]:
    """Do the same with NumPy's global generator, and seed what else draws.

    Args:
        *seeds: What takes a seed, such as that of a space.
    """
    with seeded(), temporary_seed(_SEED):
        for seed in seeds:
            seed(_SEED)
        yield


@contextmanager
def temporary_seed(seed: int) -> Iterator[None]:
    """Let NumPy's global generator, which SB3's DQN has for its chances, begin from a seed; undone behind."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)


@contextmanager
def outputs_of(module: "nn.Module") -> "Iterator[list[Tensor]]":
    """Collect what a module gives."""
    seen: list[Tensor] = []
    hook = module.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    try:
        yield seen
    finally:
        hook.remove()
