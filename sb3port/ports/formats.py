"""What the JSON files of a port may hold: every key, its type and its range.

`config.json` is LeRobot's, for policies of our types; `sb3port.json` is ours. A file that does not fit is
refused before anything else reads it.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sb3port.checkpoint.expressions import NAME, parse_expression
from sb3port.errors import NotPortable
from sb3port.families.algorithms import ALGORITHMS
from sb3port.files.port_files import FILE_NAMES
from sb3port.ports.lerobot_template import TYPE_PREFIX
from sb3port.ports.schema import (
    FLAG,
    PLAIN,
    SETTING,
    Check,
    Misfit,
    integer,
    kinds,
    listing,
    mapping,
    number,
    one_of,
    optional,
    record,
    text,
)

_INFINITY = float("inf")
# The types of LeRobot's under which policies of several networks are saved.
REPLAY_TYPES = tuple(f"{TYPE_PREFIX}{algorithm.key}" for algorithm in ALGORITHMS if not algorithm.trains_here)
_COUNT = integer(0, 2**53)
_ANY_NUMBER = number(-_INFINITY, _INFINITY)
_POSITIVE = number(0, _INFINITY)
_NAME, _PLACE, _SENTENCE = text(1000), text(4096), text(20_000)
_SETTINGS = mapping(SETTING, 1000)
_PLAIN_SETTINGS = mapping(PLAIN, 1000)
_SHA256 = text(64, "[0-9a-f]{64}", "a SHA-256")

_MAX_DIMENSIONS, _MAX_KEYS = 32, 1000
_SHAPE = listing(integer(0, 2**31), _MAX_DIMENSIONS)
_WIDTHS = listing(integer(1, 2**24), 10_000)
_DTYPES = (
    "bool",
    "float16",
    "float32",
    "float64",
    *(f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)),
)
MODES = ("IDENTITY", "MEAN_STD", "MIN_MAX", "QUANTILES", "QUANTILE10")
_FEATURES = ("STATE", "VISUAL", "ENV", "ACTION", "REWARD", "LANGUAGE")


def _bounds(value: Any, place: str) -> None:
    if not _are_bounds(value, 0):
        raise Misfit(place, value, "a number, or lists of numbers,")


def _are_bounds(value: Any, depth: int) -> bool:
    """Whether these are bounds of a Box: infinite ones are, NaN is not."""
    if isinstance(value, list):
        return depth < _MAX_DIMENSIONS and all(_are_bounds(item, depth + 1) for item in value)
    if isinstance(value, int):
        return abs(value) <= 2**64
    return isinstance(value, float) and not math.isnan(value)


def _numbers(value: Any, place: str) -> None:
    if not isinstance(value, list) or not _are_bounds(value, 0):
        raise Misfit(place, value, "a list of numbers")


def _expression(value: Any, place: str) -> None:
    try:
        parse_expression(value if isinstance(value, str) else "")
    except ValueError as error:
        raise Misfit(place, value, f"a formula in {NAME}") from error


_SIMPLE: Mapping[str, Check] = {
    "Box": record(
        {"type": PLAIN, "shape": _SHAPE, "dtype": one_of(*_DTYPES), "low": _bounds, "high": _bounds}
    ),
    "Discrete": record({"type": PLAIN, "n": integer(1, 2**31)}, {"start": integer(-(2**63), 2**63)}),
    "MultiDiscrete": record({"type": PLAIN, "nvec": _numbers}, {"start": _numbers}),
    "MultiBinary": record(
        {"type": PLAIN, "n": lambda n, place: _SHAPE(n if isinstance(n, list) else [n], place)}
    ),
}
_DICT = record({"type": PLAIN, "spaces": mapping(kinds("type", _SIMPLE), _MAX_KEYS)})
_SPACE = kinds("type", {**_SIMPLE, "Dict": _DICT})
_FEATURE = record({"type": one_of(*_FEATURES), "shape": _SHAPE})

# The fields of `PolicySpec` that tell what a policy computes.
_POLICY: Mapping[str, Check] = {
    "observation_space": _SPACE,
    "action_space": _SPACE,
    "features_extractor": text(500),
    "features_extractor_kwargs": mapping(PLAIN, 300),
    "share_features_extractor": FLAG,
    "net_arch": record({"pi": _WIDTHS}, {"vf": _WIDTHS, "shared": _WIDTHS, "qf": _WIDTHS}),
    "activation_fn": text(100),
    "ortho_init": FLAG,
    "normalize_images": FLAG,
    "use_sde": FLAG,
    "log_std_init": _ANY_NUMBER,
    "full_std": FLAG,
    "use_expln": FLAG,
    "sde_net_arch": optional(_WIDTHS),
    "squash_output": FLAG,
    "maskable": FLAG,
    "lstm_hidden_size": optional(integer(1, 2**24)),
    "n_lstm_layers": integer(1, 1000),
    "shared_lstm": FLAG,
    "enable_critic_lstm": FLAG,
}
# What `ReplaySpec` adds.
_REPLAY: Mapping[str, Check] = {
    "clip_mean": _ANY_NUMBER,
    "n_critics": integer(0, 1000),
    "n_quantiles": integer(0, 2**20),
    "batch_norm": FLAG,
    "batch_norm_momentum": _ANY_NUMBER,
    "batch_norm_eps": _ANY_NUMBER,
    "renorm_warmup_steps": _COUNT,
    "with_bias": FLAG,
    "exploration_rate": _ANY_NUMBER,
}
# What `lerobot.configs.policies.PreTrainedConfig` adds, and what `lerobot-train` takes for its optimiser.
_LEROBOT: Mapping[str, Check] = {
    "n_obs_steps": integer(1, 1000),
    "input_features": optional(mapping(_FEATURE, _MAX_KEYS + 1)),
    "output_features": optional(mapping(_FEATURE, _MAX_KEYS + 1)),
    "device": optional(text(20, r"([a-z]+)(:\d{1,3})?", "a device such as cuda:0")),
    "use_amp": FLAG,
    "use_peft": one_of(False),  # LeRobot would load adapters from where the file says
    "push_to_hub": FLAG,
    "repo_id": optional(_NAME),
    "private": optional(FLAG),
    "tags": optional(listing(_NAME, 1000)),
    "license": optional(_NAME),
    "pretrained_path": optional(_PLACE),
    "pretrained_revision": optional(_NAME),
    "normalization_mapping": mapping(one_of(*MODES), 20),
    "optimizer_lr": _POSITIVE,
    "optimizer_eps": _POSITIVE,
    "optimizer_grad_clip_norm": _POSITIVE,
}
_CONFIG = record(
    {
        "type": one_of("ppo", *REPLAY_TYPES),
        "observation_space": _SPACE,
        "action_space": _SPACE,
        "net_arch": _POLICY["net_arch"],
    },
    {**_POLICY, **_REPLAY, **_LEROBOT},
)

_SCHEDULE = kinds(
    "type",
    {
        "ConstantSchedule": record({"type": PLAIN, "val": _ANY_NUMBER}),
        "LinearSchedule": record(
            {"type": PLAIN, "start": _ANY_NUMBER, "end": _ANY_NUMBER, "end_fraction": _ANY_NUMBER}
        ),
        "SimpleLinearSchedule": record({"type": PLAIN, "initial_value": _ANY_NUMBER}),
        "ExpressionSchedule": record({"type": PLAIN, "expression": _expression}),
        "CustomSchedule": record({"type": PLAIN, "qualname": _NAME, "constants": listing(_ANY_NUMBER, 1000)}),
    },
)
_SCHEDULES = mapping(_SCHEDULE, 10)
_SOURCE_FILE = record({"name": _PLACE, "size": _COUNT, "sha256": _SHA256})
_SOURCE = record(
    {
        "kind": one_of("hub", "file", "folder", "training"),
        "location": _PLACE,
        "revision": optional(_NAME),
        "files": mapping(_SOURCE_FILE, 20),
    },
    {
        "sb3_version": optional(text(100)),
        "system_info": mapping(_SENTENCE, 1000),
        "ignored": mapping(_SENTENCE, 100_000),
        "pairing": _SENTENCE,
        "no_stats": FLAG,
        "assume_standard_forward": FLAG,
        "extractor": optional(text(500)),
        "base": text(300, r"([\w.-]+/[\w.-]+@\w+)?", "a repository with its commit"),
    },
)
_REWARDS = record({"mean": _ANY_NUMBER, "var": _POSITIVE, "count": _POSITIVE})
_NORMALIZER = record(
    {"norm_obs": FLAG, "ret_rms": optional(_REWARDS)},
    {
        "clip_obs": _POSITIVE,
        "clip_reward": _POSITIVE,
        "gamma": _POSITIVE,
        "epsilon": _POSITIVE,
        "norm_reward": FLAG,
        "channels_last": listing(_NAME, _MAX_KEYS),
    },
)
_WRAPPER = record({"name": text(500), "kwargs": _PLAIN_SETTINGS})
_ENVIRONMENT = record(
    {},
    {
        "env_id": optional(_NAME),
        "env_kwargs": _PLAIN_SETTINGS,
        "wrappers": listing(_WRAPPER, 100),
        "frame_stack": optional(integer(0, 100_000)),
        "sources": listing(_NAME, 100),
    },
)
_PORT = record(
    {
        "format": integer(1, 1000),
        "source": _SOURCE,
        "spec": record(
            {"algorithm": text(50), "assumed": listing(text(50), 100)},
            {**_POLICY, **_REPLAY},
        ),
        "normalizer": optional(_NORMALIZER),
        "training": record(
            {
                "schedules": _SCHEDULES,
                "hyperparameters": _SETTINGS,
                "optimizer_class": text(200),
                "optimizer_kwargs": _PLAIN_SETTINGS,
            },
            {"replay": _PLAIN_SETTINGS},
        ),
        "warnings": listing(_SENTENCE, 1000),
    },
    {
        "sb3port": text(100),
        "tensors": listing(_NAME, 100_000),
        "configured": optional(
            record(
                {"schedules": _SCHEDULES, "hyperparameters": _PLAIN_SETTINGS},
                {"normalize_kwargs": optional(_PLAIN_SETTINGS)},
            )
        ),
        "environment": optional(_ENVIRONMENT),
        "files": mapping(_SHA256, 100, text(300, FILE_NAMES, "the name of a file of a port")),
    },
)
_OPTIMIZER_GROUPS = listing(_PLAIN_SETTINGS, 1, 1)


def check_config(content: Any, path: Path) -> None:
    """Check what `config.json` holds.

    Raises:
        NotPortable: With the first thing that is not as it must be.
    """
    _check(_CONFIG, content, path)


def check_port_file(content: Any, path: Path) -> None:
    """Check what `sb3port.json` holds; errors are those of `check_config`."""
    _check(_PORT, content, path)


def check_optimizer_groups(content: Any, path: Path) -> None:
    """Check what `optimizer_param_groups.json` holds; errors are those of `check_config`."""
    _check(_OPTIMIZER_GROUPS, content, path)


def _check(check: Check, content: Any, path: Path) -> None:
    try:
        check(content, "")
    except ValueError as misfit:
        hint = "update sb3port if a newer one wrote it; else make the port anew from its source"
        raise NotPortable(f"{path} is damaged: {misfit}", hint) from misfit
