"""Building the C library: for this machine, or across for others, from the checkout's sources or a mutated copy.

``CMakeLists.txt`` is the one list of sources and flags; builds are kept in a cache folder under the digest of all
they were made from.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from minigrad.errors import InputError
from minigrad.kernels import SOURCES

__all__ = ["LIBRARY", "BuildError", "build", "cache_folder", "compile_tree", "configure_tree"]

#: The file a build folder holds at the end.
LIBRARY = "libminigrad_kernels.so"
STATIC_LIBRARY = "libminigrad_kernels.a"
#: Machines that zig compiles for.
_CROSS = ("aarch64", "arm", "riscv64", "s390x")
_SOURCE_SUFFIXES = {".c", ".h", ".txt", ".cmake"}


class BuildError(RuntimeError):
    """CMake or the compiler failed; the message ends with what it said."""


def cache_folder() -> Path:
    """Where builds are kept: ``minigrad`` in $XDG_CACHE_HOME, or in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minigrad" / "kernels"


def build(
    machine: str = "aarch64",
    sources: Path = SOURCES,
    folder: Path | None = None,
    say: Callable[[str], None] = lambda message: None,
    static: bool = False,
) -> Path:
    """Build the library, unless the same sources were built before.

    Parameters
    ----------
    machine
        "aarch64", "arm", "riscv64" or "s390x", cross compiled by zig, or "native", by this machine's compiler or zig
        where there is none.
    sources
        A folder such as csrc.
    folder
        Where builds are kept; by default ``cache_folder()``.
    say
        Called with one line when something is actually built.
    static
        Whether the static library is wanted, for a program to be run in an emulator.

    Returns
    -------
    Path
        The library.

    Raises
    ------
    InputError
        If the machine is unknown, the folder holds no sources, or a tool is not installed.
    BuildError
        If the build fails.
    """
    if machine not in (*_CROSS, "native"):
        raise InputError(f"machine: expected {', '.join(map(repr, _CROSS))} or 'native', got {machine!r}")
    if not (sources / "CMakeLists.txt").is_file():
        raise InputError(f"{sources}: no CMakeLists.txt; expected the library's sources")
    _, tools = _configuration(machine, sources)
    name = STATIC_LIBRARY if static else LIBRARY
    library = (folder or cache_folder()) / f"{machine}-{_digest(sources, tools)}" / name
    if library.is_file():
        return library
    say(f"building the kernels for {machine}, once")
    library.parent.parent.mkdir(parents=True, exist_ok=True)
    # Built beside its place and moved there whole, so that a kill leaves nothing half made in it.
    with tempfile.TemporaryDirectory(prefix=".build-", dir=library.parent.parent) as scratch:
        configure_tree(machine, sources, Path(scratch), static)
        compile_tree(Path(scratch))
        library.parent.mkdir(exist_ok=True)
        os.replace(Path(scratch) / name, library)
    return library


def configure_tree(machine: str, sources: Path, objects: Path, static: bool = False) -> None:
    """Prepare a build of a source tree in a folder; errors as of ``build``."""
    command, _ = _configuration(machine, sources, static)
    _run([*command, "-B", str(objects)])


def compile_tree(objects: Path) -> None:
    """Compile what has changed since the last time: ``LIBRARY`` in the same folder."""
    _run([_find_cmake(), "--build", str(objects), "--parallel", str(os.cpu_count() or 1)])


def _configuration(machine: str, sources: Path, static: bool = False) -> tuple[list[str], str]:
    """The configuring command, and what of the tools goes into the digest."""
    command = [_find_cmake(), "-S", str(sources), "-DCMAKE_BUILD_TYPE=Release"]
    command += ["-DMGK_STATIC=ON", "-DMGK_SHARED=OFF"] if static else ["-DMGK_STATIC=OFF"]
    command += _generator()
    if machine in _CROSS:
        zig = _find_zig()
        command += [f"-DCMAKE_TOOLCHAIN_FILE={sources / 'cmake' / f'zig-{machine}.cmake'}", f"-DMGK_ZIG={zig}"]
        return command, f"{zig} {zig.stat().st_mtime_ns}"
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    command.append(f"-DCMAKE_C_COMPILER={compiler or f'{_find_zig()};cc'}")
    if compiler is None:
        command.append(f"-DCMAKE_C_ARCHIVE_CREATE={_find_zig()} ar qc <TARGET> <OBJECTS>")
        command.append(f"-DCMAKE_C_ARCHIVE_FINISH={_find_zig()} ranlib <TARGET>")
    return command, str(compiler)


def _find_cmake() -> str:
    beside = Path(sys.executable).parent / "cmake"
    found = str(beside) if beside.is_file() else shutil.which("cmake")
    if found is None:
        raise InputError("cmake is not installed; install the extra 'cross'")
    return found


def _generator() -> list[str]:
    beside = Path(sys.executable).parent / "ninja"
    found = str(beside) if beside.is_file() else shutil.which("ninja")
    return [] if found is None else ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={found}"]


def _find_zig() -> Path:
    package = importlib.util.find_spec("ziglang")
    if package is None or package.origin is None:
        raise InputError("ziglang is not installed; install the extra 'cross'")
    return Path(package.origin).parent / ("zig.exe" if os.name == "nt" else "zig")


def _digest(sources: Path, tools: str) -> str:
    digest = hashlib.sha256(tools.encode())
    for path in sorted(sources.rglob("*")):
        if path.suffix in _SOURCE_SUFFIXES and not {"bench", "fuzz", "test"} & set(path.relative_to(sources).parts):
            digest.update(f"\0{path.relative_to(sources)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:24]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-20:])
        raise BuildError(f"{' '.join(command)} failed:\n{tail}")
