"""The checks of a port, in order."""
