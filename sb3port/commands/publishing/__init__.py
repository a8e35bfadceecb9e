"""Ports on the Hub: what goes up of a port, and how it gets there."""
