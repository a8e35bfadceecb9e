"""What a user who asks for a sandbox should know of this machine."""

from sb3port.cli.output import Output
from sb3port.files.texts.terminal import terminal

_DOES = {
    "Landlock": "keep the files of others from being read",
    "seccomp": "close the network",
}


def warn_of_missing_walls(output: Output, sandbox: bool | None) -> None:
    """Say what the sandbox that was asked for lacks here."""
    if not sandbox:
        return
    from sb3port.files.walls import missing_walls

    for name in missing_walls():
        output.warn(
            terminal("this kernel has no {}, without which the sandbox does not {}", name, _DOES[name])
        )
