"""The demonstration as a whole, on a small folder: runs, proves, resumes, and refuses bad input in one line."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from minigrad import PRIMITIVES
from verify.demo import Settings, run

SMALL = ["--float-steps", "12", "--quantized-steps", "8", "--batch-size", "10"]


def minigrad(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "verify.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=300)


def test_the_whole_demonstration(cifar_folder: Path, tmp_path: Path) -> None:
    first = minigrad("demo", "--data", str(cifar_folder), "--out", str(tmp_path / "demo"), *SMALL)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "all proofs hold" in first.stdout
    report = (tmp_path / "demo" / "report.html").read_text()
    for part in ("Training", "The integer network", "aarch64 neon", "float32 forward", "ball arithmetic", "<svg"):
        assert part in report
    assert 'src="http' not in report
    assert 'href="http' not in report
    again = minigrad("demo", "--data", str(cifar_folder), "--out", str(tmp_path / "demo"), *SMALL)
    assert again.returncode == 0
    assert (tmp_path / "demo" / "report.html").read_text() == report


def test_the_result_counts_every_value(cifar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The rest of the registry is judged in tests/verify/gradients.
    monkeypatch.setattr("verify.demo.PRIMITIVES", {name: PRIMITIVES[name] for name in ("relu", "dsq_soft")})
    settings = Settings(cifar_folder, tmp_path, float_steps=4, quantized_steps=4, batch_size=25)
    result = run(settings, Console(quiet=True))
    assert result.passed
    assert {row.runner for row in result.rows} >= {"native scalar", "aarch64 neon"}
    images = len(result.data.test_images)
    assert all(row.images == images for row in result.rows)
    of_codes = [compared for _, compared, _ in result.hard_differences]
    assert of_codes == [images * n for n in (32 * 32 * 16, 16 * 16 * 32, 16 * 16 * 32, 8 * 8 * 64, 8 * 8 * 64, 10)]
    assert [layer.compared for layer in result.forward] == of_codes[:-1]
    assert len(result.certificates) == 11
    assert [entry.name for entry in result.primitives] == ["dsq_soft", "relu"]


def damaged(folder: Path, to: Path, change: str) -> Path:
    shutil.copytree(folder, to)
    batch = to / "data_batch_2.bin"
    if change == "truncated":
        batch.write_bytes(batch.read_bytes()[:-100])
    elif change == "label":
        content = bytearray(batch.read_bytes())
        content[3073 * 4] = 200
        batch.write_bytes(content)
    elif change == "missing batch":
        batch.unlink()
    elif change == "wrong kind":
        for file in to.iterdir():
            file.unlink()
        (to / "photo.jpg").write_bytes(b"")
    return to


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ("truncated", ["data_batch_2.bin", "3073"]),
        ("label", ["data_batch_2.bin", "200", "4"]),
        ("missing batch", ["data_batch_2.bin"]),
        ("wrong kind", ["photo.jpg"]),
    ],
)
def test_a_damaged_folder_is_one_line(change: str, parts: list[str], cifar_folder: Path, tmp_path: Path) -> None:
    folder = damaged(cifar_folder, tmp_path / "cifar", change)
    refused(["demo", "--data", str(folder), "--out", str(tmp_path / "out"), *SMALL], parts, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--data", "nowhere"], ["nowhere"]),
        (["--bits", "0"], ["bits: 0", "1 to 8"]),
        (["--bits", "9"], ["bits: 9", "1 to 8"]),
        (["--alpha", "0"], ["alpha", "0 < alpha < 1"]),
        (["--alpha", "1.5"], ["alpha", "1.5"]),
        (["--alpha", "nan"], ["alpha", "nan"]),
        (["--float-steps", "0"], ["float_steps", "at least 1"]),
        (["--batch-size", "-3"], ["batch_size", "at least 1"]),
        (["--seed", "-1"], ["seed", "at least 0"]),
        (["--seed", str(1 << 64)], ["seed", "2^64"]),
        (["--batch-size", str(1 << 40)], ["batch_size", "2^31"]),
        (["--alpha", "1e-60"], ["alpha", "0 < alpha < 1"]),
        (["--bits", "two"], ["--bits", "integer"]),
        (["--data", ""], ["--data", "empty"]),
        (["--colour"], ["--colour"]),
    ],
)
def test_bad_settings_are_one_line(arguments: list[str], parts: list[str], tmp_path: Path) -> None:
    refused(["demo", "--out", str(tmp_path / "out"), *arguments], parts, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["nothing"], ["METHOD", "nothing"]),
        (["dsq", "--bits", "0"], ["--bits: dsq", "got 0"]),
        (["dsq", "--bits", "9"], ["--bits: dsq", "got 9"]),
        (["dsq", "--param", "l=2"], ["l < u", "l = 2"]),
        (["dsq", "--param", "alpha=1"], ["0 < alpha < 1"]),
        (["dsq", "--param", "beta=1"], ["--param", "beta=1"]),
        (["dsq", "--param", "u=wide"], ["--param u", "wide"]),
        (["dsq", "--x", "nan"], ["--x", "finite", "nan"]),
        (["dsq", "--plot", "curve.bmp"], ["--plot", "curve.bmp"]),
        (["dsq", "--plot", "/dev/null/curve.png"], ["/dev/null/curve.png", "cannot be written"]),
        (["dsq", "--param", "l=-1e308", "--param", "u=1e308"], ["l, u", "overflow"]),
        (["dsq", "--param", "alpha=1e-320", "--x", "0.1"], ["overflow"]),
    ],
)
def test_bad_input_to_show_is_one_line(arguments: list[str], parts: list[str], tmp_path: Path) -> None:
    refused(["show", *arguments], parts, tmp_path)


def test_a_place_that_cannot_be_written_is_found_before_the_work(cifar_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "taken" / "report.html").mkdir(parents=True)
    for out, part in (
        ("file", "file"),
        ("file/below", "file/below"),
        ("taken", "taken/report.html: cannot be written"),
    ):
        refused(["demo", "--data", str(cifar_folder), "--out", str(tmp_path / out), *SMALL], [part], tmp_path)
    assert (tmp_path / "file").read_text() == "kept"


def test_a_point_far_outside_is_the_end_of_the_range() -> None:
    done = minigrad("show", "dsq", "--x", "1e308", "--x", "-1e308")
    assert done.returncode == 0
    assert done.stderr == ""


def test_nan_in_the_images_is_one_line(cifar_folder: Path, tmp_path: Path) -> None:
    import pickle

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    images = np.zeros((4, 3072))
    images[2, 1030] = np.nan
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        (folder / name).write_bytes(pickle.dumps({b"data": images, b"labels": [0, 1, 2, 3]}, protocol=2))
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": [b"%d" % n for n in range(10)]}, protocol=2))
    refused(["demo", "--data", str(folder), "--out", str(tmp_path / "out"), *SMALL], ["NaN", "data_batch_1"], tmp_path)


def refused(arguments: list[str], parts: list[str], folder: Path) -> None:
    before = sorted(p for p in folder.rglob("*"))
    done = minigrad(*arguments, cwd=folder)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("minigrad: error: ")
    for part in parts:
        assert part in lines[0]
    assert "Traceback" not in done.stdout + done.stderr
    assert sorted(p for p in folder.rglob("*")) == before, "something was written"


def test_show_prints_the_reference_row_and_plots(tmp_path: Path) -> None:
    plot = tmp_path / "dsq.png"
    done = minigrad("show", "dsq", "--x", "0.25", "--plot", str(plot))
    assert done.returncode == 0, done.stderr
    assert "0.282174601836" in done.stdout
    assert "certified dalpha: |error| <= 2^-" in done.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")
