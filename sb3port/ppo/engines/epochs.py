"""What SB3 logs of an update, computed once per epoch instead of once per minibatch."""

import torch
from torch import Tensor

from sb3port.ppo.engines.base import UpdateStatistics
from sb3port.ppo.hyperparameters import Hyperparameters


class EpochStatistics:
    """Collects the rows of an epoch.

    Args:
        size: Rows of an epoch.
        clip_range: Of the update.
    """

    def __init__(self, size: int, clip_range: float) -> None:
        self._rows = torch.empty(4, size)
        self._clip_range, self._done, self._begin = clip_range, 0, 0
        self._entropies: list[Tensor] = []

    def add(
        self,
        log_ratio: Tensor,
        ratio: Tensor,
        unclipped_gain: Tensor,
        clipped_gain: Tensor,
        values: Tensor,
        returns: Tensor,
        entropy: Tensor,
    ) -> None:
        """Take in a minibatch: rows `(B,)`, and the mean entropy."""
        self._begin, self._done = self._done, self._done + len(ratio)
        log_ratios, ratios, gains, errors = self._rows[:, self._begin : self._done]
        log_ratios.copy_(log_ratio)
        ratios.copy_(ratio)
        torch.minimum(unclipped_gain, clipped_gain, out=gains)
        torch.sub(returns, values, out=errors)
        self._entropies.append(entropy)

    def last_kl(self) -> float:
        """Divergence of the last minibatch, as SB3 computes it."""
        return _kl(self._rows[:2, self._begin : self._done]).item()

    def means(self) -> tuple[float, float, float, float, float]:
        """Surrogate, value loss, entropy, clip fraction and divergence."""
        return self._means(self._rows[:, : self._done], torch.stack(self._entropies).mean())

    def last_means(self) -> tuple[float, float, float, float, float]:
        """Give the same of the last minibatch."""
        return self._means(self._rows[:, self._begin : self._done], self._entropies[-1])

    def _means(self, rows: Tensor, entropy: Tensor) -> tuple[float, float, float, float, float]:
        _, ratios, gains, errors = rows
        outside = (torch.abs(ratios - 1) > self._clip_range).float().mean()
        found = torch.stack([-gains.mean(), errors.square().mean(), entropy, outside, _kl(rows[:2])])
        surrogate, value, entropy_mean, fraction, kl = found.tolist()
        return surrogate, value, entropy_mean, fraction, kl


def summary(epochs: list[EpochStatistics], settings: Hyperparameters, begun: int) -> UpdateStatistics:
    """Give the means of an update, over rows where SB3 takes them over minibatches."""
    means = [epoch.means() for epoch in epochs]
    surrogate, value, entropy, fraction = (sum(row[i] for row in means) / len(means) for i in range(4))
    last = epochs[-1].last_means()
    loss = last[0] - settings.ent_coef * last[2] + settings.vf_coef * last[1]
    return UpdateStatistics(surrogate, value, -entropy, means[-1][4], fraction, loss, begun)


def _kl(rows: Tensor) -> Tensor:
    log_ratio, ratio = rows
    return torch.mean((ratio - 1) - log_ratio)
