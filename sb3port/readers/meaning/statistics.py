"""The VecNormalize statistics of a checkpoint: of those that may be meant, what fits its observations."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath

from sb3port.checkpoint.checkpoint import Normalizer, PolicySpec, RunningMeanStd
from sb3port.checkpoint.frames import Stack, stack_of
from sb3port.checkpoint.spaces import Box, Dict, Simple, parts
from sb3port.errors import NotPortable, Sb3portError, Unsafe, UsageError
from sb3port.readers.formats.archive import Archive
from sb3port.readers.meaning.frames import check_frames, frames_warning, shown_frames
from sb3port.readers.meaning.ranking import Ask, Evidence, LeaveOut, Missing, Steps, Take, Use, decide
from sb3port.readers.meaning.settings import Settings
from sb3port.readers.meaning.vecnormalize import ReadStatistics, read_vecnormalize
from sb3port.readers.places.nearby import Near
from sb3port.readers.places.pairing import listed
from sb3port.readers.places.source import Source
from sb3port.readers.places.words import Relation

_MAX_RESETS = 16
_REMEDY = "name the right file with --vecnormalize PATH, or port the bare network with --no-stats"


def read_statistics(
    source: Source, archive: Archive, settings: Settings, spec: PolicySpec, words: tuple[str, ...] = ()
) -> tuple[ReadStatistics | None, str, list[str]]:
    """Read the statistics that go with a policy, None where there are none.

    Args:
        source: Where they may be.
        archive: The zip.
        settings: What lies beside it.
        spec: The policy.
        words: Options of the command line that reading it needs, for the commands in hints.

    Returns:
        The statistics, a sentence on why these or none, and what a user should read before relying on them.

    Raises:
        UsageError: They are of another model, or several could be meant, or none are found although the zip
            or its settings show that there were some.
        NotPortable: They are damaged, or normalise what is no vector.
        Unsafe: The pickle would run something dangerous.
    """
    if source.statistics.given:
        found = _read(source.statistics.near[0], source)
        check_statistics(found.normalizer, spec, source, found.file.name)
        guess = _guess(found, *_frames(found, archive, settings, spec))
        return found, f"{_called(found)}, as given", [*guess, *_warnings(found, source, archive)]
    read = _Candidates(source, archive, settings, spec)
    match decide(_use(archive, settings), read.evidence):
        case Take(evidence, why):
            found = read.found[evidence.near.name]
            guess = read.guesses[evidence.near.name]
            return found, why, [*guess, *_warnings(found, source, archive, evidence.near)]
        case LeaveOut(why):
            return None, why, [why] if why else []
        case Ask(several):
            raise _several(several, source, words)
        case Missing(nearest):
            raise _missing(nearest, read, source, words)


class _Candidates:
    """The pickles that may be meant, each read.

    Args:
        source, archive, settings, spec: As in `read_statistics`.
    """

    def __init__(self, source: Source, archive: Archive, settings: Settings, spec: PolicySpec) -> None:
        self.found: dict[str, ReadStatistics] = {}
        self.guesses: dict[str, list[str]] = {}
        self.errors: dict[str, Sb3portError] = {}
        # What is said of those that do not fit is kept in the port, which tells no path of this machine.
        self._source = replace(source, label=source.checkpoint.shown)
        self._archive, self._settings, self._spec = archive, settings, spec
        every = [self._look(near) for near in source.statistics.near]
        # Frames that nothing shows but a shape are believed only where no whole observation fits.
        sure = [e for e in every if not e.misfit and not self.guesses[e.near.name]]
        self.evidence = [e for e in every if e.misfit or e in sure] if sure else every

    def _look(self, near: Near) -> Evidence:
        archive = self._archive
        try:
            found = _read(near, self._source)
            check_statistics(found.normalizer, self._spec, self._source, near.name)
            stacks, shown = _frames(found, archive, self._settings, self._spec)
            self._check_shown(found, stacks, shown)
        except Unsafe:
            raise
        except (UsageError, NotPortable) as error:
            self.errors[near.name] = error
            return Evidence(near, misfit=error.message)
        self.found[near.name], self.guesses[near.name] = found, _guess(found, stacks, shown)
        apart = _steps_apart(found.normalizer, archive)
        if apart is None:
            return Evidence(near, digest=found.file.sha256)
        steps = Steps.AGREE if apart <= _tolerance(archive) else Steps.DIFFER
        return Evidence(near, steps, apart, digest=found.file.sha256)

    def _check_shown(self, found: ReadStatistics, stacks: Mapping[str, Stack], shown: bool | None) -> None:
        """Refuse statistics of one frame where the zip shows others, or no VecNormalize at all."""
        if shown is False or (shown is None and not _was_normalized(self._archive)):
            key, stack = next(iter(stacks.items()))
            seen = parts(self._spec.observation_space)[key].shape
            differ = f"are of shape {stack.frame}, but the model observes {seen}"
            _refuse(self._source, found.file.name, differ)


def _read(near: Near, source: Source) -> ReadStatistics:
    found = read_vecnormalize(source.path(near.name))
    return replace(found, file=replace(found.file, name=near.name))


def _frames(
    found: ReadStatistics, archive: Archive, settings: Settings, spec: PolicySpec
) -> tuple[Mapping[str, Stack], bool | None]:
    """Give the stacks by key, and whether it is shown that there are some; None where nothing tells."""
    stacks = check_frames(found.normalizer, spec, found.file.name)
    return stacks, shown_frames(stacks, archive, settings.config) if stacks else True


def _guess(found: ReadStatistics, stacks: Mapping[str, Stack], shown: bool | None) -> list[str]:
    """Say that statistics are taken for those of single frames, where nothing but their shape tells it."""
    return [frames_warning(stacks, found.file.name)] if shown is None else []


def _use(archive: Archive, settings: Settings) -> Use:
    """Tell what shows that VecNormalize was used, if only for rewards, and whether for observations."""
    shown, config = _was_normalized(archive), settings.config
    if config is not None and config.normalize:
        return Use("the zip" if shown else "config.yml", config.normalizes_observations)
    silent = archive.data.get("_last_obs") is None or (_replays(archive) and config is None)
    return Use("the zip" if shown else "", shown, silent)


def _was_normalized(archive: Archive) -> bool:
    """`_last_original_obs` is set only when a VecNormalize wraps the environment, if only for rewards.

    An algorithm that learns from replayed steps always sets it, so that its zips show nothing.
    """
    return archive.data.get("_last_original_obs") is not None and not _replays(archive)


def _replays(archive: Archive) -> bool:
    return "learning_starts" in archive.data


def _several(several: Sequence[Evidence], source: Source, words: tuple[str, ...]) -> UsageError:
    names = listed([evidence.near.name for evidence in several])
    best = several[0]
    nearer = all(best.apart < other.apart for other in several[1:])
    why = ", which is nearest to the model in steps" if nearer else ""
    command = source.command(*words, "--vecnormalize", source.from_here(best.near.name))
    return UsageError(
        f"{source.label} has several statistics that {source.checkpoint.shown} could have: {names}",
        f"leave them out with --no-stats, or name one, for example {best.near.name}{why}: {command}",
    )


def _missing(
    nearest: Evidence | None, read: _Candidates, source: Source, words: tuple[str, ...]
) -> Sb3portError:
    error = read.errors.get(nearest.near.name) if nearest is not None else None
    if error is not None and not isinstance(error, UsageError):
        return error
    why = f": {error.message}" if error is not None else ""
    if nearest is not None and error is None:
        why = f": {nearest.near.name}, {nearest.near.place}, is named for another model"
    command = source.command(*words, "--no-stats")
    return UsageError(
        f"{_which(source)} was trained with VecNormalize, but no statistics (vec_normalize.pkl) are there"
        f"{why}",
        f"name the file with --vecnormalize PATH, or port the bare network: {command}",
    )


def _which(source: Source) -> str:
    """Call the checkpoint in a source that may hold several."""
    return source.label if source.kind == "file" else f"{source.checkpoint.shown} of {source.label}"


def _warnings(found: ReadStatistics, source: Source, archive: Archive, near: Near | None = None) -> list[str]:
    """Give what speaks against statistics that are taken."""
    name, warnings = found.file.name, [*found.warnings, *_other_step(found, source, archive)]
    if not _was_normalized(archive) and not _replays(archive):
        # The zip of a training without VecNormalize looks like this, and so do a few of one with it.
        warnings.append(
            "the zip does not show that VecNormalize was used in training, but its statistics are applied"
        )
    if near is not None and near.relation is Relation.STRANGE:
        warnings.append(f"{name} is taken for its statistics: no other pickle fits the observations")
    counts_tell = _steps_apart(found.normalizer, archive) is not None
    if near is not None and near.relation is Relation.SIBLING and not counts_tell:
        warnings.append(f"{name} is of another time in the training: {source.checkpoint.shown} has none")
    return warnings


def _other_step(found: ReadStatistics, source: Source, archive: Archive) -> list[str]:
    """Compare what counts say about when zip and statistics were saved."""
    apart = _steps_apart(found.normalizer, archive)
    if apart is None or apart <= _tolerance(archive):
        return []
    seen, steps = _count(found.normalizer), archive.data["num_timesteps"]
    return [
        f"{_called(found)} may be of another step than {source.checkpoint.shown}: it has seen {seen:,.0f} "
        f"observations, and the model was trained for {steps:,} steps"
    ]


def _called(found: ReadStatistics) -> str:
    """Call statistics by their name; a path that the user named by its last part."""
    return PurePath(found.file.name).name if PurePath(found.file.name).is_absolute() else found.file.name


def _tolerance(archive: Archive) -> float:
    """Statistics that were saved with the model have seen an observation per step, and one per reset."""
    n_envs = archive.data.get("n_envs")
    return _MAX_RESETS * (n_envs if isinstance(n_envs, int) else 1)


def _steps_apart(normalizer: Normalizer, archive: Archive) -> int | None:
    """By how much the observations that were seen differ from the steps, None where that is not known."""
    seen, steps = _count(normalizer), archive.data.get("num_timesteps")
    return round(abs(seen - steps)) if seen is not None and isinstance(steps, int) else None


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
