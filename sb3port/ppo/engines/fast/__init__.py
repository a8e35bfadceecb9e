"""Training without torch's operations: gradients by hand in NumPy, or in kernels that Numba compiles."""
