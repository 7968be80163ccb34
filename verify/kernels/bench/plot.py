"""The plot: our figures at each width against other libraries' 8 bits and the bounds, layer by layer."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from verify.kernels.bench.layers import Layer, Width
from verify.kernels.bench.peers import PEERS, Peer, bound_of, peers_of
from verify.kernels.bench.record import Record
from verify.kernels.bench.table import TITLES
from verify.report.plots import STYLE

__all__ = ["draw"]

_COLOURS = {1: "#0b6e8f", 2: "#d1495b", 3: "#edae49", 4: "#6a994e", 8: "#5e548e"}
_PEER_MARKERS = dict(zip(dict.fromkeys(peer.name for peer in PEERS), "Ds^v<>", strict=False))
_GREY = "#868e96"
_TICKS = (0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7)


def draw(record: Record, kind: str = "png") -> bytes:
    """A panel for each path that has peers: a line a layer, a point a width; shorter is leaner.

    Parameters
    ----------
    record : with counts
    kind : "png", "svg" or "pdf"

    Returns
    -------
    bytes, the file's content
    """
    paths = [path for path in record.paths if peers_of(path)] or record.paths
    lines = len(record.layers) + 1
    content = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2 * max(1, len(paths)) + 1.2, 0.34 * lines + 1.7), dpi=140)
        panels = figure.subplots(1, max(1, len(paths)), sharey=True, sharex=True, squeeze=False)[0]
        for axes, path in zip(panels, paths, strict=True):
            _draw_path(axes, record, path)
        figure.supxlabel("instructions per multiply-accumulate, whole layer (logarithmic)", fontsize=9)
        figure.legend(handles=_legend(record, paths), loc="upper center", ncols=5, frameon=False, fontsize=8)
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.62 / figure.get_figheight()))
        figure.savefig(content, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return content.getvalue()


def _draw_path(axes: Axes, record: Record, path: str) -> None:
    layers: list[Layer | None] = [None, *record.layers]  # None: the body
    if all(record.body(width, path) is None for width in record.widths):
        layers = layers[1:]
    axes.set_title(f"AArch64, {TITLES[path]}")
    for y, layer in enumerate(layers):
        axes.axhline(y, color="#e9ecef", linewidth=1 if layer else 11, zorder=0)
        _draw_peers(axes, y, layer, peers_of(path))
        for width in record.widths:
            _draw_width(axes, y, layer, width, path, record)
    names = ["ResNet-18 body" if layer is None else layer.name for layer in layers]
    axes.set_yticks(range(len(layers)), names)
    if layers[0] is None and axes.get_yticklabels():  # the first panel's
        axes.get_yticklabels()[0].set_fontweight("bold")
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.set_xscale("log")
    axes.set_xticks(_TICKS)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}".removeprefix("0")))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", color="#f1f3f5", zorder=0)
    axes.tick_params(length=0)


def _draw_peers(axes: Axes, y: int, layer: Layer | None, peers: Sequence[Peer]) -> None:
    for peer in peers:
        marker = _PEER_MARKERS[peer.name]
        figure = peer.body if layer is None else peer.figures[layer]
        axes.plot(figure.instructions, y, marker, color="white", markeredgecolor=_GREY, markersize=5, zorder=2)


def _draw_width(axes: Axes, y: int, layer: Layer | None, width: Width, path: str, record: Record) -> None:
    colour = _COLOURS.get(width.weights, "black")
    if layer is None:
        figures = record.body(width, path)
    else:
        cell = record.cell(layer, width, path)
        figures = None if cell is None else cell.per_mac
    if figures is not None:
        face = "white" if width.from_weights else colour
        axes.plot(figures[0], y, "o", color=face, markeredgecolor=colour, markersize=6, markeredgewidth=1.4, zorder=4)
    bound = None if layer is None else bound_of(layer, width, path)
    if bound is not None:
        axes.plot([bound] * 2, [y - 0.28, y + 0.28], color=colour, linewidth=1.6, zorder=3)


def _legend(record: Record, paths: Sequence[str]) -> list[Line2D]:
    def point(marker: str, face: str, edge: str, label: str) -> Line2D:
        style = {"color": face, "markeredgecolor": edge, "markersize": 6.0, "markeredgewidth": 1.4}
        return Line2D([], [], marker=marker, linestyle="", label=label, **style)  # type: ignore[arg-type]

    handles = []
    for width in record.widths:
        colour = _COLOURS.get(width.weights, "black")
        digits = width.name.rstrip("bw")
        label = f"{digits} bit" + ", bipolar" * width.bipolar + ", flush from weights" * width.from_weights
        handles.append(point("o", "white" if width.from_weights else colour, colour, label))
    handles.append(
        Line2D([], [], color="black", linewidth=1.6, marker="|", linestyle="", label="bound (vector operations)")
    )
    shown = dict.fromkeys(peer.name for path in paths for peer in peers_of(path))
    handles += [point(_PEER_MARKERS[name], "white", _GREY, f"{name}, 8 bit") for name in shown]
    return handles
