"""Which files make a port: what `push` uploads, and what is fetched of a port on the Hub."""

import re
from collections.abc import Iterable

CARD = "README.md"
REPORTS = ("parity.json", "parity.md", "parity.html")
_FILES = re.compile(
    r"sb3port\.json|README\.md|config\.json|model\.safetensors"
    r"|policy_(?:pre|post)processor(?:\.json|_step_\d+_\w+\.safetensors)"
    r"|training_state/(?:training_step\.json|optimizer_param_groups\.json|optimizer_state\.safetensors)"
    r"|parity\.(?:json|md|html)"
)


def port_files(names: Iterable[str]) -> list[str]:
    """Give those of the names, with `/` between folders, that are files of a port, sorted."""
    return sorted(name for name in names if _FILES.fullmatch(name))
