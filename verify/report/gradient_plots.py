"""A primitive's function, gradient, differences and Taylor remainders, as one plot."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minigrad.draw import SeededDraw
from minigrad.primitive import Primitive
from verify.report.plots import FLOAT, HARD, SLOPE, SOFT, STYLE

__all__ = ["gradient_plot"]

#: Relative step of the differences that are drawn: the cube root of float64's epsilon.
_STEP = float(np.cbrt(2.0**-52))
_POINTS = 600
_DOTS = 25


@dataclass(frozen=True)
class _Curve:
    """A function of one number with its derivative, and what the number is.

    ``difference`` is the central difference with step h; of a straight-through gradient, that of its surrogate frozen
    at each point.
    """

    label: str
    low: float
    high: float
    points: int
    value: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]
    difference: Callable[[np.ndarray, float], np.ndarray]


def gradient_plot(primitive: Primitive, kind: str = "svg", seed: int = 0) -> bytes:
    """Three panels: function and gradient, gradient minus differences, Taylor remainders along a random direction.

    A function of one element is drawn over the range of its examples; any other along a straight line through an
    example, as the sum of its outputs with random weights. A primitive with a surrogate is drawn with it.

    Parameters
    ----------
    primitive : from the registry
    kind : "svg", "png" or "pdf"
    seed : of example, weights and direction

    Returns
    -------
    bytes, the file's content
    """
    curve = _over_elements(primitive, seed) or _along_a_line(primitive, seed)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 2.7), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        _draw_function(left, curve)
        _draw_differences(middle, curve)
        _draw_taylor(right, primitive, seed)
        figure.suptitle(primitive.name, fontsize=11, fontweight="bold", x=0.01, ha="left")
        content = io.BytesIO()
        metadata: Any = {"Date": None} if kind == "svg" else None
        figure.savefig(content, format=kind, metadata=metadata, dpi=130)
    return content.getvalue()


def _over_elements(primitive: Primitive, seed: int) -> _Curve | None:
    """The curve of a function that treats every element of its one argument alike; None for any other."""
    examples = [primitive.examples(SeededDraw(seed + n), np.float64) for n in range(20)]
    arrays, options = examples[0]
    if len(arrays) != 1 or primitive.surrogate is not None:
        return None
    low = min(float(a[0].min()) for a, _ in examples if a[0].size)
    high = max(float(a[0].max()) for a, _ in examples if a[0].size)
    x = np.linspace(low, high, _POINTS)
    changed = x.copy()
    changed[_POINTS // 2 :] = x[0]
    try:
        y, z = (primitive.forward(v, **options)[0] for v in (x, changed))
    except (ValueError, IndexError, TypeError):
        return None
    if np.shape(y) != x.shape or not np.array_equal(y[: _POINTS // 2], z[: _POINTS // 2]) or np.ptp(z[-5:]) > 0:
        return None

    def value(x: np.ndarray) -> np.ndarray:
        return primitive.forward(x, **options)[0]

    def slope(x: np.ndarray) -> np.ndarray:
        g = primitive.vjp(np.ones_like(x), primitive.forward(x, **options)[1], [True])[0]
        return np.zeros_like(x) if g is None else g

    def difference(x: np.ndarray, h: float) -> np.ndarray:
        return (value(x + h) - value(x - h)) / ((x + h) - (x - h))

    return _Curve("x", low, high, _POINTS, value, slope, difference)


class _Line:
    """A straight line through an example, a tenth of its size long: the sum of the outputs with random weights."""

    def __init__(self, primitive: Primitive, seed: int) -> None:
        self.primitive = primitive
        for n in range(50):
            self.arrays, self.options = primitive.examples(SeededDraw(seed + n), np.float64)
            rng = np.random.default_rng(seed + n)
            positions = range(len(self.arrays)) if primitive.differentiable is None else primitive.differentiable
            self.tangents: list[Any] = [None] * len(self.arrays)
            for p in positions:
                size = float(np.abs(self.arrays[p]).mean()) if self.arrays[p].any() else 1.0
                self.tangents[p] = 0.1 * size * rng.standard_normal(self.arrays[p].shape)
            self.gy = rng.standard_normal(np.shape(self._function(0.0)(*self.arrays)))
            if self.slope(0.0):  # else there is nothing to see
                break

    def _forward(self, *arrays: Any) -> np.ndarray:
        return np.asarray(self.primitive.forward(*arrays, **self.options)[0])

    def _function(self, t: float) -> Callable[..., np.ndarray]:
        """The function the gradient at t belongs to."""
        surrogate = self.primitive.surrogate
        return self._forward if surrogate is None else surrogate(*self._at(t), **self.options)

    def _at(self, t: float) -> list[Any]:
        return [a if d is None else a + t * d for a, d in zip(self.arrays, self.tangents, strict=True)]

    def value(self, t: float, frozen_at: float = 0.0) -> float:
        return float(np.sum(self.gy * self._function(frozen_at)(*self._at(t))))

    def slope(self, t: float) -> float:
        along = self.primitive.jvp(tuple(self.tangents), *self._at(t), **self.options)
        return float(np.sum(self.gy * along))

    def bend(self) -> float | None:
        """The second derivative at t = 0; None where the primitive has none."""
        if self.primitive.hvp is None:
            return None
        products = self.primitive.hvp(self.gy, self.tangents, *self.arrays, **self.options)
        pairs = zip(products, self.tangents, strict=True)
        return sum(float(np.sum(p * d)) for p, d in pairs if p is not None and d is not None)


def _along_a_line(primitive: Primitive, seed: int) -> _Curve:
    line = _Line(primitive, seed)

    def value(t: np.ndarray) -> np.ndarray:
        return np.array([line.value(s, s) for s in t])

    def slope(t: np.ndarray) -> np.ndarray:
        return np.array([line.slope(s) for s in t])

    def difference(t: np.ndarray, h: float) -> np.ndarray:
        return np.array([(line.value(s + h, s) - line.value(s - h, s)) / ((s + h) - (s - h)) for s in t])

    return _Curve("t, along a line through an example", -1.0, 1.0, 120, value, slope, difference)


def _draw_function(axes: Axes, curve: _Curve) -> None:
    x = np.linspace(curve.low, curve.high, curve.points)
    dots, numeric = _differences(curve)
    below = axes.twinx()  # function and gradient have different units
    below.spines["right"].set_visible(True)
    lines = axes.plot(x, curve.value(x), color=SOFT, linewidth=1.4, label="function")
    lines += below.plot(x, curve.slope(x), color=SLOPE, linewidth=1.2, label="gradient (right)")
    lines += below.plot(dots, numeric, ".", color=HARD, markersize=4, label="differences")
    axes.set(xlabel=curve.label)
    axes.grid(alpha=0.2)
    names = [str(line.get_label()) for line in lines]
    axes.legend(lines, names, frameon=False, fontsize=7, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def _differences(curve: _Curve) -> tuple[np.ndarray, np.ndarray]:
    margin = 0.02 * (curve.high - curve.low)
    x = np.linspace(curve.low + margin, curve.high - margin, _DOTS)
    return x, curve.difference(x, _STEP * max(abs(curve.low), abs(curve.high)))


def _draw_differences(axes: Axes, curve: _Curve) -> None:
    x, numeric = _differences(curve)
    axes.axhline(0.0, color="#ced4da", linewidth=0.8)
    axes.plot(x, curve.slope(x) - numeric, ".-", color=HARD, linewidth=0.8, markersize=4)
    axes.set(xlabel=curve.label, title="gradient minus central differences")
    axes.ticklabel_format(axis="y", scilimits=(-2, 2))
    axes.grid(alpha=0.2)


def _draw_taylor(axes: Axes, primitive: Primitive, seed: int) -> None:
    """What is left of f(x + t d) after 0, 1 and (with a second derivative) 2 terms, over t."""
    line = _Line(primitive, seed)
    t = 2.0 ** -np.arange(0, 22, dtype=np.float64)
    here, slope, bend = line.value(0.0), line.slope(0.0), line.bend()
    away = np.array([line.value(s) - here for s in t])
    remainders = [("R0", FLOAT, away), ("R1", SOFT, away - t * slope)]
    if bend is not None:
        remainders.append(("R2", SLOPE, away - t * slope - 0.5 * t * t * bend))
    for order, (name, colour, remainder) in enumerate(remainders, 1):
        size = np.abs(remainder)
        seen = size > 0
        axes.loglog(t[seen], size[seen], ".-", color=colour, linewidth=1, markersize=4, label=f"{name}, rate {order}")
        if size[0] > 2.0**-40 * abs(away[0]):  # else nothing but rounding is left
            axes.loglog(t[:8], size[0] * t[:8] ** order, color=colour, linewidth=0.7, linestyle=":")
    axes.set(xlabel="t", title="Taylor remainders; dotted: the rate")
    axes.legend(frameon=False, fontsize=7)
    axes.grid(alpha=0.2)
