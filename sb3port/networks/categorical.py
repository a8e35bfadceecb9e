"""Distributions over choices that give the numbers of Stable-Baselines3's and sb3-contrib's, bit for bit.

A masked head is one of a MaskablePPO policy: it can be told which choices are allowed, and also without a
mask it normalises logits twice, as sb3-contrib does.

Source: `stable_baselines3.common.distributions`, `sb3_contrib.common.maskable.distributions`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical
from torch.nn.functional import softplus
from typing_extensions import Self, override

from sb3port.networks.distributions import ActionDistribution, ActionHead

# Logit of a choice that is not allowed; sb3-contrib's value.
_FORBIDDEN = -1e8


class MaskedCategorical(Categorical):
    """One choice out of n, some of which may be forbidden.

    Args:
        logits: `(B, n)`.
        mask: bool `(B, n)`, which choices are allowed; None allows all.
    """

    def __init__(self, logits: Tensor, mask: Tensor | None) -> None:
        self._mask = mask
        super().__init__(logits=_masked(logits, mask))

    @override
    def entropy(self) -> Tensor:
        """Entropy in nats of the choice among those that are allowed, `(B,)`."""
        if self._mask is None:
            return super().entropy()
        # The probability of a forbidden choice need not be zero: without its term it adds nothing.
        return -torch.where(self._mask, self.logits * self.probs, 0.0).sum(-1)


class DiscreteChoice(ActionDistribution):
    """One choice per row; actions are `(B,)`."""

    def __init__(self, choice: Categorical) -> None:
        self._choice = choice

    @override
    def sample(self) -> Tensor:
        """Draw one choice per row, int64 `(B,)`."""
        return self._choice.sample()

    @override
    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-likelihood of the choices `(B,)` in nats, `(B,)`."""
        return self._choice.log_prob(actions)

    @override
    def entropy(self) -> Tensor:
        """Entropy in nats, `(B,)`."""
        return self._choice.entropy()

    @override
    def divergence(self, reference: Self) -> Tensor:
        """`KL(self || reference)` in nats, `(B,)`."""
        return _divergence(self._choice, reference._choice)


class DiscreteChoices(ActionDistribution):
    """Several independent choices per row; actions are `(B, number of choices)`."""

    def __init__(self, choices: Sequence[Categorical]) -> None:
        self._choices = choices

    @override
    def sample(self) -> Tensor:
        """Draw every choice of each row, int64 `(B, number of choices)`."""
        return torch.stack([choice.sample() for choice in self._choices], dim=1)

    @override
    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-likelihood in nats, `(B,)`: the sum over the choices of a row."""
        columns = zip(self._choices, actions.unbind(dim=1), strict=True)
        return torch.stack([choice.log_prob(column) for choice, column in columns], dim=1).sum(dim=1)

    @override
    def entropy(self) -> Tensor:
        """Entropy in nats, `(B,)`: the sum over the choices of a row."""
        return torch.stack([choice.entropy() for choice in self._choices], dim=1).sum(dim=1)

    @override
    def divergence(self, reference: Self) -> Tensor:
        """`KL(self || reference)` in nats, `(B,)`: the sum over the choices of a row."""
        pairs = zip(self._choices, reference._choices, strict=True)
        return torch.stack([_divergence(*pair) for pair in pairs], dim=1).sum(dim=1)


class CoinFlips(ActionDistribution):
    """Independent binary choices: `logits` `(B, n)`; actions are 0 or 1, int64, `(B, n)`."""

    def __init__(self, logits: Tensor) -> None:
        self._coins = Bernoulli(logits=logits)

    @override
    def sample(self) -> Tensor:
        """Draw every bit of each row, int64 `(B, n)`."""
        return self._coins.sample().long()

    @override
    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-likelihood in nats, `(B,)`: the sum over the bits of a row."""
        return self._coins.log_prob(actions.float()).sum(dim=1)

    @override
    def entropy(self) -> Tensor:
        """Entropy in nats, `(B,)`: the sum over the bits of a row."""
        return self._coins.entropy().sum(dim=1)

    @override
    def divergence(self, reference: Self) -> Tensor:
        """`KL(self || reference)` in nats, `(B,)`: the sum over the bits of a row."""
        own, other, chance = self._coins.logits, reference._coins.logits, self._coins.probs
        ones = chance * (softplus(-other) - softplus(-own))
        return (ones + (1 - chance) * (softplus(other) - softplus(own))).sum(dim=1)


class CategoricalHead(ActionHead):
    """Head for a Discrete space; actions count from 0 whatever the start of the space is, as in SB3.

    Args:
        n: Number of choices.
        masked: Whether choices can be forbidden.
    """

    def __init__(self, n: int, masked: bool) -> None:
        super().__init__()
        self.n_outputs, self.masked = n, masked

    @override
    def mode(self, outputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Most likely choice of each row, int64 `(B,)`; the first on a tie."""
        return _mode(outputs, mask, self.masked)

    @override
    def distribution(
        self, outputs: Tensor, log_std: Tensor | None, latent: Tensor, mask: Tensor | None = None
    ) -> ActionDistribution:
        """Distribution over one choice per row; `log_std` and `latent` play no part."""
        return DiscreteChoice(_categorical(outputs, mask, self.masked))

    @override
    def as_actions(self, actions: Tensor) -> Tensor:
        """Give a batch of actions as int64 `(B,)`."""
        return actions.reshape(-1).long()


class MultiCategoricalHead(ActionHead):
    """Head for a MultiDiscrete space, or a MultiBinary one of MaskablePPO; actions count from 0, as in SB3.

    Args:
        sizes: Number of choices in each dimension of the space.
        masked: Whether choices can be forbidden.
    """

    def __init__(self, sizes: list[int], masked: bool) -> None:
        super().__init__()
        self.n_outputs, self.sizes, self.masked = sum(sizes), sizes, masked

    @override
    def mode(self, outputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Most likely choice in each dimension, int64 `(B, number of choices)`."""
        return torch.stack([_mode(*part, self.masked) for part in self._split(outputs, mask)], dim=1)

    @override
    def distribution(
        self, outputs: Tensor, log_std: Tensor | None, latent: Tensor, mask: Tensor | None = None
    ) -> ActionDistribution:
        """Distribution over independent choices; `log_std` and `latent` play no part."""
        return DiscreteChoices([_categorical(*part, self.masked) for part in self._split(outputs, mask)])

    @override
    def as_actions(self, actions: Tensor) -> Tensor:
        """Give a batch of actions as int64 `(B, number of choices)`."""
        return actions.reshape(-1, len(self.sizes)).long()

    def _split(self, outputs: Tensor, mask: Tensor | None) -> list[tuple[Tensor, Tensor | None]]:
        masks = [None] * len(self.sizes) if mask is None else mask.split(self.sizes, dim=1)
        return list(zip(outputs.split(self.sizes, dim=1), masks, strict=True))


class BernoulliHead(ActionHead):
    """Head for a MultiBinary space of n dimensions, without masks."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n_outputs = n

    @override
    def mode(self, outputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Most likely value of each bit, int64 `(B, n)`; 0 on a tie."""
        return torch.round(torch.sigmoid(outputs)).long()

    @override
    def distribution(
        self, outputs: Tensor, log_std: Tensor | None, latent: Tensor, mask: Tensor | None = None
    ) -> ActionDistribution:
        """Distribution over independent bits; `log_std`, `latent` and `mask` play no part."""
        return CoinFlips(outputs)

    @override
    def as_actions(self, actions: Tensor) -> Tensor:
        """Give a batch of actions as int64 `(B, n)`."""
        return actions.reshape(-1, self.n_outputs).long()


def _categorical(logits: Tensor, mask: Tensor | None, masked: bool) -> Categorical:
    return MaskedCategorical(logits, mask) if masked else Categorical(logits=logits)


def _divergence(one: Categorical, other: Categorical) -> Tensor:
    # Torch's own is infinite where a probability rounds to 0, which logits never do.
    return (one.probs * (one.logits - other.logits)).sum(dim=-1)


def _mode(logits: Tensor, mask: Tensor | None, masked: bool) -> Tensor:
    # The probabilities decide, not the logits: rounding can make two of them equal, and then the first wins.
    logits = _normalized(_masked(logits, mask) if masked else logits)
    return torch.argmax(torch.softmax(logits, dim=-1), dim=1)


def _masked(logits: Tensor, mask: Tensor | None) -> Tensor:
    normalized = _normalized(logits)
    return normalized if mask is None else torch.where(mask, normalized, _FORBIDDEN)


def _normalized(logits: Tensor) -> Tensor:
    return logits - logits.logsumexp(dim=-1, keepdim=True)
