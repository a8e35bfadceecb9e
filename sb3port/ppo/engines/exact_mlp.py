"""SB3's bits for multi-layer perceptrons on a CPU, without autograd: two to three times faster.

Nine tenths of SB3's time is overhead of many small operations. Here the gradients are written by hand, the
optimiser steps on one array, and statistics are computed once per epoch. Each product and sum is the one
that SB3 makes, on operands of the same shapes; what is exact in floating point (a factor of 2, a sign) is
left out or moved.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sb3port.checkpoint.checkpoint import Array, OptimizerState
from sb3port.checkpoint.spaces import Box
from sb3port.networks.weights import policy_tensors
from sb3port.ppo.engines.base import Decision, Engine, Learner, Recall, StepSizes, UpdateStatistics
from sb3port.ppo.engines.epochs import EpochStatistics, summary
from sb3port.ppo.engines.flat import FlatAdam, fits_adam
from sb3port.ppo.engines.frozen import of_actor
from sb3port.ppo.engines.heads import has_head, make_head
from sb3port.ppo.engines.layers import ACTIVATIONS, Layers
from sb3port.ppo.engines.losses import normalized
from sb3port.ppo.engines.together import normalised
from sb3port.ppo.rollout.buffer import Rollout
from sb3port.ppo.rollout.environments import Observations


def fits(learner: Learner) -> bool:
    """Whether the engine can take a policy."""
    spec = learner.spec
    names = [name for name, _ in learner.policy.named_parameters()]
    plain = spec.features_extractor == "FlattenExtractor" and spec.lstm_hidden_size is None
    seen = isinstance(spec.observation_space, Box) and not spec.observation_space.is_image
    layers = not spec.net_arch.shared and spec.activation_fn in ACTIVATIONS
    known = all(name.startswith(_NAMES) for name in names)
    return (
        learner.device.type == "cpu"
        and not learner.mixed_precision
        and learner.reference is None
        and plain
        and seen
        and layers
        and known
        and has_head(spec)
        and fits_adam(learner.optimizer_class, learner.optimizer)
    )


_NAMES = ("log_std", "mlp_extractor.policy_net.", "mlp_extractor.value_net.", "action_net.", "value_net.")


class MlpEngine(Engine):
    """A policy whose networks are plain, and its Adam.

    Args:
        learner: What it is made from; `fits` is true of it.
    """

    def __init__(self, learner: Learner) -> None:
        self.policy, self._settings, self._learner = learner.policy, learner.share, learner
        self._adam = FlatAdam(learner.policy, learner.optimizer)
        values = (self._adam.parameters, self._adam.gradients)
        activation = learner.spec.activation_fn
        policy, value = (_names(self._adam.parameters, net) for net in ("policy_net", "value_net"))
        self._actor = Layers([*policy, "action_net"], *values, activation)
        self._critic = Layers([*value, "value_net"], *values, activation)
        self._head = make_head(learner.spec, *values, learner.policy.head)
        self._of_actor = of_actor(self._adam.parameters)
        self._value_weight = torch.tensor(learner.settings.vf_coef)
        self._entropy_weight = torch.tensor(learner.settings.ent_coef)

    @torch.inference_mode()
    def act(
        self, observations: Observations, masks: Array | None = None, recall: Recall | None = None
    ) -> Decision:
        """Choose actions at random; there are neither masks nor a memory."""
        assert masks is None
        assert recall is None
        rows = _rows(observations[""])
        outputs = self._actor.forward(rows)
        values = self._critic.forward(rows)
        actions, log_probs = self._head.act(outputs, self._actor.latent)
        return Decision(actions.numpy(), values.numpy().reshape(-1), log_probs.numpy())

    @torch.inference_mode()
    def values(self, observations: Observations, recall: Recall | None = None) -> NDArray[np.float32]:
        """Estimate the returns of observations `(n, ...)`, float32 `(n,)`."""
        assert recall is None
        return self._critic.forward(_rows(observations[""])).numpy().reshape(-1)

    def reset_noise(self, count: int) -> None:
        """Draw new exploration matrices for gSDE, one for each environment."""
        self.policy.reset_noise(count)

    @torch.inference_mode()
    def update(self, rollout: Rollout, sizes: StepSizes) -> UpdateStatistics:
        """Improve the policy on a rollout, ending early when it diverges by more than 1.5 `target_kl`."""
        epochs: list[EpochStatistics] = []
        flat = rollout.by_environment()
        rows, actions = _rows(flat.observations[""]), torch.from_numpy(flat.actions)
        for epoch in range(1, self._settings.n_epochs + 1):
            found = EpochStatistics(rollout.size, sizes.clip_range)
            epochs.append(found)
            for batch in self._minibatches(rows, actions, flat):
                if not self._learn(batch, sizes, found):
                    return summary(epochs, self._settings, epoch)
        self._head.begin_rollout()
        return summary(epochs, self._settings, self._settings.n_epochs)

    def tensors(self) -> dict[str, Array]:
        """Give a copy of the weights by canonical name, buffers included."""
        return policy_tensors(self.policy)

    def optimizer(self) -> OptimizerState:
        """Give a copy of Adam's state."""
        return self._adam.state()

    def _minibatches(self, rows: Tensor, actions: Tensor, flat: Rollout) -> Iterator[tuple[Tensor, ...]]:
        order = np.random.permutation(len(rows))
        advantages = normalised(flat.advantages, order, self._learner)
        numbers = torch.from_numpy(np.stack([flat.values, flat.log_probs, advantages, flat.returns]))
        for chosen in torch.split(torch.from_numpy(order), self._settings.batch_size):
            yield rows[chosen], actions[chosen], *numbers.index_select(1, chosen).unbind()

    def _learn(self, batch: tuple[Tensor, ...], sizes: StepSizes, found: EpochStatistics) -> bool:
        """Take one step of the optimiser, unless the policy has moved too far."""
        rows, actions, old_values, old_log_prob, advantages, returns = batch
        settings = self._settings
        if settings.normalize_advantage and len(advantages) > 1:
            advantages = normalized(advantages)
        outputs, values = self._actor.forward(rows), self._critic.forward(rows).flatten()
        log_prob = self._head.log_prob(outputs, self._actor.latent, actions)
        log_ratio = log_prob - old_log_prob
        ratio = log_ratio.exp()
        clipped = torch.clamp(ratio, 1 - sizes.clip_range, 1 + sizes.clip_range)
        unclipped_gain, clipped_gain = advantages * ratio, advantages * clipped
        new_values, inside = _clipped_values(values, old_values, sizes.clip_range_vf)
        found.add(log_ratio, ratio, unclipped_gain, clipped_gain, new_values, returns, self._head.entropy())
        weight = _surrogate_gradient(ratio, clipped, unclipped_gain, clipped_gain, advantages)
        gradient = weight.mul_(ratio).unsqueeze_(1)
        self._actor.backward(self._head.backward(gradient, self._entropy_gradient(len(rows))))
        down = torch.ops.aten.mse_loss_backward(self._value_weight, new_values, returns, 1)
        self._critic.backward((down if inside is None else down * inside).unsqueeze(1))
        divergence = found.last_kl() if settings.target_kl is not None else 0.0
        (divergence,) = self._learner.ranks.mean(self._adam.gradient, divergence)
        if settings.target_kl is not None and divergence > 1.5 * settings.target_kl:
            return False
        held = self._of_actor if sizes.actor_frozen else ()
        self._adam.step(sizes.learning_rate, settings.max_grad_norm, held)
        return True

    def _entropy_gradient(self, count: int) -> Tensor | None:
        """Give the gradient of each row's entropy: `-ent_coef / B`."""
        return -self._entropy_weight / count if self._settings.ent_coef else None


def _surrogate_gradient(
    ratio: Tensor, clipped: Tensor, unclipped_gain: Tensor, clipped_gain: Tensor, advantages: Tensor
) -> Tensor:
    """Give the gradient of the clipped surrogate by the ratio, as autograd gives it for `min` and `clamp`.

    Where both gains are equal each gets half of it, and that of the clipped one passes inside of the range.
    """
    smaller = unclipped_gain < clipped_gain
    half = (unclipped_gain == clipped_gain).float().mul_(0.5)
    share = half.addcmul_(half, (ratio == clipped).float()).add_(smaller)
    return share.mul_(advantages).mul_(torch.tensor(-1.0) / len(ratio))


def _clipped_values(values: Tensor, old_values: Tensor, limit: float | None) -> tuple[Tensor, Tensor | None]:
    """Give values as the loss sees them, and where they have a gradient."""
    if limit is None:
        return values, None
    change = values - old_values
    return old_values + torch.clamp(change, -limit, limit), ((change >= -limit) & (change <= limit)).float()


def _rows(observations: Array) -> Tensor:
    """Give observations as the float32 rows that the networks take."""
    return torch.from_numpy(observations.reshape(len(observations), -1)).float()


def _names(parameters: dict[str, Tensor], net: str) -> list[str]:
    prefix = f"mlp_extractor.{net}."
    return [
        name.removesuffix(".weight")
        for name in parameters
        if name.startswith(prefix) and name.endswith("weight")
    ]
