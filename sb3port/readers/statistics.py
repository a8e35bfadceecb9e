"""Do VecNormalize statistics belong to a checkpoint? Keys and shapes must be those of its observations."""

from collections.abc import Mapping

from sb3port.checkpoint import Normalizer, PolicySpec, RunningMeanStd
from sb3port.errors import NotPortable, UsageError
from sb3port.readers.source import Source
from sb3port.spaces import Box, Dict, Simple, parts


def check_statistics(normalizer: Normalizer, spec: PolicySpec, source: Source) -> None:
    """Make sure that statistics are those of the policy's observations.

    Raises:
        UsageError: They are of another model: of other keys or shapes.
        NotPortable: They normalise what is no vector.
    """
    statistics = normalizer.statistics
    spaces = parts(spec.observation_space)
    if isinstance(spec.observation_space, Dict) != isinstance(normalizer.obs_rms, Mapping) and statistics:
        _refuse(source, "are not of a Dict where the model's are, or the other way round")
    unknown = [key for key in statistics if key not in spaces]
    if unknown:
        _refuse(source, f"are of the keys {', '.join(unknown)[:500]}, which the model does not observe")
    for key, rms in statistics.items():
        _check_shape(key, rms, spaces[key], source)


def _check_shape(key: str, rms: RunningMeanStd, space: Simple, source: Source) -> None:
    if not isinstance(space, Box) or space.is_image:
        raise NotPortable(
            f"{source.statistics_name} normalises observations of {str(space)[:500]}, which is not supported",
            "with images, SB3 wants norm_obs_keys without them; port the bare network with --no-stats",
        )
    if rms.mean.shape != space.shape:
        named = f" under {key!r}" if key else ""
        _refuse(source, f"are of shape {rms.mean.shape}{named}, but the model observes {space.shape}")


def _refuse(source: Source, how: str) -> None:
    raise UsageError(
        f"the observations that {source.statistics_name} normalises {how}: it belongs to another model than "
        f"{source.label}",
        "name the right file with --vecnormalize PATH, or port the bare network with --no-stats",
    )
