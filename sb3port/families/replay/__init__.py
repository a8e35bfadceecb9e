"""The policies of algorithms that learn from replayed steps, and those of ARS: a file each."""
