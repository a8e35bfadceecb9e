"""What a pickled function says, followed instruction by instruction on numbers and expressions."""
