"""The lanes of the Winograd kernels.

For each width of activations (codes 0 to N) and of odd weights (-M to M), z3 proves how many products of transformed
operands a lane holds, and refutes one product more. The bounds are those of ``csrc/src/qconv/neon/winograd_plan.c``:
transformed activations lie in -2N to 2N, stored weights U' = (U - 1) / 2 in -(p M + 1) / 2 to (p M - 1) / 2 where U has
p = 1, 3 or 9 terms (edge, mixed, middle), and with X the transformed sum of U' V, |X| <= N (9 M + 1) a channel.
"""

from __future__ import annotations

from itertools import product as pairs_of

import numpy as np
import z3

from verify.kernels.lanes.claims import Claim, bounded, report, unsatisfiable

__all__ = ["check_winograd", "claims", "transformed_ranges", "x_bound", "x_is_the_convolution"]

#: B^T, G and A^T of winograd.h.
B_T = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
G = np.array([[1, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 1]])
A_T = np.array([[2, 1, 1, 0], [0, 1, -1, -2]])

CLASSES = {"edge": 1, "mixed": 3, "middle": 9}
WIDTHS = (1, 2, 3, 4)
#: What the plan counts with: the same distance to both sides.
INT8, INT16 = 127, 32767


def transformed_ranges(n: int, m: int) -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
    """The ranges of V (with 2N subtracted at (1,1)) and of U' by class: sums of terms, each at its own end."""
    ranges: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {}
    for i, j in np.ndindex(4, 4):
        of_d = np.outer(B_T[i], B_T[j])
        of_g = np.outer(G[i], G[j])
        offset = 2 * n if (i, j) == (1, 1) else 0
        v = (n * int(of_d[of_d < 0].sum()) - offset, n * int(of_d[of_d > 0].sum()) - offset)
        size = m * int(np.abs(of_g).sum())
        u = ((-size - 1) // 2, (size - 1) // 2)
        name = {1: "edge", 3: "mixed", 9: "middle"}[int(np.abs(of_g).sum())]
        if ranges.setdefault(name, (v, u)) != (v, u):
            raise AssertionError(f"positions of class {name} differ")
    return ranges


def claims(n: int, m: int) -> list[Claim]:
    """What the plan relies on for codes up to n and odd weights up to m."""
    made = []
    for name, (v, u) in transformed_ranges(n, m).items():
        largest = max(abs(a * b) for a, b in pairs_of(v, u))
        for lane, limit in (("8-bit", INT8), ("16-bit", INT16)):
            made.append(Claim(f"{name}, {lane} lane", v, u, (-limit - 1, limit), limit // largest))
    return made


def x_is_the_convolution(n: int) -> bool:
    """2 X + 2 (2N) sum U'(1,1) + 4 d(corner) = 4 y for all d and odd g: both sides are bilinear, with constants, so
    that it is enough on a basis: d = 0 or a unit, g = 1s or 1s but for one 3."""
    tiles = [np.zeros((4, 4), int)] + [np.eye(16, dtype=int)[k].reshape(4, 4) for k in range(16)]
    weights = [np.ones((3, 3), int)] + [1 + 2 * np.eye(9, dtype=int)[k].reshape(3, 3) for k in range(9)]
    for d, g in pairs_of(tiles, weights):
        v = B_T @ d @ B_T.T
        v[1, 1] -= 2 * n
        u = (G @ g @ G.T - 1) // 2
        x = A_T @ (u * v) @ A_T.T
        for i, j in np.ndindex(2, 2):
            y = int((d[i : i + 3, j : j + 3] * g).sum())
            if x[i, j] % 2 or x[i, j] // 2 + d[3 * i, 3 * j] + n * u[1, 1] != y:
                return False
    return True


def x_bound(n: int, m: int) -> int:
    """|X| a channel, proved: X is the sum over the taps of g (2 a - N), with g - 1 for g at the corner."""
    a, g = z3.Ints("a g")
    inside = (bounded(a, (0, n)), bounded(g, (-m, m)))
    for weight, size in ((g, m * n), (g - 1, (m + 1) * n)):
        if not unsatisfiable(*inside, z3.Or(weight * (2 * a - n) > size, weight * (2 * a - n) < -size)):
            raise AssertionError("a term of X is larger than its bound")
    return 8 * m * n + (m + 1) * n


def check_winograd() -> int:
    """Print a line a claim; how many do not hold."""
    failed = 0
    for bits_a, bits_w in pairs_of(WIDTHS, WIDTHS):
        n, m = 2**bits_a - 1, 2**bits_w - 1
        title = f"winograd, activations {bits_a} bit, weights {bits_w} bit"
        if not x_is_the_convolution(n):
            print(f"{title}: X is not the convolution: NOT PROVED")
            failed += 1
        print(f"{title}: X of {INT16 // x_bound(n, m)} channels fits 16 bits")
        failed += sum(not report(claim) for claim in claims(n, m))
    return failed
