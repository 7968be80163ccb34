"""Kernels with a planted error: the comparison must catch each of them, or it is no check.

``MUTANTS`` is a table of small edits of the C sources; each is built in a folder of its own.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from minigrad.errors import InputError
from minigrad.kernels import SOURCES
from verify.kernels.build import LIBRARY, compile_tree, configure_tree

__all__ = ["MUTANTS", "Mutant", "MutantBuilder"]


@dataclass(frozen=True)
class Mutant:
    """An edit of one source file: ``old`` must occur exactly once."""

    name: str
    file: str
    old: str
    new: str
    #: The only path the edit touches, or None for all.
    path: str | None = None


class MutantBuilder:
    """Builds mutants of a source tree one after another, recompiling only what an edit touches.

    Parameters
    ----------
    machine
        As in ``build``.
    folder
        An empty folder for the copy of the sources, the build, and the libraries.
    """

    def __init__(self, machine: str, folder: Path, sources: Path = SOURCES) -> None:
        self._tree, self._objects, self._libraries = folder / "csrc", folder / "build", folder / "mutants"
        shutil.copytree(sources, self._tree)
        configure_tree(machine, self._tree, self._objects)
        self._libraries.mkdir()

    def build(self, mutant: Mutant) -> Path:
        """The mutant's library.

        Raises
        ------
        InputError
            If the source has not exactly one place for the edit.
        """
        source = self._tree / mutant.file
        text = source.read_text()
        if text.count(mutant.old) != 1:
            raise InputError(f"mutant '{mutant.name}': {mutant.file} has {text.count(mutant.old)} places for it")
        try:
            source.write_text(text.replace(mutant.old, mutant.new))
            compile_tree(self._objects)
            name = mutant.name.replace(" ", "-")
            return Path(shutil.copy(self._objects / LIBRARY, self._libraries / f"{name}.so"))
        finally:
            source.write_text(text)


_NEON = "src/qconv/neon/"
_SCALAR = "src/qconv/scalar.c"

#: Each of these must be caught.
MUTANTS = (
    Mutant(
        "int8 lanes flushed late",
        _NEON + "mla.c",
        "direct->flush = direct->flush / 4 * 4;",
        "direct->flush = direct->flush / 4 * 4 + 4;",
        "neon",
    ),
    Mutant(
        "last tap dropped",
        _NEON + "direct_weights.c",
        "mgk_patch_tap(&direct->patches, layer, ky, kx)",
        "mgk_patch_tap(&direct->patches, layer, ky, kx + 1 < c->kernel_width ? kx : 0)",
        "neon",
    ),
    Mutant(
        "complements not taken off",
        _NEON + "direct_weights.c",
        "offset -= form->scale * stored;",
        "offset += form->scale * stored;",
        "neon",
    ),
    Mutant("patch sums forgotten", _NEON + "direct.c", "if (direct->form.base != 0) {", "if (0) {", "neon"),
    Mutant(
        "pixels of the last four not computed",
        _NEON + "direct.c",
        "tiles.fours = (left + MGK_PATCHES - 1) / MGK_PATCHES;",
        "tiles.fours = left / MGK_PATCHES;",
        "neon",
    ),
    Mutant(
        "stride of rows forgotten", _NEON + "patches.c", "(y * p->step_y * p->width + x", "(y * p->width + x", "neon"
    ),
    Mutant("tie not reached", "src/thresholds_neon.c", "vcgeq_s32(x_low, low[k])", "vcgtq_s32(x_low, low[k])", "neon"),
    Mutant("negation wraps", "src/thresholds_neon.c", "vqnegq_s32(x)", "vnegq_s32(x)", "neon"),
    Mutant(
        "block of channels beyond the end", "src/thresholds_neon.c", "channels - c >= LANES", "channels > c", "neon"
    ),
    Mutant("dilation of rows forgotten", _SCALAR, "ky * c->dilation_y *", "ky *", "scalar"),
    Mutant("zero code not subtracted", _SCALAR, ": code - run->zero[i]);", ": code);", "scalar"),
    Mutant("tie not reached by the search", "src/thresholds.c", "x >= thresholds[middle]", "x > thresholds[middle]"),
    Mutant("border on the wrong side", _SCALAR, "+ c->pad_left) * c->in", "+ c->pad_right) * c->in"),
    Mutant(
        "weights off by one",
        "src/qconv/table.c",
        "weight_bits);\n    case MGK_OFFSET",
        "weight_bits) + 1;\n    case MGK_OFFSET",
    ),
    Mutant("last pixel not pooled", "src/pool.c", "pixel = 0; pixel < pixels", "pixel = 1; pixel < pixels"),
    Mutant("last of equals wins", "src/argmax.c", "logits[i] > logits[best]", "logits[i] >= logits[best]"),
    Mutant("bias forgotten", "src/qlinear.c", "sum = bias[o];", "sum = 0;"),
)
