"""Learning-rate and clip-range schedules as values: what SB3 pickles as code, kept as numbers.

A schedule is called with `progress_remaining`, which goes from 1 at the beginning of training to 0 at its
end. Names and formulas are those of `stable_baselines3/common/utils.py` (since 2.7) and `rl_zoo3/utils.py`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias, get_args

from sb3port.checkpoint.expressions import parse_expression, value_at
from sb3port.errors import NotPortable


@dataclass(frozen=True)
class ConstantSchedule:
    """Always `val`."""

    val: float

    def __call__(self, progress_remaining: float) -> float:  # noqa: ARG002
        """Give the value at any time."""
        return self.val

    def __str__(self) -> str:
        return f"{self.val:g}"


@dataclass(frozen=True)
class LinearSchedule:
    """From `start` to `end`, reached when `end_fraction` of the training is over."""

    start: float
    end: float
    end_fraction: float

    def __call__(self, progress_remaining: float) -> float:
        """Give the value when this share of the training remains."""
        if (1 - progress_remaining) > self.end_fraction:
            return self.end
        return self.start + (1 - progress_remaining) * (self.end - self.start) / self.end_fraction

    def __str__(self) -> str:
        until = "" if self.end_fraction == 1 else f" over the first {self.end_fraction:.0%}"
        return f"linear {self.start:g} to {self.end:g}{until}"


@dataclass(frozen=True)
class SimpleLinearSchedule:
    """`progress_remaining * initial_value`: the zoo's `lin_...`."""

    initial_value: float

    def __call__(self, progress_remaining: float) -> float:
        """Give the value when this share of the training remains."""
        return progress_remaining * self.initial_value

    def __str__(self) -> str:
        return f"linear {self.initial_value:g} to 0"


@dataclass(frozen=True)
class ExpressionSchedule:
    """Any other formula, as the text of `expressions`: `0.0003 * progress_remaining ** 2`.

    Raises:
        ValueError: It is not one.
    """

    expression: str

    def __post_init__(self) -> None:
        parse_expression(self.expression)

    def __call__(self, progress_remaining: float) -> float:
        """Give the value when this share of the training remains, NaN where Python would raise an error."""
        return value_at(parse_expression(self.expression), float(progress_remaining))

    def __str__(self) -> str:
        return self.expression


@dataclass(frozen=True)
class CustomSchedule:
    """A function or object of the user's own that is more than a formula, and never run.

    Only its name and the constants in it are known.
    """

    qualname: str
    constants: tuple[float, ...]

    def __str__(self) -> str:
        constants = f" with the constants {list(self.constants)}" if self.constants else ""
        return f"custom function {self.qualname}{constants}"


Formula: TypeAlias = ConstantSchedule | LinearSchedule | SimpleLinearSchedule | ExpressionSchedule
"""A schedule whose values are known."""

Schedule: TypeAlias = Formula | CustomSchedule

_TYPES: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Schedule)}


def schedule_to_json(schedule: Schedule) -> dict[str, Any]:
    """Give `{"type": class name, ...fields}`."""
    return {"type": type(schedule).__name__, **asdict(schedule)}


def schedule_from_json(data: Mapping[str, Any]) -> Schedule:
    """Read what `schedule_to_json` gave.

    Raises:
        NotPortable: The type or a field is not one we know.
    """
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
    }
    try:
        schedule: Schedule = _TYPES[fields.pop("type")](**fields)
    except (KeyError, TypeError, ValueError) as error:
        raise NotPortable(f"not a schedule that sb3port can read: {str(data)[:200]}") from error
    return schedule
