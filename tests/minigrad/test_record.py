"""Whether a call is recorded, and that a record lets go of everything."""

import threading

import numpy as np
import pytest

from minigrad import InputError, Tensor, apply, grad, no_grad
from minigrad.primitive import Primitive
from minigrad.record import recording


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


def test_no_grad_ends_with_its_block() -> None:
    x = leaf(1.0)

    @no_grad()
    def decorated() -> bool:
        return (x * 2.0).requires_grad

    with no_grad():
        assert not (x * 2.0).requires_grad
        with recording(True):
            assert (x * 2.0).requires_grad
        with pytest.raises(KeyError), no_grad():
            raise KeyError
        assert not (x * 2.0).requires_grad
    assert (x * 2.0).requires_grad
    assert not decorated()
    assert not decorated()
    assert (x * 2.0).requires_grad


def test_no_grad_is_of_one_thread() -> None:
    """Two blocks that end in the order they began: with one switch for all, the second would turn it off for good."""
    x, inside, done = leaf(1.0), threading.Event(), threading.Event()
    seen: list[bool] = []

    def other() -> None:
        with no_grad():
            inside.set()
            done.wait(10)
            seen.append((x * 2.0).requires_grad)
        seen.append((x * 2.0).requires_grad)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    seen.append((x * 2.0).requires_grad)
    with no_grad():
        done.set()
        thread.join()
    assert seen == [True, False, True]
    assert (x * 2.0).requires_grad


def _unused(*_: object) -> tuple[None]:
    return (None,)


def test_a_failing_forward_holds_nothing() -> None:
    """Even while the error lives: an interactive session keeps the last one."""

    def forward(x: np.ndarray) -> tuple[np.ndarray, None]:
        raise InputError("no")

    broken = Primitive("broken", forward, _unused, _unused, _unused, "", (), _unused)  # type: ignore[arg-type]
    x = leaf(1.0)
    with pytest.raises(InputError, match="no") as error:
        apply(broken, x)
    assert error.tb is not None
    x.data[0] = 2.0


def test_a_result_may_be_the_argument_itself() -> None:
    def forward(x: np.ndarray) -> tuple[np.ndarray, None]:
        return x, None

    def vjp(gy: np.ndarray, residuals: None, needs: object) -> tuple[np.ndarray]:
        return (gy,)

    same = Primitive("same", forward, vjp, _unused, _unused, "", (), _unused)  # type: ignore[arg-type]
    x = leaf(1.0, 2.0)
    y = apply(same, x)
    (y * y).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 4.0]
    with pytest.raises(InputError, match="a view of another tensor's"):
        y.data[0] = 5.0
    x.data[0] = 5.0
    with pytest.raises(InputError, match="a view of another tensor's"):
        apply(same, x.detach()).data[0] = 6.0


def test_what_no_gradient_reaches_is_closed_as_well() -> None:
    """A rule may give None for a gradient that is zero; what lies behind it must not stay locked."""

    def forward(x: np.ndarray) -> tuple[np.ndarray, None]:
        return np.zeros_like(x), None

    flat = Primitive("flat", forward, _unused, _unused, _unused, "", (), _unused)  # type: ignore[arg-type]
    x = leaf(1.0, 2.0)
    y = (apply(flat, x * 3.0) + x).sum()
    y.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 1.0]
    x.data[0] = 5.0


def test_arguments_that_need_no_gradient_get_none() -> None:
    """Nor is one computed for them."""
    asked: list[list[bool]] = []

    def forward(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, None]:
        return a + b + c, None

    def vjp(gy: np.ndarray, residuals: None, needs: list[bool]) -> tuple[np.ndarray, ...]:
        asked.append(list(needs))
        return gy, gy, gy

    add = Primitive("add3", forward, vjp, _unused, _unused, "", (), _unused)  # type: ignore[arg-type]
    x, y, constant = leaf(1.0), leaf(2.0), Tensor(np.ones(1))
    apply(add, x, constant, y).sum().backward()
    grad(apply(add, x, y, np.ones(1)).sum(), [y])
    assert asked == [[True, False, True], [False, True, False]]
    assert constant.grad is None
