"""docs/kernels.md is true: its tables are those of the record, its C example runs, its kernels are the builds'."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minigrad.kernels import HEADER
from quant.target import Target
from verify.kernels.bench.count import count_layer
from verify.kernels.bench.layers import Layer, Width
from verify.kernels.bench.page import KERNELS, PAGE, RECORD, render
from verify.kernels.bench.record import read_record
from verify.kernels.build import build
from verify.kernels.targets import kernels
from verify.peers.convolution import STORED

SMALL = Layer(3, 1, 64, 64, 8)


def test_the_tables_are_those_of_the_record() -> None:
    text = PAGE.read_text()
    assert render(text, read_record(RECORD)) == text, "run 'python -m verify.kernels.bench.page'"
    assert "<!-- kernels -->\n| kernel" in text
    assert "<!-- figures -->\nInstructions" in text
    assert "<!-- comparison -->\nMilliseconds, " in text


def test_the_comparison_is_that_of_the_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A number changed in the record is one changed on the page."""
    measurement = json.loads(STORED.read_text())
    path, layers = next(iter(measurement["paths"].items()))
    layers["64@56"]["onnxruntime"]["milliseconds"] = 123.456
    (tmp_path / "changed.json").write_text(json.dumps(measurement))
    monkeypatch.setattr("verify.kernels.bench.page.STORED", tmp_path / "changed.json")
    text = PAGE.read_text()
    changed = render(text, read_record(RECORD))
    assert changed != text and "| 123.456 (" in changed.partition(f"Milliseconds, {path}")[2]
    for name, version in measurement["versions"].items():
        assert f"{name} {version}" in text
    assert measurement["note"] in text


def test_the_record_has_every_bit_right() -> None:
    record = read_record(RECORD)
    assert record.passed
    assert record.body(Width(2, 2), "neon") is not None
    assert not record.timings  # of one machine


@pytest.mark.parametrize("path", ["neon", "dotprod"])
def test_the_record_is_of_these_kernels(aarch64_library: Path, path: str) -> None:
    """A layer counted again, to a tenth: compilers differ. 'make figures' makes the record again."""
    kept = read_record(RECORD).cell(SMALL, Width(2, 2), path)
    assert kept is not None
    (cell,) = count_layer(aarch64_library, SMALL, Width(2, 2), [path])
    assert cell.kernel == kept.kernel
    assert cell.count.instructions == pytest.approx(kept.count.instructions, rel=0.1)


def test_the_listed_kernels_are_those_of_the_tables(native_target: Target, aarch64_target: Target) -> None:
    found = {kernel.name: kernel.path for target in (native_target, aarch64_target) for kernel in kernels(target)}
    listed = {name: path for name, (path, *_) in KERNELS.items()}
    assert {name: listed.get(name) for name in found} == found
    for target in (native_target, aarch64_target):
        names = [kernel.name for kernel in kernels(target)]
        assert [name for name in KERNELS if name in names] == names


def test_every_status_and_encoding_is_on_the_page() -> None:
    header = HEADER.read_text()
    for kind in ("mgk_status", "mgk_encoding", "mgk_output", "mgk_path", "mgk_rounding"):
        found = re.search(rf"typedef enum {kind} {{(.*?)}} {kind};", header, re.S)
        assert found is not None
        for name in re.findall(r"\b(MGK_\w+) = ", found[1]):
            assert f"`{name}`" in PAGE.read_text(), name


def test_the_example_in_c(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = PAGE.read_text()
    (source,) = re.findall(r"```c\n(.*?)```", page, re.S)
    printed, _ = re.findall(r"```text\n(.*?)```", page, re.S)
    (tmp_path / "example.c").write_text(source)
    library = build("native").parent
    compiler = [found] if (found := shutil.which("cc")) else [sys.executable, "-m", "ziglang", "cc"]
    warnings = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
    where = [f"-I{HEADER.parent}", f"-L{library}", "-lminigrad_kernels", f"-Wl,-rpath,{library}"]
    program = str(tmp_path / "example")
    subprocess.run([*compiler, *warnings, str(tmp_path / "example.c"), *where, "-o", program], check=True)
    assert subprocess.run([program], capture_output=True, text=True, check=True).stdout == printed
    first = next(block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "thresholds.run" in block)
    exec(compile(first, "kernels.md", "exec"), {})
    assert capsys.readouterr().out == printed


@pytest.fixture(scope="module")
def bench_layers(tmp_path_factory: pytest.TempPathFactory) -> str:
    library = build("native").parent
    compiler = [found] if (found := shutil.which("cc")) else [sys.executable, "-m", "ziglang", "cc"]
    source = HEADER.parents[1] / "bench" / "bench_layers.c"
    program = str(tmp_path_factory.mktemp("bench") / "bench_layers")
    where = [f"-I{HEADER.parent}", f"-L{library}", "-lminigrad_kernels", f"-Wl,-rpath,{library}"]
    subprocess.run([*compiler, "-std=c99", str(source), *where, "-o", program], check=True)
    return program


def test_bench_layers(bench_layers: str) -> None:
    arguments = ["3", "2", "16", "32", "8", "2", "scalar", "3"]
    done = subprocess.run([bench_layers, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "layer=3x3/2,16,32@8 bits=2 macs=73728 iterations=3"
    for position, text in ((5, "8x4"), (5, "1b"), (5, "2w"), (5, "8"), (0, "1"), (7, "0")):
        changed = [*arguments[:position], text, *arguments[position + 1 :]]
        assert subprocess.run([bench_layers, *changed], capture_output=True, check=False).returncode == 0, text


@pytest.mark.parametrize(
    ("position", "text", "message"),
    [
        (0, "x", "KERNEL: expected a number below 10^9, got 'x'"),
        (1, "0", "a size is 0, or the layer is too large"),
        (2, "-1", "IN: expected a number"),
        (4, "99999999999999999999", "SIZE: expected a number"),
        (5, "9", "BITS: expected such as 2, 8x4, 1b or 2w"),
        (5, "2b", "BITS: expected"),
        (5, "8x5", "BITS: expected"),
        (5, "", "BITS: expected"),
        (6, "sse", "PATH: expected scalar, neon, dotprod, i8mm, avx2, avx512 or vnni, got 'sse'"),
        (7, "1e3", "ITERATIONS: expected a number"),
    ],
)
def test_bench_layers_refuses(bench_layers: str, position: int, text: str, message: str) -> None:
    arguments = ["3", "1", "16", "16", "8", "2", "scalar", "1"]
    arguments[position] = text
    done = subprocess.run([bench_layers, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("bench_layers: ")
    assert message in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_bench_layers_whose_result_is_lost_fails(bench_layers: str) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [bench_layers, "3", "1", "3", "3", "4", "2", "scalar", "1"], stdout=full, stderr=-1, check=False
        )
    assert (done.returncode, done.stderr) == (1, b"bench_layers: the result cannot be written\n")


def test_bench_layers_tells_its_usage(bench_layers: str) -> None:
    done = subprocess.run([bench_layers, "3"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: bench_layers KERNEL STRIDE IN OUT SIZE BITS PATH ITERATIONS")
