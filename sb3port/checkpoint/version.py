"""The version of both distributions, which ports, exports and reports record: this is where it is said."""

__version__ = "0.1.0"
