"""The waist: one immutable value between every reader and every writer, in plain values and numpy arrays."""
