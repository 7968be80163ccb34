"""The other frameworks' checkers see our rules as they are, and the stored counts are of this set of primitives."""

import dataclasses
import logging
from collections.abc import Iterator

import numpy as np
import pytest

import quant  # noqa: F401  registers the quantizers' primitives
from minigrad import PRIMITIVES
from minigrad.draw import SeededDraw
from minigrad.primitive import Primitive
from verify.gradients.mutants.summary import load, total
from verify.gradients.mutants.table import PEERS
from verify.peers.checkers import makers

LABELS = ("gradcheck", "gradcheck fast", "gradcheck float32", "check_grads float32", "check_grads float64")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """JAX logs what callbacks raise."""
    logger = logging.getLogger("jax")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


def doubled(primitive: Primitive, rule: str) -> Primitive:
    if rule == "jvp":
        return dataclasses.replace(primitive, jvp=lambda *a, **k: 2 * primitive.jvp(*a, **k))
    return dataclasses.replace(primitive, vjp=lambda *a: tuple(2 * g for g in primitive.vjp(*a)))


@pytest.mark.parametrize("rule", ["vjp", "jvp"])
@pytest.mark.parametrize("label", [label for label in LABELS if label != "gradcheck float32"])
def test_a_right_rule_passes_and_a_doubled_one_does_not(label: str, rule: str) -> None:
    pytest.importorskip("torch", reason="make peers")
    pytest.importorskip("jax", reason="make peers")
    maker = makers()[label]
    for name in ("multiply", "matmul", "logsumexp"):
        primitive = PRIMITIVES[name]
        arrays, options = primitive.examples(SeededDraw(0), maker.dtype)
        checker = maker.make(primitive, arrays, options, rule)
        assert checker.judge(primitive), name
        assert not checker.judge(doubled(primitive, rule)), name


def test_gradcheck_in_float32_fails_right_rules() -> None:
    """Why its column has no mutants: its defaults are for float64, and it documents no others."""
    pytest.importorskip("torch", reason="make peers")
    pytest.importorskip("jax", reason="make peers")
    primitive = PRIMITIVES["multiply"]
    arrays, options = primitive.examples(SeededDraw(0), np.float32)
    assert not makers()["gradcheck float32"].make(primitive, arrays, options, "vjp").judge(primitive)


def test_the_stored_counts_are_of_all_checkers() -> None:
    stored = load(PEERS)
    checkers = total(stored["primitives"])
    assert tuple(checkers) == LABELS
    assert set(stored["primitives"]) <= set(PRIMITIVES) and len(stored["primitives"]) >= 60
    assert stored["versions"]["torch"].startswith("2.13.0")
    assert stored["versions"]["jax"] == stored["versions"]["jaxlib"] == "0.10.2"
    for label in ("gradcheck", "gradcheck fast", "check_grads float32", "check_grads float64"):
        let_through, judged = np.sum(list(checkers[label]["kinds"].values()), axis=0)
        assert 0 < let_through < judged
