"""The lanes of the direct kernels for x86: bytes as they are with weights of a byte, or both as int16."""

from __future__ import annotations

import z3

from verify.kernels.lanes.claims import INT8, Claim, bounded, report, unsatisfiable
from verify.kernels.lanes.sources import captured, require
from verify.kernels.lanes.x86 import fewest_quads, flush_facts, flush_of, pair_claim, word_claim, word_facts

__all__ = ["ACTIVATIONS", "check_x86_direct", "direct_claim", "direct_facts", "storage_facts"]

#: Codes to 2 (bipolar ones), and of 1 to 8 bits.
ACTIVATIONS = (2, *((1 << bits) - 1 for bits in range(1, 9)))
#: Odd weights of all widths, and those of 8 bits less the middle zero or the largest.
WEIGHTS = (*((1 - 2**bits, 2**bits - 1, True) for bits in (1, 2, 3, 4, 8)), (-128, 127, False), (-255, 0, False))
ZEROS = tuple(range(256))
#: The largest weight in size, of any encoding: an odd one, or a code less a zero.
LARGEST = 255


def stored_of(low: int, high: int, odd: bool) -> tuple[int, int, int]:
    """``find_stored``: scale and shift of weights from low to high, and the largest of what is stored."""
    byte_low, byte_high = captured("x86/direct_prepare.c", r"if \(low <= (\d+) && high <= (\d+)\) \{ return low > high")
    scale, shift = captured(
        "x86/direct_prepare.c",
        r"if \(layer->encoding == MGK_ODD\) \{ plan->scale = (\d+); plan->shift = (\d+); \} else",
    )
    middle, largest = captured("x86/direct_prepare.c", r"plan->shift = (\d+) - low; [^}]* \} return (\d+); \}")
    require(
        "x86/direct_prepare.c",
        "const int32_t low = -layer->weight_low, high = layer->weight_high;",
        "plan->scale = 1; plan->shift = 0;",
        "return low > high ? low : high > 1 ? high : 1;",
        "(mgk_weight(weights, out_channel, element) - plan->shift) / plan->scale;",
    )
    if -low <= byte_low and high <= byte_high:
        return 1, 0, max(-low, high, 1)
    return (scale, shift, largest) if odd else (1, middle + low, largest)


def stored_holds(low: int, high: int, odd: bool) -> bool:
    """Each weight is scale s + shift of a byte s that is no larger than what the plan counts with."""
    scale, shift, largest = stored_of(low, high, odd)
    code, s = z3.Ints("code s")
    weight = 2 * code + low if odd else code + low
    top = (high - low) // 2 if odd else high - low
    difference = weight - shift
    inside = (bounded(code, (0, top)), s == z3.If(difference >= 0, difference / scale, -((-difference) / scale)))
    fits = z3.And(scale * s + shift == weight, bounded(s, INT8), bounded(s, (-largest, largest)))
    return unsatisfiable(*inside, z3.Not(fits))


def windows_hold() -> bool:
    """A sum is scale times that of what is stored, and shift times the window's."""
    require(
        "x86/direct.c",
        "(uint32_t)plan->shift * (sum_window(plan, job->run_from, row[r]) - zeros);",
        "add(plan->scale == 2 ? add(x, x) : x, shifted)",
        "if (plan->shift != 0) { add_windows(",
    )
    s, shift, a, zero = z3.Ints("s shift a zero")
    return all(
        unsatisfiable((scale * s + shift) * (a - zero) != scale * (s * a - s * zero) + shift * (a - zero))
        for scale in (1, 2)
    )


def plan_of(activation: int, low: int, high: int, odd: bool) -> tuple[int, int | None]:
    """``choose_products`` with AVX2: the largest of what is stored, and the flush count; None where it is int16."""
    require(
        "x86/direct_prepare.c",
        "const int32_t a = layer->bipolar ? 2 : mgk_top_code(layer->activation_bits);",
        "plan->code_size = sizeof(uint8_t); plan->flush = quads_to_flush(a, find_stored(layer, plan));",
        "if (X86_PATH == MGK_AVX2 && flush_often(plan->flush)) { plan->code_size = sizeof(int16_t); "
        "plan->flush = 0; plan->scale = 1; plan->shift = 0; }",
        "memcpy(to + (quad * channels + lane) * QUAD + byte % QUAD, &w, plan->code_size);",
    )
    require("x86/direct_image.c", "to[i] = (uint8_t)(2 * codes[i]);", "words[i] = codes[i];")
    _, _, stored = stored_of(low, high, odd)
    flush = flush_of(activation, stored)
    return (max(-low, high), None) if flush < fewest_quads() else (stored, flush)


def direct_claim(activation: int, low: int, high: int, odd: bool) -> Claim:
    """What AVX2 adds in 16 bits, or two products in 32; with VNNI there is nothing to overflow."""
    stored, flush = plan_of(activation, low, high, odd)
    name = f"{'odd ' if odd else ''}weights {low} to {high}"
    if flush is None:
        return word_claim(name, activation, (low, high))
    return pair_claim(name, activation, (-stored, min(stored, INT8[1])), flush)


def direct_facts(activation: int) -> dict[str, bool]:
    """What is proved for AVX2 and all that is stored at once: as bytes, and as int16."""
    most = max(w for w in range(1, 1 - INT8[0]) if flush_of(activation, w) >= fewest_quads())
    return {**flush_facts(activation, most), **word_facts(activation, LARGEST)}


def storage_facts() -> dict[str, bool]:
    """What is stored of all weights: odd ones of all widths, and those less any zero."""
    odd = all(stored_holds(1 - 2**bits, 2**bits - 1, odd=True) for bits in (1, 2, 3, 4, 8))
    return {
        "odd weights are bytes": odd,
        "weights less a zero are bytes": all(stored_holds(-zero, 255 - zero, odd=False) for zero in ZEROS),
        "sums of windows make up for it": windows_hold(),
    }


def check_x86_direct() -> int:
    """Print a line a claim; how many do not hold."""
    print("x86 direct")
    failed = _show(storage_facts())
    for activation in ACTIVATIONS:
        print(f" avx2, codes to {activation}")
        failed += _show(direct_facts(activation))
        for low, high, odd in WEIGHTS:
            failed += not report(direct_claim(activation, low, high, odd))
    return failed


def _show(facts: dict[str, bool]) -> int:
    for name, held in facts.items():
        print(f"  {name}: {'proved' if held else 'NOT PROVED'}")
    return sum(not held for held in facts.values())
