"""Whether the files are those that were ported, and those that the conversion wrote."""

from collections.abc import Mapping, Sequence

from sb3port.checkpoint.checkpoint import Array, Provenance
from sb3port.parity.comparison.compare import Comparison
from sb3port.parity.comparison.report import SOURCE, Check
from sb3port.parity.comparison.verdicts import Verdict
from sb3port.ports.unchanged import Changes
from sb3port.readers.places.recorded import TELLING, OtherSource

_SHOWN = 500


def check_source(recorded: Provenance, found: Provenance) -> Check:
    """Compare the SHA-256 of the source's files with those that the port records.

    Another source says nothing about the port: the verdict is inconclusive then.
    """
    if others := other_files(recorded, found):
        return other_source(others)
    return _check("source", Comparison(Verdict.BIT_EXACT, shape=(len(recorded.files),)))


def other_source(names: Sequence[str]) -> Check:
    """Report that what is there is not what was ported."""
    return _check("source", Comparison(Verdict.INCONCLUSIVE, OtherSource(list(names)).message))


def other_files(recorded: Provenance, found: Provenance) -> list[str]:
    """Name the files that are not those that were ported."""
    return [
        file.name
        for role, file in recorded.files.items()
        if role not in TELLING
        if role not in found.files or found.files[role].sha256 != file.sha256
    ]


def unreadable_source(reason: str) -> Check:
    """Report that there is no source to compare with; the port may be right or wrong."""
    return _check("source", Comparison(Verdict.INCONCLUSIVE, f"the source cannot be read again: {reason}"))


def check_files(found: Changes) -> Check:
    """Say whether the SHA-256 of the port's files are those that the conversion recorded."""
    if not found.recorded:
        return _check(
            "files", Comparison(Verdict.SKIPPED, "the port does not record the hashes of its files")
        )
    words = [f"changed since the conversion: {found.changed_text}"] if found.changed else []
    words += [f"missing: {found.gone_text}"] if found.gone else []
    verdict = Verdict.FAIL if words else Verdict.BIT_EXACT
    return _check("files", Comparison(verdict, "; ".join(words), (found.recorded,)))


def check_names(expected: Mapping[str, Array], written: Mapping[str, Array]) -> Check:
    """Check that every tensor of the source is in the port, and no other."""
    gone, invented = sorted(set(expected) - set(written)), sorted(set(written) - set(expected))
    words = [f"missing tensors: {', '.join(gone)[:_SHOWN]}"] if gone else []
    words += [f"invented tensors: {', '.join(invented)[:_SHOWN]}"] if invented else []
    verdict = Verdict.FAIL if words else Verdict.BIT_EXACT
    return _check("names", Comparison(verdict, "; ".join(words), (len(expected),)))


def _check(output: str, comparison: Comparison) -> Check:
    return Check("integrity", comparison, output, against=SOURCE)
