"""Elementary functions in NumPy, right and wrong."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def sigmoid_vjp(gy, x):
    y = sigmoid(x)
    return gy * y * (1 - y)


def relu(x):
    return np.maximum(x, 0.0)


def relu_vjp(gy, x):
    return (gy * (x > 0),)


def relu_vjp_half(gy, x):
    return gy * (x > 0) + gy * 0.5 * (x == 0)


def relu_vjp_leaky(gy, x):
    return gy * np.where(x > 0, 1.0, 0.01)


def relu_vjp_in_a_tuple(gy, x):
    """Wrong by a factor, and a tuple of one."""
    return (2.1234567890123456 * gy * (x > 0),)


def expm1_by_subtraction(x):
    return np.exp(x) - 1
