"""Plots of any quantization method: function, hard function, and the gradients of x and of each parameter."""

from __future__ import annotations

import io
import textwrap
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verify.curves import Curves, Setting, curves, window
from verify.report.plots import FLOAT, HARD, SLOPE, SOFT, STYLE

__all__ = ["method_plot", "small_plot"]

_POINTS = 1001
#: Of a parameter with more entries, those with the largest gradients are drawn.
_ENTRIES = 16
#: With more bits the eight steps in the middle are drawn: all of them would be a straight line.
_WIDE_BITS = 4
_IDENTITY = "#ced4da"


def _points(setting: Setting, count: int) -> np.ndarray:
    low, high = window(setting)
    if setting.bits > _WIDE_BITS and setting.alone:
        middle, step = 0.5 * (low + high), (high - low) / (1.3 * (1 << setting.bits))
        low, high = middle - 4 * step, middle + 4 * step
    return np.linspace(low, high, count)


def _written(figure: Figure, kind: str) -> bytes:
    content = io.BytesIO()
    metadata: Any = {"Date": None} if kind == "svg" else None
    figure.savefig(content, format=kind, metadata=metadata, dpi=130)
    return content.getvalue()


def _draw_functions(axes: Axes, found: Curves) -> None:
    axes.plot(found.x, found.x, color=_IDENTITY, linewidth=0.8, label="identity")
    # Far from the levels the identity says nothing.
    values = np.concatenate([found.hard, found.value])
    margin = 0.15 * (values.max() - values.min()) or 0.5
    axes.set_ylim(values.min() - margin, values.max() + margin)
    axes.plot(found.x, found.hard, color=HARD, linewidth=1.0, label="hard")
    if found.soft is not None:
        axes.plot(found.x, found.soft, color=SOFT, linewidth=1.5, label="soft")
    if not np.array_equal(found.value, found.hard):
        axes.plot(found.x, found.value, color=SOFT, linewidth=1.5, label="in training")
    axes.grid(alpha=0.2)


def _draw_slope(axes: Axes, found: Curves) -> None:
    axes.plot(found.x, found.by_x, color=SLOPE, linewidth=1.1, label="incoming gradient 1")
    if found.by_x_reversed is not None:
        axes.plot(found.x, found.by_x_reversed, color=FLOAT, linewidth=1.0, linestyle="--", label="-1, times -1")
        axes.legend(frameon=False, fontsize=7)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.0), max(high, 0.0))  # a constant is seen for what it is
    axes.set_ylabel("by x")
    axes.grid(alpha=0.2)


def _draw_entries(axes: Axes, x: np.ndarray, name: str, gradients: np.ndarray) -> None:
    entries = gradients.shape[1]
    drawn = np.sort(np.argsort(-np.abs(gradients).max(axis=0), kind="stable")[:_ENTRIES])
    colours = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.9, len(drawn)))
    for entry, colour in zip(drawn, colours, strict=True):
        axes.plot(x, gradients[:, entry], color=SLOPE if entries == 1 else colour, linewidth=1.1, label=f"[{entry}]")
    shown = f"\n{len(drawn)} largest of {entries}" if len(drawn) < entries else ""
    axes.set_ylabel(f"by {name}{shown}")
    if 1 < len(drawn) <= 4:
        axes.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes.grid(alpha=0.2)


def method_plot(setting: Setting, kind: str = "svg") -> bytes:
    """Left the function and its hard function, right the gradients of x and of each parameter.

    Parameters
    ----------
    setting : the method with its width and parameters
    kind : "svg", "png" or "pdf"

    Returns
    -------
    bytes, the file's content
    """
    found = curves(setting, _points(setting, _POINTS))
    panels = 1 + len(found.by_parameter)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10, max(4.2, 1.4 * panels)), layout="constrained")
        grid = figure.add_gridspec(panels, 2)
        axes = figure.add_subplot(grid[:, 0])
        _draw_functions(axes, found)
        zoomed = "x, eight steps of the middle" if setting.bits > _WIDE_BITS and setting.alone else "x"
        figure.suptitle(textwrap.fill(f"{setting.primitive.name}: {setting}", 120), fontsize=10, x=0.01, ha="left")
        axes.set(title="function", xlabel=zoomed, ylabel="value")
        axes.legend(frameon=False)
        slope = figure.add_subplot(grid[0, 1], sharex=axes)
        _draw_slope(slope, found)
        slope.set_title("gradients" if setting.alone else "gradients (the points are one tensor)")
        for row, (name, gradients) in enumerate(found.by_parameter.items(), 1):
            _draw_entries(figure.add_subplot(grid[row, 1], sharex=axes), found.x, name, gradients)
        figure.axes[-1].set_xlabel(zoomed)
        return _written(figure, kind)


def small_plot(setting: Setting, count: int = 401) -> str:
    """The function above, the gradient of x below it, as SVG text for a page."""
    found = curves(setting, _points(setting, count))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.3, 3.0), layout="constrained")
        axes, slope = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [2, 1]})
        _draw_functions(axes, found)
        axes.set_title(f"{setting.bits} bit, {setting.role}")
        axes.legend(frameon=False, fontsize=7, loc="upper left")
        _draw_slope(slope, found)
        text = _written(figure, "svg").decode()
    return text[text.index("<svg") :]
