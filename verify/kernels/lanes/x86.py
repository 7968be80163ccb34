"""What the kernels for x86 share: products of a byte and a weight of a byte, and how many of them are added in 16 bits.

Of four activations and four weights VPMADDUBSW gives two sums of two products, which saturate at 16 bits; they are
added up in 16 bits over ``flush`` quads. VPDPBUSD adds four products to 32 bits, modulo 2^32, and so does VPMADDWD
with two of int16, which are all there are where ``flush`` is 0. Winograd weights beyond a byte, or what a pair of
products may be, are a sum of parts.
"""

from __future__ import annotations

import z3

from verify.kernels.lanes.claims import INT16, Claim, bounded, unsatisfiable
from verify.kernels.lanes.sources import captured, constant, require

__all__ = [
    "INT32", "PATHS", "fewest_quads", "flush_facts", "flush_of", "largest_weight", "pair_claim", "parts_hold",
    "rounded_up", "word_claim", "word_facts",
]  # fmt: skip

INT32 = (-(2**31), 2**31 - 1)
PATHS = ("vnni", "avx2")
_WORDS = (
    "return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_set1_epi32(activation), weight));",
    "sum[i] = multiply_add(sum[i], read_quad(from[i / vectors] + QUAD * quad), weight[i % vectors]);",
    "if (job->flush != 0) { table_bytes[vectors - 1][rows - 1](job, row, sums); return; }",
    "table[vectors - 1][rows - 1](job, row, sums);",
)
_INSTRUCTIONS = (
    "return _mm512_dpbusd_epi32(sum, _mm512_set1_epi32(activation), weight);",
    "sum[i] = _mm256_add_epi16(sum[i], _mm256_maddubs_epi16(activation, weight[i % vectors]));",
    "store(to, add(load(to), _mm256_madd_epi16(sum[i], _mm256_set1_epi16(1)))); sum[i] = zero_vec();",
    "size_t left = job->flush; for (size_t run = 0; run < job->runs; run++)",
    "const size_t count = job->quads - begin < left ? job->quads - begin : left;",
    "for (size_t quad = begin; quad < begin + count; quad++)",
    "left -= count; if (left == 0 ||",
)


def products_of_a_lane() -> int:
    """That a lane of 16 bits gains from a quad: two lanes share its products."""
    require("x86/products.c", *_INSTRUCTIONS)
    return constant("x86/products.h", "QUAD") // 2


def largest_weight(path: str, activation: int) -> int:
    """``largest_weight``: of a part, for codes up to ``activation``."""
    most, pair, same = captured(
        "x86/products.h",
        r"int32_t most = (\d+); if \(X86_PATH == MGK_AVX2 && INT16_MAX / \((\d+) \* activation\) < most\) "
        r"\{ most = INT16_MAX / \((\d+) \* activation\); \} return most; \}",
    )
    if pair != same:
        raise AssertionError("products.h: two formulas of a pair of products")
    return min(most, INT16[1] // (pair * activation)) if path == "avx2" else most


def _flush_pair() -> int:
    (pair,) = captured("x86/products.h", r"return \(size_t\)\(INT16_MAX / \((\d+) \* activation \* weight\)\); \}")
    return pair


def flush_of(activation: int, weight: int) -> int:
    """``quads_to_flush``."""
    return INT16[1] // (_flush_pair() * activation * weight)


def fewest_quads() -> int:
    """``flush_often``: from how many quads before a flush on AVX2 multiplies bytes."""
    require("x86/products.h", "return flush < FEWEST_QUADS;")
    return constant("x86/products.h", "FEWEST_QUADS")


def rounded_up(size: int, parts: int) -> int:
    """The largest part of a weight of such a size."""
    return -(-size // parts)


def pair_claim(name: str, activation: int, weight: tuple[int, int], flush: int) -> Claim:
    """The products that are added in 16 bits, with the pairs of VPMADDUBSW among them."""
    low, high = (activation * w for w in weight)
    count = min(INT16[0] // low, INT16[1] // high)
    return Claim(f"{name}, 16 bits", (0, activation), weight, INT16, count, products_of_a_lane() * flush)


def _words_of_a_lane() -> int:
    """What a lane of 32 bits gains from four bytes at once, before sums are modulo 2^32."""
    require("x86/products.c", *_WORDS)
    return constant("x86/products.h", "QUAD") // 2


def word_claim(name: str, activation: int, weight: tuple[int, int]) -> Claim:
    """The pair of products of VPMADDWD, which is added in 32 bits."""
    low, high = (activation * w for w in weight)
    count = min(INT32[0] // low if low < 0 else INT32[1], INT32[1] // high if high > 0 else INT32[1])
    return Claim(f"{name}, 32 bits", (0, activation), weight, INT32, count, _words_of_a_lane())


def word_facts(activation: int, most: int) -> dict[str, bool]:
    """For all weights to ``most`` in size: operands are int16, and what VPMADDWD adds is no more than 32 bits."""
    v, w = z3.Ints("v w")
    inside = (bounded(v, (0, activation)), bounded(w, (-most, most)))
    pair = z3.And(*(bounded(_words_of_a_lane() * x, INT32) for x in (activation * most, -activation * most)))
    return {
        "words hold the operands": unsatisfiable(*inside, z3.Not(z3.And(bounded(v, INT16), bounded(w, INT16)))),
        "pairs of words do not overflow": unsatisfiable(z3.Not(pair)),
    }


def _truncated(x: z3.ArithRef, divisor: int) -> z3.ArithRef:
    """x / divisor as in C."""
    return z3.If(x >= 0, x / divisor, -((-x) / divisor))


def parts_hold(factor: int, most: int, largest: int) -> bool:
    """For all w to ``largest``: parts of |x| <= factor w, rounded up, are no more than ``most``, and their sum is x."""
    x, w = z3.Ints("x w")
    for parts in range(1, rounded_up(factor * largest, most) + 1):
        inside = (w >= 1, w <= largest, factor * w > (parts - 1) * most, factor * w <= parts * most)
        share = (factor * w + parts - 1) / parts
        shares = [_truncated(x * (part + 1), parts) - _truncated(x * part, parts) for part in range(parts)]
        fits = z3.And(share <= most, *(bounded(s, (-share, share)) for s in shares))
        if not unsatisfiable(*inside, bounded(x, (-factor * w, factor * w)), z3.Not(fits)):
            return False
        if not unsatisfiable(z3.Sum(*shares) != x):
            return False
    return True


def flush_facts(activation: int, most: int) -> dict[str, bool]:
    """For all parts to ``most``: pairs do not saturate, sums of ``flush`` quads fit, of one quad more do not."""
    share, quads, total = z3.Ints("share quads total")
    lane = products_of_a_lane() * activation
    pair = _flush_pair() * activation
    inside = (share >= 1, share <= most)
    flush = (quads * share * pair <= INT16[1], (quads + 1) * share * pair > INT16[1])
    terms = quads * share * lane
    return {
        "pairs do not saturate": unsatisfiable(*inside, z3.Not(bounded(share * lane, INT16))),
        "something is added before a flush": unsatisfiable(*inside, share * pair > INT16[1]),
        "flushed in time": unsatisfiable(
            *inside, *flush, total <= terms, total >= -terms, z3.Not(bounded(total, INT16))
        ),
        "one quad more does not fit": unsatisfiable(*inside, *flush, bounded(terms + share * lane, INT16)),
    }
