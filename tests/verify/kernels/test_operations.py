"""Every operation on every target and path, bit for bit: drawn at random, and a fixed battery."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from quant.integer import OPERATIONS
from verify.kernels.cases import LANE_BOUNDS, battery, two_bit_extreme
from verify.kernels.compare import compare_operation
from verify.kernels.draws import DRAWS, convolutions
from verify.kernels.targets import Runner


def test_every_operation_is_drawn() -> None:
    assert DRAWS.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("name", OPERATIONS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_drawn_operation(runner: Runner, name: str, data: st.DataObject) -> None:
    op, inputs = data.draw(DRAWS[name])
    row = compare_operation(op, inputs, runner)
    assert row.mismatches == 0, row
    assert row.compared == row.images * op.run(*inputs)[0].size > 0


@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_two_bit_convolution(runner: Runner, data: st.DataObject) -> None:
    """Those that NEON takes."""
    op, inputs = data.draw(convolutions(st.just(2), st.integers(1, 2), plain=True))
    row = compare_operation(op, inputs, runner)
    assert row.path == runner.path
    assert row.mismatches == 0, row


def test_battery(runner: Runner) -> None:
    rows = {case.name: compare_operation(case.op, case.inputs, runner) for case in battery()}
    assert {name: row for name, row in rows.items() if row.mismatches} == {}
    if runner.path == "neon":
        assert sum(row.path == "neon" for row in rows.values()) > 60


@pytest.mark.parametrize("terms", LANE_BOUNDS)
@pytest.mark.parametrize(("weight_code", "weight"), [(0, -3), (3, 3)])
def test_lane_bounds(runner: Runner, terms: int, weight_code: int, weight: int) -> None:
    """Against the closed form, so that a reference with the same error would not help."""
    op, x = two_bit_extreme(terms, weight_code)
    assert np.array_equal(runner.run_operation(op, x), np.full((1, 1, 3, 17), 3 * weight * terms, np.int32))
