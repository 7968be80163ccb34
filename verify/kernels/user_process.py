"""Calling functions of the library in a process that qemu-user emulates: on AArch64, 32-bit ARM, RISC-V and s390x.

The process is ``user_server.c`` linked with the library: it is told where to write, what to call and what to read.
Every argument that is an array gets pages of its own between pages that cannot be touched, and ends (or begins) where
they do; what a function only reads is read-only. A function that touches anything else ends the process.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigrad.errors import InputError
from minigrad.kernels import HEADER
from quant.target import Argument, Out, Struct
from verify.kernels.build import BuildError, build
from verify.kernels.emulator import EmulationError

__all__ = ["MACHINES", "Machine", "ProcessTarget", "build_server", "missing_emulator"]


class Machine(NamedTuple):
    """A kind of processor, and what emulates and compiles for it."""

    qemu: str
    options: tuple[str, ...]
    compiler_options: tuple[str, ...]
    size_type: str


#: AArch64 has all that the emulator knows, int8 matrix products among it.
MACHINES = {
    "aarch64": Machine("qemu-aarch64", ("-cpu", "max"), ("-target", "aarch64-linux-musl"), "<u8"),
    "arm": Machine("qemu-arm", ("-cpu", "cortex-a7"), ("-target", "arm-linux-musleabihf", "-mcpu=cortex_a7"), "<u4"),
    "riscv64": Machine("qemu-riscv64", (), ("-target", "riscv64-linux-musl"), "<u8"),
    "s390x": Machine("qemu-s390x", (), ("-target", "s390x-linux-musl"), ">u8"),
}

_ARGUMENTS = 12
_PAGE = 0x1000
_ARENA = 1 << 28
_UNTOUCHABLE, _READABLE, _WRITABLE = range(3)


def missing_emulator(machine: str) -> str:
    """What is not installed that ``ProcessTarget`` needs for a machine, or an empty string."""
    qemu = MACHINES[machine].qemu
    return "" if shutil.which(qemu) else f"{qemu} is not installed; Debian has it in the package qemu-user"


def build_server(machine: str) -> Path:
    """The program that runs in the emulator, built once for the sources at hand.

    Raises
    ------
    InputError
        If a tool is not installed.
    BuildError
        If the build fails.
    """
    library = build(machine, static=True)
    source = Path(__file__).with_name("user_server.c")
    program = library.with_name(f"server-{hashlib.sha256(source.read_bytes()).hexdigest()[:24]}")
    if not program.is_file():
        with tempfile.TemporaryDirectory(prefix=".build-", dir=library.parent) as scratch:
            made = Path(scratch) / "server"
            command = [sys.executable, "-m", "ziglang", "cc", *MACHINES[machine].compiler_options, "-O2", "-std=c99"]
            command += ["-static", f"-I{HEADER.parent}", "-o", str(made), str(source), str(library)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise BuildError(f"{' '.join(command)} failed:\n{done.stderr}")
            os.replace(made, program)
    return program


class ProcessTarget:
    """The library on an emulated processor.

    Parameters
    ----------
    machine
        A name of ``MACHINES``.
    at_end
        Whether arrays end where memory ends, or else begin where it begins.
    time_limit
        Seconds a call may take.

    Raises
    ------
    InputError
        If the machine is unknown, or the emulator or the compiler is not installed.
    """

    def __init__(self, machine: str, at_end: bool = True, time_limit: float = 120.0) -> None:
        if machine not in MACHINES:
            raise InputError(f"machine: expected one of {', '.join(MACHINES)}, got {machine!r}")
        if missing := missing_emulator(machine):
            raise InputError(missing)
        self.name, self.at_end, self.time_limit = machine, at_end, time_limit
        self.size_type = np.dtype(MACHINES[machine].size_type)
        kind = MACHINES[machine]
        self._command = [kind.qemu, *kind.options, str(build_server(machine))]
        self._process: subprocess.Popen[bytes] | None = None
        self._arena = self._next = 0

    def call(self, function: str, *arguments: Argument) -> int:
        """Call a function and give back what it returns.

        Raises
        ------
        InputError
            If the library has no such function, or it has too many arguments.
        EmulationError
            If the process ends, or the call takes too long; the next call starts another one.
        """
        if len(arguments) > _ARGUMENTS:
            raise InputError(f"{self.name}: more than {_ARGUMENTS} arguments")
        self._start()
        self._next = self._arena + _PAGE
        written: list[tuple[np.ndarray, int]] = []
        values = [self._prepare(argument, written) for argument in arguments]
        request = b"c" + _numbers(len(function)) + function.encode()
        request += _numbers(*values, *[0] * (_ARGUMENTS - len(values)))
        for array, address in written:
            request += b"r" + _numbers(address, array.nbytes)
        request += b"p" + _numbers(self._arena, self._next - self._arena, _UNTOUCHABLE)
        assert self._process is not None
        timer = threading.Timer(self.time_limit, self._process.kill)
        timer.start()
        try:
            self._send(request)
            known, result = self._receive_number(function), self._receive_number(function)
            for array, _ in written:
                content = self._receive(array.nbytes, function)
                array[...] = np.frombuffer(content, self._foreign(array.dtype)).reshape(array.shape)
        finally:
            timer.cancel()
        if not known:
            raise InputError(f"{self.name}: the server has no function {function}")
        return result

    def name_of(self, function: str, number: int) -> str:
        address = self.call(function, number)
        self._send(b"s" + _numbers(address))
        return self._receive(self._receive_number(function), function).decode()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._arena = self._receive_number("start")
        if self._receive_number("start") != self.size_type.itemsize:
            raise EmulationError(f"{self.name}: size_t is not of {self.size_type.itemsize} bytes there")

    def _foreign(self, dtype: np.dtype) -> np.dtype:
        return dtype.newbyteorder(self.size_type.byteorder)

    def _prepare(self, argument: Argument, written: list[tuple[np.ndarray, int]]) -> int:
        if argument is None:
            return 0
        if isinstance(argument, Struct):
            return self._place(argument.encode(self.size_type, lambda array: self._place(array, False)), False)
        if isinstance(argument, Out):
            address = self._place(argument.array, True)
            written.append((argument.array, address))
            return address
        if isinstance(argument, np.ndarray):
            return self._place(argument, False)
        return int(argument) % (1 << 8 * self.size_type.itemsize)

    def _place(self, array: np.ndarray, writable: bool) -> int:
        size = (max(array.nbytes, 1) + _PAGE - 1) // _PAGE * _PAGE
        start, self._next = self._next, self._next + size + _PAGE
        if self._next > self._arena + _ARENA:
            raise InputError(f"{self.name}: arguments of more than {_ARENA} bytes")
        address = start + size - array.nbytes if self.at_end else start
        content = array.astype(self._foreign(array.dtype)).tobytes()
        request = b"p" + _numbers(start, size, _WRITABLE) + b"w" + _numbers(address, len(content)) + content
        if not writable:
            request += b"p" + _numbers(start, size, _READABLE)
        self._send(request)
        return address

    def _send(self, request: bytes) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise EmulationError(f"{self.name}: the process has ended") from None

    def _receive(self, size: int, function: str) -> bytes:
        assert self._process is not None and self._process.stdout is not None
        content = self._process.stdout.read(size)
        if len(content) < size:
            raise EmulationError(f"{self.name}: {function}: the process ended with status {self._process.wait()}")
        return content

    def _receive_number(self, function: str) -> int:
        return int.from_bytes(self._receive(8, function), "little")


def _numbers(*values: int) -> bytes:
    return b"".join(value.to_bytes(8, "little") for value in values)
