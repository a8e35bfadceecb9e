"""Files as plain values and numpy arrays: zips, pickles, tensors, YAML. Nothing in them is executed."""
