"""Writes in place are refused while the tape needs an array."""

import copy
import pickle
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import InputError, Tensor, apply, grad, hold, no_grad
from minigrad.primitive import Primitive

REFUSED = "data: changed in place while the tape needs it"


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


# ---- what can be refused


def test_writing_to_what_the_tape_needs_is_refused_and_says_why() -> None:
    x = leaf(1.0, 2.0)
    y = x * x
    with pytest.raises(InputError, match=REFUSED):
        x.data[0] = 5.0
    with pytest.raises(InputError, match=REFUSED):
        x.data += 1.0
    with pytest.raises(InputError, match=REFUSED):
        np.add(x.data, 1.0, out=x.data)
    with pytest.raises(InputError, match=REFUSED):
        np.add.at(x.data, [0], 1.0)
    with pytest.raises(InputError, match=REFUSED):
        np.cumsum(x.data, out=x.data)
    with pytest.raises(InputError, match=REFUSED):
        x.data.fill(0.0)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 4.0]
    x.data[0] = 5.0
    x.data += 1.0
    assert x.data.tolist() == [6.0, 3.0]


WRITES: dict[str, Callable[[Any], Any]] = {
    "copyto": lambda a: np.copyto(a, 0.0),
    "put": lambda a: np.put(a, 0, 5.0),
    "method put": lambda a: a.put(0, 5.0),
    "place": lambda a: np.place(a, [True, False], [4.0]),
    "putmask": lambda a: np.putmask(a, [True, False], 4.0),
    "flat": lambda a: a.flat.__setitem__(0, 4.0),
    "view": lambda a: a[:1].__setitem__(0, 4.0),
    "transposed": lambda a: a.T.fill(3.0),
    "reshaped": lambda a: a.reshape(1, 2).fill(3.0),
    "real": lambda a: a.real.fill(3.0),
    "plain": lambda a: np.asarray(a).fill(3.0),
    "buffer": lambda a: memoryview(a).__setitem__(0, 4.0),
    "fancy": lambda a: a.__setitem__([0], 4.0),
    "mask": lambda a: a.__setitem__(a > 0, 4.0),
    "sort": lambda a: a.sort(),
    "partition": lambda a: a.partition(1),
    "byteswap": lambda a: a.byteswap(inplace=True),
    "resize": lambda a: a.resize(5),
    "shuffle": lambda a: np.random.default_rng(0).shuffle(a),
    "random": lambda a: np.random.default_rng(0).standard_normal(out=a),
    "take": lambda a: np.take([3.0, 4.0], [0, 1], out=a),
    "nan_to_num": lambda a: np.nan_to_num(a, copy=False),
    "where": lambda a: np.multiply(a, 2.0, out=a, where=[True, False]),
    "unlock": lambda a: setattr(a.flags, "writeable", True),
}


@pytest.mark.parametrize("route", WRITES)
def test_every_way_to_write_is_refused(route: str) -> None:
    x = Tensor(np.array([2.0, 1.0]), requires_grad=True)
    y = x * x
    with pytest.raises((ValueError, TypeError)):
        WRITES[route](x.data)
    assert x.data.tolist() == [2.0, 1.0]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [4.0, 2.0]


def test_an_array_taken_before_is_locked_too() -> None:
    x = leaf(1.0)
    array = x.data
    y = x * x
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 2.0
    y.sum().backward()
    array[0] = 2.0


def test_a_result_is_locked_since_the_rule_may_have_kept_it() -> None:
    x = leaf(0.0, 1.0)
    y = apply("exp", x)
    with pytest.raises(InputError, match=REFUSED):
        y.data *= 2.0
    y.sum().backward()
    y.data *= 2.0
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, y.data[1] / 2.0]


def test_a_view_of_what_is_held_is_locked_and_stays_so() -> None:
    x = leaf(1.0, 2.0)
    y = x.reshape(2, 1)
    with pytest.raises(InputError, match=REFUSED):
        y.data[0] = 9.0
    (y * y).sum().backward()
    with pytest.raises(InputError, match="or a view of another tensor's"):
        y.data[0] = 9.0
    x.data[0] = 9.0
    assert y.data[0, 0] == 9.0


@pytest.mark.parametrize("make", [lambda x: x.reshape(2, 1), lambda x: x[:], lambda x: x.transpose()])
def test_what_a_held_view_is_a_view_of_is_locked(make: Callable[[Tensor], Tensor]) -> None:
    """Off the tape too two tensors may have one memory: it is written to through one of them only."""
    x = leaf(1.0, 2.0)
    view = make(x.detach())
    with pytest.raises(InputError, match="or a view of another tensor's"):
        view.data[0] = 5.0
    w = leaf(1.0)
    y = view * w
    with pytest.raises(InputError, match=REFUSED):
        x.data[0] = 5.0
    y.sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [3.0]
    x.data[0] = 5.0


def test_a_result_that_is_a_view_of_memory_nobody_else_has_is_locked_with_it() -> None:
    def forward(x: np.ndarray) -> tuple[np.ndarray, None]:
        return (x * np.ones((3, 1)))[1], None

    def unused(*_: object) -> tuple[None]:
        return (None,)

    row = Primitive("row", forward, unused, unused, unused, "", (), unused)  # type: ignore[arg-type]
    y = apply(row, Tensor(np.array([1.0, 2.0])))
    y.data[0] = 5.0  # no other tensor has this memory
    view, w = y.reshape(2, 1), leaf(1.0)
    first, second = (y * w).sum(), (view * w).sum()
    with pytest.raises(InputError, match=REFUSED):
        y.data[0] = 7.0
    first.backward()
    with pytest.raises(InputError, match=REFUSED):
        y.data[0] = 7.0
    del first
    third = (view * w).sum()
    second.backward()
    third.backward()
    assert w.grad is not None
    assert w.grad.tolist() == [21.0]
    z = apply(row, Tensor(np.array([1.0, 2.0])))
    fourth = (z.reshape(2, 1) * w).sum()
    with pytest.raises(InputError, match=REFUSED):
        z.data[0] = 7.0
    fourth.backward()
    z.data[0] = 7.0


def test_no_two_gradients_have_one_array() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    ga, gb = grad((a + b).sum(), [a, b], create_graph=True)
    (ga * gb).sum().backward()
    for g in (ga, gb):
        with pytest.raises(InputError, match="or a view of another tensor's"):
            g.data[...] = 7.0


def test_an_array_is_held_as_long_as_one_record_needs_it() -> None:
    held = len(hold._held)
    x = leaf(3.0)
    first, second = (x * x).sum(), (x * 2.0).sum()
    first.backward()
    with pytest.raises(InputError, match=REFUSED):
        x.data[0] = 1.0
    del second
    x.data[0] = 1.0
    assert len(hold._held) == held


def test_an_array_locked_by_its_owner_stays_locked() -> None:
    x = leaf(3.0)
    x.data.flags.writeable = False
    (x * x).sum().backward()
    with pytest.raises(InputError, match="data: changed"):
        x.data[0] = 1.0


def test_nothing_is_held_under_no_grad() -> None:
    x = leaf(1.0)
    with no_grad():
        y = x * x
    x.data[0] = 2.0
    y.data[0] += 1.0
    assert y.data.tolist() == [2.0]


def test_arrays_and_constants_of_the_caller_stay_the_callers() -> None:
    given = np.array([1.0, 2.0])
    x, factor = Tensor(given, requires_grad=True), np.array([3.0, 4.0])
    y = x * factor
    given[:] = 0.0
    factor[:] = 0.0
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [3.0, 4.0]


# ---- arrays of held tensors


def test_what_is_computed_from_held_data_is_a_plain_array() -> None:
    x = leaf(1.0, 2.0)
    y = x * x
    a = x.data
    assert type(a) is not np.ndarray
    made = [a + 1, np.exp(a), a.copy(), np.copy(a), np.zeros_like(a), np.concatenate([a, a]), np.where(a > 1, a, 0)]
    made += [pickle.loads(pickle.dumps(a)), np.array(a), np.asarray(a), np.add.outer(a, a), np.sort(a)]
    assert [type(array) for array in made] == [np.ndarray] * len(made)
    assert np.sum(a) == a.sum() == 3.0
    for array in (a.copy(), a.astype(np.float32), copy.deepcopy(a), pickle.loads(pickle.dumps(a))):
        array[0] = 7.0  # a copy may be written to
        array.fill(8.0)
        array += 1.0
        assert array.tolist() == [9.0, 9.0]
    out = np.zeros(2)
    assert np.add(a, 1.0, out=out) is out
    y.sum().backward()


def test_data_is_replaced_by_its_like_only() -> None:
    x = leaf(1.0, 2.0)
    new = np.array([3.0, 4.0])
    x.data = new
    new[0] = 9.0
    assert x.data.tolist() == [3.0, 4.0]
    with pytest.raises(InputError, match=r"data: expected float64 \(2,\), got float64 \(3,\)"):
        x.data = np.ones(3)
    with pytest.raises(InputError, match=r"data: expected float64 \(2,\), got float32 \(2,\)"):
        x.data = np.ones(2, np.float32)


def test_replaced_data_is_not_what_the_tape_has() -> None:
    """The first derivative is that of the forward's values; a graph of it cannot be."""
    x = leaf(2.0)
    y = (x * x * x).sum()
    x.data = np.array([10.0])
    with pytest.raises(InputError, match="data: replaced since it was argument 1 of multiply"):
        grad(y, [x], create_graph=True)
    assert grad(y, [x])[0].tolist() == [12.0]


# ---- threads


def test_threads_hold_and_release_together() -> None:
    array, errors, interval, held = np.ones(3), [], sys.getswitchinterval(), len(hold._held)

    def work() -> None:
        try:
            for _ in range(5000):
                hold.hold((array,))
                hold.release((array,))
        except KeyError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not errors
    assert len(hold._held) == held
    assert array.flags.writeable
