"""The emulator itself, on small foreign libraries: arguments, memory, limits, and what it refuses."""

import sys
from pathlib import Path

import numpy as np
import pytest

from minigrad.errors import InputError
from quant.runtime import Out, run_operation
from tests.verify.kernels.conftest import Compile
from verify.kernels.cases import random_conv
from verify.kernels.emulator import EmulatedTarget, EmulationError
from verify.kernels.targets import emulated

SOURCE = """
#include <stdint.h>
#include <string.h>
#define API __attribute__((visibility("default")))
API uint64_t sum12(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h,
                   uint64_t i, uint64_t j, uint64_t k, uint64_t l)
{ return a + 2*b + 3*c + 4*d + 5*e + 6*f + 7*g + 8*h + 9*i + 10*j + 11*k + 12*l; }
API uint8_t peek(const uint8_t *p, int64_t i) { return p[i]; }
API void poke(uint8_t *p, int64_t i) { p[i] = 1; }
API void copy(uint8_t *to, const uint8_t *from, size_t n) { memcpy(to, from, n); }
API void move(uint8_t *base, size_t to, size_t from, size_t n) { memmove(base + to, base + from, n); }
API void fill(uint8_t *to, int value, size_t n) { memset(to, value, n); }
API int compare(const uint8_t *a, const uint8_t *b, size_t n) { return memcmp(a, b, n); }
API uint64_t count(uint64_t n) { uint64_t i = 0; do { __asm__ volatile("" : "+r"(i)); } while (++i < n); return i; }
API void stop(void) { __builtin_trap(); }
static int one(void) { return 1; }
static int two(void) { return 2; }
static int (*const table[2])(void) = {one, two};
API int pick(int i) { return table[i](); }
API int global = 5;
API int next(void) { return ++global; }
API double twice(double *x) { return x[0] *= 2; }
"""


@pytest.fixture(scope="module")
def library(compile_c: Compile) -> Path:
    return compile_c(SOURCE)


@pytest.fixture
def foreign(library: Path) -> EmulatedTarget:
    return EmulatedTarget(library, "foreign", time_limit=0.3)


def test_twelve_arguments(foreign: EmulatedTarget) -> None:
    values = [2**60 + 7 * n for n in range(12)]
    expected = sum((n + 1) * value for n, value in enumerate(values)) % 2**64
    assert foreign.call("sum12", *values) == expected
    assert foreign.call("sum12", -1, *[0] * 11) == 2**64 - 1


def test_data_of_the_library(foreign: EmulatedTarget) -> None:
    assert [foreign.call("pick", n) for n in (0, 1)] == [1, 2]
    assert [foreign.call("next") for _ in range(3)] == [6, 7, 8]


def test_floating_point(foreign: EmulatedTarget) -> None:
    x = np.array([1.25])
    foreign.call("twice", Out(x))
    assert x[0] == 2.5


@pytest.mark.parametrize("size", [1, 7, 15, 16, 17, 31, 32, 33, 100])
def test_string_functions(foreign: EmulatedTarget, size: int) -> None:
    rng = np.random.default_rng(size)
    data = rng.integers(0, 256, size, np.uint8)
    out = np.zeros(size, np.uint8)
    foreign.call("copy", Out(out), data, size)
    assert np.array_equal(out, data)
    foreign.call("fill", Out(out), 0x1AB, size)
    assert (out == 0xAB).all()
    for to, start in ((0, 3), (3, 0), (20, 0), (0, 20)):
        moved = np.concatenate([data, rng.integers(0, 256, 20, np.uint8)])
        expected = moved.copy()
        expected[to : to + size] = moved[start : start + size].copy()
        foreign.call("move", Out(moved), to, start, size)
        assert np.array_equal(moved, expected), (to, start)
    other = data.copy()
    assert foreign.call("compare", data, other, size) & 0xFFFFFFFF == 0
    other[-1] ^= 0x80
    sign = np.uint32(foreign.call("compare", data, other, size) & 0xFFFFFFFF).astype(np.int32)
    assert np.sign(sign) == (1 if data[-1] > other[-1] else -1)


@pytest.mark.parametrize("size", [1, 5, 4095, 4096, 4097])
def test_one_byte_beyond_is_an_error(foreign: EmulatedTarget, size: int) -> None:
    data = np.arange(size).astype(np.uint8)
    assert foreign.call("peek", data, size - 1) & 0xFF == data[-1]
    with pytest.raises(EmulationError, match=f"peek: reads 1 bytes at byte {size} of the {size} bytes of array arg"):
        foreign.call("peek", data, size)
    with pytest.raises(EmulationError, match=f"poke: writes 1 bytes at byte {size} of the {size} bytes"):
        foreign.call("poke", Out(data), size)
    assert foreign.call("peek", data, 0) & 0xFF == data[0]  # it goes on after an error


def test_beyond_one_array_is_not_the_next(foreign: EmulatedTarget) -> None:
    shorter, longer = np.zeros(5, np.uint8), np.zeros(6, np.uint8)
    assert foreign.call("compare", shorter, longer, 5) == 0
    with pytest.raises(EmulationError, match="compare: reads 1 bytes at byte 5 of the 5 bytes of array argument 0"):
        foreign.call("compare", shorter, longer, 6)


def test_inputs_are_read_only(foreign: EmulatedTarget) -> None:
    with pytest.raises(EmulationError, match="poke: writes 1 bytes at byte 2 of the 4 bytes of array argument 0"):
        foreign.call("poke", np.zeros(4, np.uint8), 2)


def test_null_and_trap(foreign: EmulatedTarget) -> None:
    with pytest.raises(EmulationError, match="peek: reads 1 bytes at 0x0, at 0x"):
        foreign.call("peek", None, 0)
    with pytest.raises(EmulationError, match="foreign: stop: "):
        foreign.call("stop")


def test_limits(library: Path, foreign: EmulatedTarget) -> None:
    assert foreign.call("count", 1000) == 1000
    with pytest.raises(EmulationError, match=r"count: did not end within 0\.3 s"):
        foreign.call("count", 2**50)
    counting = EmulatedTarget(library, count=True, instruction_limit=20_000)
    assert counting.call("count", 1000) == 1000
    assert 2000 < counting.instructions < 5000
    with pytest.raises(EmulationError, match="count: did not end within 20000 instructions"):
        counting.call("count", 2**50)
    with pytest.raises(InputError, match="instruction_limit: needs count=True"):
        EmulatedTarget(library, instruction_limit=1)


def test_unknown_function(foreign: EmulatedTarget) -> None:
    with pytest.raises(InputError, match="the library has no function nonsense"):
        foreign.call("nonsense")


def test_imports_are_refused_by_name(compile_c: Compile) -> None:
    imports = compile_c('double sin(double); __attribute__((visibility("default"))) double f(double x){return sin(x);}')
    with pytest.raises(InputError, match="imports sin, which the emulator does not provide"):
        EmulatedTarget(imports)


def test_other_libraries_are_refused(compile_c: Compile, tmp_path: Path) -> None:
    text = '__attribute__((visibility("default"))) int f(void) { return 1; }'
    with pytest.raises(InputError, match="expected a shared library for little-endian AArch64"):
        EmulatedTarget(compile_c(text, "x86_64-linux-musl"))
    initialised = compile_c(
        "static volatile int x; __attribute__((constructor)) static void g(void) { x = 1; }\n" + text
    )
    with pytest.raises(InputError, match="needs DT_INIT_ARRAY, which is not emulated"):
        EmulatedTarget(initialised)
    local = compile_c('__thread int t; __attribute__((visibility("default"))) int f(void) { return ++t; }')
    with pytest.raises(InputError, match="uses thread-local storage"):
        EmulatedTarget(local)
    (tmp_path / "text.so").write_text("not a library")
    with pytest.raises(InputError, match=r"text\.so: not an ELF file"):
        EmulatedTarget(tmp_path / "text.so")
    with pytest.raises(InputError, match=r"absent\.so: cannot be read: No such file"):
        EmulatedTarget(tmp_path / "absent.so")


def test_without_unicorn(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "unicorn", None)
    with pytest.raises(InputError, match="unicorn is not installed; install the extra 'cross'"):
        EmulatedTarget(library)


def test_other_header_is_refused(compile_c: Compile) -> None:
    other = compile_c('__attribute__((visibility("default"))) const char *mgk_header_digest(void) { return "0"; }')
    with pytest.raises(InputError, match="built from another header"):
        emulated(other)


def test_neon_needs_few_instructions(aarch64_library: Path) -> None:
    """Deterministic: 0.157 a MAC when written. More than twice that says that the inner loop spills."""
    op, x = random_conv(np.random.default_rng(0), (1, 16, 16, 32), (3, 3), 32, pads=(1, 1, 1, 1))
    target = emulated(aarch64_library, count=True)
    sums = run_operation(op, x, target=target, path="neon")
    assert 0.05 < target.instructions / (sums.size * 9 * 32) < 0.3
