"""Other libraries' 8-bit convolutions, counted in the same way, and what the arithmetic allows.

The peers' columns are whole layers with padding, im2col or transform, and requantization, in steady state: the
difference of two runs of one program with one more iteration; weights packed before; one image, one thread.
"""

from __future__ import annotations

from typing import NamedTuple

from verify.kernels.bench.layers import LAYERS, Layer, Width

__all__ = ["PEERS", "Figure", "Peer", "bound_of", "peers_of"]


class Figure(NamedTuple):
    """Per MAC: all instructions, and of them vector operations."""

    instructions: float
    vector: float


class Peer(NamedTuple):
    """A library at a commit, on a path."""

    name: str
    commit: str
    path: str
    figures: dict[Layer, Figure]
    body: Figure


def _peer(name: str, commit: str, path: str, *pairs: tuple[float, float]) -> Peer:
    *layers, body = (Figure(*pair) for pair in pairs)
    return Peer(name, commit, path, dict(zip(LAYERS, layers, strict=True)), body)


#: ncnn's 3x3 with stride 1 is Winograd F(4, 3) in int16, switched off where there are dot products.
PEERS = (
    _peer(
        "ncnn 2019-08", "f79fa87d", "neon",
        (.201, .086), (.184, .074), (.233, .089), (.232, .086), (.455, .313), (.753, .269), (.499, .269),
        (.430, .252), (.396, .243), (.378, .239), (.324, .155), (.259, .109), (.239, .087), (.243, .109),
    ),
    _peer(
        "ncnn 2026-07", "a4d2ea1d4", "neon",
        (.093, .075), (.081, .069), (.099, .085), (.101, .083), (.249, .225), (.302, .258), (.294, .256),
        (.264, .237), (.250, .228), (.243, .224), (.175, .111), (.128, .087), (.112, .074), (.112, .095),
    ),
    _peer(
        "XNNPACK 2026-08", "75db3c093b", "neon",
        (.239, .192), (.231, .190), (.227, .189), (.229, .192), (.239, .192), (.293, .227), (.295, .227),
        (.257, .207), (.240, .197), (.231, .192), (.296, .205), (.257, .196), (.239, .192), (.234, .191),
    ),
    _peer(
        "ncnn 2026-07", "a4d2ea1d4", "dotprod",
        (.088, .066), (.080, .064), (.076, .063), (.076, .063), (.083, .066), (.127, .087), (.121, .087),
        (.096, .075), (.084, .068), (.077, .066), (.148, .077), (.112, .070), (.094, .066), (.082, .065),
    ),
    _peer(
        "XNNPACK 2026-08", "75db3c093b", "dotprod",
        (.086, .065), (.081, .064), (.079, .063), (.083, .067), (.085, .065), (.112, .085), (.113, .085),
        (.094, .074), (.085, .068), (.082, .065), (.114, .073), (.095, .068), (.086, .065), (.083, .065),
    ),
)  # fmt: skip

#: Vector operations a MAC of the multiplications and flushes alone, on cores that start one a cycle (A53, A55): for 3x3
#: with stride 1 exact Winograd F(4, 3) in 16-bit lanes, 36 products for 144, or F(2, 3) by dot products; else direct:
#: bit-serial (AND, CNT, ADD), MLA with a flush every 31, 7 or (4 bits: centred on a half, rounded down) 2 products,
#: SMULL + SMLAL2 + SADALP.
_WINOGRAD = {"neon": dict.fromkeys((2, 3, 4), 36 / 144 / 8), "dotprod": {2: 0.028, 3: 0.028, 4: 0.028}}
_DIRECT = {
    "neon": {1: 0.023, 2: 0.0645, 3: 0.071, 4: 0.094, 8: 0.188},
    "dotprod": {1: 0.023, 2: 0.0625, 3: 0.0625, 4: 0.0625, 8: 0.0625},
}


def peers_of(path: str) -> list[Peer]:
    """The peers that were counted on a path."""
    return [peer for peer in PEERS if peer.path == path]


def bound_of(layer: Layer, width: Width, path: str) -> float | None:
    """The lowest known number of vector operations a MAC; None where no scheme's bound is known.

    A stride of 2 has none: polyphase schemes go below the direct bound there.
    """
    if width.activations != width.weights or path not in _DIRECT or (layer.kernel > 1 and layer.stride > 1):
        return None
    if layer.kernel == 3 and width.weights in _WINOGRAD[path]:
        return _WINOGRAD[path][width.weights]
    return _DIRECT[path].get(width.weights)
