"""The lanes of the direct kernels for x86: bytes as they are, weights of any width as parts in bytes."""

from __future__ import annotations

from itertools import product as pairs_of

from verify.kernels.lanes.claims import INT8, INT16, Claim, report
from verify.kernels.lanes.sources import captured, require
from verify.kernels.lanes.x86 import PATHS, flush_facts, flush_of, largest_weight, pair_claim, parts_hold, rounded_up

__all__ = ["ACTIVATIONS", "check_x86_direct", "direct_claims", "direct_facts"]

#: Codes to 2 (bipolar ones), and of 1 to 8 bits.
ACTIVATIONS = (2, *((1 << bits) - 1 for bits in range(1, 9)))
#: Odd weights of all widths, bytes, and weights of 8 bits with the largest zero or the middle one.
WEIGHTS = ((-1, 1), (-3, 3), (-7, 7), (-15, 15), (-128, 127), (-255, 0), (-255, 255))
LARGEST = 255


def plan_of(path: str, activation: int, low: int, high: int) -> tuple[int, int]:
    """The parts of weights from low to high, and the flush count."""
    byte_low, byte_high, pair = captured(
        "x86/direct_prepare.c",
        r"const int is_byte = low <= (\d+) && high <= (\d+) && "
        r"\(X86_PATH != MGK_AVX2 \|\| (\d+) \* a \* w <= INT16_MAX\);",
    )
    require(
        "x86/direct_prepare.c",
        "const int32_t a = layer->bipolar ? 2 : mgk_top_code(layer->activation_bits);",
        "const int32_t low = -layer->weight_low, high = layer->weight_high;",
        "const int32_t w = low > high ? low : high > 1 ? high : 1;",
        "const int32_t most = largest_weight(a);",
        "plan->parts = is_byte ? 1 : (w + most - 1) / most;",
        "plan->flush = quads_to_flush(a, (w + plan->parts - 1) / plan->parts);",
        "const int32_t share = w * (part + 1) / plan->parts - w * part / plan->parts;",
    )
    require("x86/direct.c", "to[i] = (uint8_t)(2 * codes[i]);")
    w = max(-low, high, 1)
    is_byte = -low <= byte_low and high <= byte_high and (path != "avx2" or pair * activation * w <= INT16[1])
    parts = 1 if is_byte else rounded_up(w, largest_weight(path, activation))
    return parts, flush_of(activation, rounded_up(w, parts))


def direct_claims(path: str, activation: int, low: int, high: int) -> list[Claim]:
    """Stored parts are bytes; with AVX2 their products are added in 16 bits."""
    parts, flush = plan_of(path, activation, low, high)
    share = (-rounded_up(-low, parts), rounded_up(high, parts))
    if parts > 1 or share[0] == share[1]:
        largest = max(-share[0], share[1])
        share = (-largest, largest)
    made = []
    if not (INT8[0] <= share[0] and share[1] <= INT8[1]):
        raise AssertionError(f"a part of {share[0]} to {share[1]} is no byte")
    if path == "avx2":
        made.append(pair_claim(f"weights {low} to {high} in {parts}", activation, share, flush))
    return made


def direct_facts(path: str, activation: int) -> dict[str, bool]:
    """What is proved for all weights to 255 in size at once."""
    most = largest_weight(path, activation)
    held = {
        "parts are bytes": most <= INT8[1] and parts_hold(1, most, LARGEST),
    }
    return {**held, **(flush_facts(activation, most) if path == "avx2" else {})}


def check_x86_direct() -> int:
    """Print a line a claim; how many do not hold."""
    failed = 0
    for path, activation in pairs_of(PATHS, ACTIVATIONS):
        print(f"{path}-direct, codes to {activation}")
        for name, held in direct_facts(path, activation).items():
            print(f"  {name}: {'proved' if held else 'NOT PROVED'}")
            failed += not held
        for low, high in WEIGHTS:
            failed += sum(not report(claim) for claim in direct_claims(path, activation, low, high))
    return failed
