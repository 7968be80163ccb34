"""DSQ by hand in NumPy, in the ways people write it; every function here is right."""

import numpy as np


def soft(x, l, u, alpha, bits):
    """As in the paper: k and the interval's middle, then the outside."""
    steps = 2**bits - 1
    delta = (u - l) / steps
    k = np.log(2 / alpha - 1) / delta
    i = np.clip(np.floor((x - l) / delta), 0, steps - 1)
    middle = l + (i + 0.5) * delta
    phi = np.tanh(k * (x - middle)) / (1 - alpha)
    y = l + delta * (i + (phi + 1) / 2)
    return np.where(x < l, l, np.where(x > u, u, y))


def soft_vjp(gy, x, l, u, alpha, bits):
    """The closed forms, with 1 - t^2 by subtraction."""
    steps = 2**bits - 1
    delta = (u - l) / steps
    gain = np.log(2 / alpha - 1)
    scale = 1 / (1 - alpha)
    v = (x - l) / delta
    i = np.clip(np.floor(v), 0, steps - 1)
    z = v - i - 0.5
    t = np.tanh(gain * z)
    slope = gain * scale / 2 * (1 - t * t)
    q = i + (scale * t + 1) / 2
    inside = (x >= l) & (x <= u)
    dx = np.where(inside, slope, 0.0)
    dl = np.where(inside, 1 - q / steps + slope * (v / steps - 1), x < l)
    du = np.where(inside, q / steps - slope * v / steps, x > u)
    from_k = -2 * scale * z * (1 - t * t) / (alpha * (2 - alpha))
    dalpha = np.where(inside, delta / 2 * (scale**2 * t + from_k), 0.0)
    return gy * dx, np.sum(gy * dl), np.sum(gy * du), np.sum(gy * dalpha)


def soft_clamped(x, l, u, alpha, bits):
    """The input is limited first, and the formula holds everywhere."""
    steps = 2**bits - 1
    inside = np.clip(x, l, u)
    v = (inside - l) * (steps / (u - l))
    i = np.minimum(np.floor(v), steps - 1)
    phi = np.tanh(np.log((2 - alpha) / alpha) * (v - i - 0.5)) / (1 - alpha)
    return l + (u - l) * ((i + 0.5 + 0.5 * phi) / steps)


def soft_by_exponentials(x, l, u, alpha, bits):
    """tanh written as (e^w - 1)/(e^w + 1) of the power of 2/alpha - 1."""
    steps = 2**bits - 1
    delta = (u - l) / steps
    v = np.clip((x - l) / delta, 0, steps)
    i = np.clip(np.floor(v), 0, steps - 1)
    w = np.power(2 / alpha - 1, 2 * (v - i) - 1)
    y = l + delta * (i + 0.5 + 0.5 * (w - 1) / (w + 1) / (1 - alpha))
    return np.where(x < l, l, np.where(x > u, u, y))


def vjp_in_terms_of_the_bounds(gy, x, l, u, alpha, bits):
    """dl and du by the chain rule through D and v, the slope through cosh, gradients masked at the end.

    At x = l and x = u it takes the derivatives outside.
    """
    steps = 2**bits - 1
    delta = (u - l) / steps
    v = (x - l) / delta
    i = np.clip(np.floor(v), 0, steps - 1)
    z = v - i - 0.5
    gain = np.log1p(2 / alpha - 2)
    w = np.clip(gain * z, -300, 300)
    phi_slope = gain / np.cosh(w) ** 2 / (1 - alpha)
    by_v = delta * phi_slope / 2
    by_delta = i + (np.tanh(w) / (1 - alpha) + 1) / 2 - by_v * v / delta
    by_alpha = delta / 2 * (np.tanh(w) / (1 - alpha) ** 2 - z * phi_slope / gain * 2 / (alpha * (2 - alpha)))
    inside = (x > l) & (x < u)
    dl = np.where(inside, 1 - by_v / delta - by_delta / steps, x <= l)
    du = np.where(inside, by_delta / steps, x >= u)
    return (
        gy * np.where(inside, by_v / delta, 0.0),
        np.dot(gy, dl),
        np.dot(gy, du),
        np.dot(gy, np.where(inside, by_alpha, 0.0)),
    )


def vjp_limiting_y(gy, x, l, u, alpha, bits):
    """As autograd does where the value is limited, not x: one ulp from a bound, y rounds onto or past it."""
    steps = 2**bits - 1
    delta = (u - l) / steps
    i = np.clip(np.floor((x - l) / delta), 0, steps - 1)
    phi = np.tanh(np.log(2 / alpha - 1) / delta * (x - (l + (i + 0.5) * delta))) / (1 - alpha)
    y = l + delta * (i + (phi + 1) / 2)
    # Where y is outside a point beyond the bound has the right gradients, and where it is inside one on it.
    far = np.where(y <= l, l - delta, np.where(y >= u, u + delta, np.clip(x, l, u)))
    return soft_vjp(gy, far, l, u, alpha, bits)


def codes(x, l, u, alpha, bits):
    """The definition: divide, add one half, floor."""
    steps = 2**bits - 1
    return np.clip(np.floor((x - l) / ((u - l) / steps) + 0.5), 0, steps).astype(np.int32)


def codes_by_counting(x, l, u, alpha, bits):
    """How many middles are not above x."""
    steps = 2**bits - 1
    middles = l + (np.arange(steps) + 0.5) * ((u - l) / steps)
    return (x[:, None] >= middles).sum(axis=1)
