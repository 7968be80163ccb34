"""Checks by central differences: what every float64 vjp and jvp is held against.

Analytic and numeric derivative may differ by the numeric one's own error estimate and not more (``quotient.py`` says
what it is made of). Where the difference quotient does not settle, an entry counts as inconclusive, and if more than
the share ``inconclusive`` of them do, the check fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from verify.gradients.quotient import (
    EPSILON,
    Function,
    Quotient,
    float_arrays,
    mean_size,
    numeric_directional,
    numeric_gradient,
    output,
)

__all__ = ["Report", "check_adjoint", "check_gradients", "check_jvp", "check_vjp"]


@dataclass(frozen=True)
class Report:
    """How many numbers a check compared and how many it could not decide."""

    compared: int
    inconclusive: int

    def __add__(self, other: Report) -> Report:
        return Report(self.compared + other.compared, self.inconclusive + other.inconclusive)


def _positions(args: Sequence[Any], differentiable: Sequence[int] | None) -> list[int]:
    """The arguments to differentiate by; by default the float64 arrays and floats among them."""
    if differentiable is not None:
        return list(differentiable)
    return [
        n for n, a in enumerate(args) if isinstance(a, float) or (isinstance(a, np.ndarray) and a.dtype == np.float64)
    ]


def _paste(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"np.array({value.tolist()!r}, dtype=np.{value.dtype})"
    return repr(value)


def _snippet(name: str, args: Sequence[Any], extra: str) -> str:
    listed = ",\n    ".join(_paste(a) for a in args)
    return f"import numpy as np\n# {name}\nargs = (\n    {listed},\n)\n{extra}"


def _compare(
    name: str,
    what: str,
    analytic: np.ndarray,
    quotient: Quotient,
    args: Sequence[Any],
    extra: str,
) -> Report:
    numeric, error = quotient.value, quotient.error
    if analytic.shape != numeric.shape:
        raise AssertionError(f"{name}: {what} has shape {analytic.shape}, expected {numeric.shape}")
    # NaN must fail, so the comparison asks for agreement instead of looking for a difference.
    agrees = np.abs(analytic - numeric) <= error
    unsettled = ~quotient.settled & np.isfinite(analytic)
    wrong = ~agrees & ~unsettled
    if wrong.any():
        index = tuple(int(n) for n in np.argwhere(wrong)[0])
        raise AssertionError(
            f"{name}: {what}{list(index) if index else ''} is wrong\n"
            f"  analytic {float(analytic[index])!r}\n  numeric  {float(numeric[index])!r}\n"
            f"  error of the difference quotient {float(error[index]):.3g}\n"
            f"  {int(wrong.sum())} of {wrong.size} entries disagree\nTo reproduce:\n{_snippet(name, args, extra)}"
        )
    return Report(int(analytic.size), int(unsettled.sum()))


def _require_settled(name: str, report: Report, allowed: float) -> Report:
    if report.inconclusive > allowed * report.compared:
        raise AssertionError(
            f"{name}: the difference quotient does not settle for {report.inconclusive} of {report.compared} entries "
            "(a kink or a jump within a step?); choose points away from it"
        )
    return report


def check_vjp(
    name: str,
    function: Function,
    vjp: Function,
    args: Sequence[Any],
    *,
    differentiable: Sequence[int] | None = None,
    seed: int = 0,
    inconclusive: float = 0.0,
) -> Report:
    """Hold every entry of a vjp against central differences; use small arrays, each entry costs four forwards.

    Parameters
    ----------
    name : of the function, for messages
    function : ``function(*args) -> ndarray``
    vjp : ``vjp(gy, *args) -> tuple``, one gradient an argument or one a differentiable argument
    args : the arguments; the differentiable ones are float64 arrays (any shape) or floats
    differentiable : positions to differentiate by; by default every float64 array and float
    seed : of the incoming gradient, normal numbers of the shape of the output
    inconclusive : the share of entries that may lie too close to a kink to be decided

    Raises
    ------
    AssertionError
        Naming function, argument, index, analytic and numeric value and the error estimate, with a snippet to paste.
    """
    positions = _positions(args, differentiable)
    arrays = float_arrays(args, positions)
    gy = np.random.default_rng(seed).standard_normal(output(function, arrays).shape)
    gradients = _gradients(name, vjp(gy, *arrays), positions, len(arrays))
    report = Report(0, 0)
    for position, gradient in zip(positions, gradients, strict=True):
        quotient = numeric_gradient(function, arrays, position, gy)
        analytic = np.zeros(quotient.value.shape) if gradient is None else np.asarray(gradient, np.float64)
        extra = f"gy = np.random.default_rng({seed}).standard_normal({gy.shape})  # vjp(gy, *args)[{position}]"
        what = f"the gradient of argument {position}"
        report += _compare(name, what, analytic, quotient, arrays, extra)
    return _require_settled(name, report, inconclusive)


def _gradients(name: str, returned: Any, positions: list[int], count: int) -> list[Any]:
    returned = returned if isinstance(returned, (tuple, list)) else (returned,)
    if len(returned) == len(positions):
        return list(returned)
    if len(returned) == count:
        return [returned[position] for position in positions]
    raise AssertionError(f"{name}: vjp returned {len(returned)} gradients for {len(positions)} arguments")


def _tangents(args: list[Any], positions: list[int], seed: int) -> list[Any]:
    """Normal directions, each of the size of its argument; None for what is not differentiated."""
    rng = np.random.default_rng(seed)
    tangents: list[Any] = [None] * len(args)
    for position in positions:
        x = args[position]
        tangents[position] = rng.standard_normal(x.shape) * mean_size(x)
    return tangents


def check_jvp(
    name: str,
    function: Function,
    jvp: Function,
    args: Sequence[Any],
    *,
    differentiable: Sequence[int] | None = None,
    seed: int = 0,
    inconclusive: float = 0.0,
) -> Report:
    """Hold a jvp against central differences along one random direction of all differentiable arguments together.

    ``jvp(tangents, *args) -> ndarray``: one tangent an argument, None for those not differentiated. The rest is as in
    ``check_vjp``; every entry of the output is compared.
    """
    positions = _positions(args, differentiable)
    arrays = float_arrays(args, positions)
    quotient, tangents = numeric_directional(function, arrays, _tangents(arrays, positions, seed))
    analytic = np.asarray(jvp(tangents, *arrays), np.float64)
    drawn = [f"rng.standard_normal({arrays[p].shape}) * {mean_size(arrays[p])!r}" for p in positions]
    extra = f"rng = np.random.default_rng({seed})\n# jvp(tangents, *args), the tangents of {positions} in turn:\n"
    extra += "\n".join(drawn)
    report = _compare(name, "the jvp's entry ", analytic, quotient, arrays, extra)
    return _require_settled(name, report, inconclusive)


def check_adjoint(
    name: str,
    function: Function,
    vjp: Function,
    jvp: Function,
    args: Sequence[Any],
    *,
    differentiable: Sequence[int] | None = None,
    seed: int = 0,
) -> float:
    """The dot-product test ``<gy, jvp(t)> = <vjp(gy), t>``; returns the difference.

    Both sides sum the same products, so they differ by rounding only: the bound is ``2^-52 (n + 256)`` of the sum of
    the absolute values of the terms of both sums, n the number of terms and 256 roundings granted to either rule.
    """
    positions = _positions(args, differentiable)
    arrays = float_arrays(args, positions)
    tangents = _tangents(arrays, positions, seed)
    gy = np.random.default_rng(seed + 1).standard_normal(output(function, arrays).shape)
    forward = np.asarray(jvp(tuple(tangents), *arrays), np.float64) * gy
    gradients = _gradients(name, vjp(gy, *arrays), positions, len(arrays))
    backward = [
        np.asarray(g, np.float64) * tangents[p] for p, g in zip(positions, gradients, strict=True) if g is not None
    ]
    terms = float(np.abs(forward).sum() + sum(np.abs(b).sum() for b in backward))
    count = forward.size + sum(b.size for b in backward)
    difference = float(forward.sum()) - float(sum(b.sum() for b in backward))
    if not abs(difference) <= EPSILON * (count + 256) * terms:
        raise AssertionError(
            f"{name}: <gy, jvp(t)> - <vjp(gy), t> = {difference!r}, terms {terms!r}\nTo reproduce (seed {seed}):\n"
            + _snippet(name, arrays, "")
        )
    return difference


def check_gradients(
    name: str,
    function: Function,
    vjp: Function,
    args: Sequence[Any],
    *,
    differentiable: Sequence[int] | None = None,
    seed: int = 0,
    jvp: Function | None = None,
    inconclusive: float = 0.0,
) -> Report:
    """``check_vjp`` and, where a ``jvp`` is given, ``check_jvp`` and ``check_adjoint``."""
    options: dict[str, Any] = {"differentiable": differentiable, "seed": seed}
    report = check_vjp(name, function, vjp, args, inconclusive=inconclusive, **options)
    if jvp is not None:
        report += check_jvp(name, function, jvp, args, inconclusive=inconclusive, **options)
        check_adjoint(name, function, vjp, jvp, args, **options)
    return report
