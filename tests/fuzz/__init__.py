"""Structural fuzzing of everything that reads strangers' files: `python -m tests.fuzz`, or `make fuzz`."""
