"""The complex step: for an analytic function f'(x) = Im f(x + i h) / h + O(h^2), with no difference to cancel.

(W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Rev. 40, 1998.)
It is exact to rounding, but only for code that computes an analytic function of complex arguments: ``abs``, a
comparison or a cast to real numbers silently makes it something else. So it is *allowed* only where

1. the function takes complex arrays and returns finite complex ones, real at the real point and with the same value;
2. f(conj z) = conj f(z);
3. on a circle of radius r = 2^-10 around the point, along the direction, the Fourier coefficients that an analytic
   function does not have (of exp(-i k theta), k = 1, 2, 3; with 8 points they hold only powers r^5 and above) are below
   r^2 of how much the function moves, and the constant one is the value: a conjugate anywhere makes them r^0 or r^1;
4. two steps, of 2^-66 and 2^-100 of the point's size, agree.

Anything else is reported as not allowed, and is no verdict.
"""

from __future__ import annotations

import warnings

import numpy as np

from verify.gradients.noise import measure_noise
from verify.gradients.problem import Array, Problem

__all__ = ["ComplexStep", "NotAllowed"]

_STEPS = (2.0**-66, 2.0**-100)
_RADIUS = 2.0**-10
_POINTS = 8


class NotAllowed(Exception):
    """The function does not allow the complex step; the message says why."""


class ComplexStep:
    """Directional derivatives of a problem's function by the complex step; float64 only.

    Raises
    ------
    NotAllowed
        By ``derivative``, where one of the conditions does not hold.
    """

    def __init__(self, problem: Problem) -> None:
        if problem.dtype != np.float64 or any(
            np.asarray(problem.args[n]).dtype != np.float64 for n in problem.positions
        ):
            raise NotAllowed("it needs float64 arguments and a float64 value")
        self._problem = problem

    def _evaluate(self, z: Array) -> Array:
        problem = self._problem
        args = list(problem.args)
        for n in problem.positions:
            shape = np.shape(args[n])
            args[n] = z[problem.slice_of(n)].reshape(shape)
        try:
            with warnings.catch_warnings():
                # NumPy only warns when it drops an imaginary part.
                warnings.simplefilter("error")
                value = np.asarray(problem.function(*args))
        except Exception as error:
            raise NotAllowed(f"complex arguments raise {type(error).__name__}") from None
        problem.evaluations += 1
        if value.dtype != np.complex128 or value.shape != problem.shape:
            raise NotAllowed(f"complex arguments give dtype {value.dtype}, shape {value.shape}")
        if not np.isfinite(value).all():
            raise NotAllowed("the value at complex arguments is not finite")
        return value.ravel()

    def derivative(self, direction: Array, noise: Array) -> tuple[Array, Array]:
        """The derivative along a direction and its error, vectors of m; ``noise`` is that of the function's value."""
        point = self._problem.point
        middle = self._evaluate(point.astype(np.complex128))
        if np.any(middle.imag != 0) or np.any(np.abs(middle.real - self._problem.middle) > 2 * noise):
            raise NotAllowed("the value at the real point is not that of real arguments")
        self._require_analytic(direction, middle, noise)
        found = [self._at(point, direction, h) for h in _STEPS]
        step_noise = measure_noise(
            lambda z: self._at(z, direction, _STEPS[0]), point, self._problem.unit, self._problem.epsilon
        )
        error = 2 * step_noise.bound
        if np.any(np.abs(found[0] - found[1]) > error):
            raise NotAllowed("two steps do not agree")
        return found[0], error

    def _at(self, point: Array, direction: Array, h: float) -> Array:
        return self._evaluate(point + 1j * h * direction).imag / h

    def _require_analytic(self, direction: Array, middle: Array, noise: Array) -> None:
        point = self._problem.point
        angles = 2 * np.pi * (np.arange(_POINTS) + 0.5) / _POINTS
        circle = np.exp(1j * angles)
        values = np.stack([self._evaluate(point + _RADIUS * w * direction) for w in circle])
        # Point k and point 7 - k are conjugate, by the half step in the angles.
        if np.any(np.abs(values - values[::-1].conj()) > 4 * noise):
            raise NotAllowed("f(conj z) is not conj f(z)")
        moved = np.abs(values - middle).max(axis=0)
        allowed = _RADIUS**2 * moved + 4 * noise
        for k in range(4):
            coefficient = (values * (circle**k)[:, None]).mean(axis=0) - (middle if k == 0 else 0.0)
            if np.any(np.abs(coefficient) > allowed):
                raise NotAllowed("the function of complex arguments is not analytic")
