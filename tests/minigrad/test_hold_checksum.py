"""Writes in place that cannot be refused, through what was taken before the forward, are found by the backward."""

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import InputError, Tensor, grad, hold, no_grad

FOUND = "data: changed in place while the tape needed it, through a view or buffer taken before the forward"


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


#: What is taken from an array, and the write through it that NumPy cannot refuse.
TAKEN: dict[str, tuple[Callable[[np.ndarray], Any], Callable[[Any], Any]]] = {
    "view": (lambda a: a[:1], lambda view: view.fill(7.0)),
    "transposed": (lambda a: a.T, lambda view: view.fill(7.0)),
    "sorted": (lambda a: a[...], lambda view: view.sort(axis=0)),
    "buffer": (memoryview, lambda view: view.__setitem__((0,) * view.ndim, 7.0)),
    "itself": (lambda a: a, lambda array: (setattr(array.flags, "writeable", True), array.fill(7.0))),
}


@pytest.mark.parametrize("route", TAKEN)
@pytest.mark.parametrize("shape", [(2,), (3, 2)])
def test_what_cannot_be_refused_is_found_by_the_backward(route: str, shape: tuple[int, ...]) -> None:
    x = Tensor(-np.arange(float(np.prod(shape))).reshape(shape), requires_grad=True)
    take, write = TAKEN[route]
    taken = take(x.data)
    y = (x * x).sum()
    write(taken)
    with pytest.raises(InputError, match=FOUND):
        grad(y, [x], create_graph=True)
    with pytest.raises(InputError, match=FOUND):
        y.backward()
    assert x.grad is None


def test_a_scalar_and_an_array_that_is_not_contiguous_are_watched() -> None:
    x = Tensor(2.0, requires_grad=True)
    view = x.data[...]
    y = x * x
    view[...] = 3.0
    with pytest.raises(InputError, match=FOUND):
        y.backward()
    z = Tensor(np.asfortranarray(np.arange(6.0).reshape(2, 3)), requires_grad=True)
    view = z.data.T
    y = (z * z).sum()
    view[2, 0] = 7.0
    with pytest.raises(InputError, match=FOUND):
        y.backward()


def test_memory_is_watched_whichever_tensor_it_was_taken_from() -> None:
    x = leaf(1.0, 2.0)
    before = x.data[:1]
    view, w = x.detach().reshape(2, 1), leaf(1.0)
    y = (view * w).sum()
    before[0] = 5.0
    with pytest.raises(InputError, match=FOUND):
        y.backward()


def test_a_result_off_the_tape_is_watched() -> None:
    with no_grad():
        h = leaf(1.0, 2.0) * 3.0
    before, w = h.data[:1], leaf(1.0)
    y = (h * w).sum()
    before[0] = 5.0
    with pytest.raises(InputError, match=FOUND):
        y.backward()


def test_there_is_no_false_alarm() -> None:
    x, empty = leaf(1.0, 2.0), Tensor(np.zeros((0, 3)), requires_grad=True)
    view = x.data[:1]
    view[0] = 5.0
    y = (x * x).sum() + (empty * empty.data).sum()
    x.data.sum()
    y.backward(retain_graph=True)
    y.backward()
    view[0] = 6.0
    (x * x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [10.0 + 10.0 + 12.0, 4.0 * 3]


def test_what_was_shown_is_forgotten_with_its_tensor() -> None:
    before = len(hold._shown)
    x = leaf(1.0)
    x.data[0] = 2.0
    assert len(hold._shown) == before + 1
    del x
    gc.collect()
    assert len(hold._shown) == before
