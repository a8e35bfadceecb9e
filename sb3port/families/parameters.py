"""Which tensors of a policy are parameters, and whether an optimiser's state can be theirs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array, OptimizerState, PolicySpec, ReplaySpec
from sb3port.families.extractors import extractor_of, is_own
from sb3port.families.registry import family_of
from sb3port.families.replay.specs import parameters_by_optimiser
from sb3port.families.specs import expected_shapes, of_extractors

_Shape = tuple[int, ...]


@dataclass(frozen=True)
class Parameters:
    """What is known of a policy's parameters without its code.

    Args:
        shapes: Of the tensors among which they are, in SB3's order.
        all_of_them: Whether all of these are parameters. Among those of a features extractor of the user's
            own there may be buffers, and one parameter may stand there under two names.
    """

    shapes: tuple[_Shape, ...]
    all_of_them: bool = True

    def fit(self, optimizer: OptimizerState) -> bool:
        """Whether an optimiser's state can be theirs: its rows are finite, and have their shapes."""
        count, tensors = optimizer.count, len(self.shapes)
        if not (count == tensors or (0 <= count < tensors and not self.all_of_them)):
            return False
        if not all(0 <= number < count for number in optimizer.state):
            return False
        # Each has its place after the one before it, and a parameter without a row may have any.
        places = iter(self.shapes)
        rows = (optimizer.state.get(number, {}) for number in range(count))
        return all(any(fits(row, shape) for shape in places) for row in rows) and _finite(optimizer)


def parameters_of(spec: PolicySpec, tensors: Mapping[str, Array]) -> Parameters:
    """Tell the parameters of a policy, for which optimisers have a state."""
    if isinstance(spec, ReplaySpec):
        return parameters_by_optimizer(spec, tensors).get("policy.optimizer", Parameters(()))
    buffers = of_extractors(spec, extractor_of(spec.features_extractor, tensors).buffers)
    shapes = [shape for name, shape in expected_shapes(spec, tensors).items() if name not in buffers]
    return Parameters(tuple(shapes), not is_own(spec.features_extractor))


def parameters_by_optimizer(spec: ReplaySpec, tensors: Mapping[str, Array]) -> dict[str, Parameters]:
    """Tell the parameters of each optimiser of a policy of several networks, by SB3's names of them."""
    buffers = of_extractors(spec, extractor_of(spec.features_extractor, {}).buffers)
    shapes = expected_shapes(spec, tensors)
    named = parameters_by_optimiser(spec, family_of(spec), shapes)
    is_known = not is_own(spec.features_extractor)
    return {
        optimizer: Parameters(tuple(shapes[name] for name in names if name not in buffers), is_known)
        for optimizer, names in named.items()
    }


def fits(row: Mapping[str, Any], shape: _Shape) -> bool:
    """Whether each value of a row belongs to a whole parameter, or is one number such as `step`."""
    return all(np.shape(value) in ((), (1,), shape) for value in row.values())


def _finite(optimizer: OptimizerState) -> bool:
    values: Iterable[Any] = (value for row in optimizer.state.values() for value in row.values())
    return all(bool(np.isfinite(value).all()) for value in values)
