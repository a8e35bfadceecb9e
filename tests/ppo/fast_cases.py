"""Random policies and rollouts for the fast engine, and what torch computes of them, in any precision."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from sb3port.checkpoint.checkpoint import NetArch, OptimizerState, PolicySpec
from sb3port.checkpoint.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from sb3port.networks.actor_critic import ActorCritic
from sb3port.ppo.engines import losses
from sb3port.ppo.engines.base import Learner, StepSizes
from sb3port.ppo.engines.optimisers import new_optimizer
from sb3port.ppo.hyperparameters import Hyperparameters, changed
from sb3port.ppo.rollout.buffer import Rollout

ACTIVATIONS = ("Tanh", "ReLU", "LeakyReLU(negative_slope=0.2)", "ELU", "CELU(alpha=0.5)", "SELU", "Sigmoid")
SIZES = StepSizes(1e-3, 0.2)


def box(size: int) -> Box:
    return Box((size,), "float32", np.full(size, -1, np.float32), np.full(size, 1, np.float32))


def choices(*sizes: int) -> MultiDiscrete:
    return MultiDiscrete(np.array(sizes), np.zeros(len(sizes), np.int64))


@dataclass(frozen=True)
class Example:
    """A policy, its hyperparameters, and of what size its rollouts are."""

    spec: PolicySpec
    settings: Hyperparameters
    size: int
    seed: int
    clip_range_vf: float | None

    @property
    def sizes(self) -> StepSizes:
        return StepSizes(1e-3, 0.2, self.clip_range_vf)

    def policy(self) -> ActorCritic:
        """A policy that is some way from where it began, so that nothing is zero."""
        torch.manual_seed(self.seed)
        policy = ActorCritic(self.spec)
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        return policy

    def learner(self, policy: ActorCritic) -> Learner:
        optimizer: OptimizerState = new_optimizer(policy, "Adam", {})
        return Learner(self.spec, policy, self.settings, "Adam", optimizer, torch.device("cpu"))

    def rollout(self) -> Rollout:
        """Transitions `(size, 1, ...)` whose log-likelihoods are near those of the policy."""
        numbers, space = np.random.default_rng(self.seed), self.spec.observation_space
        observations = _drawn(space, self.size, numbers)
        masks = _masks(self.spec, self.size, numbers)
        actions = _actions(self.spec, self.size, numbers, masks)
        flat = [numbers.normal(size=(self.size, 1)).astype(np.float32) for _ in range(4)]
        rollout = Rollout({"": observations[:, None]}, actions[:, None], *flat[:1], flat[0] * 0, *flat, masks)
        with torch.no_grad():
            _, log_prob, _ = evaluate(self.policy(), rollout, np.arange(self.size), torch.float32)
        noise = numbers.normal(scale=0.2, size=(self.size, 1))
        rollout.log_probs[:] = log_prob.numpy()[:, None] + noise.astype(np.float32)
        return rollout


@st.composite
def examples(draw: Any) -> Example:
    """Anything that the fast engine takes."""
    observed: Space = draw(
        st.sampled_from([box(1), box(3), box(17), Discrete(4), choices(2, 3), MultiBinary((5,))])
    )
    acted: Space = draw(
        st.sampled_from([box(1), box(2), box(9), Discrete(2), choices(3, 2, 4), MultiBinary((3,))])
    )
    widths = st.lists(st.integers(1, 40), max_size=3).map(tuple)
    arch = NetArch(draw(widths), draw(widths), draw(st.sampled_from([(), (), (7,), (16, 8)])))
    is_box = isinstance(acted, Box)
    sde = is_box and draw(st.booleans())
    spec = PolicySpec(
        "ppo",
        observed,
        acted,
        arch,
        draw(st.sampled_from(ACTIVATIONS)),
        use_sde=sde,
        full_std=not sde or draw(st.booleans()),
        use_expln=sde and draw(st.booleans()),
        squash_output=sde and draw(st.booleans()),
        log_std_init=draw(st.sampled_from([0.0, -1.0])),
        maskable=not is_box and draw(st.booleans()),
    )
    given = {
        "ent_coef": draw(st.sampled_from([0.0, 0.01])),
        "vf_coef": draw(st.sampled_from([0.5, 1.0])),
        "max_grad_norm": draw(st.sampled_from([0.5, 100.0])),
        "normalize_advantage": draw(st.booleans()),
        "batch_size": draw(st.sampled_from([2, 16, 37])),
        "n_epochs": 2,
    }
    settings = changed(Hyperparameters(), given, "the test")
    limit = draw(st.sampled_from([None, 0.1]))
    return Example(spec, settings, draw(st.integers(3, 80)), draw(st.integers(0, 2**16)), limit)


def evaluate(policy: ActorCritic, rollout: Rollout, rows: Any, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Values, log-likelihoods and entropies, in the precision of the policy's parameters."""
    (observations,) = rollout.observations.values()
    features = policy.preprocess(_batch(policy, observations[rows, 0])).flatten(1).to(dtype)
    latent_pi, latent_vf = policy.mlp_extractor(features, features)
    batch = {}
    if rollout.masks is not None:
        batch["observation.action_mask"] = torch.from_numpy(rollout.masks[rows])
    distribution = policy._distribution(batch, features, latent_pi)
    actions = torch.from_numpy(rollout.actions[rows, 0])
    log_prob = distribution.log_prob(
        policy.head.as_actions(actions.to(dtype) if actions.is_floating_point() else actions)
    )
    return policy.value_net(latent_vf).flatten(), log_prob, distribution.entropy()


def loss_of(example: Example, policy: ActorCritic, rollout: Rollout, rows: Any, dtype: torch.dtype) -> Tensor:
    """SB3's loss of a minibatch."""
    settings, sizes = example.settings, example.sizes

    def numbers(array: Any) -> Tensor:
        return torch.from_numpy(array[rows, 0]).to(dtype)

    values, log_prob, entropy = evaluate(policy, rollout, rows, dtype)
    advantages = numbers(rollout.advantages)
    if settings.normalize_advantage and len(rows) > 1:
        advantages = losses.normalized(advantages)
    ratio = losses.probability_ratio(log_prob, numbers(rollout.log_probs))
    kept = losses.clipped_values(values, numbers(rollout.values), sizes.clip_range_vf)
    return (
        losses.clipped_surrogate(ratio, advantages, sizes.clip_range)
        + settings.ent_coef * losses.entropy_loss(entropy, log_prob)
        + settings.vf_coef * losses.value_loss(kept, numbers(rollout.returns))
    )


def updated(example: Example, dtype: torch.dtype, orders: list[Any]) -> dict[str, Any]:
    """The weights after epochs in these orders, with torch's Adam."""
    policy, rollout = example.policy().to(dtype), example.rollout()
    optimizer = torch.optim.Adam(policy.parameters(), lr=example.sizes.learning_rate, eps=1e-5)
    for order in orders:
        for begin in range(0, len(order), example.settings.batch_size):
            rows = order[begin : begin + example.settings.batch_size]
            optimizer.zero_grad()
            try:
                loss_of(example, policy, rollout, rows, dtype).backward()
            except ValueError:  # torch's distributions refuse NaN
                return {name: np.full(p.shape, np.nan) for name, p in policy.named_parameters()}
            torch.nn.utils.clip_grad_norm_(policy.parameters(), example.settings.max_grad_norm)
            optimizer.step()
    return {name: parameter.detach().numpy() for name, parameter in policy.named_parameters()}


def _batch(policy: ActorCritic, rows: Any) -> dict[str, Tensor]:
    (key,) = (key for key, _ in policy.preprocess._parts)
    return {key: torch.from_numpy(rows).reshape(len(rows), -1)}


def _drawn(space: Any, size: int, numbers: np.random.Generator) -> Any:
    match space:
        case Box():
            return numbers.normal(size=(size, *space.shape)).astype(np.float32)
        case Discrete(n):
            return numbers.integers(n, size=(size, 1))
        case MultiDiscrete(nvec):
            return numbers.integers(nvec, size=(size, len(nvec)))
        case MultiBinary():
            return numbers.integers(2, size=(size, *space.shape))


def _masks(spec: PolicySpec, size: int, numbers: np.random.Generator) -> Any:
    if not spec.maskable:
        return None
    count = sum(_choices(spec.action_space))
    return numbers.random((size, 1, count)) < 0.7


def _choices(space: Any) -> list[int]:
    match space:
        case Discrete(n):
            return [n]
        case MultiDiscrete(nvec):
            return nvec.tolist()
    return [2] * space.shape[0]


def _actions(spec: PolicySpec, size: int, numbers: np.random.Generator, masks: Any) -> Any:
    if isinstance(spec.action_space, Box):
        drawn = numbers.normal(size=(size, spec.action_space.size))
        return (np.tanh(drawn) if spec.squash_output else drawn).astype(np.float32)
    columns, begin = [], 0
    for count in _choices(spec.action_space):
        column = numbers.integers(count, size=size)
        if masks is not None:  # what is taken was allowed
            masks[np.arange(size), 0, begin + column] = True
        columns.append(column)
        begin += count
    return np.stack(columns, 1).astype(np.int64)
