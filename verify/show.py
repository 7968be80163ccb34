"""``minigrad show``: a quantizer's values and gradients at given points, certified, and as a plot."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from rich.console import Console

from minigrad.checkpoint import check_writable, write_atomically
from minigrad.errors import InputError
from quant import METHODS, dsq
from verify.gradients.truth import certify

__all__ = ["show"]

_DEFAULTS = {"l": -1.0, "u": 1.0, "alpha": 0.2}
_SUFFIXES = (".png", ".svg", ".pdf")


def _parameters(given: list[str]) -> dict[str, float]:
    parameters = dict(_DEFAULTS)
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in parameters:
            raise InputError(f"--param: expected NAME=NUMBER with a name from {', '.join(parameters)}, got {text!r}")
        try:
            parameters[name] = float(value)
        except ValueError:
            raise InputError(f"--param {name}: expected a number, got {value!r}") from None
    return parameters


def show(method: str, x: list[float] | None, bits: int, param: list[str], plot: Path | None, console: Console) -> None:
    """Print a table of values and gradients (gradients as ``soft_partials``), and write the plot if a path is given.

    Raises
    ------
    InputError
        For an unknown method, a parameter outside its domain, a point that is not finite, or a plot's suffix.
    """
    if method not in METHODS:
        raise InputError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
    if plot is not None and plot.suffix not in _SUFFIXES:
        raise InputError(f"--plot: expected a file ending in {', '.join(_SUFFIXES)}, got {plot}")
    parameters = _parameters(param)
    l, u, alpha = parameters["l"], parameters["u"], parameters["alpha"]
    dsq.check_parameters(l, u, alpha)
    if plot is not None:
        check_writable(plot)
    points = np.array(x if x else np.linspace(l - 0.1 * (u - l), u + 0.1 * (u - l), 13))
    if not np.isfinite(points).all():
        raise InputError(f"--x: expected finite numbers, got {points[~np.isfinite(points)][0]}")
    # Beyond the ends all results are constant: certified is the nearest point that is not absurdly far.
    near = np.clip(points, l - (u - l), u + (u - l))
    value, partials = dsq.soft(points, l, u, alpha, bits), dsq.soft_partials(points, l, u, alpha, bits)
    hard = dsq.hard(points, l, u, alpha, bits)
    certificate = certify(lambda x, l, u, alpha: dsq.soft(x, l, u, alpha, bits), (near, l, u, alpha), value, partials)
    console.print(f"{method}: {bits} bit, l = {l:g}, u = {u:g}, alpha = {alpha:g}", highlight=False)
    lines: list[tuple[str, ...]] = [("x", "soft", "hard", "dx", "dl", "du", "dalpha")]
    lines += [tuple(f"{number:.12g}" for number in row) for row in zip(points, value, hard, *partials, strict=True)]
    for line in lines:
        console.print("".join(f"{cell:>20}" for cell in line), highlight=False, soft_wrap=True)
    for bound in certificate.bounds:
        proven = "exact" if bound.bits == math.inf else f"|error| <= 2^-{bound.bits:g} of the sum of the terms"
        console.print(f"  certified {bound.name}: {proven}", highlight=False)
    if plot is not None:
        from verify.report.plots import method_plot

        write_atomically(plot, method_plot(l, u, alpha, bits, plot.suffix[1:]))
        console.print(f"plot: {plot}", soft_wrap=True)
