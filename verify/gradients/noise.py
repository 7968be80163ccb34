"""The rounding noise of a function, measured from the function itself.

The point is moved by some units in the last place, to either side, in proportion to t = 1, ..., T: the odd part
``o(t) = (f(z + t d) - f(z - t d)) / 2`` of a smooth function is ``a t + b t^3`` there to far below an ulp, also on a
kink (where only the even part is bent), and a constant more on a jump. What a least-squares fit of those three leaves
over is noise (the idea of J. J. Moré and S. M. Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33, 2011,
who take differences where we fit). Every point is also moved at random by one unit or none: along a line the last bits
can repeat so that a rounding is the same everywhere, and would not show. So the noise includes what a unit in the last
place of the arguments does, which no function can undercut for long.

Six scales of d are tried: a function that computes coarser than its arguments, ``(x + 1e8) - 1e8``, does not
show it at the smallest; a kink nearby spoils the largest. The second largest of the six estimates is taken. A function
whose grid is coarser still, about 2^-9 of its argument's size in float32 and 2^-20 in float64, looks like what it then
is, a staircase, and its slope is that of a step: 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verify.gradients.problem import Array, Rule

__all__ = ["DEVIATIONS", "Noise", "measure_noise", "understated"]

#: Noise is stated as so many standard deviations: of normal noise, one value in 10^9 is outside.
DEVIATIONS = 6.0
_PAIRS = 6
#: An orthonormal basis of what the odd part is made of: of the 6 numbers, 3 are left.
_TIMES = np.arange(1.0, _PAIRS + 1)
_BASIS = np.linalg.qr(np.stack([np.ones(_PAIRS), _TIMES, _TIMES**3], axis=1))[0]
_LEFT = _PAIRS - 3
#: Exponents of the scales, in units in the last place, as shares of the bits of the dtype.
_SCALES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)

#: Seeds of the measurements that doubt an earlier one.
_SECOND_LOOK = (101, 102, 103, 104)


@dataclass(frozen=True)
class Noise:
    """For each of m outputs: ``bound``, six standard deviations of ``(f(a) - f(b)) / 2`` plus two units in the last
    place of the value; ``size``, how large the terms are that such noise comes from."""

    bound: Array
    size: Array

    def at(self, *values: Array) -> Array:
        """The bound further out: it grows with the value."""
        grown = sum(np.abs(v) for v in values) / (len(values) * self.size)
        return self.bound * np.maximum(1.0, grown)


def measure_noise(function: Rule, point: Array, unit: Array, epsilon: float, seed: int = 0) -> Noise:
    """Measure around a point, by 72 evaluations, how much rounding moves the function.

    Parameters
    ----------
    function : vector of n to vector of m
    point : n numbers of the grid
    unit : n distances between neighbours on the grid
    epsilon : of the dtype the function computes in
    """
    middle = function(point)
    rng = np.random.default_rng(seed)
    bits = -np.log2(epsilon)
    own = np.spacing(np.abs(point)) * (epsilon * 2.0**52)
    estimates = []
    for share in _SCALES:
        least = 1 << round(share * bits)
        steps = unit * rng.integers(least, 2 * least, point.shape) * rng.choice([-1, 1], point.shape)
        jitter = own * rng.integers(-1, 2, (_PAIRS, 2, *point.shape))
        odd = np.stack(
            [
                (function(point + t * steps + more) - function(point - t * steps + less)) / 2
                for t, (more, less) in zip(_TIMES, jitter, strict=True)
            ]
        )
        rest = odd - np.tensordot(_BASIS, np.tensordot(_BASIS, odd, (0, 0)), 1)
        # Scaled, as squares of very small or large numbers leave the range.
        largest = np.abs(rest).max(axis=0) + np.finfo(np.float64).tiny
        estimates.append(largest * np.sqrt(((rest / largest) ** 2).sum(axis=0) / _LEFT))
    measured = np.nan_to_num(np.sort(np.stack(estimates), axis=0)[-2], nan=0.0, posinf=0.0)
    bound = DEVIATIONS * measured + epsilon * np.abs(middle) + np.finfo(np.float64).tiny
    return Noise(bound, np.maximum(np.abs(middle), bound / (DEVIATIONS * epsilon)))


def understated(function: Rule, point: Array, unit: Array, epsilon: float, noise: Noise) -> Array:
    """By what factor, at least 1, the bounds are below the largest of four more measurements.

    A few numbers estimate each deviation; of very many outputs one may come out far too small.
    """
    bounds = [measure_noise(function, point, unit, epsilon, seed).bound for seed in _SECOND_LOOK]
    return np.maximum(1.0, np.max(bounds, axis=0) / noise.bound)
