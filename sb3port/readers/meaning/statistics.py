"""The VecNormalize statistics of a checkpoint: of those that may be meant, what fits its observations."""

import shlex
from collections.abc import Mapping
from dataclasses import replace

from sb3port.checkpoint.checkpoint import Normalizer, PolicySpec, RunningMeanStd
from sb3port.checkpoint.frames import stack_of
from sb3port.checkpoint.spaces import Box, Dict, Simple, parts
from sb3port.errors import NotPortable, Unsafe, UsageError
from sb3port.readers.formats.archive import Archive
from sb3port.readers.meaning.frames import check_frames, frames_warning, shown_frames
from sb3port.readers.meaning.settings import Settings
from sb3port.readers.meaning.vecnormalize import ReadStatistics, read_vecnormalize
from sb3port.readers.places.layouts import contradict
from sb3port.readers.places.pairing import Evidence, listed
from sb3port.readers.places.source import Source

_MAX_RESETS = 16
_REMEDY = "name the right file with --vecnormalize PATH, or port the bare network with --no-stats"


def read_statistics(
    source: Source, archive: Archive, settings: Settings, spec: PolicySpec
) -> tuple[ReadStatistics | None, list[str]]:
    """Read the statistics that go with a policy, None where there are none.

    Returns:
        The statistics, and sentences a user should read before relying on them.

    Raises:
        UsageError: They are of another model or step, or several could be meant, or none are found although
            the zip or its settings show that there were some.
        NotPortable: They are damaged, or normalise what is no vector.
        Unsafe: The pickle would run something dangerous.
    """
    name = _choose(source, archive, settings, spec)
    if name is None:
        _refuse_missing(source, archive, settings)
        passed_over = source.statistics.names
        return None, [f"{name} holds statistics of other observations: not used" for name in passed_over]
    found = _read(name, source)
    check_statistics(found.normalizer, spec, source, name)
    stacks = check_frames(found.normalizer, spec, name)
    shown = shown_frames(stacks, archive, settings.config) if stacks else True
    may_be = _was_normalized(archive) or source.statistics.evidence is Evidence.GIVEN
    if shown is False or (shown is None and not may_be):
        seen, frame = next((parts(spec.observation_space)[key].shape, s.frame) for key, s in stacks.items())
        _refuse(source, name, f"are of shape {frame}, but the model observes {seen}")
    of_frames = [frames_warning(stacks, name)] if shown is None else []
    return found, [*of_frames, *_warnings(found, source, archive)]


def _choose(source: Source, archive: Archive, settings: Settings, spec: PolicySpec) -> str | None:
    """Choose the pickle that fits; one that must be meant is chosen anyway, to be told why it does not."""
    names, evidence = source.statistics.names, source.statistics.evidence
    if len(names) == 1 and evidence is not Evidence.CONTENT:
        return names[0]
    fitting = [name for name in names if _fits(name, spec, source, archive, settings)]
    if len(fitting) > 1:
        _refuse_several(fitting, source, archive)
    meant = fitting if evidence is Evidence.CONTENT else (*fitting, *names)
    return next(iter(meant), None)


def _read(name: str, source: Source) -> ReadStatistics:
    found = read_vecnormalize(source.path(name))
    return replace(found, file=replace(found.file, name=name))


def _fits(name: str, spec: PolicySpec, source: Source, archive: Archive, settings: Settings) -> bool:
    """Whether statistics fit; those of single frames must be shown to do so."""
    try:
        normalizer = _read(name, source).normalizer
        check_statistics(normalizer, spec, source, name)
        stacks = check_frames(normalizer, spec, name)
    except Unsafe:
        raise
    except (UsageError, NotPortable):
        return False
    return not stacks or shown_frames(stacks, archive, settings.config) is True


def _refuse_several(names: list[str], source: Source, archive: Archive) -> None:
    agreeing = [name for name in names if _agrees(_read(name, source).normalizer, archive)]
    example = f"--vecnormalize {shlex.quote((agreeing or names)[0])}"
    why = ", which has seen as many steps as the model" if len(agreeing) == 1 else ""
    raise UsageError(
        f"{source.label} holds several statistics that {source.checkpoint.shown} could have: {listed(names)}",
        f"name one of them, for example: {example}{why}; or port the bare network with --no-stats",
    )


def _refuse_missing(source: Source, archive: Archive, settings: Settings) -> None:
    config = settings.config
    if config is not None and config.normalize:
        needed = config.normalizes_observations
    else:
        needed = _was_normalized(archive)
    if needed:
        raise UsageError(
            f"{source.label} was trained with VecNormalize, but no statistics (vec_normalize.pkl) are there",
            "name the file with --vecnormalize PATH, or port the bare network with --no-stats",
        )


def _was_normalized(archive: Archive) -> bool:
    """`_last_original_obs` is set only when a VecNormalize wraps the environment, if only for rewards."""
    return archive.data.get("_last_original_obs") is not None


def _warnings(found: ReadStatistics, source: Source, archive: Archive) -> list[str]:
    name, warnings = found.file.name, [*found.warnings, *_steps_apart(found, source, archive)]
    if not _was_normalized(archive):
        # The zip of a training without VecNormalize looks like this, and so do a few of one with it.
        warnings.append(
            "the zip does not show that VecNormalize was used in training, but its statistics are applied"
        )
    if source.statistics.evidence is Evidence.CONTENT:
        warnings.append(f"{name} is taken for its statistics: no other pickle fits the observations")
    return warnings


def _steps_apart(found: ReadStatistics, source: Source, archive: Archive) -> list[str]:
    """Compare what names and counts say about when zip and statistics were saved."""
    name, zipped = found.file.name, source.checkpoint.shown
    if contradict(source.checkpoint, name) and source.statistics.evidence is not Evidence.GIVEN:
        raise UsageError(f"{name} holds the statistics of another step than that of {zipped}", _REMEDY)
    seen, steps = _count(found.normalizer), archive.data.get("num_timesteps")
    if seen is not None and isinstance(steps, int) and not _agrees(found.normalizer, archive):
        return [
            f"{name} may be of another step than {zipped}: it has seen {seen:,.0f} observations, and the "
            f"model was trained for {steps:,} steps"
        ]
    return []


def _agrees(normalizer: Normalizer, archive: Archive) -> bool:
    """Whether statistics were saved with the model: they count its steps, and an observation per reset."""
    seen, steps, n_envs = _count(normalizer), archive.data.get("num_timesteps"), archive.data.get("n_envs")
    if seen is None or not isinstance(steps, int):
        return False
    return abs(seen - steps) <= _MAX_RESETS * (n_envs if isinstance(n_envs, int) else 1)


def _count(normalizer: Normalizer) -> float | None:
    """Give how many observations the statistics have seen, None where observations are not normalised."""
    return next((rms.count for rms in normalizer.statistics.values()), None)


def check_statistics(normalizer: Normalizer, spec: PolicySpec, source: Source, name: str) -> None:
    """Make sure that statistics, those in the file `name`, are of the policy's observations.

    Raises:
        UsageError: They are of another model: of other keys or shapes.
        NotPortable: They normalise what is no vector.
    """
    statistics = normalizer.statistics
    spaces = parts(spec.observation_space)
    if isinstance(spec.observation_space, Dict) != isinstance(normalizer.obs_rms, Mapping) and statistics:
        _refuse(source, name, "are not of a Dict where the model's are, or the other way round")
    unknown = [key for key in statistics if key not in spaces]
    if unknown:
        _refuse(source, name, f"are of the keys {', '.join(unknown)[:500]}, which the model does not observe")
    for key, rms in statistics.items():
        _check_shape(key, rms, spaces[key], source, name)


def _check_shape(key: str, rms: RunningMeanStd, space: Simple, source: Source, name: str) -> None:
    if not isinstance(space, Box) or space.is_image:
        raise NotPortable(
            f"{name} normalises observations of {str(space)[:500]}, which is not supported",
            "with images, SB3 wants norm_obs_keys without them; port the bare network with --no-stats",
        )
    if rms.mean.shape != space.shape and stack_of(rms.mean.shape, space.shape) is None:
        named = f" under {key!r}" if key else ""
        _refuse(source, name, f"are of shape {rms.mean.shape}{named}, but the model observes {space.shape}")


def _refuse(source: Source, name: str, how: str) -> None:
    raise UsageError(
        f"the observations that {name} normalises {how}: it belongs to another model than {source.label}",
        _REMEDY,
    )
