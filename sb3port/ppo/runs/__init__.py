"""A run from its plan to its last checkpoint: the training loop, resuming, logs."""
