"""DSQ by hand in PyTorch, in the ways people write it; every function here is right."""

import torch


def soft(x, l, u, alpha, bits):
    """Masks at the end; the interval index is taken out of the graph."""
    steps = 2**bits - 1
    delta = (u - l) / steps
    i = torch.clamp(torch.floor((x - l) / delta), 0, steps - 1).detach()
    middle = l + (i + 0.5) * delta
    k = torch.log(2 / alpha - 1) / delta
    phi = torch.tanh(k * (x - middle)) / (1 - alpha)
    y = l + delta * (i + (phi + 1) / 2)
    return torch.where(x < l, l, torch.where(x > u, u, y))


def soft_clamped(x, l, u, alpha, bits):
    """The input is limited first; its gradient at the bounds is that of ``torch.clamp``."""
    steps = 2**bits - 1
    delta = (u - l) / steps
    inside = torch.clamp(x, l, u)
    v = (inside - l) / delta
    i = torch.clamp(torch.floor(v.detach()), 0, steps - 1)
    phi = torch.tanh(torch.log(2 / alpha - 1) * (v - i - 0.5)) / (1 - alpha)
    return l + delta * (i + (phi + 1) / 2)


def soft_by_minimum(x, l, u, alpha, bits):
    """Limited by minimum and maximum, which split the gradient of a tie in halves."""
    steps = 2**bits - 1
    delta = (u - l) / steps
    v = (torch.maximum(torch.minimum(x, u), l) - l) / delta
    i = torch.clamp(torch.floor(v), max=steps - 1).detach()
    return l + delta * (i + 0.5 + torch.tanh(torch.log((2 - alpha) / alpha) * (v - i - 0.5)) / (1 - alpha) / 2)


def _unlimited(x, l, u, alpha, bits):
    steps = 2**bits - 1
    delta = (u - l) / steps
    i = torch.clamp(torch.floor((x - l) / delta), 0, steps - 1)
    middle = l + (i + 0.5) * delta
    phi = torch.tanh(torch.log(2 / alpha - 1) / delta * (x - middle)) / (1 - alpha)
    return l + delta * (i + (phi + 1) / 2)


def soft_value_clamped(x, l, u, alpha, bits):
    """The value is limited, not x: one ulp from a bound it rounds onto or past it."""
    return torch.clamp(_unlimited(x, l, u, alpha, bits), l, u)


def soft_value_chosen(x, l, u, alpha, bits):
    y = _unlimited(x, l, u, alpha, bits)
    return torch.where(y < l, l, torch.where(y > u, u, y))


def soft_value_by_minimum(x, l, u, alpha, bits):
    return torch.minimum(torch.maximum(_unlimited(x, l, u, alpha, bits), l), u)
