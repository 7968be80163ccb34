"""Where the kernels under test run; what needs the extra ``cross`` is skipped without it, and says so."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from quant.integer import Argmax, Conv2d, Linear, Program, SumPool, Thresholds
from quant.target import NativeTarget
from verify.kernels.build import build
from verify.kernels.emulator import EmulatedTarget
from verify.kernels.mutants import MutantBuilder
from verify.kernels.targets import Runner, emulated, native

Compile = Callable[..., Path]


@pytest.fixture(scope="session")
def cross() -> None:
    missing = [name for name in ("ziglang", "unicorn") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: the extra 'cross'")


@pytest.fixture(scope="session")
def compile_c(cross: None, tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Makes a library for AArch64 from C."""
    folder = tmp_path_factory.mktemp("foreign")
    zig = [sys.executable, "-m", "ziglang", "cc"]

    def run(text: str, target: str = "aarch64-linux-musl", *link: str) -> Path:
        name = folder / f"{len(list(folder.iterdir()))}"
        name.with_suffix(".c").write_text(text)
        subprocess.run([*zig, "-target", target, "-O1", "-fPIC", "-c", f"{name}.c", "-o", f"{name}.o"], check=True)
        command = [*zig, "-target", target, "-nostdlib", "-shared", *link, f"{name}.o", "-o", f"{name}.so"]
        subprocess.run(command, check=True)
        return name.with_suffix(".so")

    return run


@pytest.fixture(scope="session")
def aarch64_library(cross: None) -> Path:
    return build("aarch64")


@pytest.fixture(scope="session")
def builder(cross: None, tmp_path_factory: pytest.TempPathFactory) -> MutantBuilder:
    return MutantBuilder("aarch64", tmp_path_factory.mktemp("mutants"))


@pytest.fixture(scope="session")
def aarch64(aarch64_library: Path) -> EmulatedTarget:
    return emulated(aarch64_library)


@pytest.fixture(scope="session")
def native_target() -> NativeTarget:
    return native()


@pytest.fixture(scope="session")
def aarch64_target(aarch64: EmulatedTarget) -> EmulatedTarget:
    return aarch64


@pytest.fixture(scope="session")
def aarch64_max_target(aarch64_library: Path) -> EmulatedTarget:
    """A core that has dot products and matrix products too."""
    return emulated(aarch64_library, "aarch64 max", core="max")


@pytest.fixture(scope="session", params=["native scalar", "aarch64 scalar", "aarch64 neon"])
def runner(request: pytest.FixtureRequest) -> Runner:
    machine, path = request.param.split()
    return Runner(native() if machine == "native" else request.getfixturevalue("aarch64"), path)


@pytest.fixture(scope="session")
def program() -> Program:
    """A net with one of everything, on 6x7 images of 3 channels."""
    rng = np.random.default_rng(3)

    def thresholds(channels: int, bits: int, spread: int) -> Thresholds:
        table = np.sort(rng.integers(-spread, spread, (channels, (1 << bits) - 1)), axis=1).astype(np.int32)
        return Thresholds(table, rng.choice(np.array([1, -1], np.int8), channels), bits)

    ops = (
        Conv2d(
            rng.integers(0, 256, (16, 3, 3, 3), np.uint8), 8, 8, rng.integers(0, 256, 3, np.uint8), (1, 1), (1,) * 4
        ),
        thresholds(16, 2, 40_000),
        Conv2d(rng.integers(0, 4, (20, 3, 3, 16), np.uint8), 2, 2, None, (2, 2), (0, 1, 0, 1)),
        thresholds(20, 8, 40),
        SumPool(),
        Linear(rng.integers(0, 256, (10, 20), np.uint8), 8, 9 * 16 * 255, rng.integers(-99, 99, 10).astype(np.int32)),
        Argmax(),
    )
    return Program(ops, (6, 7, 3), "small")
