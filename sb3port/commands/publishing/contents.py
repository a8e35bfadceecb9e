"""What of a port goes up to the Hub: its files, its reports and its card, without paths of this machine."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.commands.publishing.licences import licence_of
from sb3port.commands.publishing.private_paths import PrivatePaths
from sb3port.commands.publishing.reports import read_port_report, report_files
from sb3port.errors import UsageError
from sb3port.files.port_files import CARD, PORT_FILE, REPORTS, port_files
from sb3port.files.untrusted import read_untrusted, refuse_outside
from sb3port.ports.card.card import is_ours, model_card
from sb3port.ports.card.facts import CardFacts, Licence
from sb3port.ports.manifest import hash_files, provenance_of, public_provenance, read_port_file
from sb3port.ports.reading import read_port
from sb3port.readers.places.source_files import list_folder
from sb3port.reports.markdown import card_section
from sb3port.reports.returns import Returns, read_returns

Content: TypeAlias = bytes | Path


@dataclass(frozen=True)
class Upload:
    """What shall be in a repository.

    Args:
        repo_id: `owner/name`.
        files: Contents by name, with `/` between folders; a path for a file that goes up as it is.
        left_out: Names of what lies in the folder and is not part of the port; hidden files are not counted.
        checkpoint: The port, whose provenance has no path of this machine.
        verdict: How it compares with its source, None where nobody has compared them.
        licence: Of the source.
        own_card: Whether the card is the user's own, which goes up as it is.
    """

    repo_id: str
    files: Mapping[str, Content]
    left_out: tuple[str, ...]
    checkpoint: Checkpoint
    verdict: str | None
    licence: Licence
    own_card: bool

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes by name."""
        return {
            name: content.stat().st_size if isinstance(content, Path) else len(content)
            for name, content in self.files.items()
        }

    @property
    def card(self) -> str:
        """The model card."""
        content = self.files[CARD]
        return (content.read_bytes() if isinstance(content, Path) else content).decode(errors="replace")


def prepare(
    port: Path,
    repo_id: str,
    report_dir: Path | None = None,
    returns: Path | None = None,
    sb3_zip: str | None = None,
) -> Upload:
    """Put together what goes up; nothing is written.

    Args:
        port: The folder.
        repo_id: Where it shall go, which the card names.
        report_dir: Where the report of `verify` is, if not in the port.
        returns: What `eval --json` printed.
        sb3_zip: The name of a zip for today's SB3 that goes up beside it, None for none.

    Raises:
        UsageError: The folder, the report or the returns are absent, or of another port.
        NotPortable: It is not a port, or a broken one.
        Unsafe: A file of it is a link that leads out of it.
        VerificationFailed: The report says that it does not compute what its source computes.
    """
    checkpoint, public, paths = _public(port)
    report = paths.hide(read_port_report(port, report_dir))
    measured = _measured(port, returns) if returns is not None else None
    licence = licence_of(checkpoint.provenance)
    facts = CardFacts(repo_id, card_section(report) if report else None, measured, licence, sb3_zip)
    own = _own_card(port)
    found = list_folder(port).names
    files: dict[str, Content] = {name: port / name for name in port_files(found) if name not in REPORTS}
    for name in files:  # what a link of a stranger's leads to is none of the world's business
        refuse_outside(port / name, port, name)
    files |= {PORT_FILE: _json(public), **report_files(report)}
    files[CARD] = own or paths.hide(model_card(checkpoint, facts)).encode()
    left_out = tuple(name for name in found if name not in files and name not in REPORTS)
    verdict = str(report["verdict"]) if report else None
    return Upload(
        repo_id, dict(sorted(files.items())), left_out, checkpoint, verdict, licence, own is not None
    )


def _public(port: Path) -> tuple[Checkpoint, dict[str, Any], PrivatePaths]:
    """Read a port, and what its `sb3port.json` may tell others."""
    content = read_port_file(port)
    provenance = provenance_of(content, port)
    paths = PrivatePaths.of_port(port, provenance)
    public = paths.hide({**content, "source": public_provenance(provenance)})
    checkpoint = read_port(port)
    warnings = tuple(paths.hide(checkpoint.warnings))
    return replace(checkpoint, provenance=provenance_of(public, port), warnings=warnings), public, paths


def _measured(port: Path, path: Path) -> Returns:
    """Read returns, and hold them against the port."""
    found = read_returns(path)
    if hash_files(port, found.files) != found.files:
        hint = f"measure them with: sb3port eval {port} --json > returns.json"
        raise UsageError(f"{path} holds the returns of another port than {port}", hint)
    return found


def _own_card(port: Path) -> bytes | None:
    """Give the card that a user has taken over, None where ours may be written anew."""
    path = port / CARD
    if not path.is_file():
        return None
    content = read_untrusted(path, within=port)
    return None if is_ours(content.decode(errors="replace")) else content


def _json(content: Any) -> bytes:
    return json.dumps(content, indent=2).encode()
