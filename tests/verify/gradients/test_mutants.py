"""Planted gradient errors: how they are made, that each is caught, and that the stored run and its page agree."""

import ast
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import quant  # noqa: F401  registers the quantizers' primitives
from minigrad import PRIMITIVES
from minigrad.draw import SeededDraw
from minigrad.primitive import Primitive
from verify.gradients.mutants import run, table
from verify.gradients.mutants.behaviour import behavioural_mutants, element_wrong, size_mutants
from verify.gradients.mutants.campaign import Work
from verify.gradients.mutants.comparison import OURS, compare_checkers
from verify.gradients.mutants.edits import edits_of
from verify.gradients.mutants.equivalence import compare
from verify.gradients.mutants.judge import judge
from verify.gradients.mutants.record import Mutant
from verify.gradients.mutants.run import KILLED, outcome_of
from verify.gradients.mutants.sizes import LARGE, large_example
from verify.gradients.mutants.source import Unborn, source_files, source_mutants
from verify.gradients.mutants.summary import MEASURED, count_outcomes, load, merge, total

NAMES = sorted(PRIMITIVES)

FUNCTION = '''
def rule(gy, residuals, needs, size: int = 2):
    """Documentation: 1 + 1."""
    if size < 1:
        raise ValueError(f"size {size + 1}")
    a, b = residuals
    scale = -gy * (a - 0.5) / b
    return sum_to_shape(scale, a.shape) if needs[0] else None, np.where(a > 0, b.T, size)
'''


def edited(function: str) -> set[str]:
    return {f"{edit.kind}: {edit}" for edit in edits_of(ast.parse(function).body[0])}


def test_edits_of_a_rule() -> None:
    assert edited(FUNCTION) == {
        "off by one: 2 -> 3",
        "off by one: 2 -> 1",
        "wrong residual: a, b = residuals -> b, a = residuals",
        "sign: -gy -> gy",
        "dropped factor: -gy * (a - 0.5) -> -gy",
        "dropped factor: -gy * (a - 0.5) -> a - 0.5",
        "factor 2: -gy * (a - 0.5) -> 2 * (-gy * (a - 0.5))",
        "sign: a - 0.5 -> a + 0.5",
        "dropped term: a - 0.5 -> a",
        "dropped term: a - 0.5 -> -0.5",
        "swapped operands: a - 0.5 -> 0.5 - a",
        "factor 2: 0.5 -> 1.0",
        "dropped factor: -gy * (a - 0.5) / b -> -gy * (a - 0.5)",
        "factor 2: -gy * (a - 0.5) / b -> 2 * (-gy * (a - 0.5) / b)",
        "swapped operands: -gy * (a - 0.5) / b -> b / (-gy * (a - 0.5))",
        "product for quotient: -gy * (a - 0.5) / b -> -gy * (a - 0.5) * b",
        "missing sum over a broadcast axis: sum_to_shape(scale, a.shape) -> scale",
        "swapped operands: sum_to_shape(scale, a.shape) -> sum_to_shape(a.shape, scale)",
        "off by one: 0 -> 1",
        "off by one: 0 -> -1",
        "swapped operands: np.where(a > 0, b.T, size) -> np.where(b.T, a > 0, size)",
        "swapped operands: np.where(a > 0, b.T, size) -> np.where(a > 0, size, b.T)",
        "comparison: a > 0 -> a >= 0",
        "comparison: a > 0 -> a < 0",
        "transposed argument: b.T -> b",
    }


def test_an_edit_is_undone() -> None:
    tree = ast.parse(FUNCTION)
    before = ast.dump(tree)
    for edit in edits_of(tree.body[0]):
        edit.apply()
        assert ast.dump(tree) != before
        edit.undo()
        assert ast.dump(tree) == before


def test_source_mutants_reach_helpers_and_closures_and_leave_the_rest() -> None:
    """The rule of a pointwise function is a closure in another module; the registry must not change."""
    primitive, registered = PRIMITIVES["tanh"], dict(PRIMITIVES)
    mutants = list(source_mutants(primitive))
    assert {mutant.rule for mutant in mutants} >= {"vjp", "jvp", "hvp"}
    assert {"in _times", "in vjp"} <= {mutant.edit.split(":")[0] for mutant in mutants}
    wrong = next(m for m in mutants if m.rule == "vjp").make()
    assert wrong.vjp is not primitive.vjp
    assert (wrong.forward, wrong.jvp, wrong.hvp) == (primitive.forward, primitive.jvp, primitive.hvp)
    assert registered == PRIMITIVES
    shared = next(m for m in source_mutants(PRIMITIVES["max"]) if m.rule == "shared").make()
    assert shared.forward is not PRIMITIVES["max"].forward


def few(name: str) -> list[Mutant]:
    """One behavioural mutant of each rule, and three of the source, evenly spaced."""
    primitive = PRIMITIVES[name]
    chosen = {mutant.rule: mutant for mutant in behavioural_mutants(primitive) if mutant.kind == "factor 1 + 1e-6"}
    source = list(source_mutants(primitive))
    return [*chosen.values(), *(source[n] for n in np.linspace(0, len(source) - 1, 3).astype(int) if source)]


@pytest.mark.parametrize("name", NAMES)
def test_mutants_are_killed_and_the_primitive_is_not(name: str) -> None:
    """What is not killed has to be the rule itself; the whole run is ``python -m verify.gradients.mutants``."""
    for seed in range(3):
        judge(PRIMITIVES[name], seed)
    for mutant in few(name):
        outcome = outcome_of(PRIMITIVES[name], mutant, thorough=False)
        assert outcome.fate in (*KILLED, "not run", "same bits", "same number"), mutant.name
        if mutant.kind == "factor 1 + 1e-6" and name not in ("sign", "qn_hard", "ste"):  # whose (last) gradient is 0
            assert outcome.fate == "killed", mutant.name


@pytest.mark.parametrize("size", [10, 100])
def test_one_wrong_element_is_found(size: int) -> None:
    primitive = PRIMITIVES["exp"]
    mutants = list(size_mutants(primitive, large_example("exp", size, 0), size))
    assert [m.rule for m in mutants] == ["vjp", "jvp"]
    arrays, options = large_example("exp", size, 0)
    for mutant in mutants:
        checker = OURS["check"].make(primitive, arrays, options, mutant.rule)
        assert checker.judge(primitive)
        assert not checker.judge(mutant.make())


@pytest.mark.parametrize("name", sorted(LARGE))
def test_large_examples_have_their_size(name: str) -> None:
    for size in (10, 100, 1_000):
        arrays, options = large_example(name, size, 0)
        assert any(a.size == size for a in arrays)
        PRIMITIVES[name].forward(*arrays, **options)


def test_element_wrong_changes_one() -> None:
    g = np.arange(1.0, 13.0).reshape(3, 4)
    assert (element_wrong(g, 7) != g).sum() == 1


def no_mutant(name: str, **rules: object) -> Mutant:
    return Mutant(name, "vjp", "none", "none", lambda: dataclasses.replace(PRIMITIVES[name], **rules))


def test_fates(monkeypatch: pytest.MonkeyPatch) -> None:
    primitive = PRIMITIVES["multiply"]

    def raising(*_: object) -> None:
        raise IndexError

    def endless(*_: object) -> None:
        while True:
            pass

    def unborn() -> Primitive:
        raise Unborn

    monkeypatch.setattr(run, "_PATIENCE", 1)
    assert outcome_of(primitive, no_mutant("multiply")).fate == "same bits"
    assert outcome_of(primitive, no_mutant("multiply", vjp=raising)).fate == "raised"
    assert outcome_of(primitive, no_mutant("multiply", vjp=endless)).fate == "raised"
    assert outcome_of(primitive, Mutant("multiply", "vjp", "", "", unborn)).fate == "unborn"


def test_a_blind_judge_lets_mutants_survive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "judge", lambda primitive, seed: None)
    mutants = [m for m in behavioural_mutants(PRIMITIVES["exp"]) if m.kind == "sign"]
    assert {outcome_of(PRIMITIVES["exp"], mutant).fate for mutant in mutants} == {"survived"}


def scaled(factor: float) -> Primitive:
    primitive = PRIMITIVES["relu"]

    def vjp(gy, residuals, needs):
        return tuple(g * factor for g in primitive.vjp(gy, residuals, needs))

    return dataclasses.replace(primitive, vjp=vjp)


def test_equivalence_tells_rounding_from_errors() -> None:
    primitive = PRIMITIVES["relu"]
    at_the_kink = dataclasses.replace(primitive, jvp=lambda tangents, x: np.where(x >= 0, tangents[0], 0.0))
    assert compare(primitive, primitive, "vjp") == "same bits"
    assert compare(primitive, scaled(1 + 2.0**-50), "vjp") == "same number"
    assert compare(primitive, scaled(1 + 2.0**-15), "vjp") is None
    assert compare(primitive, at_the_kink, "jvp") is None
    rounded, wrong = (Mutant("relu", "vjp", "", "", lambda f=f: scaled(1 + 2.0**-f)) for f in (50, 40))
    assert outcome_of(primitive, rounded).fate == "same number"
    assert outcome_of(primitive, wrong).fate == "killed"


def test_a_gradient_asked_for_alone_is_judged() -> None:
    primitive = PRIMITIVES["multiply"]

    def forgetful(gy, residuals, needs):
        return primitive.vjp(gy, residuals, [needs[0], needs[0]])

    with pytest.raises(AssertionError, match="the gradient of argument 1 alone is another one"):
        judge(dataclasses.replace(primitive, vjp=forgetful), 0)


def test_comparison_counts_what_is_let_through() -> None:
    primitive = PRIMITIVES["negative"]
    outcomes = [outcome_of(primitive, mutant).as_dict() for mutant in run.mutants_of(primitive)]

    class Blind:
        def judge(self, primitive: Primitive) -> bool:
            return True

    blind = dataclasses.replace(OURS["check"], make=lambda *_: Blind())
    found = compare_checkers("negative", {"ours": OURS["check"], "blind": blind}, outcomes)
    assert found["clean"]["ours"] == {"vjp": [3, 3], "jvp": [3, 3]}
    assert found["mutants"]
    assert all(row["passed"]["blind"] for row in found["mutants"])
    assert not any(row["passed"]["ours"] for row in found["mutants"] if row["kind"] in ("sign", "factor 2"))


def test_a_run_goes_on_where_it_ended(tmp_path: Path) -> None:
    work = Work("t", "m:f", tmp_path)
    assert work.done("exp") is None
    work.keep("exp", {"outcomes": []})
    assert work.done("exp") == {"outcomes": []}
    kept = json.loads((tmp_path / "exp.json").read_text())
    (tmp_path / "exp.json").write_text(json.dumps(kept | {"digest": "of other source"}))
    assert work.done("exp") is None


def test_outcomes_belong_to_the_source_of_their_primitive() -> None:
    """Another primitive's file changes nothing; a helper that only one rule reaches does."""
    dsq, exp = (set(source_files(PRIMITIVES[name])) for name in ("dsq_soft", "exp"))
    assert any(f.endswith("/quant/dsq/functions.py") for f in dsq) and {Path(f).stem for f in dsq} >= {
        "kernels",
        "domain",
    }
    assert not any(f.endswith(("/dsq/functions.py", "/conv.py")) for f in exp) and any(
        f.endswith("pointwise.py") for f in exp
    )


def test_the_order_of_mutants_is_the_same_in_every_process() -> None:
    """Outcomes are matched with mutants by their order; sets of names have another one in every process."""
    code = "import quant; from minigrad import PRIMITIVES; from verify.gradients.mutants.run import mutants_of\n"
    code += "print([m.name for m in mutants_of(PRIMITIVES['conv_transpose2d'])])"
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(printed) == 1


def test_counts() -> None:
    fates = ["killed", "raised", "survived", "same bits"]
    outcomes = [{"rule": "vjp", "kind": "sign", "edit": f, "fate": f, "draws": 30} for f in fates]
    counted = count_outcomes({"exp": {"outcomes": outcomes}})["exp"]
    assert counted["kinds"] == {"sign": [1, 1, 3]}
    assert [line[0] for line in counted["listed"]] == ["same bits", "survived"]
    assert [line[-1] for line in counted["late"]] == [30, 30]


def test_the_stored_run_has_no_survivors_and_is_of_every_primitive() -> None:
    stored = load(MEASURED)
    survivors = [line for entry in stored["primitives"].values() for line in entry["listed"] if line[0] == "survived"]
    assert survivors == []
    counted = total(stored["check"])["check"]
    assert counted.get("let_through", []) == ["qn_soft vjp, factor 1 + 1e-6: gradient of argument 2"]
    assert sum(row[0] for row in counted["kinds"].values()) == 1
    assert list(stored["check"]) == list(stored["primitives"])
    missing = sorted(set(NAMES) ^ set(stored["primitives"]))
    assert not missing, f"python -m verify.gradients.mutants {' '.join(missing)}"


def test_what_check_lets_through_is_below_the_rounding_of_the_values() -> None:
    primitive = PRIMITIVES["qn_soft"]
    arrays, options = primitive.examples(SeededDraw(0), np.float64)
    value, residuals = primitive.forward(*arrays, **options)
    spacing = np.finfo(np.float64).eps * np.abs(value).max()
    gradients = [np.zeros_like(value) for _ in value]
    for n, gy in enumerate(gradients):
        gy[n] = 1.0
        gradient = primitive.vjp(gy, residuals, [True] * len(arrays))[2]
        assert abs(1e-6 * gradient * arrays[2]) < spacing


def test_a_run_of_some_is_merged_with_what_is_stored() -> None:
    clean = {"vjp": [1, 1], "jvp": [0, 1]}
    old = {"a": {"c": {"clean": clean, "false_alarms": ["a jvp"], "kinds": {"sign": [1, 2]}, "sizes": {}}}}
    new = {"b": {"c": {"clean": clean, "false_alarms": [], "kinds": {"sign": [0, 3]}, "sizes": {"vjp 10": [1, 1]}}}}
    assert list(merge({"gone": 1, "b": 2}, new, ["a", "b"])) == ["b"]
    joined = total(merge(old, new, ["a", "b"]))["c"]
    assert joined["kinds"] == {"sign": [1, 5]} and joined["clean"] == {"vjp": [2, 2], "jvp": [0, 2]}
    assert joined["sizes"] == {"vjp 10": [1, 1]} and joined["false_alarms"] == ["a jvp"]


def test_the_page_is_what_is_stored() -> None:
    assert table.DOCUMENT.read_text() == table.document(), "python -m verify.gradients.mutants --document"


def test_examples_are_drawn_where_they_are_said_to_be() -> None:
    """Draws are the mutants' evidence: the same seed has to give the same example."""
    for name in NAMES:
        first, again = (PRIMITIVES[name].examples(SeededDraw(3), np.float64) for _ in range(2))
        assert repr(first) == repr(again)
