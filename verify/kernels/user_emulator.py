"""Calling functions of an AArch64 library in a process that qemu-user emulates: it has int8 matrix products.

A small program without a libc (``user_host.c``) maps memory, writes, reads and calls as it is told through a pipe. As
with the other emulator, arrays end where memory ends, and what a function only reads is mapped read-only; a function
that touches anything else ends the process.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

from minigrad.errors import InputError
from quant.target import Argument, Out, Struct
from verify.kernels.build import BuildError, cache_folder
from verify.kernels.elf import read_image
from verify.kernels.emulator import STRING_FUNCTIONS, EmulationError

__all__ = ["QEMU", "UserEmulatedTarget"]

#: Debian's package qemu-user has it.
QEMU = "qemu-aarch64"

_MAP, _PROTECT, _UNMAP, _WRITE, _READ, _CALL = range(1, 7)
_ARGUMENTS = 16
_PAGE = 0x1000
_LIBRARY, _STUBS, _BUFFERS = 0x1000_0000, 0x0800_0000, 0x1_0000_0000
_CAN_READ, _CAN_WRITE, _CAN_RUN = 1, 2, 4


class UserEmulatedTarget:
    """A library for AArch64, run by qemu-user on a processor that has everything it knows.

    Parameters
    ----------
    library
        The shared library; it may import the functions of ``<string.h>`` and nothing else.
    name
        What reports call it.
    time_limit
        Seconds a call may take.

    Raises
    ------
    InputError
        If qemu-aarch64 or zig is not installed, or the library is refused.
    """

    size_type = np.dtype("<u8")

    def __init__(self, library: Path, name: str = "aarch64 user", time_limit: float = 120.0) -> None:
        qemu = shutil.which(QEMU)
        if qemu is None:
            raise InputError(f"{QEMU} is not installed; Debian has it in the package qemu-user")
        self.name, self.time_limit = name, time_limit
        host = _build_host()
        self._process = subprocess.Popen(
            [qemu, "-cpu", "max", str(host)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        code, stubs = bytearray(), {}
        for function, words in STRING_FUNCTIONS.items():
            stubs[function] = _STUBS + len(code)
            code += b"".join(int(word, 16).to_bytes(4, "little") for word in words.split())
        image = read_image(library, _LIBRARY, stubs.get)
        self._functions = image.functions
        self._send(_place(_STUBS, bytes(code), _CAN_READ | _CAN_RUN))
        self._send(_place(_LIBRARY, image.memory, _CAN_READ | _CAN_WRITE | _CAN_RUN))

    def call(self, function: str, *arguments: Argument) -> int:
        """Call a function and give back x0.

        Raises
        ------
        InputError
            If the library has no such function, or it has too many arguments.
        EmulationError
            If the process ends, or the call takes too long.
        """
        if function not in self._functions or len(arguments) > _ARGUMENTS:
            raise InputError(f"{self.name}: the library has no function {function} of {len(arguments)} arguments")
        placed: list[tuple[int, int]] = []
        written: list[tuple[np.ndarray, int]] = []
        values = [self._prepare(argument, placed, written) for argument in arguments]
        values += [0] * (_ARGUMENTS - len(values))
        request = _request(_CALL, self._functions[function]) + struct.pack(f"<{_ARGUMENTS}Q", *values)
        for array, address in written:
            request += _request(_READ, address, array.nbytes)
        for start, size in placed:
            request += _request(_UNMAP, start, size)
        timer = threading.Timer(self.time_limit, self._process.kill)
        timer.start()
        try:
            self._send(request)
            (result,) = struct.unpack("<Q", self._receive(8, function))
            for array, _ in written:
                content = self._receive(array.nbytes, function)
                array[...] = np.frombuffer(content, array.dtype).reshape(array.shape)
        finally:
            timer.cancel()
        return int(result)

    def name_of(self, function: str, number: int) -> str:
        address, text = self.call(function, number), bytearray()
        while True:
            self._send(_request(_READ, address + len(text), 1))
            if (byte := self._receive(1, function)) == b"\0":
                return text.decode()
            text += byte

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _prepare(self, argument: Argument, placed: list[tuple[int, int]], written: list[tuple[np.ndarray, int]]) -> int:
        if argument is None:
            return 0
        if isinstance(argument, Struct):
            content = argument.encode(self.size_type, lambda array: self._place_array(array, False, placed))
            return self._place_array(content, False, placed)
        if isinstance(argument, Out):
            address = self._place_array(argument.array, True, placed)
            written.append((argument.array, address))
            return address
        if isinstance(argument, np.ndarray):
            return self._place_array(argument, False, placed)
        return int(argument) % (1 << 64)

    def _place_array(self, array: np.ndarray, writable: bool, placed: list[tuple[int, int]]) -> int:
        size = _whole_pages(max(array.nbytes, 1))
        start = placed[-1][0] + placed[-1][1] + _PAGE if placed else _BUFFERS
        content = bytes(size - array.nbytes) + array.tobytes()
        self._send(_place(start, content, _CAN_READ | (_CAN_WRITE if writable else 0)))
        placed.append((start, size))
        return start + size - array.nbytes

    def _send(self, request: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise EmulationError(f"{self.name}: the process has ended") from None

    def _receive(self, size: int, function: str) -> bytes:
        assert self._process.stdout is not None
        content = self._process.stdout.read(size)
        if len(content) < size:
            raise EmulationError(f"{self.name}: {function}: the process ended with status {self._process.wait()}")
        return content


def _build_host() -> Path:
    """The program in the emulator, built once."""
    source = Path(__file__).with_name("user_host.c")
    program = cache_folder() / f"user_host-{hashlib.sha256(source.read_bytes()).hexdigest()[:24]}"
    if not program.is_file():
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".build-", dir=program.parent) as scratch:
            made = Path(scratch) / "host"
            command = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl", "-O2", "-std=c99"]
            command += ["-nostdlib", "-static", "-fno-stack-protector", "-o", str(made), str(source)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise BuildError(f"{' '.join(command)} failed:\n{done.stderr}")
            os.replace(made, program)
    return program


def _request(kind: int, address: int, value: int = 0) -> bytes:
    return struct.pack("<3Q", kind, address, value)


def _place(address: int, content: bytes, protection: int) -> bytes:
    """Map pages, fill them, and protect them."""
    size = _whole_pages(len(content))
    return (
        _request(_MAP, address, size)
        + _request(_WRITE, address, len(content))
        + content
        + _request(_PROTECT, address, size | protection)
    )


def _whole_pages(size: int) -> int:
    return (size + _PAGE - 1) // _PAGE * _PAGE
