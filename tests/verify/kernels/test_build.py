"""Builds: kept by the digest of their sources, whole or not at all, and clear about what is missing."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from minigrad import kernels
from minigrad.errors import InputError
from minigrad.kernels import SOURCES
from verify.kernels import build as build_module
from verify.kernels.build import BuildError, build, cache_folder


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[Path]:
    """A tree that builds in a moment: the real CMake files, and the sources that need nothing else."""
    tree = tmp_path / "csrc"
    shutil.copytree(SOURCES / "cmake", tree / "cmake")
    shutil.copytree(SOURCES / "include", tree / "include")
    shutil.copy(SOURCES / "CMakeLists.txt", tree)
    for folder in ("wide", "qconv/x86"):
        (tree / "src" / folder).mkdir(parents=True)
        (tree / "src" / folder / "nothing.c").write_text("typedef int nothing;\n")
    shutil.copy(SOURCES / "src" / "status.c", tree / "src")
    yield tree


def test_a_build_is_kept(cross: None, sources: Path, tmp_path: Path) -> None:
    said: list[str] = []
    first = build("aarch64", sources, tmp_path / "cache", said.append)
    assert said == ["building the kernels for aarch64, once"]
    stamp = first.stat().st_mtime_ns
    assert build("aarch64", sources, tmp_path / "cache", said.append) == first
    assert len(said) == 1
    assert first.stat().st_mtime_ns == stamp
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [first.parent.name]  # no scratch folder is left

    (sources / "src" / "status.c").write_text((sources / "src" / "status.c").read_text() + "\n")
    assert build("aarch64", sources, tmp_path / "cache", said.append) != first
    assert len(said) == 2


def test_a_native_build_opens(sources: Path, tmp_path: Path) -> None:
    library = kernels.load(build("native", sources, tmp_path / "cache"))
    assert library.ffi.string(library.lib.mgk_status_name(0)) == b"MGK_OK"


def test_a_processor_of_64_bits_compiled_for_with_32(
    cross: None, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``-m32`` does, which keeps the processor's name: nothing that is for 64 bits is compiled."""
    (sources / "src" / "qconv" / "x86" / "nothing.c").write_text("#error these are for 64 bits\n")
    (sources / "src" / "float.c").write_text(
        '#include <float.h>\n_Static_assert(FLT_EVAL_METHOD == 0, "sums are rounded to their type");\n'
    )
    toolchain = (SOURCES / "cmake" / "zig-aarch64.cmake").read_text().replace("VOID_P 8", "VOID_P 4")
    toolchain = toolchain.replace("PROCESSOR aarch64", "PROCESSOR x86_64").replace("aarch64-linux", "x86-linux")
    (sources / "cmake" / "zig-x86.cmake").write_text(toolchain + "set(CMAKE_C_FLAGS_INIT -mcpu=i686)\n")
    monkeypatch.setattr(build_module, "_CROSS", (*build_module._CROSS, "x86"))
    assert build("x86", sources, tmp_path / "cache").is_file()


def test_a_broken_source_leaves_nothing(sources: Path, tmp_path: Path) -> None:
    (sources / "src" / "broken.c").write_text("this is no C;\n")
    with pytest.raises(BuildError, match=r"broken\.c"):
        build("native", sources, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="machine: expected 'aarch64', 'arm', 'riscv64', 's390x' or 'native', got"):
        build("z80")
    with pytest.raises(InputError, match=r"no CMakeLists\.txt"):
        build("native", tmp_path)


def test_missing_tools(monkeypatch: pytest.MonkeyPatch, sources: Path) -> None:
    monkeypatch.setattr(build_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="ziglang is not installed; install the extra 'cross'"):
        build("aarch64", sources)
    monkeypatch.setattr(build_module.shutil, "which", lambda name: None)
    monkeypatch.setattr(build_module.sys, "executable", "/nowhere/python")
    with pytest.raises(InputError, match="cmake is not installed; install the extra 'cross'"):
        build("native", sources)


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "minigrad" / "kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "minigrad" / "kernels"
