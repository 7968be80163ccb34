"""Builds the vector files: ``python -m verify.oracle.generate`` writes them, ``--check`` compares instead.

Everything follows from the case lists, the formulas and exact or enclosed arithmetic, and every number is correctly
rounded, so the files are the same bytes on every machine and with every version of Arb.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from quant.dsq import soft
from verify.gradients.truth import Truth, sum_of_terms, value_and_gradient
from verify.oracle import dsq_cases, primitive_cases
from verify.oracle.numbers import number, round_up

__all__ = ["FOLDER", "VERSION", "dsq_document", "primitives_document", "render"]

VERSION = "2026.11"
FOLDER = Path(__file__).parent / "vectors"

#: |got - expected| <= 2^-TOLERANCE_BITS terms (docs/oracle.md derives it).
TOLERANCE_BITS = 48

_TOLERANCE = {
    "bits": TOLERANCE_BITS,
    "rule": f"|got - expected| <= 2^-{TOLERANCE_BITS} * terms + 2^-1074, terms being the sum of the absolute values of "
    "the formula's terms given beside each expected number",
}


def _measured(value: float, terms: float) -> dict[str, Any]:
    return {**number(value), "terms": number(round_up(terms))}


def _result(names: Sequence[str], truth: Truth, terms: Sequence[float], intervals: Sequence[Any]) -> dict[str, Any]:
    """Expected value and gradients; ``intervals`` has the two one-sided slopes where they differ, else None."""
    gradients = {}
    for name, value, size, ends in zip(names, truth.gradient, terms[1:], intervals, strict=True):
        gradients[name] = _measured(value, size)
        if ends is not None:
            gradients[name]["interval"] = [number(end) for end in sorted(ends)]
    return {"y": _measured(truth.value, terms[0]), "gradients": gradients}


def _kind(flags: Sequence[str]) -> dict[str, Any]:
    if "clip-bound" in flags or "kink" in flags:
        return {"kind": "kink"}
    return {"kind": "smooth", "order": 1} if "interval-edge" in flags else {"kind": "smooth"}


def _dsq_case(p: dsq_cases.Parameters, place: int, x: float, comment: str) -> dict[str, Any]:
    formula: Callable[..., Any] = partial(soft, bits=p.bits)
    truth = value_and_gradient(formula, (x, p.l, p.u, p.alpha))
    # An implementation may clamp x first and use the formula at the bound: outside, its terms count too.
    value_terms, gradient_terms = sum_of_terms(formula, (min(max(x, p.l), p.u), p.l, p.u, p.alpha))
    terms = [
        max(pair)
        for pair in zip((truth.value_terms, *truth.gradient_terms), (value_terms, *gradient_terms), strict=True)
    ]
    flags = dsq_cases.flags_of(p, x, comment)
    outside = (0.0, float(x == p.l), float(x == p.u), 0.0)
    kink = x in (p.l, p.u)
    intervals = [(g, o) if kink else None for g, o in zip(truth.gradient, outside, strict=True)]
    codes = dsq_cases.accepted_codes(p, x)
    return {
        "id": f"{p.id}/{place:02d}",
        "comment": comment,
        "flags": flags,
        **_kind(flags),
        "x": number(x),
        "code": codes[0],
        "codes": codes,
        **_result(("dx", "dl", "du", "dalpha"), truth, terms, intervals),
    }


def dsq_document() -> dict[str, Any]:
    """The content of ``dsq.json``."""
    groups = []
    for p in dsq_cases.GROUPS:
        cases = [_dsq_case(p, place, x, comment) for place, (x, comment) in enumerate(dsq_cases.points(p))]
        parameters = {"l": number(p.l), "u": number(p.u), "alpha": number(p.alpha), "bits": p.bits}
        groups.append({"id": p.id, "comment": p.comment, "parameters": parameters, "cases": cases})
    return {
        "version": VERSION,
        "method": "dsq",
        "equation": [
            "N = 2^bits - 1, D = (u - l)/N, v = (x - l)/D, i = clip(floor(v), 0, N - 1) (no gradient), z = v - i - 1/2",
            "y = l for x < l, u for x > u, else l + D (i + (tanh(z ln(2/alpha - 1))/(1 - alpha) + 1)/2)",
            "code = clip(floor(v + 1/2), 0, N)",
            "dx, dl, du, dalpha: partial derivatives of y by x, l, u, alpha",
        ],
        "source": "Differentiable Soft Quantization, Gong et al., ICCV 2019, arXiv 1908.05033, equations 3 to 13 and "
        "Algorithm 1",
        "arguments": ["x", "l", "u", "alpha"],
        "tolerance": _TOLERANCE,
        "flags": dsq_cases.FLAGS,
        "groups": groups,
    }


def _primitive_case(function: primitive_cases.Elementary, place: int, x: float) -> dict[str, Any]:
    truth = value_and_gradient(function.formula, (x,))
    slope_terms = truth.gradient_terms[0]
    if function.slope is not None:
        slope_terms = max(slope_terms, sum_of_terms(function.slope, (x,))[0])
    flags = primitive_cases.flags_of(function, x)
    sides = next(((low, high) for at, low, high in function.one_sided if at == x), None)
    return {
        "id": f"{function.name}/{place:02d}",
        "comment": f"{function.name}({x!r})",
        "flags": flags,
        **_kind(flags),
        "x": number(x),
        **_result(("dx",), truth, (truth.value_terms, slope_terms), [sides]),
    }


def primitives_document() -> dict[str, Any]:
    """The content of ``primitives.json``."""
    groups = []
    for function in primitive_cases.FUNCTIONS:
        cases = [_primitive_case(function, place, x) for place, x in enumerate(primitive_cases.points(function))]
        groups.append({"id": function.name, "comment": function.equation, "parameters": {}, "cases": cases})
    return {
        "version": VERSION,
        "method": "primitives",
        "equation": [f"{f.name}: {f.equation}" for f in primitive_cases.FUNCTIONS],
        "source": "elementary functions; the slopes from their differential equations",
        "arguments": ["x"],
        "tolerance": _TOLERANCE,
        "flags": primitive_cases.FLAGS,
        "groups": groups,
    }


def render(document: dict[str, Any]) -> str:
    """The document as text: the head indented, one case a line."""
    head = {key: value for key, value in document.items() if key != "groups"}
    lines = [json.dumps(head, indent=1, ensure_ascii=False)[:-2] + ",", ' "groups": [']
    groups = document["groups"]
    for place, group in enumerate(groups):
        opening = {key: value for key, value in group.items() if key != "cases"}
        lines.append("  " + json.dumps(opening, ensure_ascii=False)[:-1] + ', "cases": [')
        cases = [json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in group["cases"]]
        lines += ["   " + case + "," for case in cases[:-1]] + ["   " + cases[-1]]
        lines.append("  ]}" + ("," if place + 1 < len(groups) else ""))
    return "\n".join([*lines, " ]", "}", ""])


DOCUMENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "dsq.json": dsq_document,
    "primitives.json": primitives_document,
}


def main(arguments: Sequence[str]) -> int:
    """Write the files, or with ``--check`` say which differ from what would be written; the exit status."""
    if list(arguments) not in ([], ["--check"]):
        print("usage: python -m verify.oracle.generate [--check]", file=sys.stderr)
        return 2
    different = 0
    for name, document in DOCUMENTS.items():
        path, text = FOLDER / name, render(document())
        if arguments:
            same = path.is_file() and path.read_text(encoding="utf-8") == text
            different += not same
            print(f"{name}: {'same bytes' if same else 'DIFFERENT'}")
        else:
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"{name}: {len(text)} bytes")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
