"""``python -m verify.kernels.sizes`` (make sizes): bytes of code and constants on AArch64, scalar and with NEON.

The scalar library is the objects that hold no NEON code; the NEON library is all of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from minigrad.kernels import SOURCES
from verify.kernels.build import compile_tree, configure_tree

__all__ = ["Size", "measure", "sizes"]


class Size(NamedTuple):
    """Bytes of one object file."""

    source: str
    is_neon: bool
    code: int
    constants: int


def measure(path: Path) -> tuple[int, int]:
    """Bytes of code and of constants that an ELF file loads."""
    code = constants = 0
    with path.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            flags = section["sh_flags"]
            if flags & SH_FLAGS.SHF_EXECINSTR:
                code += section["sh_size"]
            elif flags & SH_FLAGS.SHF_ALLOC and not section.name.startswith(".eh_frame"):
                constants += section["sh_size"]
    return code, constants


def sizes(objects: Path) -> Iterator[Size]:
    """The objects of a build folder, in the order of their sources' names."""
    for path in sorted(objects.rglob("*.o")):
        parts = path.relative_to(objects).parts
        if "src" not in parts:
            continue  # of CMake's own trial programs
        is_neon = "neon" in parts or "neon.dir" in parts or path.name.endswith("_neon.c.o")
        yield Size("/".join(parts[parts.index("src") + 1 :]).removesuffix(".o"), is_neon, *measure(path))


def _print(found: list[Size]) -> None:
    print(f"{'bytes on AArch64':<44}{'code':>9}{'constants':>11}")
    for size in found:
        print(f"{size.source + (' (NEON)' if size.is_neon else ''):<44}{size.code:>9,}{size.constants:>11,}")
    scalar = [size for size in found if not size.is_neon]
    for name, part in (("scalar library", scalar), ("NEON library", found)):
        code, constants = sum(size.code for size in part), sum(size.constants for size in part)
        print(f"{name:<44}{code:>9,}{constants:>11,}")
        integers = [size for size in part if not size.source.startswith(("wide/", "conv2d_float", "depthwise", "dsq"))]
        code, constants = sum(size.code for size in integers), sum(size.constants for size in integers)
        print(f"{'  of it integer':<44}{code:>9,}{constants:>11,}")


def main() -> None:
    """Build for AArch64 in a folder of its own, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        configure_tree("aarch64", SOURCES, Path(folder))
        compile_tree(Path(folder))
        _print(list(sizes(Path(folder))))


if __name__ == "__main__":
    main()
