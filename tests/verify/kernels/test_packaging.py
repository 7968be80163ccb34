"""The C library alone: CMake builds and installs it, others find and link it, its header compiles anywhere."""

import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from minigrad.kernels import HEADER, SOURCES, native
from verify.kernels import build as build_module
from verify.kernels.sizes import measure, sizes

CONSUMER = """
cmake_minimum_required(VERSION 3.20)
project(consumer LANGUAGES C)
find_package(minigrad_kernels 0.1 REQUIRED)
foreach(kind shared static minigrad_kernels)
  add_executable(with_${kind} main.c)
  target_link_libraries(with_${kind} PRIVATE minigrad_kernels::${kind})
endforeach()
"""
MAIN = """
#include <minigrad_kernels.h>
#include <string.h>

int main(void)
{
    const int32_t logits[3] = {1, 3, 2};
    int32_t best;
    return mgk_argmax(logits, 1, 3, &best) != MGK_OK || best != 1 || strcmp(mgk_status_name(MGK_OK), "MGK_OK") != 0;
}
"""


def run(*command: str | Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build folder as somebody without Python makes it: both libraries."""
    folder = tmp_path_factory.mktemp("packaging") / "build"
    command, _ = build_module._configuration("native", SOURCES)
    run(*command, "-DMGK_STATIC=ON", "-B", folder)
    run(build_module._find_cmake(), "--build", folder)
    return folder


def test_install_and_find(objects: Path, tmp_path: Path) -> None:
    cmake, prefix = build_module._find_cmake(), tmp_path / "prefix"
    run(cmake, "--install", objects, "--prefix", prefix)
    installed = {path.name for path in prefix.rglob("*") if path.is_file()}
    expected = {
        "minigrad_kernels.h",
        "libminigrad_kernels.so",
        "libminigrad_kernels.a",
        "minigrad_kernels-config.cmake",
    }
    assert expected <= installed
    (tmp_path / "consumer").mkdir()
    (tmp_path / "consumer" / "CMakeLists.txt").write_text(CONSUMER)
    (tmp_path / "consumer" / "main.c").write_text(MAIN)
    compiler = next(
        part for part in build_module._configuration("native", SOURCES)[0] if part.startswith("-DCMAKE_C_COMPILER=")
    )
    run(
        *(cmake, "-S", tmp_path / "consumer", "-B", tmp_path / "out", f"-DCMAKE_PREFIX_PATH={prefix}", compiler),
        *build_module._generator(),
    )
    run(cmake, "--build", tmp_path / "out")
    for kind in ("shared", "static", "minigrad_kernels"):
        run(tmp_path / "out" / f"with_{kind}")


def undefined(library: Path) -> set[str]:
    """Symbols that must come from elsewhere; weak ones need not."""
    with library.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".dynsym")
        return {
            symbol.name
            for symbol in table.iter_symbols()
            if symbol["st_shndx"] == "SHN_UNDEF" and symbol["st_info"]["bind"] == "STB_GLOBAL" and symbol.name
        }


def test_needs_memcpy_and_memset_only(objects: Path) -> None:
    assert undefined(objects / "libminigrad_kernels.so") <= {"memcpy", "memset"}
    assert "mgk_argmax" not in undefined(objects / "libminigrad_kernels.so")


def test_needs_memcpy_and_memset_only_on_aarch64(aarch64_library: Path) -> None:
    assert undefined(aarch64_library) <= {"memcpy", "memset"}


def test_sizes(objects: Path) -> None:
    found = list(sizes(objects))
    assert {"qconv/scalar.c", "argmax.c"} <= {size.source for size in found}
    code = sum(size.code for size in found)
    assert 0.5 * code < measure(objects / "libminigrad_kernels.so")[0] < 1.5 * code


@pytest.mark.parametrize("standard", ["c99", "c11", "c++11", "c++17"])
def test_header_compiles(standard: str, tmp_path: Path) -> None:
    compiler = shutil.which("g++" if "+" in standard else "gcc")
    zig = None if compiler else build_module._find_zig()
    command = [compiler] if compiler else [str(zig), "c++" if "+" in standard else "cc"]
    source = tmp_path / ("main.cpp" if "+" in standard else "main.c")
    source.write_text(f'#include "{HEADER}"\nint main(void) {{ return mgk_has_path(MGK_SCALAR) - 1; }}\n')
    warnings = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror")
    run(*command, f"-std={standard}", *warnings, "-c", source, "-o", tmp_path / "main.o")


def test_header_declares_what_the_library_has() -> None:
    library = native()
    for name in dir(library.lib):
        if name.startswith("mgk_"):
            assert getattr(library.lib, name)
