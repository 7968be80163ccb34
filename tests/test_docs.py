"""The pages in docs/ are true: their Python runs, their commands and files are there."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from verify import cli

ROOT = Path(__file__).parent.parent
PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text(), flags=re.S)


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_run(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One after the other, as a reader would paste them. (What needs a framework is marked ``py``.)"""
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_exist(page: str) -> None:
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    for line in lines:
        words = shlex.split(line.partition("#")[0].partition(">")[0])
        if not words or words[0] != "minigrad":
            continue
        options = {word for word in words if word.startswith("--")}
        depth = 3 if words[1] in ("verify", "oracle", "bench") else 2
        shown = CliRunner().invoke(cli.app, [*words[1:depth], "--help"], env={"COLUMNS": "200"})
        assert shown.exit_code == 0, line
        assert all(option in shown.output for option in options), line


@pytest.mark.parametrize("page", PAGES)
def test_the_links_lead_somewhere(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / "docs" / target).exists(), target
    for name in re.findall(r"`((?:docs|quant|verify|csrc|minigrad|tests)/[\w./-]*)`", text):
        assert (ROOT / name).exists(), name


def test_what_the_page_says_is_printed_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in blocks("gradients.md", "python"):
        exec(compile(block, "gradients.md", "exec"), names)
    shown = capsys.readouterr().out
    assert "not differentiable here: one-sided slopes 0 and 1, gradient given 0" in shown
    assert "R0 1.000" in shown
    assert "R1 2.000" in shown
