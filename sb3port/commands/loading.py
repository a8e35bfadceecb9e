"""Loading a policy to act with: a port without what reads all else, or whatever a command takes."""

from pathlib import Path
from typing import TYPE_CHECKING

from sb3port.commands.own_code import blaming, use_extractor
from sb3port.files.port_files import is_port
from sb3port.inference.policy import PortedPolicy, installed_backend
from sb3port.ports.reading import read_port
from sb3port.ports.unchanged import change_warnings

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from sb3port.checkpoint.checkpoint import Checkpoint
    from sb3port.commands.policies import ReadArguments
    from sb3port.inference.policy import Backend


def load(
    label: str | Path, backend: "Backend", extractor: str | None, **reading: "Unpack[ReadArguments]"
) -> tuple[PortedPolicy, list[str]]:
    """Load a policy; the arguments are those of `sb3port.load_policy`.

    Returns:
        The policy, and sentences on what of a port is not as it was written.

    Raises:
        Sb3portError: It cannot be read, or the backend does not have what it needs.
    """
    chosen = installed_backend(backend)
    checkpoint, port = _read(label, extractor, **reading)
    changes = change_warnings(port) if port is not None else []
    if chosen == "torch":
        use_extractor(checkpoint.spec, extractor, str(label))
    with blaming(checkpoint.spec):
        return PortedPolicy(checkpoint, backend), changes


def _read(
    label: str | Path, extractor: str | None, **reading: "Unpack[ReadArguments]"
) -> "tuple[Checkpoint, Path | None]":
    """Read a policy as `find_policy` finds it, which for a port on this machine is not imported.

    Importing what reads pickles and the Hub takes longer than all the rest.
    """
    if is_port(Path(label)) and not reading:
        return read_port(Path(label)), Path(label)
    from sb3port.commands.policies import find_policy, read_options

    found = find_policy(label, read_options(extractor=extractor, **reading))
    return found.checkpoint, found.port
