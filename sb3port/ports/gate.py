"""The gate before LeRobot: the processors of a port must be exactly those that we would write.

LeRobot imports and calls whatever class `policy_preprocessor.json` names, with the arguments it gives, and
some of its registered steps load code, too. So nothing of LeRobot's reads these files before this has: steps,
their order, their keys and the names of their state files follow from what the policy computes. Values may
differ within their ranges, as LeRobot itself changes some when it saves.
"""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Normalizer, PolicySpec, RunningMeanStd
from sb3port.checkpoint.spaces import parts
from sb3port.errors import NotPortable, Unsafe
from sb3port.families.features import batch_key
from sb3port.files.port_files import POSTPROCESSOR_FILE, PREPROCESSOR_FILE
from sb3port.files.untrusted import read_json
from sb3port.ports.formats import MODES
from sb3port.ports.lerobot_template import postprocessor_json, preprocessor_json

_VEC_NORMALIZE = "sb3port_vec_normalize"
_DEVICE = re.compile(r"(cpu|mps|(cuda|xpu)(:\d{1,3})?)")
_DTYPES = frozenset({"float16", "float32", "float64", "bfloat16", "half", "float", "double"})
_ANY = Normalizer(RunningMeanStd(np.zeros(()), np.ones(()), 1.0), None)
# Which of them the step has hangs on the statistics; ports of before had none.
_OPTIONAL = frozenset({"shapes"})
# LeRobot's own normalisers have a state after `lerobot-train`.
_WITH_STATE = frozenset({"normalizer_processor", "unnormalizer_processor"})


def check_processors(folder: Path, spec: PolicySpec, normalizes: bool | None = None) -> None:
    """Refuse a port whose processors are not those of its policy.

    Args:
        folder: The port, or a policy of type `ppo` that LeRobot saved.
        spec: What its `config.json` says.
        normalizes: Whether it has statistics of observations; None to take what the file says.

    Raises:
        Unsafe: A step, a key or a file name is not what we write; the difference is named.
        NotPortable: A file is absent, or no JSON.
    """
    found, after = (
        read_json(folder / name, within=folder) for name in (PREPROCESSOR_FILE, POSTPROCESSOR_FILE)
    )
    if normalizes is None:
        normalizes = _VEC_NORMALIZE in _names(found)
    _check(folder / PREPROCESSOR_FILE, found, _expected(spec, normalizes))
    _check(folder / POSTPROCESSOR_FILE, after, postprocessor_json(spec))


def _expected(spec: PolicySpec, normalizes: bool) -> dict[str, Any]:
    """Give the preprocessor that we write, with the shapes of all observations."""
    content = preprocessor_json(spec, _ANY if normalizes else None)
    spaces = parts(spec.observation_space)
    shapes = {batch_key(name, space): list(space.shape) for name, space in spaces.items()}
    for step in content["steps"]:
        if step["registry_name"] == _VEC_NORMALIZE:
            step["config"]["shapes"] = shapes
    return content


def _names(pipeline: Any) -> list[Any]:
    steps = pipeline.get("steps") if isinstance(pipeline, dict) else None
    rows = steps if isinstance(steps, list) else []
    return [step.get("registry_name") for step in rows if isinstance(step, dict)]


def _check(path: Path, found: Any, expected: Mapping[str, Any]) -> None:
    if not isinstance(found, dict) or not isinstance(found.get("steps"), list):
        raise NotPortable(f"{path} is damaged: it has no steps")
    if difference := _difference(found, expected):
        hint = "LeRobot imports and calls what this file names; port the checkpoint anew from its source"
        raise Unsafe(f"{path} is not what sb3port writes: {difference}", hint)


def _difference(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """Say in a few words what differs, empty where nothing does that matters."""
    if set(found) != {"name", "steps"} or found["name"] != expected["name"]:
        return f"it has not just a name, {expected['name']!r}, and steps"
    if len(found["steps"]) != len(expected["steps"]):
        wanted = [step["registry_name"] for step in expected["steps"]]
        return f"its steps are {_shown(_names(found))} instead of {wanted}"
    for number, (step, wanted) in enumerate(zip(found["steps"], expected["steps"], strict=True)):
        if wrong := _step_difference(step, wanted, f"{expected['name']}_step_{number}"):
            return f"step {number}: {wrong}"
    return ""


def _step_difference(step: Any, expected: Mapping[str, Any], prefix: str) -> str:
    name = expected["registry_name"]
    if not isinstance(step, dict) or step.get("registry_name") != name:
        return f"{_shown(step)} instead of {name!r}"
    if odd := set(step) - {"registry_name", "config", "state_file"}:
        return f"the key {_shown(min(odd, key=str))}"
    state_file = f"{prefix}_{name}.safetensors" if name in {*_WITH_STATE, _VEC_NORMALIZE} else None
    is_needed = "state_file" in expected
    if step.get("state_file") != state_file and (is_needed or "state_file" in step):
        return f"its state lies in {_shown(step.get('state_file'))} instead of {state_file!r}"
    config = step.get("config")
    if not isinstance(config, dict) or set(config) | _optional(expected) != set(expected["config"]):
        return f"its arguments are {_shown(config)} instead of {sorted(expected['config'])}"
    wrong = [key for key, value in config.items() if not _RANGES[key](value, expected["config"][key])]
    return f"{wrong[0]} is {_shown(config[wrong[0]])}" if wrong else ""


def _optional(expected: Mapping[str, Any]) -> frozenset[str]:
    return _OPTIONAL & set(expected["config"])


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _is_number(value: Any) -> bool:
    return _is_real(value) and math.isfinite(value)


def _is_positive(value: Any, _: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_limit(value: Any, _: Any) -> bool:
    """Whether something can be clipped at it; at infinity it is not clipped."""
    return _is_real(value) and value >= 0


def _are_shapes(value: Any, expected: Mapping[str, Any]) -> bool:
    """Whether they are those of observations, of which not all need be there."""
    return isinstance(value, dict) and all(expected.get(key) == shape for key, shape in value.items())


def _is_rename_map(value: Any, _: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in value.values())


def _is_device(value: Any, _: Any) -> bool:
    return isinstance(value, str) and _DEVICE.fullmatch(value) is not None


def _is_float_dtype(value: Any, _: Any) -> bool:
    return value is None or (isinstance(value, str) and value in _DTYPES)


def _is_norm_map(value: Any, expected: Mapping[str, Any]) -> bool:
    return isinstance(value, dict) and set(value) <= set(expected) and set(value.values()) <= set(MODES)


def _is_bound(value: Any, expected: Any) -> bool:
    """Whether it is one number or a list of as many, as the action space has them; they may be infinite."""
    if isinstance(expected, list):
        return isinstance(value, list) and len(value) == len(expected) and all(map(_is_real, value))
    return _is_real(value)


def _is_real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_same(value: Any, expected: Any) -> bool:
    return bool(value == expected)


_RANGES: Mapping[str, Callable[[Any, Any], bool]] = {
    "rename_map": _is_rename_map,
    "clip_obs": _is_limit,
    "epsilon": _is_positive,
    "shapes": _are_shapes,
    "device": _is_device,
    "float_dtype": _is_float_dtype,
    "eps": _is_positive,
    "features": _is_same,
    "norm_map": _is_norm_map,
    "low": _is_bound,
    "high": _is_bound,
    "dtype": _is_same,
}
