"""What a process handed back that read a stranger's file: is it a checkpoint, and one of that source?

The process may have been taken over, so nothing that it says of itself counts. `plain_form` has made sure of
types; here it is made sure that values fit one another, the files, and what was asked for.
"""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from sb3port.checkpoint.checkpoint import (
    Checkpoint,
    OptimizerState,
    ReplaySpec,
    RunningMeanStd,
    SourceFile,
)
from sb3port.checkpoint.contents import Contents
from sb3port.checkpoint.plain import is_plain
from sb3port.checkpoint.plain_form import NotPlain
from sb3port.checkpoint.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Simple, parts
from sb3port.errors import NotPortable, UsageError
from sb3port.families.algorithms import algorithm_of
from sb3port.families.extractors import BY_NAME, is_own
from sb3port.families.parameters import Parameters, parameters_by_optimizer, parameters_of
from sb3port.families.specs import check_supported, check_tensors, expected_shapes
from sb3port.files.port_files import ENTROPY_OPTIMIZER
from sb3port.files.untrusted import sha256_of
from sb3port.readers.meaning.statistics import check_statistics
from sb3port.readers.meaning.training import COEFFICIENTS, is_coefficient
from sb3port.readers.places.source import Source

_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]{0,31}")
_DTYPES = re.compile(r"bool|float(16|32|64)|u?int(8|16|32|64)")
_MAX_WARNINGS = 1000
_MAX_ENTRIES = 100_000
_LONGEST = 20_000


@dataclass(frozen=True)
class Reading:
    """What is read, and how; see `read_checkpoint`.

    Args:
        source: Where its files are.
        use_stats: False to leave VecNormalize statistics out.
        assume_standard_forward: Take a policy class of the author's own for SB3's where its tensors are.
        extractor: `module:Class` of a features extractor whose code is the user's own, or `BY_NAME`.
    """

    source: Source
    use_stats: bool = True
    assume_standard_forward: bool = False
    extractor: str | None = None

    @property
    def arguments(self) -> tuple[Source, bool, bool, str | None]:
        """The arguments of `read_checkpoint`."""
        return self.source, self.use_stats, self.assume_standard_forward, self.extractor

    @cached_property
    def files(self) -> dict[str, Path]:
        """Every file of the source that is read, by its name."""
        source = self.source
        names = (*source.checkpoint.files.values(), *source.statistics.names, *source.settings)
        return {name: source.path(name) for name in names}

    @property
    def paths(self) -> list[Path]:
        """Where these files are."""
        return list(self.files.values())

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return self.source.checkpoint.shown


def check_handed_back(checkpoint: Checkpoint, reading: Reading) -> None:
    """Make sure that a checkpoint is whole, and of the source that was to be read.

    Raises:
        NotPlain: It is not.
    """
    try:
        _check_policy(checkpoint, reading)
        _check_normalizer(checkpoint, reading)
    except (NotPortable, UsageError) as error:
        raise NotPlain(error.message) from error
    _check_optimizer(checkpoint.optimizer, checkpoint)
    _check_replay(checkpoint)
    _check_provenance(checkpoint, reading)
    _refuse_if(len(checkpoint.warnings) > _MAX_WARNINGS, f"it has {len(checkpoint.warnings):,} warnings")


def check_contents(contents: Contents, reading: Reading) -> None:
    """Make sure that contents are of the source that was to be read, and the policy in them is whole.

    Raises:
        NotPlain: They are not.
    """
    _refuse_if(contents.checkpoint is None and contents.refusal is None, "it is no policy, and not refused")
    if contents.checkpoint is not None:
        # Where only its statistics are missing, a policy is given without them.
        bare = contents.refusal is not None
        check_handed_back(contents.checkpoint, replace(reading, use_stats=False) if bare else reading)
    for space in (contents.observation_space, contents.action_space):
        for part in parts(space).values() if space is not None else ():
            _check_space(part)
    for file in contents.files.values():
        _check_file(file, reading)
    _check_version(contents.sb3_version)
    count = max(len(contents.tensors), len(contents.imports), len(contents.settings))
    _refuse_if(count > _MAX_ENTRIES, f"it has {count:,} entries of a kind")


def _check_policy(checkpoint: Checkpoint, reading: Reading) -> None:
    spec, where = checkpoint.spec, reading.name
    for space in (spec.observation_space, spec.action_space):
        for part in parts(space).values():
            _check_space(part)
    learns_here = algorithm_of(spec.algorithm).trains_here
    _refuse_if(isinstance(spec, ReplaySpec) == learns_here, "its policy is not one of its algorithm")
    check_supported(spec, where)
    check_tensors(checkpoint.tensors, spec, where)
    ordered = list(expected_shapes(spec, checkpoint.tensors))
    _refuse_if(list(checkpoint.tensors) != ordered, "its tensors are not in SB3's order")
    own = _own_of(checkpoint)
    named = reading.extractor in (own, BY_NAME)
    _refuse_if(own is not None and not named, "it names code that the user has not named")


def _own_of(checkpoint: Checkpoint) -> str | None:
    name = checkpoint.spec.features_extractor
    return name if is_own(name) else None


def _check_space(space: Simple) -> None:
    """Make sure that bounds are of the shape and the dtype of their space."""
    fits = True
    match space:
        case Box(shape, dtype, low, high):
            fits = _DTYPES.fullmatch(dtype) is not None
            fits &= all(bound.shape == shape and bound.dtype == dtype for bound in (low, high))
        case Discrete(n, _):
            fits = n > 0
        case MultiDiscrete(nvec, start):
            fits = (
                nvec.shape == start.shape and nvec.dtype == start.dtype == np.int64 and bool((nvec > 0).all())
            )
        case MultiBinary(shape):
            fits = all(length > 0 for length in shape)
    _refuse_if(not fits, f"a space is not a valid {type(space).__name__}")


def _check_normalizer(checkpoint: Checkpoint, reading: Reading) -> None:
    normalizer, file = checkpoint.normalizer, checkpoint.provenance.files.get("statistics")
    _refuse_if((normalizer is None) != (file is None), "its statistics are not those of a file")
    if normalizer is None or file is None:
        return
    _refuse_if(not reading.use_stats, "it has statistics that were to be left out")
    check_statistics(normalizer, checkpoint.spec, reading.source, file.name)
    returns = [normalizer.ret_rms] if normalizer.ret_rms else []
    for rms in (*normalizer.statistics.values(), *returns):
        _check_statistics(rms)
    _refuse_if(any(rms.mean.shape != () for rms in returns), "the statistics of its rewards are not numbers")


def _check_statistics(rms: RunningMeanStd) -> None:
    arrays = (rms.mean, rms.var)
    fits = all(array.dtype == np.float64 and bool(np.isfinite(array).all()) for array in arrays)
    fits = fits and rms.mean.shape == rms.var.shape and not bool((rms.var < 0).any()) and rms.count >= 0
    _refuse_if(not fits, "its statistics are not finite float64 numbers, or a variance is negative")


def _check_optimizer(optimizer: OptimizerState | None, checkpoint: Checkpoint) -> None:
    fits = optimizer is None or parameters_of(checkpoint.spec, checkpoint.tensors).fit(optimizer)
    _refuse_if(not fits, "its optimiser's state does not fit the tensors")


def _check_replay(checkpoint: Checkpoint) -> None:
    """Make sure of what algorithms that learn from replayed steps have beside a policy."""
    spec = checkpoint.spec
    known = {ENTROPY_OPTIMIZER: Parameters(((1,),))}
    known |= parameters_by_optimizer(spec, checkpoint.tensors) if isinstance(spec, ReplaySpec) else {}
    for name, optimizer in checkpoint.optimizers.items():
        _refuse_if(name not in known or not known[name].fit(optimizer), "an optimiser's state does not fit")
    for name, array in checkpoint.variables.items():
        fits = name in COEFFICIENTS and is_coefficient(array)
        _refuse_if(not fits, "its entropy coefficient is none")
    _refuse_if(not is_plain(checkpoint.training.replay), "a setting is no plain value")


def _check_provenance(checkpoint: Checkpoint, reading: Reading) -> None:
    """Hold what a checkpoint says of its source against the source."""
    source, told = reading.source, checkpoint.provenance
    asked = (source.kind, source.location, source.revision)
    _refuse_if((told.kind, told.location, told.revision) != asked, "it names another source")
    named = _own_of(checkpoint) if reading.extractor == BY_NAME else reading.extractor
    options = (not reading.use_stats, reading.assume_standard_forward, named)
    said = (told.no_stats, told.assume_standard_forward, told.extractor)
    _refuse_if(said != options or told.base != "", "it was not read as it was to be read")
    _check_version(told.sb3_version)
    _refuse_if(len(told.pairing) > _LONGEST, "what it says of its statistics is longer than any sentence")
    main = told.files.get("checkpoint")
    _refuse_if(main is None or main.name != source.checkpoint.name, "it is not of the file that was named")
    for file in told.files.values():
        _check_file(file, reading)


def _check_version(version: str | None) -> None:
    _refuse_if(version is not None and not _VERSION.fullmatch(version), "its version is none")


def _check_file(told: SourceFile, reading: Reading) -> None:
    """Hash a file again: what it hashes to is where trust in a port begins."""
    path = reading.files.get(told.name)
    fits = path is not None and (told.size, told.sha256) == (path.stat().st_size, sha256_of(path))
    _refuse_if(not fits, f"{told.name[:200]} is not the file that was read")


def _refuse_if(wrong: bool, why: str) -> None:
    if wrong:
        raise NotPlain(why)
