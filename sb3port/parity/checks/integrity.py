"""Whether the files are those that were ported, and those that the conversion wrote."""

from collections.abc import Mapping
from pathlib import Path

from sb3port.checkpoint.checkpoint import Array, Provenance
from sb3port.parity.comparison.compare import Comparison
from sb3port.parity.comparison.report import SOURCE, Check
from sb3port.parity.comparison.verdicts import Verdict
from sb3port.ports.manifest import hash_files, recorded_files

_SHOWN = 500
# These files only tell how a policy was trained; what a port computes depends on all others.
_TELLING = ("config", "args", "env_kwargs")


def check_source(recorded: Provenance, found: Provenance) -> Check:
    """Compare the SHA-256 of the source's files with those that the port records.

    Another source says nothing about the port: the verdict is inconclusive then.
    """
    others = other_files(recorded, found)
    if not others:
        return _check("source", Comparison(Verdict.BIT_EXACT, shape=(len(recorded.files),)))
    return _check("source", Comparison(Verdict.INCONCLUSIVE, f"this is not the source of the port: {others}"))


def other_files(recorded: Provenance, found: Provenance) -> str:
    """Say which files are not those that were ported, empty where all are."""
    others = [
        file.name
        for role, file in recorded.files.items()
        if role not in _TELLING
        if role not in found.files or found.files[role].sha256 != file.sha256
    ]
    return f"{', '.join(others)} with the recorded SHA-256 not found" if others else ""


def unreadable_source(reason: str) -> Check:
    """Report that there is no source to compare with; the port may be right or wrong."""
    return _check("source", Comparison(Verdict.INCONCLUSIVE, f"the source cannot be read again: {reason}"))


def check_files(folder: Path) -> Check:
    """Compare the SHA-256 of the port's files with those that the conversion recorded."""
    recorded = recorded_files(folder)
    if not recorded:
        return _check(
            "files", Comparison(Verdict.SKIPPED, "the port does not record the hashes of its files")
        )
    found = hash_files(folder, recorded)
    changed = [name for name in recorded if name in found and found[name] != recorded[name]]
    gone = [name for name in recorded if name not in found]
    words = [f"changed since the conversion: {', '.join(changed)}"] if changed else []
    words += [f"missing: {', '.join(gone)}"] if gone else []
    verdict = Verdict.FAIL if words else Verdict.BIT_EXACT
    return _check("files", Comparison(verdict, "; ".join(words), (len(recorded),)))


def check_names(expected: Mapping[str, Array], written: Mapping[str, Array]) -> Check:
    """Check that every tensor of the source is in the port, and no other."""
    gone, invented = sorted(set(expected) - set(written)), sorted(set(written) - set(expected))
    words = [f"missing tensors: {', '.join(gone)[:_SHOWN]}"] if gone else []
    words += [f"invented tensors: {', '.join(invented)[:_SHOWN]}"] if invented else []
    verdict = Verdict.FAIL if words else Verdict.BIT_EXACT
    return _check("names", Comparison(verdict, "; ".join(words), (len(expected),)))


def _check(output: str, comparison: Comparison) -> Check:
    return Check("integrity", comparison, output, against=SOURCE)
