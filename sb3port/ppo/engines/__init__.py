"""Engines: what acts and learns. They compute the same thing in different ways."""
