"""Hooks: what they are shown, what they may do, and what becomes of a walk they end."""

import numpy as np
import pytest

from minigrad import Tensor, grad, no_grad


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


def test_a_hook_sees_the_whole_gradient_once() -> None:
    x = leaf(2.0, 3.0)
    seen: list[list[float]] = []
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * x + x).sum().backward()
    assert seen == [[5.0, 7.0]]


def test_a_hook_on_a_result_changes_what_goes_further_back() -> None:
    x = leaf(2.0)
    y = x * 3.0
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: g + 1)
    (y * y).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [3.0 * (12.0 * 10 + 1)]


def test_what_a_hook_returns_is_the_tensors_own_gradient_too() -> None:
    x = leaf(2.0)
    x.register_hook(lambda g: g * 10)
    y = x * 3.0
    y.register_hook(lambda g: g * 2)
    gy, gx = grad(y.sum(), [y, x], retain_graph=True)
    assert (gy.tolist(), gx.tolist()) == ([2.0], [60.0])
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [60.0]


def test_a_removed_hook_is_not_called() -> None:
    x = leaf(1.0)
    hook = x.register_hook(lambda g: g * 0)
    hook.remove()
    hook.remove()
    (x * 2.0).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0]


def test_a_hook_must_not_write_into_the_gradient() -> None:
    def double(g: np.ndarray) -> None:
        g *= 2

    x = leaf(1.0)
    x.register_hook(double)
    with pytest.raises(ValueError, match="read-only"):
        (x * 2.0).sum().backward()


def test_a_hook_that_returns_another_shape_is_refused() -> None:
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: g[:1])
    with pytest.raises(ValueError, match=r"hook: expected None or a new gradient, an array of shape \(2,\)"):
        x.sum().backward()


def test_a_hook_needs_a_gradient() -> None:
    with pytest.raises(RuntimeError, match="requires no gradient"):
        Tensor(np.ones(1)).register_hook(print)


def test_hooks_run_in_order_and_may_change_the_list() -> None:
    x, calls = leaf(1.0), []

    def first(g: np.ndarray) -> np.ndarray:
        calls.append("first")
        second.remove()
        x.register_hook(lambda g: calls.append("third"))
        return g * 2

    x.register_hook(first)
    second = x.register_hook(lambda g: calls.append(f"second {g.item()}"))
    (x * 3.0).sum().backward()
    assert calls == ["first", "second 6.0"]
    (x * 3.0).sum().backward()
    assert calls[2:] == ["first", "third"]


def test_a_hook_keeps_the_dtype() -> None:
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    y = x * 2.0
    y.register_hook(lambda g: [5, 6])
    y.register_hook(lambda g: g.astype(np.float64))
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [10.0, 12.0]


def test_a_hook_gives_what_it_got_an_array_or_a_tensor() -> None:
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: Tensor(g) if isinstance(g, np.ndarray) else g.data)
    with pytest.raises(ValueError, match="hook: expected None or a new gradient, an array of shape"):
        (x * x).sum().backward()
    with pytest.raises(ValueError, match="hook: expected None or a new gradient, a Tensor of shape"):
        grad((x * x).sum(), [x], create_graph=True)


def test_a_hook_may_walk_another_tape() -> None:
    x, w = leaf(1.0, 2.0), leaf(3.0)

    def other(g: np.ndarray) -> None:
        (w * w).sum().backward()
        with no_grad():
            assert not (w * w).requires_grad

    y = x * 2.0
    y.register_hook(other)
    y.sum().backward()
    assert x.grad is not None
    assert w.grad is not None
    assert (x.grad.tolist(), w.grad.tolist()) == ([2.0, 2.0], [6.0])


def test_a_hook_that_walks_the_same_tape_is_stopped() -> None:
    x = leaf(1.0)
    y = x * x
    z = (y * y).sum()
    y.register_hook(lambda g: z.backward())
    with pytest.raises(RuntimeError, match="used by an earlier backward"):
        z.backward()
    assert x.grad is None


def test_an_error_in_a_hook_changes_no_gradient() -> None:
    def bad(g: np.ndarray) -> None:
        raise KeyError("mine")

    x = leaf(1.0)
    y = x * x
    y.register_hook(bad)
    with pytest.raises(KeyError, match="mine"):
        (y + x).sum().backward()
    assert x.grad is None
    del y
    x.data[0] = 2.0
