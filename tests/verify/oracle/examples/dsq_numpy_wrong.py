"""DSQ in NumPy with one slip each. Every function here is wrong in the way its name says."""

import dsq_numpy
import numpy as np


def _parts(x, l, u, alpha, bits):
    steps = 2**bits - 1
    delta = (u - l) / steps
    v = (x - l) / delta
    i = np.clip(np.floor(v), 0, steps - 1)
    z = v - i - 0.5
    gain = np.log(2 / alpha - 1)
    t = np.tanh(gain * z)
    q = i + (t / (1 - alpha) + 1) / 2
    return steps, delta, v, i, z, gain, t, q, (x >= l) & (x <= u)


def _changed(position, change):
    """The right vjp with one of its gradients changed."""

    def vjp(gy, x, l, u, alpha, bits):
        gradients = list(dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits))
        gradients[position] = change(gradients[position])
        return tuple(gradients)

    return vjp


dx_sign, dl_sign, du_sign, dalpha_sign = (_changed(n, lambda g: -g) for n in range(4))
dx_doubled, dl_halved = _changed(0, lambda g: 2 * g), _changed(1, lambda g: g / 2)
alpha_none, alpha_zero = _changed(3, lambda g: None), _changed(3, lambda g: g * 0)
dx_nan, dl_wrong_shape = _changed(0, lambda g: g * np.nan), _changed(1, np.atleast_1d)
du_float32, slightly_off = _changed(2, np.float32), _changed(2, lambda g: g * (1 + 2.0**-30))


def three_gradients(gy, x, l, u, alpha, bits):
    return dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)[:3]


def swapped(gy, x, l, u, alpha, bits):
    dx, dl, du, dalpha = dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)
    return dx, du, dl, dalpha


def averaged(gy, x, l, u, alpha, bits):
    dx, *rest = dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)
    return (dx, *(d / x.size for d in rest))


def gy_ignored(gy, x, l, u, alpha, bits):
    return dsq_numpy.soft_vjp(np.ones_like(gy), x, l, u, alpha, bits)


def straight_through_index(gy, x, l, u, alpha, bits):
    steps, _, v, _, _, _, _, q, inside = _parts(x, l, u, alpha, bits)
    dalpha = dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)[3]
    dl = np.where(inside, (v - q) / steps, x < l)
    du = np.where(inside, (q - v) / steps, x > u)
    return gy * inside, np.sum(gy * dl), np.sum(gy * du), dalpha


def hard_q(gy, x, l, u, alpha, bits):
    steps, _, v, *_, inside = _parts(x, l, u, alpha, bits)
    dx, _, _, dalpha = dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)
    slope, code = dsq_numpy.soft_vjp(np.ones_like(x), x, l, u, alpha, bits)[0], np.clip(np.floor(v + 0.5), 0, steps)
    dl = np.where(inside, 1 - code / steps + slope * (v / steps - 1), x < l)
    du = np.where(inside, code / steps - slope * v / steps, x > u)
    return dx, np.sum(gy * dl), np.sum(gy * du), dalpha


def leaks_half_a_step(gy, x, l, u, alpha, bits):
    """The mask of dx is that of the nearest level's cell, which reaches half a step beyond the bounds."""
    _, delta, _, _, _, gain, t, _, inside = _parts(x, l, u, alpha, bits)
    _, dl, du, dalpha = dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)
    slope = gain / (1 - alpha) / 2 * (1 - t * t)
    near = inside | ((x >= l - delta / 2) & (x <= u + delta / 2))
    return gy * np.where(near, slope, 0), dl, du, dalpha


def _alpha_by(term):
    def vjp(gy, x, l, u, alpha, bits):
        _, delta, _, _, z, _, t, _, inside = _parts(x, l, u, alpha, bits)
        partial = delta / 2 * term(alpha, z, t)
        return (*dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)[:3], np.sum(gy * np.where(inside, partial, 0)))

    return vjp


alpha_through_s_only = _alpha_by(lambda a, z, t: t / (1 - a) ** 2)
alpha_through_k_only = _alpha_by(lambda a, z, t: -2 * z * (1 - t * t) / (a * (2 - a)) / (1 - a))


def step_detached(gy, x, l, u, alpha, bits):
    *_, inside = _parts(x, l, u, alpha, bits)
    dx, _, _, dalpha = dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)
    slope = dsq_numpy.soft_vjp(np.ones_like(x), x, l, u, alpha, bits)[0]
    dl = np.where(inside, 1 - slope, x < l)
    return dx, np.sum(gy * dl), np.sum(gy * (x > u)), dalpha


def position_detached(gy, x, l, u, alpha, bits):
    steps, *_, q, inside = _parts(x, l, u, alpha, bits)
    dx, _, _, dalpha = dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)
    dl, du = np.where(inside, 1 - q / steps, x < l), np.where(inside, q / steps, x > u)
    return dx, np.sum(gy * dl), np.sum(gy * du), dalpha


def mixed_at_the_bounds(gy, x, l, u, alpha, bits):
    """dx of the inside and dl, du of the outside at x = l and x = u: no function has such a gradient."""
    dx, dl, du, dalpha = dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)
    if x.size == 1 and x[0] in (l, u):
        dl, du = np.sum(gy * (x == l)), np.sum(gy * (x == u))
    return dx, dl, du, dalpha


def leaks_half_a_step_consistently(gy, x, l, u, alpha, bits):
    """All gradients are those of the bound up to half a step outside, so that they still sum to 1."""
    delta = (u - l) / (2**bits - 1)
    near = (x >= l - delta / 2) & (x <= u + delta / 2)
    return dsq_numpy.soft_vjp(gy, np.where(near, np.clip(x, l, u), x), l, u, alpha, bits)


def _beside(x, l, u):
    return (x == np.nextafter(l, -np.inf)) | (x == np.nextafter(u, np.inf))


def dx_leaks_one_ulp(gy, x, l, u, alpha, bits):
    """One ulp outside, dx is that of the inside while dl and du are those of the outside."""
    _, dl, du, dalpha = dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)
    near = np.where(_beside(x, l, u), np.clip(x, l, u), x)
    return dsq_numpy.soft_vjp(gy, near, l, u, alpha, bits)[0], dl, du, dalpha


def beyond_the_interval_one_ulp_outside(gy, x, l, u, alpha, bits):
    """One ulp outside, twice the inside's dx; the others follow, so that the sum is 1."""
    dx, dl, du, dalpha = dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)
    near = _beside(x, l, u)
    more = np.where(near, 2 * dsq_numpy.soft_vjp(gy, np.clip(x, l, u), l, u, alpha, bits)[0], 0)
    return dx + more, dl - np.sum(more * (x < l)), du - np.sum(more * (x > u)), dalpha


def _bounds_by(dl_inside, du_inside):
    """A vjp whose dl and du are given inside; the arguments of both are N, i, v, z, q and the slope g."""

    def vjp(gy, x, l, u, alpha, bits):
        steps, _, v, i, z, _, _, q, inside = _parts(x, l, u, alpha, bits)
        dx, _, _, dalpha = dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)
        g = dsq_numpy.soft_vjp(np.ones_like(x), x, l, u, alpha, bits)[0]
        dl = np.where(inside, dl_inside(steps, i, v, z, q, g), x < l)
        du = np.where(inside, du_inside(steps, i, v, z, q, g), x > u)
        return dx, np.sum(gy * dl), np.sum(gy * du), dalpha

    return vjp


def _dl(n, i, v, z, q, g):
    return 1 - q / n + g * (v / n - 1)


def _du(n, i, v, z, q, g):
    return q / n - g * v / n


du_second_term_sign = _bounds_by(_dl, lambda n, i, v, z, q, g: q / n + g * v / n)
du_first_term_sign = _bounds_by(_dl, lambda n, i, v, z, q, g: -q / n - g * v / n)
dl_q_sign = _bounds_by(lambda n, i, v, z, q, g: 1 + q / n + g * (v / n - 1), _du)
dl_slope_sign = _bounds_by(lambda n, i, v, z, q, g: 1 - q / n - g * (v / n - 1), _du)
dl_slope_part_sign = _bounds_by(lambda n, i, v, z, q, g: 1 - q / n + g * (v / n + 1), _du)
middle_detached = _bounds_by(lambda n, i, v, z, q, g: 1 - (q - g * z) / n, lambda n, i, v, z, q, g: (q - g * z) / n)
k_detached = _bounds_by(
    lambda n, i, v, z, q, g: 1 - q / n - g + g * (i + 0.5) / n, lambda n, i, v, z, q, g: q / n - g * (i + 0.5) / n
)


def _without_s(with_s_of_alpha):
    def vjp(gy, x, l, u, alpha, bits):
        steps, delta, v, i, z, gain, t, _, inside = _parts(x, l, u, alpha, bits)
        q, g = i + (t + 1) / 2, gain / 2 * (1 - t * t)
        dl = np.where(inside, 1 - q / steps + g * (v / steps - 1), x < l)
        du = np.where(inside, q / steps - g * v / steps, x > u)
        by_alpha = delta / 2 * (t * with_s_of_alpha - 2 * z * (1 - t * t) / (alpha * (2 - alpha)))
        return gy * np.where(inside, g, 0), np.sum(gy * dl), np.sum(gy * du), np.sum(gy * np.where(inside, by_alpha, 0))

    return vjp


gradient_without_s, gradient_with_s_of_one = _without_s(0), _without_s(1)
dalpha_k_sign = _alpha_by(lambda a, z, t: t / (1 - a) ** 2 + 2 * z * (1 - t * t) / (a * (2 - a)) / (1 - a))


def dl_averaged(gy, x, l, u, alpha, bits):
    dx, dl, *rest = dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)
    return dx, dl / x.size, *rest


def gy_ignored_in_dx(gy, x, l, u, alpha, bits):
    return gy_ignored(gy, x, l, u, alpha, bits)[0], *dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)[1:]


def dx_none_for_many(gy, x, l, u, alpha, bits):
    dx, *rest = dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)
    return dx if x.size == 1 else None, *rest


def dl_not_summed(gy, x, l, u, alpha, bits):
    """Its shape is right for one element only."""
    dx, dl, *rest = dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)
    return dx, dl if x.size == 1 else gy * dl, *rest


def dx_ragged(gy, x, l, u, alpha, bits):
    return [[1.0, [2.0]], *dsq_numpy.soft_vjp(gy, x, l, u, alpha, bits)[1:]]


# ---- forwards ----


def hard_by_sign(x, l, u, alpha, bits):
    """sgn(phi) with sgn(0) = 0; and phi's sign is that of x - m, which rounds otherwise than v."""
    steps = 2**bits - 1
    delta = (u - l) / steps
    i = np.clip(np.floor((x - l) / delta), 0, steps - 1)
    return np.clip(l + delta * (i + (np.sign(x - (l + (i + 0.5) * delta)) + 1) / 2), l, u)


def exits(x, l, u, alpha, bits):
    raise SystemExit(0)


def vjp_exits(gy, x, l, u, alpha, bits):
    raise SystemExit(0)


def raises_in_two_lines(x, l, u, alpha, bits):
    raise ValueError("first line\n  second line")


def one_number_only(x, l, u, alpha, bits):
    """Works for one element, not for many."""
    return np.array([l]) if x < l else np.array([u]) if x > u else dsq_numpy.soft(x, l, u, alpha, bits)


def _forward(gain=lambda a: np.log(2 / a - 1), scale=lambda a: 1 / (1 - a), levels=lambda b: 2**b - 1, clip=True):
    def soft(x, l, u, alpha, bits):
        steps = levels(bits)
        delta = (u - l) / steps
        v = (x - l) / delta
        i = np.clip(np.floor(v), 0, steps - 1)
        y = l + delta * (i + (scale(alpha) * np.tanh(gain(alpha) * (v - i - 0.5)) + 1) / 2)
        return np.where(x < l, l, np.where(x > u, u, y)) if clip else y

    return soft


k_in_base_2 = _forward(gain=lambda a: np.log2(2 / a - 1))
k_in_base_10 = _forward(gain=lambda a: np.log10(2 / a - 1))
k_without_minus_one = _forward(gain=lambda a: np.log(2 / a))
s_missing = _forward(scale=lambda a: 1.0)
too_many_steps = _forward(levels=lambda b: 2**b)
not_clipped = _forward(clip=False)


def offset_missing(x, l, u, alpha, bits):
    return dsq_numpy.soft(x, l, u, alpha, bits) - l


def hard(x, l, u, alpha, bits):
    return l + dsq_numpy.codes(x, l, u, alpha, bits) * ((u - l) / (2**bits - 1))


def clipped_identity(x, l, u, alpha, bits):
    return np.clip(x, l, u)


def in_float32(x, l, u, alpha, bits):
    x, l, u, alpha = (np.float32(v) for v in (x, l, u, alpha))
    return dsq_numpy.soft(x, l, u, alpha, bits).astype(np.float64)


def returns_float32(x, l, u, alpha, bits):
    return dsq_numpy.soft(x, l, u, alpha, bits).astype(np.float32)


def returns_a_column(x, l, u, alpha, bits):
    return dsq_numpy.soft(x, l, u, alpha, bits)[:, None]


def returns_none(x, l, u, alpha, bits):
    return None


def raises(x, l, u, alpha, bits):
    return x.nonsense


def no_bits(x, l, u, alpha):
    return x


# ---- codes ----


def codes_ties_down(x, l, u, alpha, bits):
    steps = 2**bits - 1
    return np.clip(np.ceil((x - l) / ((u - l) / steps) - 0.5), 0, steps).astype(int)


def codes_ties_to_even(x, l, u, alpha, bits):
    steps = 2**bits - 1
    return np.clip(np.rint((x - l) / ((u - l) / steps)), 0, steps).astype(int)


def codes_rounded_down(x, l, u, alpha, bits):
    steps = 2**bits - 1
    return np.clip(np.floor((x - l) / ((u - l) / steps)), 0, steps).astype(int)


def codes_signed(x, l, u, alpha, bits):
    return dsq_numpy.codes(x, l, u, alpha, bits) - 2 ** (bits - 1)


def codes_of_wrong_length(x, l, u, alpha, bits):
    return dsq_numpy.codes(x, l, u, alpha, bits)[:-1]


def codes_infinite(x, l, u, alpha, bits):
    return x * 0 + np.inf


def codes_nan(x, l, u, alpha, bits):
    return x * np.nan


def codes_huge(x, l, u, alpha, bits):
    return x * 0 + 1e300


def codes_beyond_int64(x, l, u, alpha, bits):
    return dsq_numpy.codes(x, l, u, alpha, bits).astype(np.uint64) + np.uint64(2**63)


def codes_ragged(x, l, u, alpha, bits):
    return [[0], [0, 1]]


def codes_not_integers(x, l, u, alpha, bits):
    return (x - l) / (u - l)
