"""The features extractor of a policy as a torch module: one of the registry, or the user's own."""

from typing import TYPE_CHECKING

from torch import nn

from sb3port.checkpoint.checkpoint import PolicySpec
from sb3port.errors import NotPortable
from sb3port.families.extractors import extractor_of, is_own
from sb3port.networks.own_extractors import make_own

if TYPE_CHECKING:
    from sb3port.families.extractors import Extractor


def make_extractor(spec: PolicySpec) -> nn.Module:
    """Make a features extractor, with SB3's random numbers.

    Args:
        spec: Names it, its arguments, and what it observes.

    Returns:
        A module whose `features_dim` is the width of what it gives.

    Raises:
        ValueError: There is no such extractor, or it does not fit the observations or its arguments, or it is
            one of the user's own that the user has not registered.
    """
    if is_own(spec.features_extractor):
        own: nn.Module = make_own(
            spec.features_extractor, spec.observation_space, spec.features_extractor_kwargs
        )
        return own
    try:
        return _make(extractor_of(spec.features_extractor, {}), spec)
    except NotPortable as error:
        why = f"{error.message} ({error.hint})" if error.hint else error.message
        raise ValueError(f"features_extractor is {spec.features_extractor!r}: {why}.") from error


def _make(extractor: "Extractor", spec: PolicySpec) -> nn.Module:
    given = spec.features_extractor_kwargs
    if unknown := set(given) - set(extractor.arguments):
        raise ValueError(
            f"features_extractor_kwargs has {sorted(unknown)}, which {extractor.name} does not take."
        )
    seen = (spec.observation_space, given, spec.normalize_images)
    module = extractor.build(*seen)
    module.features_dim = extractor.features(*seen)  # type: ignore[assignment]  # as SB3's have it
    return module
