"""Every method is judged at every width it is defined for; what is wrong at one width is found there."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from minigrad import PRIMITIVES, InputError
from minigrad.draw import SeededDraw
from quant import METHODS
from quant.draw import NoSuchWidth, draw_bits
from verify import cli
from verify.gradients import quantizers, registry
from verify.gradients.command import least_of, widths_in_words
from verify.gradients.quantizers import (
    Job,
    Judgement,
    jobs_of,
    judge_job,
    judge_quantizers,
    pinned,
    select_methods,
    summaries,
    widths_of,
)

RUNNER = CliRunner()


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(registry, "_SHRINKING", 0.0)  # the first failure is as good as the smallest

    def plant(name: str, **changes: Any) -> None:
        monkeypatch.setitem(PRIMITIVES, name, dataclasses.replace(PRIMITIVES[name], **changes))

    return plant


def wrong_at(bits: int, name: str = "lsq", factor: float = 1 + 2.0**-40) -> Any:
    """A vjp that is off by a factor at one width."""
    right = PRIMITIVES[name].vjp

    def vjp(gy: np.ndarray, residuals: Any, needs: Any) -> Any:
        found = right(gy, residuals, needs)
        off = residuals[1]["bits"] == bits
        return tuple(g if g is None or not off else g * g.dtype.type(factor) for g in found)

    return vjp


@pytest.mark.parametrize("name", METHODS)
def test_every_primitive_has_a_job_at_every_width(name: str) -> None:
    jobs = jobs_of(METHODS[name])
    assert len(jobs) == len(set(jobs))
    assert {job.primitive for job in jobs} == set(METHODS[name].primitives)
    widths = {job.bits for job in jobs if job.bits is not None}
    assert widths == set(METHODS[name].widths()) or widths == set() == {*METHODS[name].widths()} - {1}
    for job in jobs:
        primitive = pinned(PRIMITIVES[job.primitive], job.bits)
        for seed in range(10):
            _, options = primitive.examples(SeededDraw(seed), np.float64)
            assert job.bits is None or options.get("bits", job.bits) == job.bits
            for kink in primitive.kinks:
                at = kink.at(SeededDraw(seed), np.float64).options
                assert job.bits is None or at.get("bits", job.bits) == job.bits


def test_what_is_wrong_at_one_width_is_found_there(planted: Any) -> None:
    planted("lsq", vjp=wrong_at(5))
    jobs = [job for job in jobs_of(METHODS["lsq"]) if job.bits in (1, 5, 8)]
    assert [judge_job(job, 3).entry.passed for job in jobs] == [True, False, True]


def test_a_wrong_value_at_one_width_is_found_there(planted: Any) -> None:
    right = PRIMITIVES["ste"].forward

    def forward(*arrays: Any, **options: Any) -> Any:
        value, residuals = right(*arrays, **options)
        return value + (options["bits"] == 8) * 2.0**-30 * np.abs(value), residuals

    planted("ste", forward=forward)
    assert not judge_job(Job("ste", "ste", 8), 6).entry.passed
    assert judge_job(Job("ste", "ste", 7), 6).entry.passed


def test_float32_is_held_to_what_the_method_states(planted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of 2^-18 in float32 alone: within 2^-16, not within 2^-22."""
    right = PRIMITIVES["lsq"].vjp

    def vjp(gy: np.ndarray, residuals: Any, needs: Any) -> Any:
        found = right(gy, residuals, needs)
        factor = 1 + 2.0**-18 if gy.dtype == np.float32 else 1.0
        return tuple(None if g is None else g * g.dtype.type(factor) for g in found)

    planted("lsq", vjp=vjp)
    for stated, passes in ((16, True), (22, False)):
        monkeypatch.setitem(METHODS, "lsq", dataclasses.replace(METHODS["lsq"], single_bits=stated))
        judgement = judge_job(Job("lsq", "lsq", 4), 24)
        assert judgement.stated == stated
        assert judgement.entry.passed == passes
        if not passes:
            assert "2^-22 required" in judgement.entry.failures[0]


def test_a_width_without_examples_fails(planted: Any) -> None:
    def examples(draw: Any, dtype: Any) -> Any:
        bits = draw_bits(draw, (2, 3, 4))
        return (np.ones(3, dtype), np.asarray(0.7, dtype)), {"bits": bits, "signed": True}

    planted("lsq", examples=examples, kinks=())
    jobs = jobs_of(METHODS["lsq"])
    assert [job.bits for job in jobs] == [2, 3, 4, 1, 5, 6, 7, 8]
    judgement = judge_job(jobs[-1], 2)
    assert not judgement.entry.passed
    assert "bits: there are examples of 2, 3, 4, not of 8" in judgement.entry.failures[0]


def test_examples_and_kinks_that_other_choices_exclude_are_drawn_again() -> None:
    """Signed examples have no width 1, and one kink exists from 3 bits on."""
    lsq = PRIMITIVES["lsq"]

    def examples(draw: Any, dtype: Any) -> Any:
        signed = draw.choice((True, False))
        return (np.ones(3, dtype), np.ones((), dtype)), {"bits": draw_bits(draw, (2, 3) if signed else (1, 2, 3))}

    def at(draw: Any, dtype: Any) -> Any:
        draw_bits(draw, (3,))
        return lsq.kinks[0].at(draw, dtype)

    primitive = dataclasses.replace(
        lsq, examples=examples, kinks=(lsq.kinks[1], dataclasses.replace(lsq.kinks[0], at=at))
    )
    assert widths_of(primitive, range(1, 9)) == (1, 2, 3)
    assert [len(pinned(primitive, bits).kinks) for bits in (1, 2, 3)] == [1, 1, 2]
    for seed in range(20):
        assert pinned(primitive, 1).examples(SeededDraw(seed), np.float64)[1] == {"bits": 1}
    with pytest.raises(NoSuchWidth):
        pinned(primitive, 4).examples(SeededDraw(0), np.float64)


def test_a_primitive_without_widths_is_judged_once() -> None:
    assert widths_of(PRIMITIVES["tanh"], (1, 2)) == (None,)
    assert pinned(PRIMITIVES["tanh"], None) is PRIMITIVES["tanh"]
    assert str(Job("m", "p", None)) == "p"
    assert str(Job("m", "p", 3)) == "p at 3 bit"


def test_methods_are_selected_once_and_checked() -> None:
    assert [m.name for m in select_methods(["lsq", "dsq", "lsq"])] == ["lsq", "dsq"]
    assert select_methods([]) == list(METHODS.values())
    with pytest.raises(InputError, match=r"NAME: no method is named 'dsq_soft'; there are .*dsq"):
        select_methods(["dsq_soft"])


def test_processes_give_what_one_gives() -> None:
    jobs = [Job("bireal", "bireal", 1), Job("lsq", "lsq", 8)]
    found = []
    for processes in (1, 2):
        judged = {j.job: j for j in judge_quantizers(jobs, 1, 7, processes)}
        found.append([dataclasses.replace(judged[job].entry, seconds=0.0) for job in jobs])
    assert found[0] == found[1]


# ---- the command


def run(*arguments: str) -> Any:
    return RUNNER.invoke(cli.app, ["verify", "gradients", "--quantizers", "--processes", "1", *arguments])


def entry(value: float, single: float, *failures: str) -> registry.Entry:
    return registry.Entry("p", "smooth", 4, {"value": value, "vjp": math.inf}, single, 10, 0, "", {}, failures, 0.5)


def test_widths_are_condensed_to_the_least_bits_and_where_that_was() -> None:
    found = [
        Judgement(Job("m", "p", bits), 18, entry(*results))
        for bits, results in enumerate(((50, 20), (47, 19.5), (52, 21, "wrong")), 1)
    ]
    (summary,) = summaries(found)
    assert summary.widths == (1, 2, 3)
    assert summary.bits == {"value": (47, 2), "vjp": (math.inf, None), "float32": (19.5, 2)}
    assert (summary.points, summary.compared, summary.seconds, summary.passed) == (12, 30, 1.5, False)
    assert [least_of(summary, name) for name in ("value", "vjp", "jvp")] == ["2^-47 at 2", "exact", "none"]
    assert summaries(found[:2])[0].passed
    assert [s.primitive for s in summaries([*found, Judgement(Job("m", "q", None), 18, entry(50, 20))])] == ["p", "q"]


@pytest.mark.parametrize(
    ("widths", "words"), [((1, 2, 3), "1-3"), ((1, 2), "1, 2"), ((2, 4, 5), "2, 4, 5"), ((), "any")]
)
def test_widths_in_words(widths: tuple[int, ...], words: str) -> None:
    assert widths_in_words(widths) == words


def test_the_table_has_a_row_a_primitive() -> None:
    done = run("ste", "--points", "1")
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.output.splitlines() if line.startswith("ste ")]
    assert " 1-8 " in line
    assert "2^-18" in line
    assert line.rstrip().endswith("holds")
    assert "1 methods, 8 primitives and widths, 8 points certified" in done.output


def test_what_fails_is_named_with_its_width_and_is_the_exit_status(planted: Any) -> None:
    planted("lsq", vjp=wrong_at(4))
    done = run("lsq", "--points", "1")
    assert done.exit_code == 1
    assert "lsq at 4 bit FAIL" in done.output
    assert "To reproduce:" in done.output


def test_json_has_an_entry_a_primitive_and_width() -> None:
    done = run("bireal", "reactnet", "--points", "3", "--json")
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert record["passed"] is True
    assert record["points"] == 3
    jobs = [(e["method"], e["primitive"], e["bits"]) for e in record["quantizers"]]
    assert [job[:2] for job in jobs] == [("bireal", "bireal"), ("reactnet", "rsign"), ("reactnet", "rprelu")]
    for entry in record["quantizers"]:
        assert entry["stated_single_bits"] == METHODS[entry["method"]].single_bits
        assert set(entry["proven"]) >= {"value", "vjp", "jvp"}
        assert all(bits == "exact" or math.isfinite(bits) for bits in entry["proven"].values())


def test_the_page_is_written(tmp_path: Path) -> None:
    done = run("lsq", "--points", "1", "--report", str(tmp_path / "q.html"))
    assert done.exit_code == 0, done.output
    text = (tmp_path / "q.html").read_text()
    assert text.count('<td class="text">surrogate, 2 kinks</td>') == 8
    assert METHODS["lsq"].gradient.split(";")[0] in text
    assert "x = Qp s" in text
    assert 'href="http' not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], "NAME: no method is named 'nope'"),
        (["lsq", "--points", "0"], "--points, --processes, --seed: expected at least 1, 1 and 0, got 0"),
        (["lsq", "--seed", "-1"], "--points, --processes, --seed: expected"),
        (["lsq", "--plot", "one.png"], "--plot: expected none with --quantizers"),
        (["lsq", "--report", "/proc/none/g.html"], "/proc/none/g.html: cannot be written"),
    ],
)
def test_bad_input_is_named(arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantizers, "judge_job", None)  # refused before anything is judged
    done = run(*arguments)
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)
