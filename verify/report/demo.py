"""The report of ``minigrad demo``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quant.nn.layers import QConv2d, QLinear
from verify.certificate import quantizers
from verify.report.page import Page, power_of_two
from verify.report.plots import quantizer_curve, training_curves, weight_histograms

if TYPE_CHECKING:
    from verify.demo import Result
    from verify.kernels.compare import Row

__all__ = ["page"]


def _verdict(wrong: int | bool, good: str, bad: str) -> tuple[str, str]:
    return (bad, "bad") if wrong else (good, "good")


def page(result: Result, gradients: str) -> str:
    """The whole page as HTML text; ``gradients`` is the page of the primitives, to link to."""
    settings, data = result.settings, result.data
    out = Page(
        f"A {settings.bits}-bit network, certified and the same bits everywhere",
        f"{data.name}: {len(data.train_images):,} training and {len(data.test_images):,} test images, "
        f"{len(data.classes)} classes; seed {settings.seed}.",
    )
    values = sum(row.compared for row in result.rows)
    least = min(c.bits for c in result.certificates.values())
    out.cards(
        [
            (f"{100 * result.accuracies['float32']:.1f} %", "test accuracy, float32 network"),
            (f"{100 * result.accuracies['fake-quantized']:.1f} %", "fake-quantized: float32 arithmetic on codes"),
            (f"{100 * result.accuracies['integer']:.1f} %", "integer network"),
            (f"{values:,}", "integers compared between targets"),
            (f"{sum(row.mismatches for row in result.rows):,}", "of them differ"),
            (power_of_two(least), "of the terms: proven error of DSQ's gradients"),
        ]
    )
    _training(out, result)
    _bits_section(out, result)
    _float_section(out, result)
    _gradients(out, result)
    _primitives(out, result, gradients)
    _quantizers(out, result)
    return out.html()


def _training(out: Page, result: Result) -> None:
    floating, quantized = result.histories
    out.section(
        "Training",
        f"{len(floating.loss):,} steps in float32, then {len(quantized.loss):,} with DSQ: weights and activations of "
        f"the inner layers at {result.settings.bits} bits, the first and the last layer at 8. Range and alpha "
        "are learned.",
    )
    out.plot(training_curves(floating, quantized, result.settings.bits))


def _bits_section(out: Page, result: Result) -> None:
    out.section(
        "The integer network",
        "Hard evaluation accumulates codes exactly and applies one float64 expression; the integer network has "
        "thresholds in its place. Both ran on every test image. Different values by layer:",
    )
    rows = [
        (name, f"{compared:,}", _verdict(differing, "0", f"{differing:,}"))
        for name, compared, differing in result.hard_differences
    ]
    out.table(("layer", "codes compared", "differ"), rows)
    out.section(
        "Bit for bit, by target",
        "Each target ran the whole program on every test image; every integer of every operation is compared with the "
        "NumPy reference. Given is the number of integers that differ; (scalar) marks operations for which a path uses "
        "the scalar kernel.",
    )
    runners: dict[str, list[Row]] = {}
    for row in result.rows:
        runners.setdefault(row.runner, []).append(row)
    lines = []
    for same in zip(*runners.values(), strict=True):
        cells = [_verdict(row.mismatches, _path(row), f"{row.mismatches:,}: {row.first}") for row in same]
        lines.append((same[0].operation, f"{same[0].images:,}", f"{same[0].compared:,}", *cells))
    out.table(("operation", "images", "values, each target", *runners), lines)


def _path(row: Row) -> str:
    """No difference, and the path where the kernel has not the runner's own."""
    return "0" if row.runner.endswith(row.path) else f"0 ({row.path})"


def _float_section(out: Page, result: Result) -> None:
    out.section(
        "Against training's float32 forward",
        "Each layer ran in float32 from the codes that hard evaluation gives it. Where a code differs, its place on "
        "the grid lies at a tie between two codes, closer than float32's rounding error can reach; distances are in "
        "steps of the code.",
    )
    rows = []
    for layer in result.forward:
        farthest = f"{layer.worst_distance:.2e}" if layer.differing else "-"
        bound = f"{layer.bound_there:.2e}" if layer.differing else "-"
        verdict = _verdict(layer.not_at_a_tie, "0", f"{layer.not_at_a_tie:,}")
        rows.append((layer.name, f"{layer.compared:,}", f"{layer.differing:,}", verdict, farthest, bound))
    out.table(("layer", "codes compared", "differ", "not at a tie", "farthest from a tie", "error bound there"), rows)
    out.section(
        "From end to end",
        "Run as a whole, a code that float32 puts on the other side of a tie goes on through all later layers. "
        f"Integer logits times their step differ from the float32 logits by at most {result.logit_difference:.2e}; "
        f"the class of {result.classes_changed} of {len(result.data.test_images):,} test images changes.",
    )


def _gradients(out: Page, result: Result) -> None:
    out.section(
        "Gradient certificate: DSQ in ball arithmetic",
        "The float64 value and gradients at the learned parameters of each quantizer, at its ends and their "
        "neighbours, levels, ties and random points. The same formula in ball arithmetic encloses the truth; "
        "derivatives come from power series over balls, not from the hand-written backward. Stated is the proven "
        "bound of the error against the sum of the absolute values of the formula's terms.",
    )
    names = [bound.name for bound in next(iter(result.certificates.values())).bounds]
    out.table(
        ("quantizer", "points", *names),
        [
            (name, str(certificate.points), *(power_of_two(bound.bits) for bound in certificate.bounds))
            for name, certificate in result.certificates.items()
        ],
    )


def _primitives(out: Page, result: Result, gradients: str) -> None:
    bits = min(bits for entry in result.primitives for bits in entry.bits.values())
    out.section(
        "Gradient certificate: every primitive",
        f"Value, vjp, jvp and second derivative of {len(result.primitives)} primitives in float64 are within "
        f"{power_of_two(bits)} of the sum of their terms, proven in ball arithmetic at "
        f"{sum(entry.points for entry in result.primitives):,} points; "
        f"{sum(entry.compared for entry in result.primitives):,} numbers were held against differences, and every pick "
        "at a kink against its declaration.",
    )
    wrong = ", ".join(entry.name for entry in result.primitives if not entry.passed)
    if wrong:
        out.section(f"These do not hold: {wrong}")
    out.link("Every primitive, with its plot", gradients)


def _quantizers(out: Page, result: Result) -> None:
    out.section(
        "The quantizers as learned",
        "Soft and hard function of each quantizer, and below them the gradient that reaches x.",
    )
    out.plots(quantizer_curve(name, quantizer) for name, quantizer in quantizers(result.quantized))
    out.section("Weights before and after", "Dashed lines are the levels, with the part of the weights at each.")
    before = {name: p.data for name, p in result.floating.named_parameters() if p.data.ndim in (2, 4)}
    layers = [m for _, m in result.quantized.modules() if isinstance(m, (QConv2d, QLinear))]
    svgs = []
    for n, (weights, layer) in enumerate(zip(before.values(), layers, strict=True), start=1):
        svgs.append(weight_histograms(f"layer {n}", weights, layer.weight.data, layer.weight_quantizer))  # type: ignore[arg-type]
    out.plots(svgs)
