"""The lanes of the direct kernels: multiply-add (mla), two products in a byte (pairs), 16-bit products (smlal), bit
counts (bits), and the polyphase transform of stride 2.

An activation of b bits is a code less its centre, of the two middle ones that which more products fit with; a stored
weight of b bits is its code less 2^(b - 1). Everything below follows the formulas of ``direct_form.c``.
"""

from __future__ import annotations

from itertools import product as pairs_of

import numpy as np
import z3

from verify.kernels.lanes.claims import INT8, INT16, Claim, bounded, report, unsatisfiable
from verify.kernels.lanes.sources import constant, require

__all__ = [
    "bits_claims",
    "byte_form",
    "check_direct",
    "flush_from_weights_holds",
    "mla_claims",
    "pairs_claims",
    "polyphase_claims",
    "smlal_holds",
]

WIDTHS = (1, 2, 3, 4)
Range = tuple[int, int]


def most_products(v: Range, u: Range, lane: Range) -> int:
    """``mgk_most_products``: how many products fit, whichever they are."""
    require(
        "direct_form.c",
        "const int32_t half = (int32_t)1 << (bits - 1);",
        "most = (size_t)(half / -form->product_low);",
        "(size_t)((half - 1) / form->product_high) < most",
        "most = (size_t)((half - 1) / form->product_high);",
    )
    low, high = Claim("", v, u, lane, 0).products
    counts = [lane[0] // low] if low else []
    return min(counts + ([lane[1] // high] if high else []))


def byte_form(bits_a: int, bits_w: int) -> tuple[Range, Range]:
    """The ranges of values and of stored weights (``mgk_find_byte_form``)."""
    require(
        "direct_form.c",
        "const int32_t half = (int32_t)1 << (layer->weight_bits - 1);",
        "form->stored_low = -half;",
        "form->stored_high = half - 1;",
        "form->value_low = layer->bipolar ? -1 : -centre;",
        "form->value_high = layer->bipolar ? 1 : mgk_top_code(layer->activation_bits) - centre;",
        "const int32_t upper = (int32_t)1 << (layer->activation_bits - 1);",
        "set_centre(layer, upper - 1, form);",
        "if (form->value_high > INT8_MAX) { set_centre(layer, upper, form);",
        "if (mgk_most_products(&other, 8) > most) { *form = other;",
    )
    stored = (-(2 ** (bits_w - 1)), 2 ** (bits_w - 1) - 1)
    forms = [((-centre, 2**bits_a - 1 - centre), stored) for centre in (2 ** (bits_a - 1) - 1, 2 ** (bits_a - 1))]
    if forms[0][0][1] > INT8[1] or most_products(*forms[1], INT8) > most_products(*forms[0], INT8):
        return forms[1]
    return forms[0]


def mla_claims(bits_a: int, bits_w: int) -> list[Claim]:
    """Bytes gain one product a step, four steps at a time; 16-bit sums gain two bytes a step."""
    require(
        "mla.c",
        "direct->flush = mgk_most_products(&direct->form, 8);",
        "direct->flush = direct->flush / 4 * 4;",
        "direct->chunk = mgk_most_products(&direct->form, 16) / UNIT;",
        "return direct->flush >= LEAST_FLUSH && direct->raw_bits != 0;",
    )
    v, u = byte_form(bits_a, bits_w)
    flush, chunk = most_products(v, u, INT8), most_products(v, u, INT16)
    if flush < constant("mla.c", "LEAST_FLUSH"):
        return []
    return [
        Claim("mla, byte", v, u, INT8, flush, flush // 4 * 4),
        Claim("mla, 16 bits", v, u, INT16, chunk, chunk // constant("mla.c", "UNIT") * 2),
    ]


def pairs_claims(bits_a: int, bits_w: int) -> list[Claim]:
    """A byte holds two products; 16-bit sums gain two bytes, four products, a step."""
    require(
        "pairs.c",
        "direct->raw_bits == 16 ? SIZE_MAX : mgk_most_products(&direct->form, 16) / UNIT;",
        "mgk_most_products(&direct->form, 8) >= 2;",
    )
    v, u = byte_form(bits_a, bits_w)
    two, chunk = most_products(v, u, INT8), most_products(v, u, INT16)
    if two < 2:
        return []
    return [
        Claim("pairs, byte", v, u, INT8, two, 2),
        Claim("pairs, 16 bits", v, u, INT16, chunk, chunk // constant("pairs.c", "UNIT") * 4),
    ]


def smlal_holds() -> dict[str, bool]:
    """What smlal.c rests on, for all bytes.

    w a - w' ~a' fits 16 bits, neither w a + w' a' nor a third product does, and with w' taken off it is what is wanted.
    """
    require("smlal.c", "vmlsl_s8(low, vget_low_s8(w_next), vget_low_s8(a_next))", "direct->form.complement = 1;")
    require("direct_weights.c", "(tap + i) % 4 >= 2) { offset -= form->scale * stored; }")
    w, a, w_next, a_next, w_third, a_third = z3.Ints("w a w_next a_next w_third a_third")
    bytes_all = [bounded(x, INT8) for x in (w, a, w_next, a_next, w_third, a_third)]
    complement = -a_next - 1
    # products first: z3 is quicker with their bounds than with four factors
    product = z3.Int("product")
    low, high = Claim("", INT8, INT8, INT16, 0).products
    one = unsatisfiable(*bytes_all, product == w * a, z3.Not(bounded(product, (low, high))))
    first, second = z3.Ints("first second")
    ranges = (bounded(first, (low, high)), bounded(second, (low, high)))

    def overflows(total: z3.ArithRef) -> bool:
        solver = z3.Solver()
        solver.add(*bytes_all, z3.Not(bounded(total, INT16)))
        return bool(solver.check() == z3.sat)

    return {
        "a product lies in -16256 to 16384": one and (low, high) == (-16256, 16384),
        "a complement is a byte": unsatisfiable(bounded(a_next, INT8), z3.Not(bounded(complement, INT8))),
        "a difference of two products fits": unsatisfiable(*ranges, z3.Not(bounded(first - second, INT16))),
        "a sum of two does not": overflows(w * a + w_next * a_next),
        "a third product does not": overflows(w * a - w_next * a_next - w_third * a_third),
        "the difference and the offset are the sum": unsatisfiable(
            w * a - w_next * complement - w_next != w * a + w_next * a_next
        ),
    }


def bits_claims() -> list[Claim]:
    """A byte (unsigned) gains up to eight a step; raw sums are within twice the terms."""
    require("bits.c", "layer->geometry.row_length <= MOST_TERMS", "for (; left > FLUSH; left -= FLUSH)")
    return [
        Claim("bits, byte", (0, 8), (1, 1), (0, 255), 31, constant("bits.c", "FLUSH")),
        Claim("bits, raw sum", (-1, 1), (-2, 2), (-32767, 32766), 16383, constant("bits.c", "MOST_TERMS")),
    ]


#: Along one axis: what of five inputs e0 o0 e1 o1 e2 and of three taps each of five products takes, and what of the
#: products the two outputs are.
INPUTS = np.array([[1, 0, -1, 0, 0], [0, 0, 1, 0, 0], [0, 0, -1, 0, 1], [0, 1, 0, 0, 0], [0, 0, 0, 1, 0]])
TAPS = np.array([[1, 0, 0], [1, 0, 1], [0, 0, 1], [0, 1, 0], [0, 1, 0]])
OUTPUTS = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 0, 1]])


def polyphase_is_the_convolution() -> bool:
    """Both sides are bilinear: it is enough on bases of inputs and taps."""
    for x, g in pairs_of(np.eye(25, dtype=int).reshape(25, 5, 5), np.eye(9, dtype=int).reshape(9, 3, 3)):
        y = OUTPUTS @ ((INPUTS @ x @ INPUTS.T) * (TAPS @ g @ TAPS.T)) @ OUTPUTS.T
        if any(y[i, j] != (x[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] * g).sum() for i, j in np.ndindex(2, 2)):
            return False
    return True


def _range_of(coefficients: np.ndarray, x: Range) -> Range:
    """Of a sum of such multiples, each term at its own end."""
    up, down = int(coefficients[coefficients > 0].sum()), int(coefficients[coefficients < 0].sum())
    return up * x[0] + down * x[1], up * x[1] + down * x[0]


def polyphase_claims(bits_a: int, bits_w: int) -> list[Claim]:
    """The 25 positions, each class of equal ranges once; none where a position holds fewer than four products."""
    require(
        "polyphase_weights.c",
        "const size_t mgk_polyphase_tap[AXIS] = {0, 1, 2, 3, 3};",
        "const size_t period = mgk_most_products(&position, 8) / 4;",
        "return period < MOST_PERIOD ? period : MOST_PERIOD;",
    )
    require(
        "polyphase_inputs.c",
        "t[0] = vsubq_s8(x[0], x[2]); t[1] = x[2]; t[2] = vsubq_s8(x[4], x[2]); t[3] = x[1]; t[4] = x[3];",
    )
    value, stored = byte_form(bits_a, bits_w)
    found: dict[tuple[Range, Range], Claim] = {}
    for i, j in np.ndindex(5, 5):
        v, u = (
            _range_of(np.outer(INPUTS[i], INPUTS[j]), value),
            _range_of(np.outer(TAPS[i], TAPS[j]), stored),
        )
        count = most_products(v, u, INT8)
        claim = Claim(f"polyphase {v} x {u}, byte", v, u, INT8, count, count // 4 * 4)
        found.setdefault((v, u), claim)
    return [] if any(claim.used == 0 for claim in found.values()) else list(found.values())


def flush_from_weights_holds() -> dict[str, bool]:
    """What the flush counts from the weights rest on: a product's range by the sign of its weight."""
    require(
        "polyphase_weights.c",
        "most += w > 0 ? high * w : low * w;",
        "least += w > 0 ? low * w : high * w;",
        "if (most > INT8_MAX || least < INT8_MIN) { return 0; }",
    )
    low, high, v, w = z3.Ints("low high v w")
    inside = (low <= 0, high >= 0, v >= low, v <= high)
    above = z3.If(w > 0, high * w, low * w)
    below = z3.If(w > 0, low * w, high * w)
    return {
        "a product is within its weight's range": unsatisfiable(*inside, z3.Or(v * w > above, v * w < below)),
        "both ends are reached": unsatisfiable(
            *inside, z3.Or(z3.And(low * w != above, high * w != above), z3.And(low * w != below, high * w != below))
        ),
    }


def check_direct() -> int:
    """Print a line a claim; how many do not hold."""
    failed = 0
    for bits_a, bits_w in pairs_of((*WIDTHS, 8), (*WIDTHS, 8)):
        made = mla_claims(bits_a, bits_w) + pairs_claims(bits_a, bits_w) + polyphase_claims(bits_a, bits_w)
        if made:
            print(f"direct, activations {bits_a} bit, weights {bits_w} bit")
        failed += sum(not report(claim) for claim in made)
    print("direct, one bit and any bits")
    failed += sum(not report(claim) for claim in bits_claims())
    facts = {
        **smlal_holds(),
        **flush_from_weights_holds(),
        "polyphase is the convolution": polyphase_is_the_convolution(),
    }
    for name, held in facts.items():
        print(f"  {name}: {'proved' if held else 'NOT PROVED'}")
    return failed + sum(not held for held in facts.values())
