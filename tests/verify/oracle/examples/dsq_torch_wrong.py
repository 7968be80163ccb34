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


def _written_out(x, l, u, alpha, bits, floor=torch.floor, s=None, sign=None, middle=lambda m: m, step_of_k=lambda d: d):
    """k (x - m) as in the paper, with a place for each slip."""
    steps = 2**bits - 1
    delta = (u - l) / steps
    i = torch.clamp(floor((x - l) / delta), 0, steps - 1)
    m = middle(l + (i + 0.5) * delta)
    k = torch.log(2 / alpha - 1) / step_of_k(delta)
    phi = (1 / (1 - alpha) if s is None else s) * torch.tanh(k * (x - m))
    if sign is not None:
        phi = phi + (sign(phi) - phi).detach()
    y = l + delta * (i + (phi + 1) / 2)
    return torch.where(x < l, l, torch.where(x > u, u, y))


def straight_through_index_clamped(x, l, u, alpha, bits):
    """The clamp after it stops the gradient where v rounds to N, one ulp below u."""
    return _written_out(x, l, u, alpha, bits, floor=_FloorStraightThrough.apply)


def straight_through_index_by_detach(x, l, u, alpha, bits):
    return _written_out(x, l, u, alpha, bits, floor=lambda v: (v.floor() - v).detach() + v)


def hard_value(x, l, u, alpha, bits):
    return _written_out(x, l, u, alpha, bits, sign=lambda phi: torch.where(phi >= 0, 1.0, -1.0))


def hard_value_by_sign(x, l, u, alpha, bits):
    return _written_out(x, l, u, alpha, bits, sign=torch.sign)


def hard_gradient(x, l, u, alpha, bits):
    """The soft value with the gradient of the hard one."""
    h = hard_value(x, l, u, alpha, bits)
    return h + (dsq_torch.soft(x, l, u, alpha, bits) - h).detach()


def s_missing(x, l, u, alpha, bits):
    return _written_out(x, l, u, alpha, bits, s=1.0)


def middle_detached(x, l, u, alpha, bits):
    return _written_out(x, l, u, alpha, bits, middle=torch.Tensor.detach)


def k_detached(x, l, u, alpha, bits):
    return _written_out(x, l, u, alpha, bits, step_of_k=torch.Tensor.detach)


def averaged(x, l, u, alpha, bits):
    """The gradients of l, u and alpha are divided by the number of elements."""
    shared = [p / len(x) + (p - p / len(x)).detach() for p in (l, u, alpha)]
    return dsq_torch.soft(x, *shared, bits)


def detached_for_many(x, l, u, alpha, bits):
    y = dsq_torch.soft(x, l, u, alpha, bits)
    return y if len(x) == 1 else y.detach()


def exits(x, l, u, alpha, bits):
    raise SystemExit(0)


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
