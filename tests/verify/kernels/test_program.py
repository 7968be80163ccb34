"""A whole program on every target, and what the comparison says where one differs."""

from pathlib import Path

import numpy as np
import pytest

from minigrad.errors import InputError
from quant.integer import Program
from quant.runtime import run
from verify.kernels.compare import Mismatch, Row, compare_program
from verify.kernels.targets import Runner, available, native


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(11).integers(0, 256, (7, 6, 7, 3), np.uint8)


def test_program(runner: Runner, program: Program, pixels: np.ndarray) -> None:
    seen: list[int] = []
    (rows,) = compare_program(program, pixels, [runner], lambda _, count: seen.append(count), batch=3)
    assert [row.operation for row in rows] == [f"{n} {op.name}" for n, op in enumerate(program.ops)]
    assert [row.mismatches for row in rows] == [0] * len(rows), rows
    assert [row.compared for row in rows] == [result.size for result in program.run(pixels)]
    assert [row.images for row in rows] == [7] * len(rows)
    assert seen == [3, 3, 1]
    paths = {"scalar": ["scalar"] * 7, "neon": ["neon", "neon", "neon", "neon", "scalar", "scalar", "scalar"]}
    assert [row.path for row in rows] == paths[runner.path]


class OneBitOff:
    """The native build, but that one code of one image comes back wrong."""

    name = "wrong"
    size_type = np.dtype(np.uintp)

    def __init__(self) -> None:
        self.inner, self.calls = native(), 0

    def call(self, function: str, *arguments: object) -> int:
        status = self.inner.call(function, *arguments)  # type: ignore[arg-type]
        if function == "mgk_thresholds":
            self.calls += 1
            if self.calls == 3:  # the first thresholds of the second batch
                arguments[-1].array[1, 2, 3, 4] ^= 1  # type: ignore[attr-defined]
        return status

    def name_of(self, function: str, number: int) -> str:
        return self.inner.name_of(function, number)


def test_one_wrong_bit_is_found_and_located(program: Program, pixels: np.ndarray) -> None:
    (rows,) = compare_program(program, pixels, [Runner(OneBitOff(), "scalar")], batch=3)
    expected = int(program.run(pixels)[1][4, 2, 3, 4])
    assert rows[0].mismatches == 0
    assert rows[1].mismatches == 1
    assert rows[1].first == Mismatch((4, 2, 3, 4), expected, expected ^ 1)
    assert str(rows[1].first) == f"at [4, 2, 3, 4] expected {expected}, got {expected ^ 1}"
    assert rows[2].mismatches > 0  # and the next operation saw it


def test_shapes_and_types_are_compared() -> None:
    row = Row("conv2d", "target", "scalar")
    with pytest.raises(TypeError, match=r"expected int32 \(2,\), got int32 \(3,\)"):
        row.add(np.zeros(2, np.int32), np.zeros(3, np.int32))
    with pytest.raises(TypeError, match=r"expected int32 \(2,\), got int64 \(2,\)"):
        row.add(np.zeros(2, np.int32), np.zeros(2, np.int64))


def test_available_runners(cross: None) -> None:
    names = [runner.name for runner in available()]
    assert names[0] == "native scalar"
    emulated = [name for name in names if not name.startswith("native ")]
    assert emulated == ([] if "native neon" in names else ["aarch64 scalar", "aarch64 neon"])


def test_run_refuses_other_pixels(program: Program, pixels: np.ndarray) -> None:
    with pytest.raises(InputError, match="pixels: expected uint8"):
        run(program, pixels[:, 1:], native())
    with pytest.raises(InputError, match="path: 'sse' is not one of scalar, neon, "):
        run(program, pixels, native(), "sse")


def test_saved_program_runs_the_same(program: Program, pixels: np.ndarray, tmp_path: Path) -> None:
    program.save(tmp_path / "p.safetensors")
    again = Program.load(tmp_path / "p.safetensors").run(pixels)
    assert all(np.array_equal(a, b) for a, b in zip(program.run(pixels), again, strict=True))
