"""BinaryConnect: an ungated sign over weights that are kept in [-1, 1]; a gated one over activations."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from minigrad import PRIMITIVES, InputError, Tensor
from minigrad.nn import Parameter
from quant import METHODS, binary_connect
from quant.binary_connect import BinaryConnect
from quant.rules import forward_of, vjp_of
from verify.gradients.mutants.judge import judge

X = np.array([-3, -1, -0.5, -0.0, 0.0, 0.5, 1, np.nextafter(1, 2)])


def gradient(quantizer: BinaryConnect) -> list[float]:
    x = Tensor(X, requires_grad=True)
    quantizer(x).backward(np.arange(1.0, 9.0))
    assert x.grad is not None
    return x.grad.tolist()


def test_weights_get_the_whole_gradient_and_activations_a_gated_one() -> None:
    weight = METHODS["binary_connect"].quantizer(1, "weight", dtype=np.float64)
    activation = METHODS["binary_connect"].quantizer(1, "activation", dtype=np.float64)
    for quantizer in (weight, activation):
        assert quantizer(Tensor(X)).data.tolist() == [-1, -1, -1, 1, 1, 1, 1, 1]
        assert quantizer.codes(X).tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert gradient(weight) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert gradient(activation) == [0, 2, 3, 4, 5, 6, 7, 0]
    assert binary_connect.hard_vjp(np.ones(8), X, gate=True)[0].tolist() == [0, 1, 1, 1, 1, 1, 1, 0]


def test_weights_are_clipped_in_place() -> None:
    weight = Parameter(np.array([-2.0, -1.0, 0.25, 1.5, np.inf], np.float32))
    BinaryConnect().clip_weights(weight)
    assert weight.data.tolist() == [-1, -1, 0.25, 1, 1]


def test_nothing_is_chosen_from_data() -> None:
    quantizer = BinaryConnect(dtype=np.float64)
    for x in (np.zeros(0), np.zeros(3), np.full(2, 5e-324), np.array([np.inf, -np.inf])):
        quantizer.initialise(x)
        assert quantizer(Tensor(x)).shape == x.shape
    assert np.isnan(quantizer(Tensor([np.nan])).data).all()
    with pytest.raises(InputError, match=r"^x: NaN at index \(0,\)"):
        quantizer.codes(np.array([np.nan]))


@pytest.mark.parametrize("bits", [0, 2, 9, 2.5, True])
def test_other_widths_are_refused(bits: Any) -> None:
    for make in (BinaryConnect, METHODS["binary_connect"].quantizer):
        with pytest.raises(InputError, match=r"^bits: "):
            make(bits)
    with pytest.raises(InputError, match=r"^bits: "):
        binary_connect.levels(bits=bits)


def test_slips_are_caught() -> None:
    """The gate on weights, no gate on activations, a gate half as wide, and a sign turned round."""
    right = PRIMITIVES["binary_connect"]

    def with_gate(width: float, of: tuple[bool, ...]) -> Any:
        def partials(x: Any, *, bits: int, gate: bool) -> Any:
            return ((np.abs(x) <= (width if gate in of else np.inf)).astype(x.dtype),)

        return vjp_of(partials)

    mutants = [dataclasses.replace(right, vjp=with_gate(*c)) for c in ((1, (False, True)), (1, ()), (0.5, (True,)))]
    mutants.append(dataclasses.replace(right, forward=forward_of(lambda x, **options: np.where(x > 0, -1.0, 1.0))))
    for mutant in mutants:
        with pytest.raises(AssertionError):
            for seed in range(6):
                judge(mutant, seed)
    for seed in range(6):
        judge(right, seed)
