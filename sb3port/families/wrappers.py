"""The wrappers of environments that we have, by the names that files give them.

A name from a file is looked up here and nowhere else: it is never imported.
"""

import json
from dataclasses import dataclass

from sb3port.checkpoint.checkpoint import EnvironmentSpec, Wrapper

_OURS = "sb3port"
_ZOO = ("rl_zoo3", "utils")  # utils: before rl_zoo3 was a package
_GYM = ("gymnasium", "gym")
_SB3 = ("stable_baselines3",)
FRAME_STACK = "FrameStack"


@dataclass(frozen=True)
class _Known:
    """Of which packages a class is, and what does the same in `sb3port.environments.wrappers`.

    Args:
        ours: None where nothing needs to be done.
    """

    packages: tuple[str, ...]
    ours: str | None


# Of Gymnasium's those that are told all by their arguments, and touch nothing beside the environment.
_GYMNASIUMS = (
    "AtariPreprocessing",
    "ClipAction",
    "ClipReward",
    "DelayObservation",
    "FilterObservation",
    "FlattenObservation",
    "FrameStackObservation",
    "GrayscaleObservation",
    "MaxAndSkipObservation",
    "RescaleAction",
    "RescaleObservation",
    "ReshapeObservation",
    "ResizeObservation",
    "StickyAction",
    "TimeAwareObservation",
    "TimeLimit",
)
_KNOWN = {
    "TimeFeatureWrapper": _Known(("sb3_contrib", *_ZOO), "TimeFeature"),
    "FrameSkip": _Known(_ZOO, "FrameSkip"),
    "MaskVelocityWrapper": _Known(_ZOO, "MaskVelocity"),
    "YAMLCompatResizeObservation": _Known(_ZOO, "ResizeObservation"),
    "VecFrameStack": _Known(_SB3, FRAME_STACK),
    "Monitor": _Known(_SB3, None),
    "VecMonitor": _Known(_SB3, None),
    "VecTransposeImage": _Known(_SB3, None),
    "GrayScaleObservation": _Known(_GYM, "GrayscaleObservation"),
    **{name: _Known(_GYM, name) for name in _GYMNASIUMS},
}
_NAMES = {known.ours for known in _KNOWN.values() if known.ours}


def own_name(ours: str) -> str:
    """Give the name under which a wrapper of ours is noted, as dotted as those of all others."""
    return f"{_OURS}.environments.wrappers.{ours}"


def known_name(name: str) -> str | None:
    """Give the noted name of a wrapper that a user calls by one word: by ours, or by that of its class."""
    if name in _NAMES:
        return own_name(name)
    known = _KNOWN.get(name)
    return own_name(known.ours) if known is not None and known.ours else None


def is_own(wrapper: Wrapper) -> bool:
    """Whether it is a class of the user's, `module:Class`, which only the user's word imports."""
    return ":" in wrapper.name


def wrapper_text(wrapper: Wrapper) -> str:
    """Give a wrapper as the option `--wrapper` takes it."""
    name = wrapper.name.removeprefix(own_name(""))
    return f"{name}:{json.dumps(dict(wrapper.kwargs))}" if wrapper.kwargs else name


def applied(environment: EnvironmentSpec) -> tuple[Wrapper, ...]:
    """List what goes around an environment, innermost first: by our names, or the user's `module:Class`."""
    wrappers = tuple(
        Wrapper(ours, wrapper.kwargs)
        for wrapper in environment.wrappers
        if (ours := wrapper.name if is_own(wrapper) else _ours(wrapper)) is not None
    )
    stack = environment.frame_stack or 1
    return (*wrappers, Wrapper(FRAME_STACK, {"n_stack": stack})) if stack > 1 else wrappers


def unknown(environment: EnvironmentSpec) -> list[str]:
    """List the names of the wrappers that we do not have, and that are no code of the user's."""
    return [w.name for w in environment.wrappers if not is_own(w) and not _is_known(w)]


def wrapper_warnings(environment: EnvironmentSpec) -> list[str]:
    """Say in a sentence which wrappers are not applied."""
    names = unknown(environment)
    if not names:
        return []
    are = "are" if len(names) > 1 else "is"
    return [f"trained behind {', '.join(names)}, which {are} not applied: returns will differ"]


def _is_known(wrapper: Wrapper) -> bool:
    package, _, rest = wrapper.name.partition(".")
    name = rest.rpartition(".")[2]
    if package == _OURS:
        return name in _NAMES
    return name in _KNOWN and package in _KNOWN[name].packages


def _ours(wrapper: Wrapper) -> str | None:
    """Give our name of a wrapper, None where we do not have it, or where nothing needs to be done."""
    if not _is_known(wrapper):
        return None
    name = wrapper.name.rpartition(".")[2]
    return name if wrapper.name.startswith(f"{_OURS}.") else _KNOWN[name].ours
