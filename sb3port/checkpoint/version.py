"""The version of sb3port, which ports, exports and reports record."""

from importlib.metadata import version

__version__ = version("sb3port")
