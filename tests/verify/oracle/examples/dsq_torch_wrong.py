"""DSQ in PyTorch with one slip each. Every function here is wrong in the way its name says."""

import dsq_torch
import torch


class _FloorStraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v):
        return torch.floor(v)

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def straight_through_index(x, l, u, alpha, bits):
    """floor passes its gradient on: the tanh never sees x move."""
    steps = 2**bits - 1
    delta = (u - l) / steps
    v = (x - l) / delta
    i = _FloorStraightThrough.apply(v)
    i = i + (torch.clamp(i, 0, steps - 1) - i).detach()
    phi = torch.tanh(torch.log(2 / alpha - 1) * (v - i - 0.5)) / (1 - alpha)
    y = l + delta * (i + (phi + 1) / 2)
    return torch.where(x < l, l, torch.where(x > u, u, y))


def alpha_detached(x, l, u, alpha, bits):
    return dsq_torch.soft(x, l, u, alpha.detach(), bits)


def alpha_as_a_number(x, l, u, alpha, bits):
    return dsq_torch.soft(x, l, u, torch.tensor(alpha.item(), dtype=torch.float64), bits)


class _LeakyClamp(torch.autograd.Function):
    """Limits x, and lets its gradient pass up to half a step outside."""

    @staticmethod
    def forward(ctx, x, l, u, slack):
        ctx.save_for_backward(x, l, u, slack)
        return torch.maximum(torch.minimum(x, u), l)

    @staticmethod
    def backward(ctx, gradient):
        x, l, u, slack = ctx.saved_tensors
        passes = (x >= l - slack) & (x <= u + slack)
        zero = torch.zeros_like(gradient)
        below = torch.where(x < l, gradient, zero).sum()
        above = torch.where(x > u, gradient, zero).sum()
        return torch.where(passes, gradient, zero), below, above, None


def leaks_half_a_step(x, l, u, alpha, bits):
    steps = 2**bits - 1
    delta = (u - l) / steps
    v = (_LeakyClamp.apply(x, l, u, (delta / 2).detach()) - l) / delta
    i = torch.clamp(torch.floor(v), 0, steps - 1).detach()
    phi = torch.tanh(torch.log(2 / alpha - 1) * (v - i - 0.5)) / (1 - alpha)
    return l + delta * (i + (phi + 1) / 2)


def detached_altogether(x, l, u, alpha, bits):
    return dsq_torch.soft(x, l, u, alpha, bits).detach()


def step_detached(x, l, u, alpha, bits):
    steps = 2**bits - 1
    delta = ((u - l) / steps).detach()
    v = (x - l) / delta
    i = torch.clamp(torch.floor(v), 0, steps - 1).detach()
    phi = torch.tanh(torch.log(2 / alpha - 1) * (v - i - 0.5)) / (1 - alpha)
    y = l + delta * (i + (phi + 1) / 2)
    return torch.where(x < l, l, torch.where(x > u, u, y))


def du_sign(x, l, u, alpha, bits):
    return dsq_torch.soft(x, l, 2 * u.detach() - u, alpha, bits)


def nan_outside(x, l, u, alpha, bits):
    """The square root of a negative number on the branch not taken: its gradient is NaN times 0."""
    y = dsq_torch.soft(x, l, u, alpha, bits)
    inside = torch.sqrt((x - l) * (u - x)) * 0 + y
    return torch.where((x < l) | (x > u), y, inside)


def in_float32(x, l, u, alpha, bits):
    return dsq_torch.soft(x.float(), l.float(), u.float(), alpha.float(), bits).double()


def returns_float32(x, l, u, alpha, bits):
    return dsq_torch.soft(x.float(), l.float(), u.float(), alpha.float(), bits)


def returns_numpy(x, l, u, alpha, bits):
    return dsq_torch.soft(x, l, u, alpha, bits).detach().numpy()


def backward_raises(x, l, u, alpha, bits):
    y = dsq_torch.soft(x, l, u, alpha, bits)
    y.register_hook(lambda gradient: gradient.nonsense)
    return y
