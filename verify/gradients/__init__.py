"""Gradients held against the truth: exact numbers and enclosures, power series, and central differences."""
