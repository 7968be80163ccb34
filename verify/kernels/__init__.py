"""The proof that kernels give the bits of the NumPy reference: builds, targets, and the comparison."""
