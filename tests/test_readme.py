"""The README is true: its example runs, its commands exist, its files are there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


@pytest.mark.parametrize("block", blocks("python"))
def test_python_example_runs(block: str) -> None:
    exec(compile(block, "README.md", "exec"), {})


@pytest.mark.parametrize("line", [n for b in blocks("sh") for n in b.splitlines() if "minigrad show" in n])
def test_show_commands_run(line: str, tmp_path: Path) -> None:
    arguments = shlex.split(line, comments=True)
    assert arguments[0] == ".venv/bin/minigrad"
    command = [sys.executable, "-m", "verify.cli", *arguments[1:]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / arguments[-1]).exists()


def test_the_gradient_commands_run(tmp_path: Path) -> None:
    """Those that name a primitive; the whole registry is judged in tests/verify/gradients."""
    lines = [n for b in blocks("sh") for n in b.splitlines() if "verify gradients gelu" in n]
    assert lines
    for line in lines:
        command = [sys.executable, "-m", "verify.cli", *shlex.split(line, comments=True)[1:]]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "gelu.png").exists()


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    assert set(re.findall(r"`?make ([a-z]+)", README)) <= targets


def test_named_files_exist() -> None:
    for name in re.findall(r"(?:\(|`)((?:docs|quant|verify|csrc|minigrad)/[\w./-]*)", README):
        assert (ROOT / name).exists(), name


def test_options_of_the_oracle_exist() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "verify.cli", "oracle", "check", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "PATH": "", "NO_COLOR": "1", "TERM": "dumb"},
    )
    for line in README.splitlines():
        if "minigrad oracle check" in line:
            for option in re.findall(r"--[a-z]+", line):
                assert option in done.stdout
