"""Texts made ready for what shows them: a type for each medium; a `str` is a stranger's, ready for none."""
