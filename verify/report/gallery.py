"""The page of ``minigrad show --gallery``: every quantization method side by side."""

from __future__ import annotations

from quant import METHODS, Method
from quant.method import LAWS
from verify.curves import make_setting
from verify.gradients.command import widths_in_words
from verify.report.method_plots import small_plot
from verify.report.page import Page

__all__ = ["gallery"]


def gallery(bits: int = 2) -> str:
    """The whole page as HTML text: each method at the width nearest to ``bits``, by name."""
    methods = [METHODS[name] for name in sorted(METHODS)]
    out = Page(
        "Quantization methods side by side",
        f"{len(methods)} methods at typical parameters. Above the function: the hard quantizer, which evaluation uses, "
        "and what training uses where that is another. Below the gradient that training passes to x.",
    )
    out.figures((method.title, _plot(method, bits), _facts(method)) for method in methods)
    out.section("What holds of each", "Laws of the evaluated quantizer, as the tests check them.")
    out.table(("law", "what it says"), LAWS.items(), text_columns=2)
    rows = [(m.name, *(("yes", "good") if law in m.laws else "no" for law in LAWS)) for m in methods]
    out.table(("method", *LAWS), rows)
    return out.html()


def _plot(method: Method, bits: int) -> str:
    nearest = min(method.widths(), key=lambda width: (abs(width - bits), width))
    return small_plot(make_setting(method.name, nearest, "weight" if nearest in method.weights else "activation"))


def _facts(method: Method) -> list[tuple[str, str]]:
    none = "not defined"
    facts = [
        ("source", method.source),
        ("gradient", method.gradient),
        ("parameters", ", ".join(method.parameters) or "none"),
        ("weights", f"{widths_in_words(method.weights)} bit" if method.weights else none),
        ("activations", f"{widths_in_words(method.activations)} bit" if method.activations else none),
    ]
    return [*facts, ("note", method.note)] if method.note else facts
