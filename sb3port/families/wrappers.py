"""The wrappers of environments that we have, by the names that rl_zoo3's files give them.

A name from a file is looked up here and nowhere else: it is never imported.
"""

from dataclasses import dataclass

from sb3port.checkpoint.checkpoint import EnvironmentSpec, Wrapper

_ZOO = ("rl_zoo3", "utils")  # utils: before rl_zoo3 was a package
_GYM = ("gymnasium", "gym")
_SB3 = ("stable_baselines3",)


@dataclass(frozen=True)
class _Known:
    """Of which packages a class is, and what does the same in `sb3port.environments.wrappers`.

    Args:
        ours: None where nothing needs to be done.
    """

    packages: tuple[str, ...]
    ours: str | None


_KNOWN = {
    "TimeFeatureWrapper": _Known(("sb3_contrib", *_ZOO), "TimeFeature"),
    "FrameSkip": _Known(_ZOO, "FrameSkip"),
    "MaskVelocityWrapper": _Known(_ZOO, "MaskVelocity"),
    "YAMLCompatResizeObservation": _Known(_ZOO, "ResizeObservation"),
    "VecFrameStack": _Known(_SB3, "FrameStack"),
    "Monitor": _Known(_SB3, None),
    "VecMonitor": _Known(_SB3, None),
    "VecTransposeImage": _Known(_SB3, None),
    "FlattenObservation": _Known(_GYM, "FlattenObservation"),
    "GrayscaleObservation": _Known(_GYM, "GrayscaleObservation"),
    "GrayScaleObservation": _Known(_GYM, "GrayscaleObservation"),
    "RescaleAction": _Known(_GYM, "RescaleAction"),
    "ResizeObservation": _Known(_GYM, "ResizeObservation"),
    "TimeLimit": _Known(_GYM, "TimeLimit"),
}


def applied(environment: EnvironmentSpec) -> tuple[Wrapper, ...]:
    """List what we put around an environment for it, innermost first, by our names."""
    ours = tuple(
        Wrapper(known.ours, wrapper.kwargs)
        for wrapper in environment.wrappers
        if (known := _known(wrapper)) is not None and known.ours is not None
    )
    stack = environment.frame_stack
    return (*ours, Wrapper("FrameStack", {"n_stack": stack})) if stack else ours


def unknown(environment: EnvironmentSpec) -> list[str]:
    """List the names of the wrappers that we do not have."""
    return [wrapper.name for wrapper in environment.wrappers if _known(wrapper) is None]


def wrapper_warnings(environment: EnvironmentSpec) -> list[str]:
    """Say in a sentence which wrappers are not applied."""
    names = unknown(environment)
    if not names:
        return []
    are = "are" if len(names) > 1 else "is"
    return [f"trained behind {', '.join(names)}, which {are} not applied: returns will differ"]


def _known(wrapper: Wrapper) -> _Known | None:
    package, _, rest = wrapper.name.partition(".")
    known = _KNOWN.get(rest.rpartition(".")[2])
    return known if known is not None and package in known.packages else None
