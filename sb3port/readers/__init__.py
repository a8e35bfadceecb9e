"""Reading checkpoints: from a source the user names to a `Checkpoint`, without running anything in it."""
