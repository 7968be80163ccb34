"""The lanes of the Winograd kernels for x86: the matrices, constants and formulas are those of the sources.

Transformed codes are unsigned bytes, transformed weights sums of parts in bytes, sums of products are of 16 bits up to
a flush (AVX2) and of 32 bits. Operands that are too wide for that AVX2 has as int16, with sums modulo 2^32.
"""

from __future__ import annotations

from itertools import product as pairs_of

import numpy as np
import z3

from verify.kernels.lanes.claims import INT8, Claim, bounded, report, unsatisfiable
from verify.kernels.lanes.sources import captured, constant, require, rows
from verify.kernels.lanes.x86 import (
    INT32,
    PATHS,
    flush_facts,
    flush_of,
    largest_weight,
    pair_claim,
    parts_hold,
    rounded_up,
    word_claim,
    word_facts,
)

__all__ = [
    "POSITIONS",
    "algebra_facts",
    "check_x86_winograd",
    "part_facts",
    "plan_of",
    "wide_claims",
    "wide_facts",
    "winograd_claims",
    "worst_operands",
]

POSITIONS = tuple(np.ndindex(4, 4))
#: Activation bits; of 7 and 8 there is none.
WIDTHS = (1, 2, 3, 4, 5, 6)
ODD = (1, 3, 7, 15)
NAMES = ("corner", "edge", "middle")
A_T = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])


def matrices() -> tuple[np.ndarray, np.ndarray]:
    """B^T, the same for rows and columns, and G."""
    b = rows("x86/winograd_input.c", r"r\[\d\]\[x\] = (d\d [+-] d\d);", ("d0", "d1", "d2", "d3"))
    names = [f"r[y][{i}]" for i in range(4)]
    again = rows("x86/winograd_input.c", r"\]\) = (r\[y\]\[\d\] [+-] r\[y\]\[\d\]) \+", names)
    g = rows("x86/winograd_prepare.c", r"\bu\[\d\] = ([^;]+);", ("g[0]", "g[1]", "g[2]"))
    if b.shape != (4, 4) or g.shape != (4, 3) or not np.array_equal(b, again):
        raise AssertionError("the transforms are not those the proof can read")
    require(
        "x86/winograd_output.c",
        "const vec sum = add(m[1], m[2]); const vec difference = subtract(m[1], m[2]);",
        "y[0] = add(m[0], sum); y[1] = subtract(difference, m[3]);",
        "finish(kind, o, quarter(y[0]), index[i][0]);",
    )
    require("x86/vector.h", "return _mm512_srai_epi32(x, 2);", "return _mm256_srai_epi32(x, 2);")
    return b, g


def centers(n: int) -> np.ndarray:
    """What is added to V."""
    (twice,) = captured("x86/winograd.c", r"plan->center = \(uint8_t\)\((\d+) \* n\);")
    column, row = captured(
        "x86/winograd_input.c",
        r"at\[4 \* y \+ (\d)\]\) = r\[y\]\[1\] \+ r\[y\]\[2\] \+ \(y == (\d) \? none : center",
    )
    if constant("x86/winograd.h", "FULL_POSITION") != 4 * row + column:
        raise AssertionError("the position without a center is not FULL_POSITION")
    added = np.full((4, 4), twice * n)
    added[row, column] = 0
    return added


def is_the_convolution(added: np.ndarray) -> bool:
    """Y is four times the convolution of codes less their zeros: bilinear, so that bases are enough."""
    b, g = matrices()
    require("x86/winograd_prepare.c", "start[position] -= (uint32_t)(u[position] * (position == FULL_POSITION ?")
    (times,) = captured("x86/winograd_prepare.c", r"FULL_POSITION \? (\d+) \* weights->zero\[i\] : plan->center\)\);")
    full = np.arange(16).reshape(4, 4) == constant("x86/winograd.h", "FULL_POSITION")
    units = np.eye(17, dtype=int)
    for unit, weights in pairs_of(units, np.eye(9, dtype=int).reshape(9, 3, 3)):
        codes, zero = unit[:16].reshape(4, 4), unit[16]
        started = np.where(full, times * zero, added)
        m = (g @ weights @ g.T) * (b @ codes @ b.T + added - started)
        y = A_T @ m @ A_T.T
        for i, j in np.ndindex(2, 2):
            if y[i, j] != 4 * ((codes[i : i + 3, j : j + 3] - zero) * weights).sum():
                return False
    return True


def _linear(coefficients: np.ndarray, size: tuple[int, int]) -> tuple[z3.ArithRef, list[z3.BoolRef]]:
    x = z3.Ints([f"x{i}" for i in range(coefficients.size)])
    form = z3.Sum(*(int(k) * v for k, v in zip(coefficients.ravel(), x, strict=True)))
    return form, [bounded(v, size) for v in x]


def codes_fit(n: int) -> bool:
    """V is a byte at every position, and no larger than what the plan counts with, 4 N."""
    b, _ = matrices()
    (times,) = captured("x86/winograd.c", r"const int32_t most = largest_weight\((\d+) \* n\);")
    return transformed_fit(b, centers(n), n, (0, min(255, times * n)))


def transformed_fit(b: np.ndarray, added: np.ndarray, n: int, bounds: tuple[int, int]) -> bool:
    """V with what is added to it, of codes to n, is within bounds at every position."""
    for i, j in POSITIONS:
        form, inside = _linear(np.outer(b[i], b[j]), (0, n))
        if not unsatisfiable(*inside, z3.Not(bounded(form + int(added[i, j]), bounds))):
            return False
    return True


def factors() -> tuple[int, ...]:
    """By how many of a position's row and column are middle ones: |U| of weights of 1, as the plan has it."""
    require("x86/winograd.h", "return plan->parts[(position / 4 % 3 != 0) + (position % 4 % 3 != 0)];")
    return captured("x86/winograd.c", r"factor\[3\] = \{(\d+), (\d+), (\d+)\};")


def factors_hold() -> bool:
    """|U| is at most the factor, which is reached, with weights of at most 1: U is linear in them."""
    _, g = matrices()
    for i, j in POSITIONS:
        size = factors()[(i % 3 != 0) + (j % 3 != 0)]
        form, inside = _linear(np.outer(g[i], g[j]), (-1, 1))
        if not unsatisfiable(*inside, z3.Not(bounded(form, (-size, size)))) or unsatisfiable(*inside, form == size):
            return False
    return True


def plan_of(path: str, n: int, w: int) -> tuple[list[int], int] | None:
    """The parts of corners, edges and the middle, and the flush count; None if operands are too wide for bytes."""
    one, two = captured("x86/winograd.c", r"return plan->parts\[1\] == (\d+) && plan->parts\[2\] <= (\d+);")
    (largest,) = captured("x86/winograd.c", r"if \(n <= (\d+) && find_parts\(plan, n, w\)\) \{")
    require(
        "x86/winograd.c",
        "plan->parts[k] = (factor[k] * w + most - 1) / most;",
        "share = larger(share, (factor[k] * w + plan->parts[k] - 1) / plan->parts[k]);",
    )
    (times,) = captured("x86/winograd.c", r"plan->flush = quads_to_flush\((\d+) \* n, share\);")
    most = largest_weight(path, times * n)
    parts = [rounded_up(f * w, most) for f in factors()]
    if n > largest or parts[1] > one or parts[2] > two:
        return None
    return parts, flush_of(times * n, max(rounded_up(f * w, p) for f, p in zip(factors(), parts, strict=True)))


def winograd_claims(path: str, n: int, w: int) -> list[Claim]:
    """For codes to n and weights to w in size; none if they are too wide for bytes."""
    plan = plan_of(path, n, w)
    if plan is None:
        return []
    require("x86/winograd.c", "c->in_channels > MOST_CHANNELS ||")
    channels = constant("x86/winograd.c", "MOST_CHANNELS")
    made = []
    if path == "avx2":
        for name, factor, parts in zip(NAMES, factors(), plan[0], strict=True):
            share = rounded_up(factor * w, parts)
            made.append(pair_claim(f"{name} in {parts}", 4 * n, (-share, share), plan[1]))
    u = factors()[2] * w
    # a sum and what it starts from, which is no larger
    made.append(Claim("M, 32 bits", (0, 4 * n), (-u, u), INT32, INT32[1] // (4 * n * u), 2 * channels))
    made.append(Claim("Y, 32 bits", (-n, n), (-4 * w, 4 * w), INT32, INT32[1] // (4 * n * w), 9 * channels))
    return made


def largest_taken(path: str, n: int) -> int:
    """The largest weights the plan takes with codes to n."""
    return next(w for w in range(256) if plan_of(path, n, w + 1) is None)


def algebra_facts(bits: int) -> dict[str, bool]:
    """What both paths rest on."""
    n = 2**bits - 1
    return {
        "V is a byte": codes_fit(n),
        "U is within the plan's factors": factors_hold(),
        "Y is four times the convolution": is_the_convolution(centers(n)),
    }


def part_facts(path: str, bits: int) -> dict[str, bool]:
    """What is proved for all weights that are taken at once."""
    n = 2**bits - 1
    require(
        "x86/winograd_prepare.c",
        "const int32_t share = u[position] * (part + 1) / parts - u[position] * part / parts;",
    )
    largest, most = largest_taken(path, n), largest_weight(path, 4 * n)
    parts = most <= INT8[1] and all(parts_hold(f, most, largest) for f in factors())
    held = {f"parts are bytes, weights to {largest}": parts}
    return {**held, **(flush_facts(4 * n, most) if path == "avx2" else {})}


def wide_claims(n: int, w: int) -> list[Claim]:
    """Pairs of products of int16, for codes to n and weights to w in size."""
    return [word_claim(f"wide {name}", 4 * n, (-f * w, f * w)) for name, f in zip(NAMES, factors(), strict=True)]


def wide_facts() -> dict[str, bool]:
    """What AVX2 rests on where V and U are int16: codes of a byte and weights of any encoding."""
    n = w = 255
    (center,) = captured("x86/winograd.c", r"plan->center = (\d+); plan->flush = 0;")
    low, high = captured("x86/winograd.c", r"sum_low >= INT32_MIN / (\d+) && layer->sum_high <= INT32_MAX / (\d+);")
    require("x86/winograd.c", "plan->parts[0] = plan->parts[1] = plan->parts[2] = 1;")
    require("x86/winograd_input.c", "DEFINE_TRANSFORM(16, int16_t)", "transform_int16_t_16(from, c, plan, at, v);")
    require(
        "x86/winograd_prepare.c", "memcpy(to + (quad * channels + lane) * QUAD + byte % QUAD, &share, plan->code_size);"
    )
    b, _ = matrices()
    added = np.full((4, 4), center)
    added.flat[constant("x86/winograd.h", "FULL_POSITION")] = 0
    total = z3.Int("total")
    sums = bounded(total, (-(-INT32[0] // low), INT32[1] // high))
    return {
        "V is within 4 N, U within its factors": transformed_fit(b, added, n, (-4 * n, 4 * n)) and factors_hold(),
        "Y is four times the convolution": is_the_convolution(added),
        "Y fits 32 bits": unsatisfiable(sums, z3.Not(bounded(4 * total, INT32))),
        "Y of one more does not": unsatisfiable(total == INT32[1] // high + 1, bounded(4 * total, INT32)),
        **word_facts(4 * n, max(factors()) * w),
    }


def worst_operands(position: tuple[int, int], top: int, weight: int, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """A 4x4 tile and a 3x3 kernel whose product at the position is the largest, times the sign."""
    b, g = matrices()
    codes, weights = np.outer(*b[list(position)]), np.outer(*g[list(position)])
    return np.where(codes > 0, top, 0), sign * np.where(weights < 0, -weight, weight)


def _show(facts: dict[str, bool]) -> int:
    for name, held in facts.items():
        print(f"  {name}: {'proved' if held else 'NOT PROVED'}")
    return sum(not held for held in facts.values())


def check_x86_winograd() -> int:
    """Print a line a claim; how many do not hold."""
    failed = 0
    for bits in WIDTHS:
        n = 2**bits - 1
        print(f"x86 winograd, activations {bits} bit")
        failed += _show(algebra_facts(bits))
        for path in PATHS:
            print(f" {path}")
            failed += _show(part_facts(path, bits))
            for w in sorted({*ODD, largest_taken(path, n)}):
                made = winograd_claims(path, n, w)
                print(f"  weights to {w}: {'' if made else 'not taken'}")
                failed += sum(not report(claim) for claim in made)
    print("x86 winograd, wide operands")
    failed += _show(wide_facts()) + sum(not report(claim) for claim in wide_claims(255, 255))
    wider = 2 ** (WIDTHS[-1] + 1) - 1
    refuted = not codes_fit(wider) and plan_of("vnni", wider, 1) is None
    print(f"  V of wider activations is no byte, and not taken as one: {'proved' if refuted else 'NOT PROVED'}")
    return failed + (not refuted)
