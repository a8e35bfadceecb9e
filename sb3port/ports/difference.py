"""What differs between two checkpoints: settings by name, arrays to the bit. No torch."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from sb3port.checkpoint.checkpoint import Array, Checkpoint, Normalizer, PolicySpec, TrainingSettings
from sb3port.checkpoint.schedules import schedule_to_json
from sb3port.checkpoint.spaces import Space
from sb3port.ports.lerobot_folder import ActionStep, Running, action_step
from sb3port.ports.lerobot_template import postprocessor_json
from sb3port.ports.manifest import normalizer_json, spec_json

EQUAL = "equal"
_SPACES = ("observation_space", "action_space")
# With other ones of these, a policy that has its weights computes the same.
_OF_NO_CONSEQUENCE = ("algorithm", "ortho_init", "log_std_init")


class _Setting(NamedTuple):
    """A value in its JSON form, and how people are told of it."""

    value: Any
    text: str


_Settings: TypeAlias = Mapping[str, _Setting]
_ABSENT = _Setting({"absent": True}, "absent")


@dataclass(frozen=True)
class SettingDifference:
    """A setting that differs.

    Args:
        name: As SB3 calls it.
        a: Its value in the first checkpoint, as text; "absent" where it has none.
        b: In the second.
    """

    name: str
    a: str
    b: str


@dataclass(frozen=True)
class ArrayDifference:
    """How two arrays of one name compare.

    Args:
        name: Of the tensor or statistic.
        verdict: "equal" (the same bits), "different", "shape", "type", "only in A" or "only in B".
        a: Shape and type in the first checkpoint, None where it has none.
        b: In the second.
        max_abs: Largest absolute difference; None where the shapes differ, or one is absent.
    """

    name: str
    verdict: str
    a: str | None
    b: str | None
    max_abs: float | None


@dataclass(frozen=True)
class Difference:
    """Everything that two checkpoints are compared on.

    Args:
        settings: Those that differ, by section: "policy", "spaces", "normaliser", "training".
        arrays: All of them, by section: "tensors", and "statistics" of the normaliser.
    """

    settings: Mapping[str, list[SettingDifference]]
    arrays: Mapping[str, list[ArrayDifference]]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not any(self.settings.values()) and not any(map(self.different, self.arrays))

    def different(self, section: str) -> list[ArrayDifference]:
        """Give the arrays of a section that are not equal."""
        return [array for array in self.arrays[section] if array.verdict != EQUAL]

    def to_json(self) -> dict[str, Any]:
        """Give everything as JSON values."""
        return {
            "equal": self.equal,
            **{section: [asdict(one) for one in found] for section, found in self.settings.items()},
            **{section: [asdict(one) for one in found] for section, found in self.arrays.items()},
        }


def difference(a: Checkpoint, b: Checkpoint) -> Difference:
    """Compare two checkpoints, whatever they were read from.

    Where they come from and what SB3 wrote them is not compared, and neither is which settings the file left
    to SB3's defaults.
    """
    sections: dict[str, Callable[[Checkpoint], _Settings]] = {
        "policy": _policy,
        "spaces": _spaces,
        "normaliser": lambda checkpoint: _normaliser(checkpoint.normalizer),
        "training": lambda checkpoint: _training(checkpoint.training),
    }
    return Difference(
        settings={name: list(_compare_settings(take(a), take(b))) for name, take in sections.items()},
        arrays={
            "tensors": list(_compare_arrays(_tensors(a), _tensors(b))),
            "statistics": list(_compare_arrays(_statistics(a.normalizer), _statistics(b.normalizer))),
        },
    )


def deviations(source: Checkpoint, running: Running) -> list[SettingDifference]:
    """Name what a port does otherwise than its source, apart from numbers in tensors and statistics.

    Args:
        source: Read from the source itself, A.
        running: Read from what runs of the port, B.
    """
    networks = (_computing(side.spec) for side in (source, running))
    normalisers = (_normalising(side.normalizer) for side in (source, running))
    found = [*_compare_settings(*networks), *_compare_leaves("VecNormalize", *normalisers)]
    for name in _SPACES:
        found += _compare_leaves(name, *(getattr(side.spec, name).to_json() for side in (source, running)))
    # What actions are clipped or unscaled to is told once more, beside the space.
    steps = action_step(postprocessor_json(source.spec)), running.action
    found += _compare_leaves("action_space", *map(_bounds, steps))
    return list(dict.fromkeys(found))


def _computing(spec: PolicySpec) -> _Settings:
    left_out = (*_SPACES, "assumed", *_OF_NO_CONSEQUENCE)
    return {name: _plain(value) for name, value in spec_json(spec).items() if name not in left_out}


def _normalising(normalizer: Normalizer | None) -> Any:
    """Give the settings with which observations are normalised, "absent" where they are not."""
    if normalizer is None or not normalizer.statistics:
        return "absent"
    keys = sorted(filter(None, normalizer.statistics))
    return {"clip_obs": normalizer.clip_obs, "epsilon": normalizer.epsilon, "norm_obs_keys": keys}


def _bounds(step: ActionStep | None) -> Mapping[str, Any]:
    """Give what actions are clipped to, or unscaled to."""
    return {} if step is None else {"low": step.low, "high": step.high, "dtype": step.dtype}


def _compare_leaves(name: str, a: Any, b: Any) -> Iterator[SettingDifference]:
    """Compare JSON values as deep down as both are alike: of a thousand bounds, name the one that differs."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in dict.fromkeys((*a, *b)):
            yield from _compare_leaves(f"{name}.{key}", a.get(key, "absent"), b.get(key, "absent"))
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, (one, other) in enumerate(zip(a, b, strict=True)):
            yield from _compare_leaves(f"{name}[{index}]", one, other)
    elif a != b:  # 2 and 2.0 are the same bound
        yield SettingDifference(name, *map(_side, (a, b)))


def _side(value: Any) -> str:
    return "present" if isinstance(value, Mapping) else _plain(value).text


def _policy(checkpoint: Checkpoint) -> _Settings:
    spec = spec_json(checkpoint.spec)
    return {name: _plain(value) for name, value in spec.items() if name not in (*_SPACES, "assumed")}


def _spaces(checkpoint: Checkpoint) -> _Settings:
    spaces: dict[str, Space] = {name: getattr(checkpoint.spec, name) for name in _SPACES}
    return {name: _Setting(space.to_json(), str(space)) for name, space in spaces.items()}


def _normaliser(normalizer: Normalizer | None) -> _Settings:
    content = normalizer_json(normalizer)
    if content is None:
        return {}
    return {name: _plain(value) for name, value in content.items() if name != "ret_rms"}


def _training(training: TrainingSettings) -> _Settings:
    schedules = {name: _Setting(schedule_to_json(one), str(one)) for name, one in training.schedules.items()}
    others = {
        **training.hyperparameters,
        "optimizer_class": training.optimizer_class,
        **{f"optimizer_kwargs.{name}": value for name, value in training.optimizer_kwargs.items()},
        **training.replay,
    }
    return {**schedules, **{name: _plain(value) for name, value in others.items()}}


def _plain(value: Any) -> _Setting:
    return _Setting(value, value if isinstance(value, str) else _json(value))


def _json(value: Any) -> str:
    """Write a value so that 1, 1.0 and true are not the same."""
    return json.dumps(value, default=list)


def _tensors(checkpoint: Checkpoint) -> dict[str, Array]:
    """Give the policy's tensors, and those that an algorithm has beside them."""
    beside = {f"pytorch_variables.{name}": array for name, array in checkpoint.variables.items()}
    return {**checkpoint.tensors, **beside}


def _statistics(normalizer: Normalizer | None) -> dict[str, Array]:
    if normalizer is None:
        return {}
    named = {f"obs_rms{f'.{key}' if key else ''}": rms for key, rms in normalizer.statistics.items()}
    rewards = {"ret_rms": normalizer.ret_rms} if normalizer.ret_rms else {}
    return {
        f"{name}.{part}": np.asarray(getattr(rms, part))
        for name, rms in {**named, **rewards}.items()
        for part in ("mean", "var", "count")
    }


def _compare_settings(a: _Settings, b: _Settings) -> Iterator[SettingDifference]:
    for name in dict.fromkeys((*a, *b)):
        one, other = a.get(name, _ABSENT), b.get(name, _ABSENT)
        if _json(one.value) != _json(other.value):
            same = one.text == other.text  # as of bounds that are too many to be shown
            yield SettingDifference(
                name, *((_json(side.value) if same else side.text) for side in (one, other))
            )


def _compare_arrays(a: Mapping[str, Array], b: Mapping[str, Array]) -> Iterator[ArrayDifference]:
    for name in dict.fromkeys((*a, *b)):
        yield _compare_array(name, a.get(name), b.get(name))


def _compare_array(name: str, a: Array | None, b: Array | None) -> ArrayDifference:
    if a is None or b is None:
        return ArrayDifference(name, "only in B" if a is None else "only in A", _kind(a), _kind(b), None)
    if a.shape != b.shape:
        return ArrayDifference(name, "shape", _kind(a), _kind(b), None)
    same = a.dtype == b.dtype and a.tobytes() == b.tobytes()
    verdict = EQUAL if same else "different" if a.dtype == b.dtype else "type"
    return ArrayDifference(name, verdict, _kind(a), _kind(b), 0.0 if same else _max_abs(a, b))


def _kind(array: Array | None) -> str | None:
    return None if array is None else f"{array.shape} {array.dtype}"


def _max_abs(a: Array, b: Array) -> float:
    """Give the largest absolute difference, NaN where only one of two numbers is NaN."""
    one, other = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        apart = np.abs(one - other)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    return float(np.max(np.where(same, 0.0, apart), initial=0.0))
