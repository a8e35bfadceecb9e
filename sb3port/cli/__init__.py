"""The command line: one module per command, one output sink, one table from error to exit code."""
