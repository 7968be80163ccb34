"""A shared library for AArch64 as memory contents: segments loaded, relocations applied, imports named."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.constants import P_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_RELOC_TYPE_AARCH64
from elftools.elf.relocation import RelocationSection

from minigrad.errors import InputError

__all__ = ["Image", "read_image"]

_RELATIVE = ENUM_RELOC_TYPE_AARCH64["R_AARCH64_RELATIVE"]
_SYMBOLIC = {ENUM_RELOC_TYPE_AARCH64[f"R_AARCH64_{kind}"] for kind in ("ABS64", "GLOB_DAT", "JUMP_SLOT")}
#: What a loader of such libraries would have to run or to grow, and this one does not.
_REFUSED_TAGS = {"DT_RELR", "DT_INIT", "DT_FINI", "DT_INIT_ARRAY", "DT_PREINIT_ARRAY", "DT_TEXTREL"}


@dataclass(frozen=True)
class Image:
    """The library's memory from ``base`` on, where instructions are in it, and the functions' addresses."""

    base: int
    memory: bytes
    #: First byte in ``memory`` and length.
    code: tuple[tuple[int, int], ...]
    #: Those it exports.
    functions: dict[str, int]


def read_image(path: Path, base: int, find_import: Callable[[str], int | None]) -> Image:
    """Load a library at an address.

    Parameters
    ----------
    path
        ELF file of type DYN for little-endian AArch64.
    base
        Address of its first byte, a multiple of 64 KiB.
    find_import
        Gives the address of a function the library imports, or None if there is none.

    Raises
    ------
    InputError
        If the file is no such library, imports a function that is not there, or needs what no kernel library should:
        thread-local storage, functions chosen while loading, initialisers.
    """
    try:
        with open(path, "rb") as file:
            return _Loader(path, ELFFile(file), base, find_import).load()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ELFError as error:
        raise InputError(f"{path}: not an ELF file: {error}") from None


class _Loader:
    def __init__(self, path: Path, elf: Any, base: int, find_import: Callable[[str], int | None]) -> None:
        self.path, self.elf, self.base, self.find_import = path, elf, base, find_import

    def load(self) -> Image:
        header = self.elf.header
        if header.e_type != "ET_DYN" or header.e_machine != "EM_AARCH64" or not self.elf.little_endian:
            raise InputError(f"{self.path}: expected a shared library for little-endian AArch64")
        self._refuse()
        segments = [s for s in self.elf.iter_segments() if s.header.p_type == "PT_LOAD"]
        memory = bytearray(max(s.header.p_vaddr + s.header.p_memsz for s in segments))
        for segment in segments:
            content = segment.data()
            memory[segment.header.p_vaddr : segment.header.p_vaddr + len(content)] = content
        for section in self.elf.iter_sections():
            if isinstance(section, RelocationSection) and section.header.sh_flags & 2:  # SHF_ALLOC: for the loader
                self._relocate(memory, section)
        code = tuple((s.header.p_vaddr, s.header.p_filesz) for s in segments if s.header.p_flags & P_FLAGS.PF_X)
        return Image(self.base, bytes(memory), code, self._functions())

    def _refuse(self) -> None:
        for segment in self.elf.iter_segments():
            if segment.header.p_type == "PT_TLS":
                raise InputError(f"{self.path}: uses thread-local storage, which is not emulated")
            if segment.header.p_type == "PT_DYNAMIC":
                found = sorted(_REFUSED_TAGS & {tag.entry.d_tag for tag in segment.iter_tags()})
                if found:
                    raise InputError(f"{self.path}: needs {', '.join(found)}, which is not emulated")

    def _relocate(self, memory: bytearray, section: Any) -> None:
        symbols = self.elf.get_section(section.header.sh_link)
        for relocation in section.iter_relocations():
            kind, addend = relocation["r_info_type"], relocation["r_addend"]
            if kind == _RELATIVE:
                value = self.base + addend
            elif kind in _SYMBOLIC:
                value = self._resolve(symbols.get_symbol(relocation["r_info_sym"])) + addend
            else:
                raise InputError(f"{self.path}: relocation of type {kind} is not emulated")
            struct.pack_into("<Q", memory, relocation["r_offset"], value % (1 << 64))

    def _resolve(self, symbol: Any) -> int:
        if symbol["st_shndx"] != "SHN_UNDEF":
            return self.base + int(symbol["st_value"])
        address = self.find_import(symbol.name)
        if address is not None:
            return address
        if symbol["st_info"]["bind"] == "STB_WEAK":
            return 0
        raise InputError(f"{self.path}: imports {symbol.name}, which the emulator does not provide")

    def _functions(self) -> dict[str, int]:
        table = self.elf.get_section_by_name(".dynsym")
        if table is None:
            raise InputError(f"{self.path}: exports nothing")
        return {
            symbol.name: self.base + int(symbol["st_value"])
            for symbol in table.iter_symbols()
            if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_shndx"] != "SHN_UNDEF"
        }
