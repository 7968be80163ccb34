"""``python -m verify.kernels.bench.page``: the tables of docs/kernels.md, from docs/kernels.json.

The comparison with PyTorch and onnxruntime is of ``verify/peers/convolution.json``. A list of the kernels of the
builds' tables is here too.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from verify.kernels.bench.peers import peers_of
from verify.kernels.bench.record import Record, read_record
from verify.kernels.bench.table import TITLES, Rows, bound_rows, instruction_rows, markdown, plain_rows
from verify.peers.convolution import STORED, table

__all__ = ["KERNELS", "PAGE", "RECORD", "main", "render"]

_DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE, RECORD = _DOCS / "kernels.md", _DOCS / "kernels.json"

#: By name: the path, and what a kernel takes and does. A test holds the names and paths against the builds' tables.
KERNELS = {
    "neon-bits": ("neon", "1-bit activations and weights", "AND, bit count, addition"),
    "dotprod-winograd": ("dotprod", "3x3 with stride 1, up to 4 bits", "exact Winograd F(2, 3) on SDOT"),
    "i8mm-direct": ("i8mm", "up to 8 bits", "SMMLA: 2 by 2 sums of 8 products an instruction"),
    "neon-polyphase": ("neon", "3x3 with stride 2, 2 bits", "polyphase F(2, 2): 25 products for 36"),
    "dotprod-direct": ("dotprod", "up to 8 bits", "SDOT: 4 sums of 4 products an instruction"),
    "neon-modular": ("neon", "3x3 with stride 1, up to 4 bits", "exact Winograd F(4, 3) modulo 2^16"),
    "neon-winograd": ("neon", "3x3 with stride 1, up to 4 bits", "exact Winograd F(2, 3) in lanes of 8 bits"),
    "neon-mla": ("neon", "up to 3 bits", "8-bit multiply-add, several products before a flush"),
    "neon-pairs": ("neon", "4 bits", "two 8-bit products before a flush"),
    "neon-smlal": ("neon", "up to 8 bits", "16-bit products, 32-bit sums"),
    "neon-depthwise": ("neon", "depthwise, up to 8 bits", "the narrowest lanes that hold a sum"),
    "vnni-winograd": (
        "vnni",
        "3x3 with stride 1, 24 input channels and more, up to 4 bits",
        "exact Winograd F(2, 3) on VPDPBUSD",
    ),
    "vnni-direct": ("vnni", "up to 8 bits", "VPDPBUSD: 16 sums of 4 products an instruction"),
    "avx2-winograd": (
        "avx2",
        "3x3 with stride 1, 24 input channels and more, up to 8 bits",
        "exact Winograd F(2, 3) on VPMADDUBSW, or on VPMADDWD with 16-bit operands",
    ),
    "avx2-direct": (
        "avx2",
        "up to 8 bits",
        "VPMADDUBSW: sums of pairs of products; VPMADDWD with 16-bit operands where those do not fit",
    ),
    "scalar": ("scalar", "everything", "the reference in C"),
}


def render(page: str, record: Record) -> str:
    """The page with its tables made again."""
    rows: Rows = [("kernel", "path", "takes", "does"), *((name, *about) for name, about in KERNELS.items())]
    page = _replace(page, "kernels", markdown(rows))
    page = _replace(page, "comparison", table(json.loads(STORED.read_text(encoding="utf-8"))) + "\n")
    return _replace(page, "figures", _figures(record))


def _figures(record: Record) -> str:
    parts = []
    for path in record.paths:
        title = TITLES[path]
        parts.append(
            f"Instructions (vector operations) per MAC, {title}:\n\n{markdown(instruction_rows(record, path))}"
        )
        parts.append(f"With plain loads and stores only, {title}:\n\n{markdown(plain_rows(record, path))}")
        if peers_of(path):
            parts.append(
                f"Bounds: vector operations per MAC of the best known scheme, {title}:\n\n{markdown(bound_rows(path))}"
            )
    tools = ", ".join(f"{name} {version}" for name, version in record.tools.items())
    parts.append(f"Compiled and counted by {tools}.\n")
    return "\n".join(parts)


def _replace(page: str, name: str, text: str) -> str:
    return re.sub(rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}{text}{m[2]}", page, count=1, flags=re.S)


def main() -> None:
    """Write the page."""
    PAGE.write_text(render(PAGE.read_text(), read_record(RECORD)))


if __name__ == "__main__":
    main()
