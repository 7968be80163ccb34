"""Instructions are told apart by their encoding, and blocks add up to what single steps count."""

from pathlib import Path
from typing import Any

import pytest

from quant.runtime import prepare, run_prepared
from verify.kernels.bench.instructions import Count, count_blocks, is_vector, plain_cost
from verify.kernels.bench.layers import Layer, Width
from verify.kernels.bench.operands import epilogue_for, operands
from verify.kernels.emulator import EmulatedTarget
from verify.kernels.targets import emulated

#: As an assembler encodes them; with plain loads and stores; a vector operation.
WORDS = {
    "ld1 {v0.16b-v3.16b}, [x0]": (0x4C402000, 2, False),
    "ld1 {v0.16b-v3.16b}, [x0], #64": (0x4CDF2000, 2, False),
    "ld1 {v0.16b-v2.16b}, [x0], x3": (0x4CC36000, 3, False),
    "ld1 {v0.8b, v1.8b}, [x0]": (0x0C40A000, 1, False),
    "ld1 {v0.16b}, [x0]": (0x4C407000, 1, False),
    "ld2 {v0.16b, v1.16b}, [x0]": (0x4C408000, 3, False),
    "ld3 {v0.16b-v2.16b}, [x0]": (0x4C404000, 5, False),
    "ld4 {v0.8h-v3.8h}, [x0], #64": (0x4CDF0400, 10, False),
    "ld1r {v0.16b}, [x0]": (0x4D40C000, 1, False),
    "ld2r {v0.8h, v1.8h}, [x0]": (0x4D60C400, 2, False),
    "ld3r {v0.8h-v2.8h}, [x0], #6": (0x4DDFE400, 3, False),
    "ld4r {v0.8h-v3.8h}, [x0], x2": (0x4DE2E400, 4, False),
    "ld1 {v0.b}[3], [x0]": (0x0D400C00, 1, False),
    "st2 {v0.s, v1.s}[1], [x0]": (0x0D209000, 2, False),
    "ld3 {v0.h-v2.h}[1], [x0]": (0x0D406800, 3, False),
    "ld4 {v0.d-v3.d}[1], [x0]": (0x4D60A400, 4, False),
    "st1 {v0.16b-v3.16b}, [x0]": (0x4C002000, 2, False),
    "st3 {v0.8h-v2.8h}, [x0]": (0x4C004400, 5, False),
    "ldp q0, q1, [x0]": (0xAD400400, 1, False),
    "ldr q0, [x0]": (0x3DC00000, 1, False),
    "stp x0, x1, [sp]": (0xA90007E0, 1, False),
    "add x0, x0, #1": (0x91000400, 1, False),
    "prfm pldl1keep, [x0]": (0xF9800000, 1, False),
    "b .": (0x14000000, 1, False),
    "mla v0.16b, v1.16b, v2.16b": (0x4E229420, 1, True),
    "umov w0, v0.h[0]": (0x0E023C00, 1, True),
    "sdot v0.4s, v1.16b, v2.4b[0]": (0x4F82E020, 1, True),
    "sadalp v0.8h, v1.16b": (0x4E206820, 1, True),
}


@pytest.mark.parametrize("text", WORDS)
def test_kinds(text: str) -> None:
    word, plain, vector = WORDS[text]
    assert plain_cost(word) == plain
    assert is_vector(word) is vector


def test_blocks_are_weighted_by_how_often_they_run() -> None:
    code = {
        0x100: b"".join(WORDS[text][0].to_bytes(4, "little") for text in ("sadalp v0.8h, v1.16b", "b .")),
        0x200: WORDS["ld4 {v0.8h-v3.8h}, [x0], #64"][0].to_bytes(4, "little"),
    }
    assert count_blocks({(0x100, 8): 10, (0x200, 4): 3}, lambda address, size: code[address][:size]) == Count(
        23, 10, 50
    )


@pytest.mark.parametrize("path", ["scalar", "neon", "dotprod"])
def test_blocks_and_single_steps_agree(aarch64_library: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The count of a layer by its blocks is that of a hook called before every instruction."""
    layer, width = Layer(3, 1, 16, 16, 4), Width(2, 2)
    unicorn = pytest.importorskip("unicorn", reason="unicorn is not installed; the extra 'cross' has it")
    op, x = next(operands(layer, width))
    epilogue = epilogue_for(op.run(x), width)
    target = emulated(aarch64_library, core="max", count=True)
    prepared = prepare(op, x.shape, target, path, epilogue)
    run_prepared(prepared, op, x, target, epilogue)
    count = count_blocks(target.blocks, target.code)

    words: list[int] = []
    stepping = emulated(aarch64_library, core="max")

    def step(core: Any, address: int, size: int, data: Any) -> None:
        words.append(int.from_bytes(core.mem_read(address, size), "little"))

    def call(function: str, *arguments: Any) -> int:
        words.clear()  # the run is the last call
        return EmulatedTarget.call(stepping, function, *arguments)

    stepping._core.hook_add(unicorn.UC_HOOK_CODE, step)
    stepping._core.ctl_flush_tb()
    monkeypatch.setattr(stepping, "call", call)
    run_prepared(prepared, op, x, stepping, epilogue)
    assert count == Count(len(words), sum(map(is_vector, words)), sum(map(plain_cost, words)))
    assert count.instructions == target.instructions > layer.macs // 100
