"""Taylor's theorem as a verdict: how fast the remainder vanishes when the step does.

With g the gradient, H the second derivative and d a direction,

    R0(h) = |f(x + h d) - f(x)|                               = O(h)
    R1(h) = |f(x + h d) - f(x) - h <g, d>|                    = O(h^2)    only if g is the gradient
    R2(h) = |f(x + h d) - f(x) - h <g, d> - h^2/2 <d, H d>|   = O(h^3)    only if H is right too

(P. E. Farrell et al., "Automated derivation of the adjoint of high-level transient finite element programs", SIAM J.
Sci. Comput. 35, 2013, sec. 6.1). The rate is fitted over the smallest steps whose remainder is above the noise floor:
the function's measured noise (``noise.py``) and the rounding of the terms subtracted. There the next term of the series
is smallest; what it still adds is fitted beside the rate: log R = log c + rate log h + q h. A remainder that vanishes
faster than it must, or is never above the floor (a polynomial of low degree), is right too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.errors import InputError
from verify.gradients.noise import measure_noise
from verify.gradients.problem import Array, Problem, Rule, quiet

__all__ = ["BAND", "Rate", "Rates", "draw_direction", "measure_rates", "taylor_rates"]

#: A rate is right down to so much below the order: 0.02 in float64, 0.2 in float32, where the window lies at larger
#: steps by the square root of the ratio of the epsilons (and the next term weighs more by as much).
BAND = {np.dtype(np.float64): 0.02, np.dtype(np.float32): 0.2}
#: The remainder has to be above the floor (six deviations of noise) by this factor: noise moves log R by 2^-5 at most.
_CLEAR = 2.0**5
#: The window of the fit, in steps, which are halved each time.
_WINDOW = 8
#: A fit that misses log R by more is of no power of the step: there is a kink within the window.
_CROOKED = 0.25
_FEWEST = 4
_FIRST = 0.25


@dataclass(frozen=True)
class Rate:
    """How one remainder vanishes.

    Attributes
    ----------
    order : what the rate has to be
    rate : fitted; NaN where there is none
    verdict : "right", "wrong", "vanishes" (at or below the noise floor at all steps) or "undecided"
    steps, remainders, floors : all that were measured, from the largest step to the smallest
    window : the first and last step of the fit, (nan, nan) without one
    """

    order: int
    rate: float
    verdict: str
    steps: tuple[float, ...]
    remainders: tuple[float, ...]
    floors: tuple[float, ...]
    window: tuple[float, float]

    @property
    def passed(self) -> bool:
        return self.verdict in ("right", "vanishes")


@dataclass(frozen=True)
class Rates:
    """The rates of R0, R1 and, where a second derivative was given, R2 along one direction."""

    rates: tuple[Rate, ...]
    band: float
    problem: str = ""

    @property
    def passed(self) -> bool:
        return not self.problem and all(rate.passed for rate in self.rates)

    def __getitem__(self, order: int) -> Rate:
        """The rate of the remainder that leaves out the terms below ``order`` - 1: 1, 2 or 3."""
        return self.rates[order - 1]

    def __str__(self) -> str:
        if self.problem:
            return f"no rates: {self.problem}"
        parts = []
        for n, rate in enumerate(self.rates):
            shown = "at the noise floor" if rate.verdict == "vanishes" else f"{rate.rate:.3f}"
            parts.append(f"R{n} {shown} ({rate.verdict}, order {rate.order})")
        return ", ".join(parts) + f", band {self.band:g}"

    def require(self) -> Rates:
        """These rates; AssertionError where one is not what it has to be."""
        if not self.passed:
            raise AssertionError(str(self))
        return self


def draw_direction(reach: Array, rng: np.random.Generator) -> Array:
    """A random direction of the size of the point: of each element's reach a share of 1/2 to 1, either sign."""
    return reach * rng.uniform(0.5, 1.0, reach.shape) * rng.choice([-1.0, 1.0], reach.shape)


def _fit(order: int, steps: Array, remainders: Array, floors: Array, band: float) -> Rate:
    """The verdict of one remainder; steps from large to small, NaN remainders where the function is not defined."""
    finite = np.isfinite(remainders)

    def found(verdict: str, rate: float = math.nan, window: tuple[float, float] = (math.nan, math.nan)) -> Rate:
        return Rate(order, rate, verdict, tuple(steps), tuple(remainders), tuple(floors), window)

    if finite.sum() < _FEWEST:
        return found("undecided")
    usable = np.flatnonzero(finite & (remainders > _CLEAR * floors))
    # No power of the step falls so fast: beyond the last such place there is a kink or a jump, and only from there on
    # the remainder is what it is near the point.
    falls = [n for n in usable[:-1] if remainders[n] > 2.0 ** (order + 4) * remainders[n + 1]]
    if usable.size and usable[-1] + 1 < len(steps) and finite[usable[-1] + 1]:
        last = int(usable[-1])
        falls += [last] if remainders[last] > 2.0 ** (order + 4) * remainders[last + 1] else []
    usable = usable[usable > falls[-1]] if falls else usable
    if len(usable) < _FEWEST:
        return found("undecided" if falls and len(usable) else "vanishes")
    window = usable[-_WINDOW:]
    h, log_r = steps[window], np.log(remainders[window])
    columns = [np.ones(len(window)), np.log(h)]
    if len(window) >= 6:
        columns.append(h / h[0])
    basis = np.stack(columns, axis=1)
    fitted = np.linalg.lstsq(basis, log_r)[0]
    rate = float(fitted[1])
    verdict = "right" if rate >= order - band else "wrong"
    # Of a wrong gradient the rate falls towards smaller steps, to the order below; of a right one it rises, if at all.
    half = len(window) // 2
    parts = (slice(half + 1), slice(half, None), slice(-3, None))
    coarse, fine, finest = (np.polyfit(np.log(h[part]), log_r[part], 1)[0] for part in parts)
    rising = fine > max(coarse, order - 0.5) or finest >= order - band
    if np.abs(basis @ fitted - log_r).max() > _CROOKED or (verdict == "wrong" and rising):
        verdict = "undecided"
    return found(verdict, rate, (float(h[0]), float(h[-1])))


def measure_rates(
    problem: Problem,
    change: Rule,
    gradient: Array,
    direction: Array,
    curvature: float | None,
    noise: float,
    smallest: float = 0.0,
) -> Rates:
    """The rates of a function to the real numbers on a problem's points.

    Parameters
    ----------
    change : point of n to a vector of 1, the function's value less that at the problem's point
    gradient, direction : vectors of n
    curvature : <d, H d>, or None
    noise : of the change
    smallest : no step is below it
    """
    band = BAND.get(problem.dtype, BAND[np.dtype(np.float32)])
    h = np.array([_FIRST / 2**n for n in range(64) if _FIRST / 2**n > max(problem.epsilon, smallest)])
    changes = np.array([change(problem.snap(problem.point + step * direction))[0] for step in h])
    slope = math.fsum(gradient * direction)
    # The noise includes what rounding does to the points; the products are rounded too.
    floor = noise + 4 * problem.epsilon * float(np.abs(gradient * direction).sum()) * h
    remainders = [(changes, np.full(h.shape, noise)), (changes - h * slope, floor)]
    if curvature is not None:
        remainders.append(
            (changes - h * slope - h**2 / 2 * curvature, floor + 4 * problem.epsilon * abs(curvature) * h)
        )
    rates = [_fit(n + 1, h, np.abs(r), f, band) for n, (r, f) in enumerate(remainders)]
    return Rates(tuple(rates), band)


def taylor_rates(
    function: Callable[..., Any],
    gradient: Any,
    x: Any,
    direction: Any,
    second: Any = None,
    *,
    noise: float | None = None,
    smallest: float = 0.0,
) -> Rates:
    """The Taylor rates of a function to the real numbers along one direction.

    Parameters
    ----------
    function : of the arrays x to a number (or an array of one element)
    gradient : its gradient at x: an array of the shape of x, or one an array; or a function of x that gives it
    x : an array of floats, or several in a list or tuple, passed as separate arguments
    direction : of the shape(s) of x, about the size of x: the largest step is a quarter of it
    second : the second derivative times the direction, shaped as the gradient, or a function of x and the direction
    noise : of the function's value; measured by 72 evaluations if None. It may be shared by directions at one x.
    smallest : no step is below it. By default there are some 50 steps; for a function that takes long, and whose
        remainder is known to reach the noise floor sooner, 2^-22 makes it 20.

    Returns
    -------
    Rates
        R0, R1 and with ``second`` R2. Where a value or the gradient is not a number, ``problem`` says so and
        nothing passes.

    Raises
    ------
    InputError
        If the function's value has several elements or the shapes do not fit.
    """
    arrays = list(x) if isinstance(x, (list, tuple)) else [x]
    arrays = [np.asarray(a) if not isinstance(a, float) else a for a in arrays]
    with quiet():
        try:
            problem = Problem(function, arrays)
        except InputError as error:
            if "finite" in str(error):
                return Rates((), math.nan, str(error))
            raise
        if problem.middle.size != 1:
            raise InputError(f"function: expected a value of one element, got shape {problem.shape}")
        d = problem.join(direction, "direction")
        g = problem.join(gradient(*arrays) if callable(gradient) else gradient, "gradient")
        if not (np.isfinite(g).all() and np.isfinite(d).all()):
            return Rates((), math.nan, "the gradient or the direction is not finite")
        curvature = None
        if second is not None:
            given = second(*arrays, direction) if callable(second) else second
            curvature = math.fsum(problem.join(given, "second") * d)
            if not math.isfinite(curvature):
                return Rates((), math.nan, "the second derivative is not finite")
        if noise is None:
            noise = float(measure_noise(problem.evaluate, problem.point, problem.unit, problem.epsilon).bound[0])
        return measure_rates(problem, lambda z: problem.evaluate(z) - problem.middle, g, d, curvature, noise, smallest)
