"""The figures as rows of text: for the terminal, and as Markdown for the page."""

from __future__ import annotations

from collections.abc import Sequence

from verify.kernels.bench.layers import LAYERS, Layer, Width
from verify.kernels.bench.peers import Figure, Peer, bound_of, peers_of
from verify.kernels.bench.record import Record

__all__ = ["TITLES", "bound_rows", "host_rows", "instruction_rows", "markdown", "plain_rows"]

#: What a path is called above a table.
TITLES = {
    "scalar": "scalar C",
    "neon": "Armv8.0 (NEON)",
    "dotprod": "with dot products",
    "i8mm": "with matrix products",
}

_BODY = "ResNet-18 body"
_NOTHING = "-"

Rows = list[tuple[str, ...]]


def _number(value: float) -> str:
    text = f"{value:.4f}" if value < 0.1 else f"{value:.3f}"
    return text.removeprefix("0")


def _pair(figure: Figure) -> str:
    """A peer's, of three digits."""
    return " ".join((f"{figure.instructions:.3f}".removeprefix("0"), f"({figure.vector:.3f})".replace("(0", "(")))


def _head(widths: Sequence[Width]) -> list[str]:
    return [f"{width.name} bit" for width in widths]


def instruction_rows(record: Record, path: str) -> Rows:
    """A row a layer, and the body: instructions (vector operations) per MAC of ours, then the peers'."""
    peers = peers_of(path)
    rows: Rows = [("layer", *_head(record.widths), *(peer.name for peer in peers))]
    for layer in record.layers:
        rows.append((layer.name, *(_ours(record, layer, w, path) for w in record.widths), *_theirs(peers, layer)))
    bodies = [record.body(width, path) for width in record.widths]
    if any(bodies):
        ours = [f"{_number(body[0])} ({_number(body[1])})" if body else _NOTHING for body in bodies]
        rows.append((_BODY, *ours, *(_pair(peer.body) for peer in peers)))
    return rows


def _ours(record: Record, layer: Layer, width: Width, path: str) -> str:
    cell = record.cell(layer, width, path)
    if cell is None:
        return _NOTHING
    if cell.wrong:
        return "WRONG"
    return f"{_number(cell.per_mac[0])} ({_number(cell.per_mac[1])})"


def _theirs(peers: Sequence[Peer], layer: Layer) -> list[str]:
    return [_pair(peer.figures[layer]) for peer in peers]


def plain_rows(record: Record, path: str) -> Rows:
    """A row a layer, and the body: instructions per MAC with plain loads and stores only."""
    rows: Rows = [("layer", *_head(record.widths))]
    for layer in record.layers:
        cells = [record.cell(layer, width, path) for width in record.widths]
        rows.append((layer.name, *(_number(cell.per_mac[2]) if cell else _NOTHING for cell in cells)))
    bodies = [record.body(width, path) for width in record.widths]
    if any(bodies):
        rows.append((_BODY, *(_number(body[2]) if body else _NOTHING for body in bodies)))
    return rows


def bound_rows(path: str) -> Rows:
    """The bounds, by kind of layer."""
    widths = [Width(bits, bits) for bits in (1, 2, 3, 4, 8)]
    rows: Rows = [("layer", *_head(widths))]
    for name, layer in (("3x3", LAYERS[0]), ("1x1", LAYERS[6])):
        bounds = [bound_of(layer, width, path) for width in widths]
        rows.append((name, *(_NOTHING if bound is None else _number(bound) for bound in bounds)))
    return rows


def host_rows(record: Record) -> Rows:
    """A row a layer and path: 10^9 MACs a second at each width."""
    paths = list(dict.fromkeys(timing.path for timing in record.timings))
    known = {(timing.layer, timing.width, timing.path): timing for timing in record.timings}
    rows: Rows = [("layer", "path", *_head(record.widths))]
    for layer in record.layers:
        for path in paths:
            found = [known.get((layer, width, path)) for width in record.widths]
            texts = [_NOTHING if t is None else f"{t.gmacs:.1f}" if t.is_right else "WRONG" for t in found]
            rows.append((layer.name, path, *texts))
    return rows


def markdown(rows: Rows) -> str:
    """A table; the first row is its head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|")
    return "\n".join(lines) + "\n"
