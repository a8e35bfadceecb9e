"""What the values in those files mean: from them to a `Checkpoint`."""
