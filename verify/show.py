"""``minigrad show``: a method's values and gradients at given points, certified, and as a plot; or all in a gallery."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from minigrad.checkpoint import check_writable, write_atomically
from minigrad.errors import InputError
from verify.curves import Curves, Setting, curves, make_setting, tangents_of, tensors, window
from verify.gradients.arrays import ArrayBound, certify_primitive
from verify.gradients.registry import REQUIRED_BITS

__all__ = ["prove", "show", "show_gallery"]

_SUFFIXES = (".png", ".svg", ".pdf")
#: Entries of a parameter that get a column each; those of a longer one are summed: all of them are moved together.
_COLUMNS = 8
_MANY = 32


def show(
    method: str,
    *,
    x: Sequence[float] = (),
    bits: int | None = None,
    role: str | None = None,
    param: Sequence[str] = (),
    primitive: str | None = None,
    plot: Path | None = None,
    console: Console,
) -> None:
    """Print a table of values and gradients with what is proven of them, and write the plot if a path is given.

    Parameters
    ----------
    x : points; if there are none, 13 over the quantizer's range (5 where it has more than 32 parameters)
    plot : a .png, .svg or .pdf
    The others are those of ``verify.curves.make_setting``.

    Raises
    ------
    InputError
        For anything the method does not have, a parameter outside its domain, a point that is not finite, or a plot's
        suffix.
    """
    if plot is not None and plot.suffix not in _SUFFIXES:
        raise InputError(f"--plot: expected a file ending in {', '.join(_SUFFIXES)}, got {plot}")
    setting = make_setting(method, bits, role, param, primitive)
    # Of many parameters the certificates take long.
    count = 13 if sum(p.size for p in setting.parameters) <= _MANY else 5
    points = np.array(x if len(x) else np.linspace(*window(setting), count), np.float64)
    if not np.isfinite(points).all():
        raise InputError(f"--x: expected finite numbers, got {points[~np.isfinite(points)][0]}")
    found = curves(setting, points)
    if plot is not None:
        check_writable(plot)
    console.print(f"{setting.method.title}\n{setting.primitive.name}: {setting}", highlight=False, soft_wrap=True)
    console.print(f"gradient: {setting.method.gradient}", highlight=False, markup=False, soft_wrap=True)
    if not setting.alone:
        console.print("the points are one tensor; dx is the gradient of the sum of its values", soft_wrap=True)
    _print_table(found, console)
    _print_proof(setting, points, console)
    if setting.method.note:
        console.print(f"note: {setting.method.note}", highlight=False, markup=False, soft_wrap=True)
    if plot is not None:
        from verify.report.method_plots import method_plot

        write_atomically(plot, method_plot(setting, plot.suffix[1:]))
        console.print(f"plot: {plot}", soft_wrap=True)


def show_gallery(path: Path, console: Console) -> None:
    """Write the page of all methods side by side; InputError if it cannot be written, or is no .html file."""
    if path.suffix != ".html":
        raise InputError(f"--gallery: expected a file ending in .html, got {path}")
    check_writable(path)
    from verify.report.gallery import gallery

    write_atomically(path, gallery().encode())
    console.print(f"gallery: {path}", soft_wrap=True)


def _print_table(found: Curves, console: Console) -> None:
    columns: list[tuple[str, Any]] = [("x", found.x)]
    if not np.array_equal(found.value, found.hard):
        columns.append(("value", found.value))
    if found.soft is not None:
        columns.append(("soft", found.soft))
    columns += [("hard", found.hard), ("dx", found.by_x)]
    if found.by_x_reversed is not None:
        columns.append(("dx for gy < 0", found.by_x_reversed))
    for name, gradients in found.by_parameter.items():
        entries = gradients.shape[1]
        if entries > _COLUMNS:
            columns.append((f"sum of {entries} d{name}", gradients.sum(axis=1)))
        else:
            columns += [(f"d{name}[{n}]" if entries > 1 else f"d{name}", gradients[:, n]) for n in range(entries)]
    texts = [[name, *(f"{number:.12g}" for number in column)] for name, column in columns]
    widths = [max(17, *map(len, text)) + 2 for text in texts]
    for row in zip(*texts, strict=True):
        line = "".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def prove(setting: Setting, x: np.ndarray) -> tuple[dict[str, float], dict[float, str]]:
    """Certify value and gradients at points.

    Returns
    -------
    dict, dict
        The bits proven of "value", "dx" and the gradient of each parameter (|error| <= 2^-bits of the sum of the
        terms) wherever there are at least 45 of everything; and the other points with the reason. Those are ties, and
        kinks of another pick than the definition's: there a value or slope is a convention.
    """
    proven: dict[str, float] = {}
    refused: dict[float, str] = {}
    for tensor in tensors(setting, x):
        try:
            bounds = list(_bounds(setting, tensor))
        except (InputError, ArithmeticError) as refusal:
            refused[float(tensor[0])] = str(refusal)
            continue
        wrong = next(((name, bound) for name, bound in bounds if not bound.bits >= REQUIRED_BITS), None)
        if wrong is not None:
            name, bound = wrong
            reason = f"{name} is {bound.got!r}, by the definition {bound.truth!r}: a tie or kink, or an error"
            refused[float(tensor[0])] = reason
            continue
        for name, bound in bounds:
            proven[name] = min(proven.get(name, math.inf), bound.bits)
    return proven, refused


def _bounds(setting: Setting, x: np.ndarray) -> Iterator[tuple[str, ArrayBound]]:
    arrays, options = (x, *setting.parameters), setting.options
    names = [f"d{name}" for name in setting.method.parameters]
    gy = np.ones_like(x)
    if setting.alone or not setting.parameters:
        together = [np.ones_like(a) for a in arrays]
        for bound in certify_primitive(setting.primitive, arrays, options, gy, together).bounds:
            if bound.name == "value" or bound.name.startswith("vjp["):
                yield bound.name if bound.name == "value" else ["dx", *names][int(bound.name[4:-1])], bound
        return
    for n, tangents in tangents_of(setting, x):
        certificate = certify_primitive(setting.primitive, arrays, options, gy, tangents)
        yield names[n], certificate["jvp"]
        yield "value", certificate["value"]
        yield "dx", certificate["vjp[0]"]


def _print_proof(setting: Setting, x: np.ndarray, console: Console) -> None:
    proven, refused = prove(setting, x)
    for name, bits in proven.items():
        bound = "exact" if bits == math.inf else f"|error| <= 2^-{bits:g} of the sum of the terms"
        console.print(f"  certified {name}: {bound}", highlight=False, soft_wrap=True)
    for point, reason in refused.items():
        where = f"at x = {point:g}" if setting.alone else "of these points"
        console.print(f"  not certified {where}: {reason}", highlight=False, markup=False, soft_wrap=True)
