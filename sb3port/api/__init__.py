"""The functions of the package; each imports what it needs when it is called."""
