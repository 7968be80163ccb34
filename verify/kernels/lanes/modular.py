"""Why 16 bits are enough for the Winograd kernel modulo 2^16.

Its transformed values, products and sums wrap around, which is what arithmetic modulo 2^16 is; what is proved is that

- the transforms give 4 y modulo 2^16, for all codes and weights: both sides are bilinear, so that bases are enough,
- the correction of odd weights is right, and the chunks of channels that the plan makes are so short that 4 y (or 2 y)
  of a chunk fits 16 bits, so that it is known from its remainder; one product more would not fit,
- the first pass of the input transform fits bytes where it is done in bytes.

Matrices and formulas are looked up in the sources.
"""

from __future__ import annotations

from itertools import product as pairs_of

import numpy as np
import z3

from verify.kernels.lanes.claims import INT8, INT16, Claim, report, unsatisfiable
from verify.kernels.lanes.sources import constant, require, rows

__all__ = ["check_modular", "chunk_of", "modular_claims", "modular_facts", "transforms"]

_MODULUS = 1 << 16
_WIDTHS = (1, 2, 3, 4)
_UNIT = 16

#: Of the input transform, whose six rows stand in bytes and in 16 bits, and of the output transform.
B_T = np.array(
    [
        [2, -5, 0, 5, -2, 0], [0, -2, 3, 3, -2, 0], [0, -2, 7, -7, 2, 0],
        [0, 1, -2, -1, 2, 0], [0, 2, -1, -2, 1, 0], [0, -2, 5, 0, -5, 2],
    ]
)  # fmt: skip
A_T = np.array([[1, 1, 1, 1, 8, 0], [0, 1, -1, 2, 4, 0], [0, 1, 1, 4, 2, 0], [0, 1, -1, 8, 1, 1]])


def transforms() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """B^T, G modulo 2^16 and A^T, after a look at the sources, which are as written here."""
    require(
        "modular_input.c",
        "r[0] = vmlsq_s8(vmulq_s8(vsubq_s8(d[0], d[4]), two), b, five);",
        "r[1] = vmlsq_s8(vmulq_s8(vaddq_s8(d[2], d[3]), vdupq_n_s8(3)), vaddq_s8(d[1], d[4]), two);",
        "r[2] = vmlaq_s8(vmulq_s8(vsubq_s8(d[2], d[3]), vdupq_n_s8(7)), vsubq_s8(d[4], d[1]), two);",
        "r[3] = vmlaq_s8(b, c, two);",
        "r[4] = vmlaq_s8(c, b, two);",
        "r[5] = vmlsq_s8(vmulq_s8(vsubq_s8(d[5], d[1]), two), c, five);",
        "const int8x16_t c = vsubq_s8(d[4], d[2]);",
        "const int8x16_t b = vsubq_s8(d[1], d[3]);",
    )
    require(
        "modular_output.c",
        "y[0] = vmlaq_lane_s16(vaddq_s16(vaddq_s16(m[0], m[3]), sum), m[4], k, 2);",
        "y[1] = vmlaq_lane_s16(vmlaq_lane_s16(difference, m[3], k, 0), m[4], k, 1);",
        "y[2] = vmlaq_lane_s16(vmlaq_lane_s16(sum, m[3], k, 1), m[4], k, 0);",
        "y[3] = vmlaq_lane_s16(vaddq_s16(vaddq_s16(m[4], m[5]), difference), m[3], k, 2);",
        "powers[4] = {2, 4, 8, 1};",
    )
    plain = rows("modular_prepare.c", r"u\[[015]\] = ([^;]+);", ["g[0]", "g[1]", "g[2]"])
    ninths = rows("modular_prepare.c", r"u\[[234]\] = INVERSE_OF_9 \* \(([^;]+)\);", ["g[0]", "g[1]", "g[2]"])
    inverse = constant("modular_prepare.c", "INVERSE_OF_9")
    g = np.stack([plain[0], plain[1], *(inverse * ninths), plain[2]])
    return B_T, g, A_T


def _is_the_convolution() -> bool:
    """A^T (G g G^T B^T d B) A = 4 y modulo 2^16 on bases of codes and weights."""
    b, g, a = transforms()
    for d, w in pairs_of(np.eye(36, dtype=int).reshape(36, 6, 6), np.eye(9, dtype=int).reshape(9, 3, 3)):
        u, v = g @ w @ g.T % _MODULUS, b @ d @ b.T % _MODULUS
        y = a @ (u * v % _MODULUS) @ a.T
        if any((y[i, j] - 4 * (d[i : i + 3, j : j + 3] * w).sum()) % _MODULUS for i, j in np.ndindex(4, 4)):
            return False
    return True


def _last_positions_are_the_last_outputs() -> bool:
    """Tiles of three outputs need no last position: only the fourth output takes it."""
    return not A_T[:3, 5].any() and bool(A_T[3, 5])


def _corrections_hold() -> bool:
    """Term by term, with g = 2 w + 1 for odd weights: 4 w a + 2 a - 2 N w - N = g (2 a - N); the offset is half of N g,
    rounded up where raw was rounded down. Other weights: 4 g a - 4 c g = 4 g (a - c)."""
    require(
        "modular_prepare.c",
        "plan->halved ? (weight - 1) / 2 : weight;",
        "9 * n * (int32_t)(channels < left ? channels : left);",
        "plan->halved ? -2 * n * sum - terms : -4 * ((n + 1) / 2) * sum",
        "plan->halved ? n * sum + (terms + 1) / 2 : (n + 1) / 2 * sum;",
    )
    w, a, n, x, bias, c = z3.Ints("w a n x bias c")
    odd = 4 * w * a + 2 * a - 2 * n * w - n != (2 * w + 1) * (2 * a - n)
    other = 4 * w * a - 4 * c * w != 4 * w * (a - c)
    # x = 2 raw + rest is sum of g (2 a - N), and 2 y = x + N sum of g, where N sum of g = bias has the parity of x
    half = z3.And((x + bias) % 2 == 0, x / 2 + (bias + 1) / 2 != (x + bias) / 2)
    return unsatisfiable(odd) and unsatisfiable(other) and unsatisfiable(half)


def modular_facts() -> dict[str, bool]:
    """What there is to prove but for the chunks."""
    return {
        "4 y modulo 2^16 is the convolution": _is_the_convolution(),
        "three outputs need five positions": _last_positions_are_the_last_outputs(),
        "the corrections are exact": _corrections_hold(),
    }


def chunk_of(bound: int) -> int:
    """Channels of a chunk at most, as the plan has it."""
    require(
        "modular_plan.c",
        "plan->halved ? 9 * n * w : 36 * w * ((n + 1) / 2);",
        "(size_t)(INT16_BOUND / bound) / MODULAR_UNIT * MODULAR_UNIT;",
    )
    return constant("modular_plan.c", "INT16_BOUND") // bound // _UNIT * _UNIT


def modular_claims(bits_a: int, bits_w: int) -> list[Claim]:
    """Sums of a chunk in 16 bits, for odd weights and for others; rows of the first pass in bytes, up to 3 bits."""
    n, m = 2**bits_a - 1, 2**bits_w - 1
    centre = (n + 1) // 2
    made = []
    for name, v, w, bound in (
        ("odd weights, 2 raw", n, m, 9 * n * m),
        ("other weights, 4 raw", 4 * centre, 1 << bits_w - 1, 36 * (1 << bits_w - 1) * centre),
    ):
        used = 9 * chunk_of(bound)
        if used:
            made.append(Claim(name, (-v, v), (-w, w), INT16, 32767 // (v * w), used))
    if bits_a <= 3:
        require("modular_input.c", "if (bits <= 3) { transform_8(")
        size = max(int(row[row > 0].sum()) for row in B_T)
        made.append(Claim("a row of codes in bytes", (0, n), (-1, 1), INT8, 127 // n, size))
    return made


def check_modular() -> int:
    """Print a line a claim; how many do not hold."""
    failed = 0
    for bits_a, bits_w in pairs_of(_WIDTHS, _WIDTHS):
        print(f"modular, activations {bits_a} bit, weights {bits_w} bit")
        failed += sum(not report(claim) for claim in modular_claims(bits_a, bits_w))
    for name, held in modular_facts().items():
        print(f"  modular, {name}: {'proved' if held else 'NOT PROVED'}")
        failed += not held
    return failed
