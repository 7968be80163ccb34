"""Plots of the report, each as SVG text that fits into the page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minigrad.training import History
from quant import dsq
from quant.dsq import DSQ

__all__ = ["quantizer_curve", "training_curves", "weight_histograms"]

SOFT, HARD, SLOPE, FLOAT = "#0b6e8f", "#d1495b", "#6a994e", "#6c757d"
STYLE: Any = {
    "svg.hashsalt": "minigrad",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#495057",
    "axes.titlesize": 9,
    "path.simplify_threshold": 0.5,
}


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(text, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return text.getvalue()[text.getvalue().index("<svg") :]


def _smooth(values: Sequence[float], width: int = 25) -> tuple[np.ndarray, np.ndarray]:
    """Means over consecutive windows, at their middles."""
    count = max(1, len(values) // width)
    parts = np.array_split(np.asarray(values, np.float64), count)
    ends = np.cumsum([len(p) for p in parts])
    return ends - np.array([len(p) / 2 for p in parts]), np.array([p.mean() for p in parts])


def training_curves(floating: History, quantized: History, bits: int) -> str:
    """Loss (means of 25 steps) and test accuracy of both phases over the steps."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 2.8))
        loss, accuracy = figure.subplots(1, 2)
        start = 0
        for history, colour, name in ((floating, FLOAT, "float32"), (quantized, HARD, f"DSQ {bits}-bit")):
            x, y = _smooth(history.loss)
            loss.plot(x + start, y, color=colour, label=name)
            points = [(start + n, 100 * a) for n, a in history.accuracy]
            accuracy.plot(*zip(*points, strict=True), "o-", color=colour, markersize=3, label=name)
            start += len(history.loss)
        loss.set_yscale("log")
        loss.set(xlabel="step", title="training loss (cross-entropy)")
        accuracy.set(xlabel="step", title="test accuracy, %")
        for axes in (loss, accuracy):
            axes.axvline(len(floating.loss), color="#adb5bd", linewidth=0.8, linestyle=":")
            axes.grid(alpha=0.25)
        loss.legend(frameon=False)
        return _svg(figure)


def _draw_curve(axes: Axes, slope_axes: Axes, quantizer: DSQ) -> None:
    l, u, alpha = (float(p) for p in quantizer.parameters_now())
    low, high = _window(quantizer)
    x = np.linspace(low, high, 1200)
    axes.plot(x, x, color="#ced4da", linewidth=0.8)
    axes.plot(x, dsq.hard(x, l, u, alpha, quantizer.bits), color=HARD, linewidth=0.9, label="hard")
    axes.plot(x, dsq.soft(x, l, u, alpha, quantizer.bits), color=SOFT, linewidth=1.3, label="soft")
    slope_axes.plot(x, dsq.soft_partials(x, l, u, alpha, quantizer.bits)[0], color=SLOPE, linewidth=1.1)
    slope_axes.set_ylim(bottom=0)


def _window(quantizer: DSQ) -> tuple[float, float]:
    """The whole range with a margin; beyond 4 bits the eight steps at its middle."""
    l, u, _ = (float(p) for p in quantizer.parameters_now())
    if quantizer.bits <= 4:
        return l - 0.15 * (u - l), u + 0.15 * (u - l)
    middle, step = 0.5 * (l + u), (u - l) / ((1 << quantizer.bits) - 1)
    return middle - 4 * step, middle + 4 * step


def quantizer_curve(name: str, quantizer: DSQ) -> str:
    """Soft and hard function of one quantizer as learned, and below the gradient by x."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.0, 2.9))
        axes, slope = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [2, 1], "hspace": 0.12})
        _draw_curve(axes, slope, quantizer)
        l, u, alpha = (float(p) for p in quantizer.parameters_now())
        axes.set_title(f"{name}: {quantizer.bits} bit\n[{l:.3g}, {u:.3g}], alpha {alpha:.3f}")
        axes.legend(frameon=False, fontsize=7, loc="upper left")
        slope.set(xlabel="x" if quantizer.bits <= 4 else "x, eight steps of the middle", ylabel="dy/dx")
        for each in (axes, slope):
            each.grid(alpha=0.2)
        return _svg(figure)


def weight_histograms(name: str, before: np.ndarray, after: np.ndarray, quantizer: DSQ) -> str:
    """Weights of one layer before quantization-aware training and after, and the part of them at each level."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.0, 2.0))
        axes = figure.subplots()
        reach = max(float(np.abs(before).max()), float(np.abs(after).max()), float(quantizer.u.data))
        bins = np.linspace(-reach, reach, 61).tolist()
        axes.hist(before.ravel(), bins=bins, color=FLOAT, alpha=0.5, label="before")
        axes.hist(after.ravel(), bins=bins, histtype="step", color=SOFT, linewidth=1.2, label="after")
        levels = quantizer.levels()
        if len(levels) <= 16:
            counts = np.bincount(quantizer.codes(after).ravel(), minlength=len(levels))
            top = axes.get_ylim()[1]
            for level, count in zip(levels, counts, strict=True):
                axes.axvline(level, color=HARD, linewidth=0.8, linestyle="--")
                axes.text(
                    level, top, f"{100 * count / after.size:.0f}%", color=HARD, ha="center", va="bottom", fontsize=7
                )
        axes.set_title(f"{name}: {after.size:,} weights", pad=14)
        axes.set_yticks([])
        axes.legend(frameon=False, fontsize=7)
        return _svg(figure)
