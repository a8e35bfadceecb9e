"""Whether a picture can be drawn, before anything is loaded to draw it."""

from pathlib import Path

from sb3port.errors import UsageError, need

_SUFFIXES = (".png", ".svg", ".pdf")


def check_plot(path: Path) -> None:
    """Look whether a picture can be drawn there, before anything takes its time.

    Raises:
        UsageError: The suffix is unknown, or matplotlib is not installed.
    """
    if path.suffix not in _SUFFIXES:
        raise UsageError(f"{path} is none of {', '.join(_SUFFIXES)}", "name the picture by its format")
    need("plot", f"a picture such as {path.name}")
