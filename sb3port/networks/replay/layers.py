"""Rows of layers as SB3's `create_mlp` makes them, and CrossQ's `BatchRenorm` between them.

Source: `stable_baselines3/common/torch_layers.py`, `sb3_contrib/common/torch_layers.py`.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from sb3port.checkpoint.checkpoint import ReplaySpec
from sb3port.networks.mlp import make_activation


class BatchRenorm(nn.Module):
    """CrossQ's normalisation of features, as it acts: by running statistics, which stay as they are.

    Attributes:
        ra_mean, ra_var: Running mean and variance, `(n,)`.
        steps: How many batches they have seen, int64.
        scale, bias: What is learned, `(n,)`.

    Args:
        width: How many features there are.
        eps: Added to the variance.
    """

    ra_mean: Tensor
    ra_var: Tensor
    steps: Tensor

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.register_buffer("ra_mean", torch.zeros(width))
        self.register_buffer("ra_var", torch.ones(width))
        self.register_buffer("steps", torch.tensor(0))
        self.scale, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.eps = eps

    def forward(self, rows: Tensor) -> Tensor:
        """Normalise `(B, n)`."""
        normalized = (rows - self.ra_mean[None]) / (self.ra_var[None] + self.eps).sqrt()
        return self.scale * normalized + self.bias


def make_layers(
    widths: Sequence[int], spec: ReplaySpec, has_output: bool, squash: bool = False
) -> nn.Sequential:
    """Make layers of these widths, the first of which is that of their input.

    Args:
        widths: Of the input, and of what each layer gives.
        spec: Says which activation follows each, what is before it, and whether it has a bias.
        has_output: Whether the last layer gives the output itself, without an activation.
        squash: Whether tanh follows the last one.
    """
    modules: list[nn.Module] = []
    last = len(widths) - 2
    for number, (before, after) in enumerate(pairwise(widths)):
        modules += [BatchRenorm(before, spec.batch_norm_eps)] if spec.batch_norm else []
        modules.append(nn.Linear(before, after, bias=spec.with_bias))
        if not has_output or number < last:
            modules.append(make_activation(spec.activation_fn))
    return nn.Sequential(*modules, *([nn.Tanh()] if squash else []))
