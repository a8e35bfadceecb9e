"""`NormalizeFeaturesExtractor` of imitation: a flat observation, normalised by statistics within the policy.

Source: `imitation/policies/base.py` and `RunningNorm` in `imitation/util/networks.py`, version 1.0.
"""

from collections import OrderedDict
from typing import TYPE_CHECKING

from sb3port.checkpoint.spaces import Space
from sb3port.families.extractors.base import Extractor, vector_size
from sb3port.families.layers import Shapes

if TYPE_CHECKING:
    from torch import nn

_EPSILON = 1e-5


def _shapes(space: Space, *_: object) -> Shapes:
    vector = (vector_size(space),)
    return {"normalize.running_mean": vector, "normalize.running_var": vector, "normalize.count": ()}


def _build(space: Space, *_: object) -> "nn.Module":
    import torch
    from torch import Tensor, nn

    class RunningNorm(nn.Module):
        """Subtract the mean of all rows seen in training, and divide by their standard deviation.

        Attributes:
            running_mean, running_var: `(n,)`; the variance is the biased one.
            count: How many rows they stand for, int32.
        """

        running_mean: Tensor
        running_var: Tensor
        count: Tensor

        def __init__(self, n_features: int) -> None:
            super().__init__()
            self.register_buffer("running_mean", torch.zeros(n_features))
            self.register_buffer("running_var", torch.ones(n_features))
            self.register_buffer("count", torch.zeros((), dtype=torch.int32))

        def forward(self, rows: Tensor) -> Tensor:
            """Normalise `(B, n)`; in training the rows are counted first."""
            if self.training:
                self._update(rows)
            return (rows - self.running_mean) / torch.sqrt(self.running_var + _EPSILON)

        @torch.no_grad()
        def _update(self, rows: Tensor) -> None:
            """Chan, Golub and LeVeque's parallel update, in imitation's order of operations."""
            n, delta = len(rows), rows.mean(dim=0) - self.running_mean
            total = self.count + n
            self.running_mean += delta * n / total
            self.running_var *= self.count
            self.running_var += rows.var(dim=0, unbiased=False) * n
            self.running_var += delta.square() * self.count * n / total
            self.running_var /= total
            self.count += n

    normalize = RunningNorm(vector_size(space))
    return nn.Sequential(OrderedDict(flatten=nn.Flatten(), normalize=normalize))


NORMALIZE_FEATURES = Extractor(
    "NormalizeFeaturesExtractor",
    recognises=lambda _, tensors: "normalize.running_mean" in tensors,
    shapes=_shapes,
    features=lambda space, *_: vector_size(space),
    build=_build,
    module="imitation.policies.base",
    arguments={"normalize_class": "imitation.util.networks.RunningNorm"},
    buffers=frozenset({"normalize.running_mean", "normalize.running_var", "normalize.count"}),
    dtypes={"normalize.count": "int32"},
)
