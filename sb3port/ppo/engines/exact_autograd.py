"""SB3's own operations with torch's autograd: any network, any action space, any device.

Source: `stable_baselines3/ppo/ppo.py`, `sb3_contrib/{ppo_recurrent,ppo_mask}/*.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from sb3port.checkpoint.checkpoint import Array, OptimizerState
from sb3port.networks.distributions import ActionDistribution
from sb3port.networks.recurrent import RNNStates
from sb3port.networks.weights import policy_tensors
from sb3port.ppo.engines import losses
from sb3port.ppo.engines.base import Decision, Engine, Learner, Recall, StepSizes, UpdateStatistics
from sb3port.ppo.engines.batches import Batches
from sb3port.ppo.engines.frozen import of_actor
from sb3port.ppo.engines.minibatches import Minibatch, sequences, shuffled
from sb3port.ppo.engines.mixed_precision import compute_in_half, gradient_scaler
from sb3port.ppo.engines.optimisers import load_optimizer, optimizer_state
from sb3port.ppo.engines.together import normalised
from sb3port.ppo.rollout.buffer import Rollout
from sb3port.ppo.rollout.environments import Observations


class AutogradEngine(Engine):
    """A policy and an optimiser of torch.

    Args:
        learner: What it is made from.
    """

    def __init__(self, learner: Learner) -> None:
        self.policy, self._settings = learner.policy.to(learner.device).eval(), learner.share
        self._device, self._ranks = learner.device, learner.ranks
        if learner.mixed_precision:
            compute_in_half(self.policy, learner.device)
        self._scaler = gradient_scaler(learner)
        self._normalise = partial(normalised, learner=learner)
        self._batches = Batches(learner.spec, learner.device)
        self._optimizer = load_optimizer(self.policy, learner.optimizer_class, learner.optimizer)
        reference = learner.reference
        self._reference = None if reference is None else reference.to(learner.device).eval()
        self._kl_coef = learner.kl_coef

    def act(self, observations: Observations, masks: Array | None, recall: Recall | None) -> Decision:
        """Choose actions at random, in one pass through actor and critic."""
        batch = self._batches(observations, masks)
        states, starts = self._remember(recall)
        actions, values, log_probs, after = self.policy.explore(batch, states, starts)
        memory = None if after is None else _memory(after)
        return Decision(actions.cpu().numpy(), values.cpu().numpy(), log_probs.cpu().numpy(), memory)

    def values(self, observations: Observations, recall: Recall | None) -> NDArray[np.float32]:
        """Estimate the returns of observations `(n, ...)`, float32 `(n,)`."""
        states, starts = self._remember(recall)
        critic = None if states is None else states.vf
        with torch.no_grad():
            values: Tensor = self.policy.predict_values(self._batches(observations), critic, starts)
        return values.cpu().numpy()

    def reset_noise(self, count: int) -> None:
        """Draw new exploration matrices for gSDE, one for each environment."""
        self.policy.reset_noise(count)

    def update(self, rollout: Rollout, sizes: StepSizes) -> UpdateStatistics:
        """Improve the policy on a rollout, ending early when it diverges by more than 1.5 `target_kl`."""
        self.policy.train()  # some features extractors keep statistics of what they are trained on
        try:
            statistics = self._update(rollout, sizes)
        finally:
            self.policy.eval()
        self._agree_on_buffers()
        return statistics

    def _update(self, rollout: Rollout, sizes: StepSizes) -> UpdateStatistics:
        for group in self._optimizer.param_groups:
            group["lr"] = sizes.learning_rate
        count = rollout.values.shape[1]
        flat = rollout.by_environment()
        seen: list[tuple[float, ...]] = []
        kls: list[float] = []
        for epoch in range(1, self._settings.n_epochs + 1):
            kls.clear()
            for minibatch in self._minibatches(flat, count):
                *values, kl = self._losses(minibatch, sizes)
                seen.append(tuple(value.item() for value in values))
                kls.append(kl.item())
                if self._has_diverged(self._differentiate(values[-1], kls[-1])):
                    return _statistics(seen, kls, epoch)
                with self._holding(sizes.actor_frozen):
                    self._descend()
        return _statistics(seen, kls, self._settings.n_epochs)

    def tensors(self) -> dict[str, Array]:
        """Give a copy of the weights by canonical name, buffers included."""
        return policy_tensors(self.policy)

    def optimizer(self) -> OptimizerState:
        """Give a copy of the optimiser's state."""
        return optimizer_state(self.policy, self._optimizer)

    def _minibatches(self, flat: Rollout, count: int) -> Iterator[Minibatch]:
        size = self._settings.batch_size
        if flat.memory is not None:
            return sequences(flat, count, size, self._batches, self._device, self._normalise)
        return shuffled(flat, size, self._batches, self._device, self._normalise)

    def _losses(self, rows: Minibatch, sizes: StepSizes) -> tuple[Tensor, ...]:
        """Give surrogate, value loss, entropy loss, clip fraction, their sum, and the divergence.

        With a reference, how far the policy is from it stands before their sum.
        """
        settings, where = self._settings, rows.where
        values, log_prob, entropy, distribution = self.policy.evaluate_with_distribution(
            rows.batch, rows.actions, rows.states, rows.starts
        )
        advantages = rows.advantages
        if settings.normalize_advantage and len(advantages) > 1:
            advantages = losses.normalized(advantages, where)
        ratio = losses.probability_ratio(log_prob, rows.old_log_prob)
        surrogate = losses.clipped_surrogate(ratio, advantages, sizes.clip_range, where)
        new_values = losses.clipped_values(values, rows.old_values, sizes.clip_range_vf)
        value = losses.value_loss(new_values, rows.returns, where)
        entropy = losses.entropy_loss(entropy, log_prob, where)
        loss = surrogate + settings.ent_coef * entropy + settings.vf_coef * value
        apart = self._apart(rows, distribution)
        for divergence in apart:
            loss = loss + self._kl_coef * divergence
        with torch.no_grad():
            outside = losses.clip_fraction(ratio, sizes.clip_range, where)
            kl = losses.approximate_kl(log_prob - rows.old_log_prob, where)
        return surrogate, value, entropy, outside, *apart, loss, kl

    def _apart(self, rows: Minibatch, distribution: ActionDistribution) -> tuple[Tensor, ...]:
        """Give the mean divergence from the reference, nothing without one."""
        if self._reference is None:
            return ()
        with torch.no_grad():
            reference = self._reference.distribution(rows.batch)
        return (distribution.divergence(reference).mean(),)

    def _has_diverged(self, kl: float) -> bool:
        limit = self._settings.target_kl
        return limit is not None and kl > 1.5 * limit

    def _differentiate(self, loss: Tensor, kl: float) -> float:
        """Give every parameter the mean of the gradients of all processes; return that of the divergence."""
        self._optimizer.zero_grad()
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self._ranks.size == 1:
            return kl
        found = [p.grad for p in self.policy.parameters() if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in found])
        (kl,) = self._ranks.mean(flat, kl)
        for gradient, mean in zip(found, torch.split(flat, [g.numel() for g in found]), strict=True):
            gradient.copy_(mean.view_as(gradient))
        return kl

    def _descend(self) -> None:
        self._scaler.unscale_(self._optimizer)
        clip_grad_norm_(self.policy.parameters(), self._settings.max_grad_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()

    @contextmanager
    def _holding(self, frozen: bool) -> Iterator[None]:
        """Leave the actor's parameters where they are, if it is frozen."""
        named = dict(self.policy.named_parameters()) if frozen else {}
        held = {named[name]: named[name].detach().clone() for name in of_actor(named)}
        yield
        with torch.no_grad():
            for parameter, values in held.items():
                parameter.copy_(values)

    def _agree_on_buffers(self) -> None:
        """Let all processes have the mean of what a features extractor has seen in each."""
        for buffer in self.policy.buffers() if self._ranks.size > 1 else ():
            flat = buffer.flatten().double()
            self._ranks.mean(flat)
            buffer.copy_(flat.view_as(buffer))

    def _remember(self, recall: Recall | None) -> tuple[RNNStates | None, Tensor | None]:
        if recall is None:
            return None, None
        parts = torch.as_tensor(recall.memory, device=self._device).permute(1, 2, 0, 3).contiguous()
        states = RNNStates((parts[0], parts[1]), (parts[2], parts[3]))
        return states, torch.as_tensor(recall.starts, device=self._device)


def _memory(states: RNNStates) -> NDArray[np.float32]:
    """Put states in the layout of `Recall`."""
    stacked = torch.stack([*states.pi, *states.vf])
    return stacked.permute(2, 0, 1, 3).cpu().numpy()


def _statistics(seen: list[tuple[float, ...]], kls: list[float], epochs: int) -> UpdateStatistics:
    surrogate, value, entropy, outside, *apart, _ = np.mean(seen, axis=0).tolist()
    found = (surrogate, value, entropy, float(np.mean(kls)), outside, seen[-1][-1], epochs)
    return UpdateStatistics(*found, *apart)
