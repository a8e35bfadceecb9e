"""What a scan found as Markdown, for pull requests and the summary of a CI run."""

from collections.abc import Sequence

from sb3port.files.texts.markdown import Markdown, code, markdown, table
from sb3port.files.texts.media import joined
from sb3port.readers.formats.groups import Group
from sb3port.scanning.findings import Finding, ScannedFile, Verdict, counts

SIGNS = {Verdict.DANGEROUS: "❌", Verdict.UNREADABLE: "⚠️", Verdict.OWN_CODE: "☑️", Verdict.CLEAN: "✅"}
_ROWS = 200  # GitHub shows a megabyte of a summary
_NAMES = 6


def counted(files: Sequence[ScannedFile]) -> str:
    """Say how many files there are of every verdict."""
    found = counts(files)
    words = {"own code": "with own code"}
    told = ", ".join(f"{count} {words.get(verdict, verdict)}" for verdict, count in found.items() if count)
    of = "1 file" if len(files) == 1 else f"{len(files):,} files"
    return f"{of}: {told}" if files else "0 files"


def told(file: ScannedFile) -> list[str]:
    """Say what is to be told of a file, the worst first: names with their places, and what cannot be read."""
    reasons = [file.deceptive] if file.deceptive else []
    names = [f"{found.name} in {found.place}" if found.place else found.name for found in _worth(file)]
    return [*reasons, *names, *file.unread]


def _worth(file: ScannedFile) -> list[Finding]:
    return [*file.of_group(Group.DANGEROUS), *file.of_group(Group.OWN_CODE)]


def worst_first(files: Sequence[ScannedFile]) -> list[ScannedFile]:
    """Sort by verdict, then by path."""
    order = list(Verdict)
    return sorted(files, key=lambda file: (order.index(file.verdict), file.path))


def scan_markdown(files: Sequence[ScannedFile]) -> Markdown:
    """Give the result as Markdown: a table of the files that are not clean."""
    worst = next((file.verdict for file in worst_first(files)), Verdict.CLEAN)
    title = markdown("## {} sb3port scan: {}", SIGNS[worst], counted(files))
    rows = [_row(file) for file in worst_first(files) if file.verdict is not Verdict.CLEAN]
    columns = [markdown("{}", name) for name in ("file", "verdict", "what is in it")]
    parts = [title, *([table(columns, rows[:_ROWS])] if rows else [])]
    if len(rows) > _ROWS:
        parts.append(markdown("{} more files are left out here.", len(rows) - _ROWS))
    return markdown("{}\n", joined(Markdown, "\n\n", parts))


def _row(file: ScannedFile) -> tuple[Markdown, Markdown, Markdown]:
    lines = told(file)
    shown = [code(line) for line in lines[:_NAMES]]
    if len(lines) > _NAMES:
        shown.append(markdown("and {} more", len(lines) - _NAMES))
    return (
        code(file.path),
        markdown("{} {}", SIGNS[file.verdict], file.verdict.value),
        joined(Markdown, "<br>", shown),
    )
