"""Every primitive in the registry is judged, and what is wrong with one is found and reported."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from minigrad import PRIMITIVES, InputError
from verify import cli
from verify.gradients import registry
from verify.gradients.registry import REQUIRED_BITS, judge, judge_all, kind_of, select

RUNNER = CliRunner()


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_every_primitive_holds(name: str) -> None:
    primitive = PRIMITIVES[name]
    entry = judge(name, points=12)
    assert entry.passed, "\n".join(entry.failures)
    assert entry.points == 12
    assert set(entry.bits) == {"value", "vjp", "jvp"} | ({"hvp"} if primitive.hvp else set())
    assert min(entry.bits.values()) >= REQUIRED_BITS
    assert entry.compared > 0
    assert set(entry.kinks) == {kink.where for kink in primitive.kinks}


def planted(name: str, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    monkeypatch.setitem(PRIMITIVES, name, dataclasses.replace(PRIMITIVES[name], **changes))


def test_a_sign_error_is_reported_at_the_smallest_example(monkeypatch: pytest.MonkeyPatch) -> None:
    right = PRIMITIVES["multiply"].vjp
    planted("multiply", monkeypatch, vjp=lambda gy, r, n: tuple(None if g is None else -g for g in right(gy, r, n)))
    entry = judge("multiply", points=10)
    assert not entry.passed
    certified, _, compared = entry.failures
    assert "multiply(): vjp[0]" in certified
    assert "is wrong" in certified
    assert "To reproduce:" in certified
    assert "gradient of argument" in compared or "hvp" in compared
    # Shrunk: hypothesis leaves arrays of equal, simple numbers.
    assert len(certified) < 1500


def test_a_second_derivative_off_by_a_part_in_a_million_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = PRIMITIVES["tanh"].hvp
    assert right is not None
    planted("tanh", monkeypatch, hvp=lambda *a, **k: tuple((1 + 1e-6) * g for g in right(*a, **k)))
    (failure, *_) = judge("tanh", points=10).failures
    assert "hvp[0]" in failure


def test_another_pick_at_a_kink_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def vjp(gy: np.ndarray, positive: np.ndarray, needs: Any) -> tuple[np.ndarray]:
        return (np.where(positive, gy, 0.0),)

    def forward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.maximum(x, 0), x >= 0

    planted("relu", monkeypatch, forward=forward, vjp=vjp)
    (failure,) = judge("relu", points=8).failures
    assert "is not the pick declared for x = 0" in failure


def test_a_primitive_whose_examples_fail_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def examples(draw: Any, dtype: Any) -> Any:
        raise InputError("no example today")

    planted("exp", monkeypatch, examples=examples)
    entry = judge("exp", points=2)
    assert not entry.passed
    assert entry.failures[0] == "no example today"


def test_a_rule_that_raises_is_a_failure_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def jvp(tangents: Any, x: np.ndarray) -> np.ndarray:
        return x.no_such_thing  # type: ignore[attr-defined]

    planted("exp", monkeypatch, jvp=jvp)
    (failure, *_) = judge("exp", points=2).failures
    assert failure.startswith("AttributeError:")
    assert "(in jvp, test_registry.py:" in failure


def test_the_search_for_a_smaller_example_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_SHRINKING", 0.0)
    right = PRIMITIVES["conv2d"].vjp
    planted("conv2d", monkeypatch, vjp=lambda gy, r, n: tuple(None if g is None else 2 * g for g in right(gy, r, n)))
    assert "vjp[" in judge("conv2d", points=4).failures[0]


def test_kinds() -> None:
    assert kind_of(PRIMITIVES["exp"]) == "smooth"
    assert kind_of(PRIMITIVES["clip"]) == "2 kinks"
    assert kind_of(PRIMITIVES["sign"]) == "1 jump"
    assert kind_of(PRIMITIVES["dsq_hard"]) == "surrogate, 2 kinks"


def test_names_are_selected_once_and_checked() -> None:
    assert select([]) == sorted(PRIMITIVES)
    assert select(["exp", "add", "exp"]) == ["exp", "add"]
    with pytest.raises(InputError, match="NAME: no primitive is named 'nope'; there are abs, add"):
        select(["nope"])


COMPARE_PROCESSES = """
import dataclasses
from verify.gradients.registry import judge_all
if __name__ == "__main__":
    alone, together = (
        {e.name: dataclasses.replace(e, seconds=0.0) for e in judge_all(["exp", "add", "relu"], 4, 7, processes=n)}
        for n in (1, 2)
    )
    assert alone == together and len(alone) == 3, (alone, together)
"""


def test_processes_give_what_one_gives(tmp_path: Path) -> None:
    """In a fresh interpreter, as the command has it: late in a long run of tests the drawn points were once others."""
    script = tmp_path / "compare.py"
    script.write_text(COMPARE_PROCESSES)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with pytest.raises(InputError, match="points, processes: expected at least 1"):
        next(judge_all(["exp"], 0))


# ---- the command


def run(*arguments: str) -> Any:
    return RUNNER.invoke(cli.app, ["verify", "gradients", *arguments], catch_exceptions=True)


def test_the_table_has_a_row_a_primitive() -> None:
    done = run("exp", "relu", "--points", "4")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert any(line.startswith("exp") and "2^-5" in line and line.rstrip().endswith("holds") for line in lines)
    assert any(line.startswith("relu") and "1 kink" in line and "exact" in line for line in lines)
    assert "relu at x = 0: one-sided slopes 0 and 1, pick 0" in done.output
    assert "2 primitives, 8 points certified" in done.output


def test_what_fails_is_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    planted("exp", monkeypatch, jvp=lambda tangents, x: 2 * tangents[0] * np.exp(x))
    done = run("exp", "--points", "4")
    assert done.exit_code == 1
    assert "FAILS" in done.output
    assert "To reproduce:" in done.output


def test_json_is_the_whole_record() -> None:
    done = run("sign", "exp", "--points", "4", "--json")
    record = json.loads(done.stdout)
    assert record["passed"] is True
    assert [entry["name"] for entry in record["primitives"]] == ["exp", "sign"]
    assert record["primitives"][1]["bits"]["vjp"] == "exact"
    assert math.isfinite(record["primitives"][0]["bits"]["vjp"])
    assert record["primitives"][1]["kinks"] == {"x = 0": "a jump, derivative 0"}


def test_plots_and_page_are_written(tmp_path: Path) -> None:
    done = run(
        "exp", "conv2d", "--points", "2", "--plot", str(tmp_path / "plots"), "--report", str(tmp_path / "g.html")
    )
    assert done.exit_code == 0, done.output
    for name in ("exp", "conv2d"):
        assert (tmp_path / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "g.html").read_text()
    assert page.count("<svg") == 2
    assert "Every gradient, held against the truth" in page
    assert 'href="http' not in page
    one = run("exp", "--points", "2", "--plot", str(tmp_path / "exp.svg"))
    assert one.exit_code == 0
    assert "<svg" in (tmp_path / "exp.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], "NAME: no primitive is named 'nope'"),
        (["exp", "--points", "0"], "--points, --processes, --seed: expected at least 1, 1 and 0, got 0"),
        (["exp", "--processes", "0"], "--points, --processes, --seed: expected"),
        (["exp", "--seed", "-1"], "--points, --processes, --seed: expected"),
        (["exp", "add", "--plot", "one.png"], "--plot: expected a folder for 2 primitives"),
        (["exp", "--plot", "one.bmp"], "--plot: expected a folder or a file ending in .png"),
        (["exp", "--report", "/proc/none/g.html"], "/proc/none/g.html: cannot be written"),
    ],
)
def test_bad_input_is_named(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 1  # of the runner; ``main`` makes it 2 and one line
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)
