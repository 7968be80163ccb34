"""What the walk back offers beside gradients in leaves: hooks, grad of anything, second order, and no leaks."""

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

import quant  # noqa: F401  registers the quantizers' primitives
from minigrad import InputError, Tensor, apply, grad, hold, no_grad
from minigrad.derivatives import hvp, jvp
from minigrad.primitive import Primitive


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


def cubic(x: Tensor) -> Tensor:
    return (x * x * x).sum()


# ---- hooks


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
    with pytest.raises(ValueError, match=r"hook: expected None or a new gradient, a array of shape \(2,\)"):
        x.sum().backward()


def test_a_hook_needs_a_gradient() -> None:
    with pytest.raises(RuntimeError, match="requires no gradient"):
        Tensor(np.ones(1)).register_hook(print)


# ---- grad


def test_grad_of_leaves_and_of_results_leaves_grad_alone() -> None:
    x = leaf(2.0, 3.0)
    y = x * x
    gx, gy = grad((y * y).sum(), [x, y])
    assert gx.tolist() == [32.0, 108.0]
    assert gy.tolist() == [8.0, 18.0]
    assert x.grad is None


def test_grad_by_what_does_not_matter_is_zero() -> None:
    x, z = leaf(1.0), leaf(1.0, 2.0)
    (gz,) = grad(x.sum(), [z])
    assert gz.tolist() == [0.0, 0.0]


def test_a_graph_is_kept_only_on_demand() -> None:
    x = leaf(2.0)
    y = cubic(x)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [24.0]
    with pytest.raises(RuntimeError, match="used by an earlier backward"):
        y.backward()


def test_grad_names_what_is_no_input() -> None:
    x = leaf(1.0)
    with pytest.raises(InputError, match="inputs: expected tensors that require a gradient; number 1 does not"):
        grad(cubic(x), [x, Tensor(np.ones(1))])


def test_an_argument_that_has_no_gradient_is_not_dropped_silently() -> None:
    x, one = Tensor(np.ones((4, 2)), requires_grad=True), np.ones(2)
    mean = Tensor(np.zeros(2), requires_grad=True)
    with pytest.raises(InputError, match="affine_norm: argument 3 has no gradient; detach it"):
        apply("affine_norm", x, one, one, mean * 1.0, one)


# ---- second order


def test_a_gradient_can_be_differentiated() -> None:
    x = leaf(2.0, -3.0)
    (g,) = grad(cubic(x), [x], create_graph=True)
    assert g.data.tolist() == [12.0, 27.0]
    (h,) = grad(g.sum(), [x])
    assert h.tolist() == [12.0, -18.0]


def test_a_penalty_on_the_gradient_trains() -> None:
    x = leaf(2.0)
    (g,) = grad(cubic(x), [x], create_graph=True)
    (g * g).sum().backward()  # d/dx (3 x^2)^2 = 36 x^3
    assert x.grad is not None
    assert x.grad.tolist() == [288.0]


def test_the_third_derivative_is_refused_by_name() -> None:
    x = leaf(2.0)
    (g,) = grad(cubic(x), [x], create_graph=True)
    (h,) = grad(g.sum(), [x], create_graph=True)
    with pytest.raises(InputError, match="sum_vjp0: has no second derivative"):
        grad(h.sum(), [x])


def test_a_primitive_without_second_derivative_says_so() -> None:
    x = leaf(0.3)
    l, u, alpha = (Tensor(np.array(v)) for v in (-1.0, 1.0, 0.2))
    (g,) = grad(apply("dsq_soft", x, l, u, alpha, bits=2).sum(), [x], create_graph=True)
    with pytest.raises(InputError, match="dsq_soft: has no second derivative"):
        grad(g.sum(), [x])


def test_observers_are_shown_one_forward_only() -> None:
    calls: list[np.ndarray] = []
    x = Tensor(np.random.default_rng(0).standard_normal((4, 3)), requires_grad=True)
    gamma, beta = Tensor(np.ones(3)), Tensor(np.zeros(3))
    y = apply("batch_norm", x, gamma, beta, observe=lambda mean, variance: calls.append(mean))
    (g,) = grad((y * y * y).sum(), [x], create_graph=True)
    grad((g * g).sum(), [x])
    assert len(calls) == 1


def test_forward_mode_and_hessian_products_of_a_composite() -> None:
    rng = np.random.default_rng(0)
    primals = (rng.standard_normal((3, 4)), rng.standard_normal((4, 2)))
    tangents = (rng.standard_normal((3, 4)), rng.standard_normal((4, 2)))

    def function(x: Tensor, w: Tensor) -> Tensor:
        return (apply("tanh", apply("linear", x, w)) * w.sum()).sum()

    def closed(t: float) -> float:
        x, w = (p + t * d for p, d in zip(primals, tangents, strict=True))
        return float((np.tanh(x @ w) * w.sum()).sum())

    value, slope = jvp(function, primals, tangents)
    h = 2.0**-10
    assert value == pytest.approx(closed(0.0), rel=1e-14)
    assert slope == pytest.approx((closed(h) - closed(-h)) / (2 * h), rel=1e-4)
    bend = sum(float((t * p).sum()) for t, p in zip(tangents, hvp(function, primals, tangents), strict=True))
    assert bend == pytest.approx((closed(h) - 2 * closed(0.0) + closed(-h)) / h**2, rel=1e-4)


def test_directions_must_fit() -> None:
    with pytest.raises(InputError, match="tangents: expected 1, one a primal, got 2"):
        jvp(cubic, [np.ones(2)], [np.ones(2), np.ones(2)])
    with pytest.raises(InputError, match=r"tangents: number 0 has shape \(3,\), expected \(2,\)"):
        hvp(cubic, [np.ones(2)], [np.ones(3)])


# ---- in place


def test_writing_to_what_the_tape_needs_is_refused_and_says_why() -> None:
    x = leaf(1.0, 2.0)
    y = x * x
    with pytest.raises(InputError, match="data: changed in place while the tape needs it"):
        x.data[0] = 5.0
    with pytest.raises(InputError, match="data: changed in place"):
        x.data += 1.0
    with pytest.raises(InputError, match="data: changed in place"):
        np.add(x.data, 1.0, out=x.data)
    with pytest.raises(InputError, match="data: changed in place"):
        x.data.fill(0.0)
    with pytest.raises(ValueError, match="read-only"):
        np.copyto(x.data, 0.0)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 4.0]
    x.data[0] = 5.0
    x.data += 1.0
    assert x.data.tolist() == [6.0, 3.0]


def test_a_result_that_is_dropped_frees_its_arguments() -> None:
    x = leaf(1.0)
    y = (x * x).sum()
    del y
    x.data[0] = 5.0


def test_an_array_taken_before_is_locked_too() -> None:
    x = leaf(1.0)
    array = x.data
    y = x * x
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 2.0
    y.sum().backward()
    array[0] = 2.0


def test_a_view_of_what_is_held_is_locked() -> None:
    x = leaf(1.0, 2.0)
    y = x.reshape(2, 1)
    with pytest.raises(InputError, match="data: changed in place"):
        y.data[0] = 9.0
    (y * y).sum().backward()


def test_arrays_and_constants_of_the_caller_stay_the_callers() -> None:
    given = np.array([1.0, 2.0])
    x, factor = Tensor(given, requires_grad=True), np.array([3.0, 4.0])
    y = x * factor
    given[:] = 0.0
    factor[:] = 0.0
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [3.0, 4.0]


def test_what_is_computed_from_held_data_is_a_plain_array() -> None:
    x = leaf(1.0, 2.0)
    y = x * x
    assert type(x.data + 1) is np.ndarray
    assert type(np.exp(x.data)) is np.ndarray
    assert np.sum(x.data) == 3.0
    copy = x.data.copy()
    copy[0] = 7.0  # a copy may be written to
    y.sum().backward()


def test_data_is_replaced_by_its_like_only() -> None:
    x = leaf(1.0, 2.0)
    x.data = np.array([3.0, 4.0])
    assert x.data.tolist() == [3.0, 4.0]
    with pytest.raises(InputError, match=r"data: expected float64 \(2,\), got float64 \(3,\)"):
        x.data = np.ones(3)


def test_nothing_is_held_under_no_grad() -> None:
    x = leaf(1.0)
    with no_grad():
        y = x * x
    x.data[0] = 2.0
    assert y.data.tolist() == [1.0]


# ---- memory


@contextmanager
def without_collector() -> Iterator[None]:
    """Reference counts alone must free the tape: a cycle would keep whole activations until the collector runs."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_memory_is_back_at_the_start_after_a_thousand_steps() -> None:
    rng = np.random.default_rng(0)
    w, x = Tensor(rng.standard_normal((16, 16)), requires_grad=True), Tensor(rng.standard_normal((8, 16)))

    def step() -> None:
        hidden = apply("tanh", apply("linear", x, w))
        hook = hidden.register_hook(lambda g: g * 1.0)
        loss = (hidden * hidden).sum()
        if w.grad is not None:
            (g,) = grad((apply("tanh", w) * w).sum(), [w], create_graph=True)
            (g * g).sum().backward()
        apply("exp", hidden)  # a branch that no backward visits
        loss.backward()
        hook.remove()
        w.grad = np.zeros_like(w.data)

    step()
    held = len(hold._held)
    with without_collector():
        tracemalloc.start()
        try:
            for _ in range(1000):  # until NumPy's and Python's own free lists are full
                step()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(1000):
                step()
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
    assert len(hold._held) == held
    assert grown < 4096, f"{grown} bytes more after 1,000 steps; one kept array of {x.data.nbytes} a step would show"


def test_a_failing_forward_holds_nothing() -> None:
    def forward(x: np.ndarray) -> tuple[np.ndarray, None]:
        raise InputError("no")

    def unused(*_: object) -> tuple[None]:
        return (None,)

    broken = Primitive("broken", forward, unused, unused, unused, "", (), unused)  # type: ignore[arg-type]
    x = leaf(1.0)
    with pytest.raises(InputError, match="no"):
        apply(broken, x)
    gc.collect()
    x.data[0] = 2.0
