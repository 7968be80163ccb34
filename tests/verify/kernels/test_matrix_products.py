"""What stands in for SMMLA on the emulated core: its result, and nothing else that changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.runtime import Out
from tests.verify.kernels.conftest import Compile
from verify.kernels.bench.instructions import count_blocks
from verify.kernels.emulator import EmulatedTarget, EmulationError

#: Destination and factors: apart, the same, and those that what stands in would take first.
REGISTERS = [(30, 29, 28), (0, 1, 2), (2, 0, 1), (1, 1, 5), (4, 2, 4), (3, 3, 3), (31, 0, 0), (2, 31, 3)]
NAMES = [f"product_{d}_{n}_{m}" for d, n, m in REGISTERS]


def assembly(d: int, n: int, m: int, instruction: str = "smmla", name: str = "product") -> str:
    """A function that loads all vector registers from an array, multiplies, and stores them."""
    pairs = [f"q{r}, q{r + 1}, [%0, #{16 * r}]" for r in range(0, 32, 2)]
    lines = [f"ldp {p}" for p in pairs] + [f"{instruction} v{d}.4s, v{n}.16b, v{m}.16b"] + [f"stp {p}" for p in pairs]
    text = "".join(f'"{line}\\n\\t"' for line in [".arch_extension i8mm", ".arch_extension dotprod", *lines])
    clobbered = ", ".join(f'"v{r}"' for r in range(32))
    return f"""__attribute__((visibility("default"))) void {name}_{d}_{n}_{m}(signed char *registers)
{{ __asm__ volatile({text} : : "r"(registers) : {clobbered}, "memory"); }}
"""


@pytest.fixture(scope="module")
def target(compile_c: Compile) -> EmulatedTarget:
    source = "".join(assembly(*registers) for registers in REGISTERS) + assembly(30, 29, 28, "sdot", "dots")
    return EmulatedTarget(compile_c(source), "products", count=True, core="max")


@pytest.fixture(scope="module")
def small_core(compile_c: Compile) -> EmulatedTarget:
    return EmulatedTarget(compile_c(assembly(0, 1, 2)), "products")


@given(st.binary(min_size=512, max_size=512), st.integers(0, len(REGISTERS) - 1))
def test_products(target: EmulatedTarget, content: bytes, which: int) -> None:
    registers = np.frombuffer(content, np.int8).reshape(32, 16).copy()
    d, n, m = REGISTERS[which]
    rows, columns = (registers[r].reshape(2, 8).astype(np.int32) for r in (n, m))
    expected = registers.copy()
    expected[d] = (registers[d].view("<i4") + (rows @ columns.T).ravel()).view(np.int8)
    target.call(NAMES[which], Out(registers))
    assert np.array_equal(registers, expected)


@pytest.mark.parametrize("value", [-128, 127])
def test_extremes(target: EmulatedTarget, value: int) -> None:
    for (d, n, m), name in zip(REGISTERS, NAMES, strict=True):
        registers = np.full((32, 16), value, np.int8)
        registers[d] = 0
        expected = 8 * int(registers[n, 0]) * int(registers[m, 0])
        target.call(name, Out(registers))
        assert registers[d].view("<i4").tolist() == [expected] * 4


def test_only_the_instruction_is_counted(target: EmulatedTarget) -> None:
    """The functions differ in one instruction."""
    counts = {}
    for name in ("product", "dots"):
        target.call(f"{name}_30_29_28", Out(np.zeros((32, 16), np.int8)))
        counts[name] = count_blocks(target.blocks, target.code)
        words = b"".join(target.code(*block) for block in target.blocks)
        instruction = {"product": 0x4E80A400, "dots": 0x4E809400}[name] | 28 << 16 | 29 << 5 | 30
        assert instruction.to_bytes(4, "little") in words
    assert counts["product"] == counts["dots"]


def test_a_core_without_them_stops(small_core: EmulatedTarget) -> None:
    with pytest.raises(EmulationError, match="product_0_1_2"):
        small_core.call("product_0_1_2", Out(np.zeros((32, 16), np.int8)))
