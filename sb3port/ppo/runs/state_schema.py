"""What the state of a training may hold, which may be anybody's: every key, its kind and its range."""

import math
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from sb3port.ports.schema import (
    FLAG,
    PLAIN,
    Check,
    Misfit,
    integer,
    listing,
    mapping,
    number,
    optional,
    record,
    text,
)

_MOST_ENVS = 1_000_000
_LARGEST = sys.float_info.max
_COUNT, _ANY_NUMBER = integer(0, 2**53), number(-_LARGEST, _LARGEST)
_SOME, _POSITIVE = integer(1, 2**53), number(0, math.inf)
_SEED = optional(integer(0, 2**64))
_NAME = text(1000)
_COUNTERS = record(
    {"num_timesteps": _COUNT, "iterations": _COUNT, "n_updates": _COUNT, "best_return": optional(_ANY_NUMBER)}
)
_FLAGS = record(
    {},
    {
        "clip_obs": _POSITIVE,
        "clip_reward": _POSITIVE,
        "gamma": number(0, 1),
        "epsilon": _POSITIVE,
        "norm_obs": FLAG,
        "norm_reward": FLAG,
        "channels_last": listing(_NAME, 1000),
    },
)
_SETTINGS = record(
    {
        "environment": mapping(PLAIN, 100),
        "until": _SOME,
        "hyperparameters": mapping(PLAIN, 100),
        "normalise": optional(_FLAGS),
        "norm_obs_keys": optional(listing(_NAME, 1000)),
    },
    {
        "n_envs": integer(1, _MOST_ENVS),
        "vec_env": _NAME,
        "seed": optional(integer(0, 2**32 - 1)),
        "device": _NAME,
        "engine": _NAME,
        "save_every": _COUNT,
        "eval_episodes": integer(0, 10**6),
        "use_masking": FLAG,
        "eval_every": optional(_SOME),
        "eval_seed": _COUNT,
        "video_every": optional(_SOME),
        "track": listing(_NAME, 100),
        "mixed_precision": FLAG,
        "actor_from": _COUNT,
        "kl_coef": number(0, 1e300),
        "demonstrations": optional(text(4096)),
        "bc_epochs": _COUNT,
        "own_wrappers": PLAIN,  # which earlier versions wrote
    },
)
_WORD = integer(0, 2**32 - 1)
_MERSENNE = 624  # words of the state, and the place among them at most, which nobody checks below


def _python(value: Any, place: str) -> None:
    """The state of `random`: its version, the numbers with the place behind them, and what is left over."""
    listing(PLAIN, 3, 3)(value, place)
    integer(3, 3)(value[0], f"{place}[0]")
    listing(_WORD, _MERSENNE + 1, _MERSENNE + 1)(value[1], f"{place}[1]")
    integer(0, _MERSENNE)(value[1][-1], f"{place}[1][{_MERSENNE}]")
    optional(_ANY_NUMBER)(value[2], f"{place}[2]")


def _numpy(value: Any, place: str) -> None:
    """The state of `numpy.random`, as `get_state(legacy=True)` gives it."""
    listing(PLAIN, 5, 5)(value, place)
    text(7, "MT19937", "MT19937")(value[0], f"{place}[0]")
    listing(_WORD, _MERSENNE, _MERSENNE)(value[1], f"{place}[1]")
    integer(0, _MERSENNE)(value[2], f"{place}[2]")
    integer(0, 1)(value[3], f"{place}[3]")
    _ANY_NUMBER(value[4], f"{place}[4]")


_WIDE = integer(0, 2**128 - 1)
_WORDS = record(
    {"array": listing(integer(0, 2**64 - 1), _MERSENNE, 1), "dtype": text(6, "uint(32|64)", "a type")}
)
_PCG = {"state": record({"state": _WIDE, "inc": _WIDE})}
_LEFT_OVER = {"has_uint32": integer(0, 1), "uinteger": _WORD}
_GENERATORS: Mapping[str, Mapping[str, Check]] = {
    "PCG64": {**_PCG, **_LEFT_OVER},
    "PCG64DXSM": {**_PCG, **_LEFT_OVER},
    "SFC64": {"state": record({"state": _WORDS}), **_LEFT_OVER},
    "MT19937": {"state": record({"key": _WORDS, "pos": integer(0, _MERSENNE)})},
    "Philox": {
        "state": record({"counter": _WORDS, "key": _WORDS}),
        "buffer": _WORDS,
        "buffer_pos": integer(0, 4),
        **_LEFT_OVER,
    },
}


def _generator(value: Any, place: str) -> None:
    """The state of an environment's random numbers: that of one of NumPy's generators, or of its author's."""
    name = value.get("bit_generator") if isinstance(value, dict) else None
    if not isinstance(name, str):
        raise Misfit(place, value, "the state of a random generator")
    if name in _GENERATORS:
        record({"bit_generator": _NAME, **_GENERATORS[name]})(value, place)
    else:  # NumPy's own do not take it
        mapping(_own, 100)(value, place)


_DTYPE = text(7, "bool|u?int(8|16|32|64)|float(16|32|64)", "a type of numbers")


def _array(value: Any, place: str) -> None:
    """An array as JSON values: its type, and its numbers in lists of lists."""
    record({"array": PLAIN, "dtype": _DTYPE})(value, place)
    try:
        np.array(value["array"], value["dtype"])
    except (ValueError, TypeError, OverflowError) as error:
        raise Misfit(f"{place}.array", value["array"], f"an array of {value['dtype']}") from error


def _own(value: Any, place: str) -> None:
    """What a vector environment of anyone's says of itself: plain values, arrays, states of generators."""
    if not isinstance(value, dict):
        PLAIN(value, place)
    elif set(value) == {"array", "dtype"}:
        _array(value, place)
    elif "bit_generator" in value:
        _generator(value, place)
    else:
        mapping(_own, 10_000)(value, place)


_VECTOR = record({"vector": _own, "totals": _array, "lengths": _array})


def _episode(value: Any, place: str) -> None:
    """Return, length and success of an episode."""
    listing(PLAIN, 3, 3)(value, place)
    for item, check in zip(value, (_ANY_NUMBER, _COUNT, optional(FLAG)), strict=True):
        check(item, place)


_RANDOM = record({"python": _python, "numpy": _numpy})


def _environment(value: Any, place: str) -> None:
    """Where an environment is, or a vector environment, which has one state for all."""
    state = value.get("generator") if isinstance(value, dict) else None
    check = _VECTOR if isinstance(state, dict) and "vector" in state else _generator
    record({"seed": _SEED, "generator": optional(check), "total": _ANY_NUMBER})(value, place)


_CONTENT = record(
    {
        "format": integer(1, 1),
        "settings": _SETTINGS,
        "counters": _COUNTERS,
        "random": _RANDOM,
        "environments": listing(_environment, _MOST_ENVS),
        "episodes": listing(_episode, 100),
    },
    {"others": listing(_RANDOM, 10_000)},
)


def check_settings(data: Any) -> None:
    """Check what a run was told, as `RunSettings.to_json` gives it.

    Raises:
        ValueError: It is something else; with a sentence.
    """
    _SETTINGS(data, "settings")


def check_content(content: Any, at_once: Collection[str]) -> None:
    """Check the values of a state, as `training_state.write_state` writes them.

    Args:
        content: As it was parsed.
        at_once: What `--vec-env` calls environments that are stepped at once, and have one state together.

    Raises:
        ValueError: It is something else; with a sentence.
    """
    if isinstance(content, dict) and isinstance(content.get("format"), int) and content["format"] > 1:
        raise ValueError(f"format {content['format']} is not one that this sb3port knows")
    _CONTENT(content, "")
    settings = content["settings"]
    count = settings.get("n_envs", 1) if settings.get("vec_env") in at_once else None
    _check_vector(content["environments"], count)


def _check_vector(environments: Sequence[Mapping[str, Any]], count: int | None) -> None:
    """Check that vector environments, one in each process, have states of theirs, together of so many."""
    states, found = [one["generator"] for one in environments if one["generator"]], 0
    for state in states:
        if ("vector" in state) != (count is not None):
            raise Misfit("environments", environments, "the state of what --vec-env steps")
        if count is not None:
            totals, lengths = (np.asarray(state[name]["array"]) for name in ("totals", "lengths"))
            found += len(totals) if totals.ndim == 1 and totals.shape == lengths.shape else -_MOST_ENVS
    if count is not None and states and found != count:
        raise Misfit("environments", environments, f"the state of {count} environments")


def check_arrays(arrays: Mapping[str, Any], count: int) -> None:
    """Check those arrays of a state that say where every environment is.

    Args:
        arrays: By name.
        count: How many environments there are.

    Raises:
        ValueError: One is absent, or is something else; with a sentence.
    """
    ended = arrays.get("ended")
    if ended is None or ended.shape != (count,) or ended.dtype != np.bool_:
        raise ValueError(f"it does not say of {count} environments which have ended")
    if "returns" in arrays and arrays["returns"].shape != (count,):
        raise ValueError(f"its returns are not those of {count} environments")
    for name, array in arrays.items():
        of_each = name.startswith(("observations.", "frames.")) or name in ("memory", "returns")
        if of_each and array.shape[:1] != (count,):
            raise ValueError(f"{name} is not of {count} environments")
        if of_each and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinite numbers")
