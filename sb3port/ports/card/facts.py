"""What a model card tells that is not in the checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sb3port.files.texts.markdown import Markdown
from sb3port.reports.returns import Returns


@dataclass(frozen=True)
class Licence:
    """Under which terms the source is published.

    Args:
        text: A sentence.
        metadata: `license`, `license_name` and `license_link` in the Hub's metadata, as far as known.
    """

    text: Markdown
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CardFacts:
    """What is known of a port beside its checkpoint.

    Args:
        repo_id: Where it lies on the Hub, None for a folder that may lie anywhere.
        parity: How it was compared with its source; None where it was not.
        returns: What it was measured to get, None where it was not.
        licence: None where nobody has looked.
        sb3_zip: A zip beside it that today's SB3 loads, None where there is none.
    """

    repo_id: str | None = None
    parity: Markdown | None = None
    returns: Returns | None = None
    licence: Licence | None = None
    sb3_zip: str | None = None

    @property
    def place(self) -> str:
        """What commands in the card call the port."""
        return self.repo_id or "."
