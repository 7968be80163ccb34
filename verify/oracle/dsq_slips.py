"""What known slips in DSQ compute: those found in public implementations (methods/dsq.md), and the usual mistakes of a
hand-written backward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from verify.oracle.table import Table

__all__ = ["DSQ_SLIPS", "DsqPoints", "Slip"]


class DsqPoints:
    """The intermediate quantities of DSQ at every case, float64, as the vectors' equations name them."""

    def __init__(self, table: Table) -> None:
        self.x = table.x
        self.l, self.u, self.alpha, self.bits = (table.parameters[k] for k in ("l", "u", "alpha", "bits"))
        self.set_steps(2.0**self.bits - 1)

    def set_steps(self, n: np.ndarray) -> None:
        self.n = n
        self.step = (self.u - self.l) / n
        self.v = (self.x - self.l) / self.step
        self.i = np.clip(np.floor(self.v), 0, n - 1)
        self.z = self.v - self.i - 0.5
        self.gain = np.log1p(2 * (1 - self.alpha) / self.alpha)
        self.s = 1 / (1 - self.alpha)
        self.t = np.tanh(self.gain * self.z)
        self.d2 = 1 / np.cosh(np.clip(self.gain * self.z, -300, 300)) ** 2
        self.slope = self.gain * self.s * self.d2 / 2
        self.q = self.i + (self.s * self.t + 1) / 2
        self.code = np.clip(np.floor(self.v + 0.5), 0, n)

    def inside(self, value: Any, below: Any = 0.0, above: Any = 0.0) -> np.ndarray:
        """``value`` in [l, u], the constants elsewhere."""
        return np.where(self.x < self.l, below, np.where(self.x > self.u, above, value))

    def soft(self, gain: Any, s: Any) -> np.ndarray:
        """The forward with another gain or scale."""
        y = self.l + self.step * (self.i + (s * np.tanh(gain * self.z) + 1) / 2)
        return self.inside(y, self.l, self.u)

    def q_without_s(self) -> np.ndarray:
        """The soft code with 1 in place of s."""
        return self.i + (self.t + 1) / 2

    def alpha_by_s(self) -> np.ndarray:
        """The part of alpha's gradient that comes through s, inside."""
        return self.step / 2 * self.s**2 * self.t

    def alpha_by_k(self) -> np.ndarray:
        """The part of alpha's gradient that comes through k, inside."""
        return -self.step * self.s * self.z * self.d2 / (self.alpha * (2 - self.alpha))


def _more_levels(p: DsqPoints) -> np.ndarray:
    p.set_steps(2.0**p.bits)
    return p.soft(p.gain, p.s)


Predict = Callable[[DsqPoints], np.ndarray]

#: Where sgn decides by rounding, or by its value at 0: (x - m)'s sign need not be that of v - i - 1/2.
_TIES = ("near-tie", "tie", "middle")


@dataclass(frozen=True)
class Slip:
    """A mistake: its name, what it computes for each output it touches, in words, and the flags where that varies."""

    name: str
    predictions: dict[str, Predict]
    message: str
    varies_at: tuple[str, ...] = ()


DSQ_SLIPS: list[Slip] = [
    Slip(
        "straight-through-index",
        {"dx": lambda p: p.inside(1.0)},
        "your dx is plain straight-through (1 inside [l, u]): the interval index carries a gradient, so the tanh never "
        "shapes dx; take the index out of the graph",
    ),
    Slip(
        "straight-through-index",
        {
            "dl": lambda p: p.inside((p.v - p.q) / p.n, 1.0, 0.0),
            "du": lambda p: p.inside((p.q - p.v) / p.n, 0.0, 1.0),
        },
        "your dl is -du inside [l, u], which is what an interval index with a straight-through gradient gives",
    ),
    Slip(
        "hard-q",
        {
            "dl": lambda p: p.inside(1 - p.code / p.n + p.slope * (p.v / p.n - 1), 1.0, 0.0),
            "du": lambda p: p.inside(p.code / p.n - p.slope * p.v / p.n, 0.0, 1.0),
        },
        "the code stands in place of q = i + (phi + 1)/2: the variant for a hard forward (Algorithm 1, step 6), not "
        "the gradient of the soft one (eq 13)",
        _TIES,
    ),
    Slip(
        "step-detached",
        {"dl": lambda p: p.inside(1 - p.slope, 1.0, 0.0), "du": lambda p: p.inside(0.0, 0.0, 1.0)},
        "the step D = (u - l)/N is treated as a constant: l and u only shift the range and do not scale it",
    ),
    Slip(
        "position-detached",
        {"dl": lambda p: p.inside(1 - p.q / p.n, 1.0, 0.0), "du": lambda p: p.inside(p.q / p.n, 0.0, 1.0)},
        "the position (x - l)/D inside the tanh carries no gradient to l and u; only the outer l + D q does",
    ),
    Slip(
        "middle-detached",
        {
            "dl": lambda p: p.inside(1 - (p.q - p.slope * p.z) / p.n, 1.0, 0.0),
            "du": lambda p: p.inside((p.q - p.slope * p.z) / p.n, 0.0, 1.0),
        },
        "the interval's middle m carries no gradient to l and u",
    ),
    Slip(
        "k-detached",
        {
            "dl": lambda p: p.inside(1 - p.q / p.n - p.slope * (1 - (p.i + 0.5) / p.n), 1.0, 0.0),
            "du": lambda p: p.inside((p.q - p.slope * (p.i + 0.5)) / p.n, 0.0, 1.0),
        },
        "k = ln(2/alpha - 1)/D carries no gradient to l and u: its D is treated as a constant",
    ),
    Slip(
        "alpha-through-s-only",
        {"dalpha": lambda p: p.inside(p.alpha_by_s())},
        "alpha's gradient comes through s = 1/(1 - alpha) only; the one through k = ln(2/alpha - 1)/D is missing",
    ),
    Slip(
        "alpha-through-k-only",
        {"dalpha": lambda p: p.inside(p.alpha_by_k())},
        "alpha's gradient comes through k = ln(2/alpha - 1)/D only; the one through s = 1/(1 - alpha) is missing",
    ),
    Slip("hard-forward", {"y": lambda p: p.l + p.step * p.code}, "this is the hard quantizer, not the soft one", _TIES),
    Slip(
        "clipped-identity",
        {"y": lambda p: np.clip(p.x, p.l, p.u)},
        "this is x limited to [l, u]: nothing is quantized",
    ),
    Slip(
        "offset-missing",
        {"y": lambda p: p.soft(p.gain, p.s) - p.l},
        "the grid has no offset: levels are l + j D (equation 2 of the paper leaves the l out)",
    ),
    Slip(
        "levels-for-steps",
        {"y": _more_levels},
        "the range is cut into 2^bits intervals; there are N = 2^bits - 1 (2^bits levels)",
    ),
    Slip(
        "s-missing",
        {
            "y": lambda p: p.soft(p.gain, 1.0),
            "dx": lambda p: p.inside(p.slope / p.s),
            "dl": lambda p: p.inside(1 - p.q_without_s() / p.n + p.slope / p.s * (p.v / p.n - 1), 1.0, 0.0),
            "du": lambda p: p.inside((p.q_without_s() - p.slope / p.s * p.v) / p.n, 0.0, 1.0),
            "dalpha": lambda p: p.inside(p.alpha_by_k() / p.s),
        },
        "phi lacks the factor s = 1/(1 - alpha) (eq 7)",
    ),
    Slip(
        "s-missing",
        {"dalpha": lambda p: p.inside(p.alpha_by_s() / p.s**2 + p.alpha_by_k() / p.s)},
        "s = 1/(1 - alpha) is taken as 1 in the gradient",
    ),
    Slip(
        "log-base-2",
        {"y": lambda p: p.soft(p.gain / np.log(2), p.s)},
        "k is formed with the logarithm to base 2; eq 8 has the natural one",
    ),
    Slip(
        "log-base-10",
        {"y": lambda p: p.soft(p.gain / np.log(10), p.s)},
        "k is formed with the logarithm to base 10; eq 8 has the natural one",
    ),
    Slip(
        "k-without-minus-one",
        {"y": lambda p: p.soft(np.log(2 / p.alpha), p.s)},
        "k is formed with ln(2/alpha); eq 8 has ln(2/alpha - 1)",
    ),
]

#: The gradients as sums, by name: (the outside below, above) and each term inside.
_SUMS: dict[str, tuple[tuple[float, float], dict[str, Predict]]] = {
    "dl": (
        (1.0, 0.0),
        {
            "1": lambda p: np.ones_like(p.q),
            "-q/N": lambda p: -p.q / p.n,
            "g v/N": lambda p: p.slope * p.v / p.n,
            "-g": lambda p: -p.slope,
        },
    ),
    "du": ((0.0, 1.0), {"q/N": lambda p: p.q / p.n, "-g v/N": lambda p: -p.slope * p.v / p.n}),
    "dalpha": ((0.0, 0.0), {"through s": DsqPoints.alpha_by_s, "through k": DsqPoints.alpha_by_k}),
}


def _with_flipped(output: str, flipped: tuple[str, ...]) -> Predict:
    (below, above), terms = _SUMS[output]

    def predict(p: DsqPoints) -> np.ndarray:
        inside = sum((-term(p) if name in flipped else term(p)) for name, term in terms.items())
        return p.inside(inside, below, above)

    return predict


def _sign_slips() -> Iterator[Slip]:
    """Each term of a gradient with the wrong sign, and the slope's two terms of dl together."""
    for output, (_, terms) in _SUMS.items():
        for flipped in [(name,) for name in terms] + ([("g v/N", "-g")] if output == "dl" else []):
            where = "" if output == "dalpha" else ", with g the slope dx and v = (x - l)/D"
            words = f"the sign of one part is wrong: {' and '.join(flipped)} of {output}{where}"
            yield Slip("term-sign", {output: _with_flipped(output, flipped)}, words)


DSQ_SLIPS += _sign_slips()
