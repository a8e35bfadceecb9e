"""The losses of PPO, https://arxiv.org/abs/1707.06347, for one minibatch of B transitions.

Source: `stable_baselines3.ppo.ppo.PPO.train`; `where` picks the rows that are no padding, as sb3-contrib's
`RecurrentPPO.train` does. All but the last are called with gradients.
"""

import torch
from torch import Tensor
from torch.nn import functional


def normalized(advantages: Tensor, where: Tensor | None = None) -> Tensor:
    """Give advantages `(B,)` the mean 0 and the standard deviation 1."""
    seen = _rows(advantages, where)
    return (advantages - seen.mean()) / (seen.std() + 1e-8)


def probability_ratio(log_prob: Tensor, old_log_prob: Tensor) -> Tensor:
    """`r_t = pi(a|s) / pi_old(a|s)`, section 3, `(B,)`."""
    return torch.exp(log_prob - old_log_prob)


def clipped_surrogate(
    ratio: Tensor, advantages: Tensor, clip_range: float, where: Tensor | None = None
) -> Tensor:
    """`-L^CLIP = -mean(min(r A, clip(r, 1 - eps, 1 + eps) A))`, equation 7."""
    unclipped = advantages * ratio
    clipped = advantages * torch.clamp(ratio, 1 - clip_range, 1 + clip_range)
    return -_rows(torch.min(unclipped, clipped), where).mean()


def clipped_values(values: Tensor, old_values: Tensor, clip_range_vf: float | None) -> Tensor:
    """Keep new values within `clip_range_vf` of the old ones; None lets them be."""
    if clip_range_vf is None:
        return values
    return old_values + torch.clamp(values - old_values, -clip_range_vf, clip_range_vf)


def value_loss(values: Tensor, returns: Tensor, where: Tensor | None = None) -> Tensor:
    """`L^VF = mean((V - V_target)^2)`, equation 9."""
    if where is None:
        return functional.mse_loss(returns, values)
    return torch.mean(((returns - values) ** 2)[where])


def entropy_loss(entropy: Tensor | None, log_prob: Tensor, where: Tensor | None = None) -> Tensor:
    """`-S`, the entropy of equation 9; estimated from log-probabilities where it has no closed form."""
    if entropy is None:
        return -torch.mean(-_rows(log_prob, where))
    return -torch.mean(_rows(entropy, where))


def approximate_kl(log_ratio: Tensor, where: Tensor | None = None) -> Tensor:
    """`mean((r - 1) - log r)`, the estimator k3 of http://joschu.net/blog/kl-approx.html."""
    return torch.mean(_rows((torch.exp(log_ratio) - 1) - log_ratio, where))


def clip_fraction(ratio: Tensor, clip_range: float, where: Tensor | None = None) -> Tensor:
    """Which share of the ratios is outside of the clip range."""
    return torch.mean(_rows((torch.abs(ratio - 1) > clip_range).float(), where))


def _rows(tensor: Tensor, where: Tensor | None) -> Tensor:
    return tensor if where is None else tensor[where]
