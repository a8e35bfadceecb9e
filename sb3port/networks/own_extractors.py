"""Features extractors whose code is the user's own.

A configuration names one as `module:Class`. What a file names is never imported by itself, because the file
may be a stranger's: `register_extractor`, or the variable LEROBOT_POLICY_PPO_EXTRACTORS for commands, says
that the user wants it.
"""

import importlib
import os
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from sb3port.checkpoint.spaces import Space
from sb3port.families.extractors.own import VARIABLE

_registered: dict[str, Callable[..., Any]] = {}


def register_extractor(name: str, cls: Callable[..., Any] | None = None) -> None:
    """Let policies use a features extractor of your own.

    It is called as SB3 calls it, `cls(observation_space, **features_extractor_kwargs)`, and gives a torch
    module with `features_dim`, which takes preprocessed observations: float32 `(B, *shape)`, images
    `(B, C, H, W)`, for a Dict a dictionary of them. It need not be built on SB3's `BaseFeaturesExtractor`,
    nor then SB3 be there where the policy runs.

    Args:
        name: As configurations name it, `module:Class`.
        cls: The class; None imports the one of that name.

    Raises:
        ValueError: It is not `module:Class`, or there is no such class.
    """
    _registered[name] = _imported(name) if cls is None else cls


def registered_extractor(name: str) -> Callable[..., Any]:
    """The class of a name that the user has registered, or allowed by LEROBOT_POLICY_PPO_EXTRACTORS.

    Raises:
        ValueError: The user has not, or there is no such class.
    """
    if name not in _registered:
        if name not in os.environ.get(VARIABLE, "").split(","):
            raise ValueError(
                f"The policy needs the features extractor {name!r}, whose code is not in this package. If "
                f"you trust it, call lerobot_policy_ppo.register_extractor({name!r}) before, or set "
                f"{VARIABLE}={name}."
            )
        register_extractor(name)
    return _registered[name]


def allowed_extractors() -> list[str]:
    """Name the extractors that the user has registered, or allowed by LEROBOT_POLICY_PPO_EXTRACTORS."""
    return [*filter(None, dict.fromkeys((*os.environ.get(VARIABLE, "").split(","), *_registered)))]


def make_own(name: str, space: Space, kwargs: Mapping[str, Any]) -> Any:
    """Make the extractor of a name as SB3 makes it.

    Args:
        name: `module:Class`.
        space: The observation space.
        kwargs: `features_extractor_kwargs`.

    Raises:
        ValueError: The user has not allowed it, or it cannot be made, or it is no features extractor.
    """
    from sb3port.networks.gymnasium_spaces import policy_space

    cls = registered_extractor(name)
    try:
        made = cls(policy_space(space), **kwargs)
    except Exception as error:  # it is not ours, and may raise anything
        raise ValueError(f"The features extractor {name!r} cannot be made: {error!r}.") from error
    if not isinstance(made, nn.Module) or not isinstance(getattr(made, "features_dim", None), int):
        raise ValueError(f"{name!r} is no features extractor, a torch module with features_dim.")
    return made


def _imported(name: str) -> Callable[..., Any]:
    module, _, path = name.partition(":")
    if not module or not path:
        raise ValueError(f"{name!r} does not name a class, as module:Class does.")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except Exception as error:  # whatever the module raises
        raise ValueError(f"The features extractor {name!r} cannot be imported: {error}") from error
    return found
