"""The lanes of the direct kernels for x86: bytes as they are, weights of any width as bytes or parts of them."""

from __future__ import annotations

from itertools import product as pairs_of

import z3

from verify.kernels.lanes.claims import INT8, INT16, Claim, bounded, report, unsatisfiable
from verify.kernels.lanes.sources import captured, require
from verify.kernels.lanes.x86 import PATHS, flush_facts, flush_of, largest_weight, pair_claim, parts_hold, rounded_up

__all__ = ["ACTIVATIONS", "check_x86_direct", "direct_claims", "direct_facts", "storage_facts"]

#: Codes to 2 (bipolar ones), and of 1 to 8 bits.
ACTIVATIONS = (2, *((1 << bits) - 1 for bits in range(1, 9)))
#: Odd weights of all widths, and those of 8 bits less the middle zero or the largest.
WEIGHTS = (*((1 - 2**bits, 2**bits - 1, True) for bits in (1, 2, 3, 4, 8)), (-128, 127, False), (-255, 0, False))
ZEROS = tuple(range(256))


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


def plan_of(path: str, activation: int, low: int, high: int, odd: bool) -> tuple[int, int, int]:
    """The largest of what is stored, its parts, and the flush count."""
    (pair,) = captured(
        "x86/direct_prepare.c", r"const int is_byte = X86_PATH != MGK_AVX2 \|\| (\d+) \* a \* w <= INT16_MAX;"
    )
    require(
        "x86/direct_prepare.c",
        "const int32_t a = layer->bipolar ? 2 : mgk_top_code(layer->activation_bits);",
        "const int32_t w = find_stored(layer, plan);",
        "const int32_t most = largest_weight(a);",
        "plan->parts = is_byte ? 1 : (w + most - 1) / most;",
        "plan->flush = quads_to_flush(a, (w + plan->parts - 1) / plan->parts);",
        "const int32_t share = w * (part + 1) / plan->parts - w * part / plan->parts;",
    )
    require("x86/direct.c", "to[i] = (uint8_t)(2 * codes[i]);")
    _, _, w = stored_of(low, high, odd)
    is_byte = path != "avx2" or pair * activation * w <= INT16[1]
    parts = 1 if is_byte else rounded_up(w, largest_weight(path, activation))
    return w, parts, flush_of(activation, rounded_up(w, parts))


def direct_claims(path: str, activation: int, low: int, high: int, odd: bool) -> list[Claim]:
    """With AVX2 products are added in 16 bits; with VNNI there is nothing to overflow."""
    stored, parts, flush = plan_of(path, activation, low, high, odd)
    share = rounded_up(stored, parts)
    weights = (-share, min(share, INT8[1]))
    name = f"{'odd ' if odd else ''}weights {low} to {high} in {parts}"
    return [pair_claim(name, activation, weights, flush)] if path == "avx2" else []


def direct_facts(path: str, activation: int) -> dict[str, bool]:
    """What is proved for all that is stored at once."""
    most = largest_weight(path, activation)
    held = {"parts are bytes": most <= INT8[1] and parts_hold(1, most, -INT8[0])}
    return {**held, **(flush_facts(activation, most) if path == "avx2" else {})}


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
    for path, activation in pairs_of(PATHS, ACTIVATIONS):
        print(f" {path}, codes to {activation}")
        failed += _show(direct_facts(path, activation))
        for low, high, odd in WEIGHTS:
            failed += sum(not report(claim) for claim in direct_claims(path, activation, low, high, odd))
    return failed


def _show(facts: dict[str, bool]) -> int:
    for name, held in facts.items():
        print(f"  {name}: {'proved' if held else 'NOT PROVED'}")
    return sum(not held for held in facts.values())
