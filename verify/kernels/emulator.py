"""Calling functions of an AArch64 library on an emulated core, with buffers that end where memory ends.

The core is unicorn's Cortex-A53, or one with dot products, and matrix products made of them. Every argument that is an
array gets pages of its own, its last byte just before an unmapped page: reading one byte beyond it is an error, not
luck. What a function only reads is mapped read-only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from minigrad.errors import InputError
from quant.target import Argument, Out, Struct
from verify.kernels.elf import read_image
from verify.kernels.matrix_products import replace_matrix_products

__all__ = ["EmulatedTarget", "EmulationError"]

_PAGE = 0x1000
_LIBRARY, _ADDED = 0x1000_0000, 0x1400_0000
_STUBS = 0x0800_0000
_STOP = 0x0900_0000
_STACK, _STACK_SIZE = 0x4000_0000, 0x10_0000
_BUFFERS = 0x1_0000_0000
_REGISTER_ARGUMENTS = 8
_SECOND = 1_000_000  # unicorn counts microseconds

#: The functions of <string.h> that compilers call on their own, as machine code of the emulated core.
_STRING_FUNCTIONS = {
    # x3 = to; 16 bytes a round while 16 are left, then single bytes
    "memcpy": "aa0003e3 f1004042 54000083 3cc10420 3c810460 17fffffc b1004042 540000a0 38401424 38001464 f1000442 "
    "54ffffa1 d65f03c0",
    # the next one's branch back to memcpy, for arrays that do not overlap forwards, counts on following it
    "memmove": "cb010003 eb02007f 54fffe22 b40000a2 d1000442 38626824 38226804 17fffffc d65f03c0",
    "memset": "4e010c20 aa0003e3 f1004042 54000063 3c810460 17fffffd b1004042 54000080 38001461 f1000442 54ffffc1 "
    "d65f03c0",
    "memcmp": "b4000102 38401403 38401424 d1000442 6b040063 54ffff60 2a0303e0 d65f03c0 52800000 d65f03c0",
}


class EmulationError(RuntimeError):
    """The emulated function touched memory it must not, hit an instruction the core has not, or never ended."""


class EmulatedTarget:
    """A library for AArch64, run on an emulated core.

    Parameters
    ----------
    library
        The shared library; it may import the functions of ``<string.h>`` and nothing else.
    name
        What reports call it.
    time_limit
        Seconds a call may take.
    count
        Count instructions (25 times slower): ``blocks`` says how often the last call ran each basic block, given by
        its address and size, and ``instructions`` how many instructions those are.
    instruction_limit
        Instructions a call may take; needs ``count``.
    core
        "a53", or "max", which has dot products and matrix products too. Of matrix products only the instructions
        in the library are counted, not what stands in for them.

    Raises
    ------
    InputError
        If unicorn is not installed, or the library is refused.
    """

    size_type = np.dtype("<u8")

    def __init__(
        self,
        library: Path,
        name: str = "aarch64",
        time_limit: float = 120.0,
        count: bool = False,
        instruction_limit: int | None = None,
        core: str = "a53",
    ) -> None:
        if core not in ("a53", "max"):
            raise InputError(f"core: expected 'a53' or 'max', got {core!r}")
        if instruction_limit is not None and not count:
            raise InputError("instruction_limit: needs count=True")
        self.name, self.time_limit, self.instruction_limit = name, time_limit, instruction_limit
        self.blocks: dict[tuple[int, int], int] = {}
        self._left = 0  # of instruction_limit, in this call
        self._unicorn, self._registers = _import_unicorn()
        self._buffers: list[tuple[int, int]] = []  # address of the first byte behind each, and its size
        self._written: list[tuple[np.ndarray, int]] = []  # arrays to copy back, and their addresses
        self._fault = ""
        self._core = self._make_core(core)
        stubs = self._map_stubs()
        image = read_image(library, _LIBRARY, stubs.get)
        self._functions = image.functions
        self._replaced: dict[int, int] = {}  # instructions the core has not, by their addresses
        memory = bytearray(image.memory)
        if core == "max":
            added, self._replaced = replace_matrix_products(memory, _LIBRARY, image.code, _ADDED)
            self._map(_ADDED, added or bytes(1), self._unicorn.UC_PROT_ALL)
        self._map(_LIBRARY, bytes(memory), self._unicorn.UC_PROT_ALL)
        self._core.mem_map(_STOP, _PAGE)
        self._core.mem_map(_STACK, _STACK_SIZE)
        self._core.hook_add(self._unicorn.UC_HOOK_MEM_INVALID, self._note_fault)
        if count:  # before the first run, or translated code would not count
            hook = self._count_block if instruction_limit is None else self._limit_blocks
            self._core.hook_add(self._unicorn.UC_HOOK_BLOCK, hook, begin=_STUBS, end=_ADDED - 1)

    def call(self, function: str, *arguments: Argument) -> int:
        """Call a function and give back x0.

        Raises
        ------
        InputError
            If the library has no such function.
        EmulationError
            If the call is stopped; the message says where.
        """
        if function not in self._functions:
            raise InputError(f"{self.name}: the library has no function {function}")
        self._buffers.clear()
        self._written.clear()
        self._fault = ""
        self._left = self.instruction_limit or 0
        self.blocks.clear()
        mapped: list[tuple[int, int]] = []
        try:
            values = [self._place(argument, mapped) for argument in arguments]
            self._set_arguments(values)
            self._execute(function)
            self._copy_back()
        finally:
            for address, size in mapped:
                self._core.mem_unmap(address, size)
        return int(self._core.reg_read(self._registers.UC_ARM64_REG_X0))

    @property
    def instructions(self) -> int:
        """Instructions of the last call, if they are counted."""
        return sum(size // 4 * times for (_, size), times in self.blocks.items())

    def code(self, address: int, size: int) -> bytes:
        """The machine code of a block, as the library has it."""
        code = bytearray(self._core.mem_read(address, size))
        for place in range(address, address + size, 4):
            if place in self._replaced:
                code[place - address : place - address + 4] = self._replaced[place].to_bytes(4, "little")
        return bytes(code)

    def name_of(self, function: str, number: int) -> str:
        return self.read_string(self.call(function, number))

    def read_string(self, address: int) -> str:
        """The string a function's result points to."""
        text = bytearray()
        while (byte := self._core.mem_read(address + len(text), 1))[0]:
            text += byte
        return text.decode()

    def _make_core(self, name: str) -> Any:
        uc = self._unicorn
        core = uc.Uc(uc.UC_ARCH_ARM64, uc.UC_MODE_ARM)
        models = {"a53": uc.arm64_const.UC_CPU_ARM64_A53, "max": uc.arm64_const.UC_CPU_ARM64_MAX}
        core.ctl_set_cpu_model(models[name])
        return core

    def _map(self, address: int, content: bytes, protection: int) -> None:
        self._core.mem_map(address, _whole_pages(len(content)), protection)
        self._core.mem_write(address, content)

    def _map_stubs(self) -> dict[str, int]:
        code, addresses = bytearray(), {}
        for name, words in _STRING_FUNCTIONS.items():
            addresses[name] = _STUBS + len(code)
            for word in words.split():
                code += int(word, 16).to_bytes(4, "little")
        self._map(_STUBS, bytes(code), self._unicorn.UC_PROT_READ | self._unicorn.UC_PROT_EXEC)
        return addresses

    def _place(self, argument: Argument, mapped: list[tuple[int, int]]) -> int:
        """The argument's register: an integer, or the address its array was given."""
        if argument is None:
            return 0
        if isinstance(argument, Struct):
            content = argument.encode(self.size_type, lambda array: self._place_array(array, False, mapped))
            return self._place_array(content, False, mapped)
        if isinstance(argument, Out):
            address = self._place_array(argument.array, True, mapped)
            self._written.append((argument.array, address))
            return address
        if isinstance(argument, np.ndarray):
            return self._place_array(argument, False, mapped)
        return int(argument) % (1 << 64)

    def _place_array(self, array: np.ndarray, writable: bool, mapped: list[tuple[int, int]]) -> int:
        size = _whole_pages(max(array.nbytes, 1))
        start = mapped[-1][0] + mapped[-1][1] + _PAGE if mapped else _BUFFERS
        uc = self._unicorn
        self._core.mem_map(start, size, uc.UC_PROT_READ | (uc.UC_PROT_WRITE if writable else 0))
        mapped.append((start, size))
        end = start + size
        if array.nbytes:
            self._core.mem_write(end - array.nbytes, array.tobytes())
        self._buffers.append((end, array.nbytes))
        return end - array.nbytes

    def _set_arguments(self, values: list[int]) -> None:
        registers = self._registers
        for n, value in enumerate(values[:_REGISTER_ARGUMENTS]):
            self._core.reg_write(registers.UC_ARM64_REG_X0 + n, value)
        on_stack = values[_REGISTER_ARGUMENTS:]
        stack = _STACK + _STACK_SIZE - (len(on_stack) + 1) // 2 * 16  # 8 bytes each, the pointer a multiple of 16
        for n, value in enumerate(on_stack):
            self._core.mem_write(stack + 8 * n, value.to_bytes(8, "little"))
        self._core.reg_write(registers.UC_ARM64_REG_SP, stack)
        self._core.reg_write(registers.UC_ARM64_REG_LR, _STOP)

    def _execute(self, function: str) -> None:
        try:
            self._core.emu_start(self._functions[function], _STOP, timeout=int(self.time_limit * _SECOND))
        except self._unicorn.UcError as error:
            where = self._core.reg_read(self._registers.UC_ARM64_REG_PC) - _LIBRARY
            reason = self._fault or str(error)
            raise EmulationError(f"{self.name}: {function}: {reason}, at {where:#x} of the library") from None
        if self._fault:
            raise EmulationError(f"{self.name}: {function}: {self._fault}")
        if self._core.reg_read(self._registers.UC_ARM64_REG_PC) != _STOP:
            raise EmulationError(f"{self.name}: {function}: did not end within {self.time_limit:g} s")

    def _copy_back(self) -> None:
        for array, address in self._written:
            if array.nbytes:
                content = self._core.mem_read(address, array.nbytes)
                array[...] = np.frombuffer(content, array.dtype).reshape(array.shape)

    def _note_fault(self, core: Any, access: int, address: int, size: int, value: int, data: Any) -> bool:
        uc = self._unicorn
        is_write = access in (uc.UC_MEM_WRITE_UNMAPPED, uc.UC_MEM_WRITE_PROT)
        self._fault = f"{'writes' if is_write else 'reads'} {size} bytes at {address:#x}"
        for n, (end, length) in enumerate(self._buffers):
            if end - length - _PAGE < address < end + _PAGE:
                place = f"{address - end + length} of the {length} bytes of array argument {n}"
                self._fault = f"{'writes' if is_write else 'reads'} {size} bytes at byte {place}"
                if end - length <= address < end:
                    break
        return False

    def _count_block(self, core: Any, address: int, size: int, data: Any) -> None:
        key = address, size
        self.blocks[key] = self.blocks.get(key, 0) + 1

    def _limit_blocks(self, core: Any, address: int, size: int, data: Any) -> None:
        self._count_block(core, address, size, data)
        self._left -= size // 4
        if self._left < 0:
            self._fault = f"did not end within {self.instruction_limit} instructions"
            core.emu_stop()


def _whole_pages(size: int) -> int:
    return (size + _PAGE - 1) // _PAGE * _PAGE


def _import_unicorn() -> tuple[Any, Any]:
    try:
        import unicorn
        from unicorn import arm64_const
    except ImportError:
        raise InputError("unicorn is not installed; install the extra 'cross'") from None
    return unicorn, arm64_const
