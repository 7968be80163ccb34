"""What the walk back offers beside gradients in leaves: hooks, grad of anything, any shape of tape."""

import numpy as np
import pytest

from minigrad import InputError, Tensor, apply, functional, grad, no_grad


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


def test_grad_takes_a_sequence() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(InputError, match=r"inputs: expected a sequence of tensors, got one; write \[x\]"):
        grad(cubic(x), x)  # type: ignore[arg-type]
    assert grad(cubic(x), []) == ()
    one, same, again = grad(cubic(x), [x, x, x])
    assert one.tolist() == same.tolist() == again.tolist() == [3.0, 12.0]
    assert len({id(g) for g in grad(x * 1.0, [x, x], gradient=np.ones(2))}) == 1


def test_the_gradient_of_the_output_is_the_incoming_one() -> None:
    x = leaf(1.0, 2.0)
    incoming = np.array([3.0, 4.0])
    y = x * 2.0
    gy, gx = grad(y, [y, x], gradient=incoming)
    gy += 1.0
    assert (gx.tolist(), incoming.tolist()) == ([6.0, 8.0], [3.0, 4.0])
    assert grad(x, [x], gradient=Tensor(incoming))[0].tolist() == [3.0, 4.0]


def test_an_incoming_gradient_may_be_a_tensor_and_takes_the_dtype() -> None:
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    (x * 1.0).backward(Tensor(np.array([3.0, 4.0])))  # type: ignore[arg-type]
    x.backward(np.array([1, 1]))
    assert x.grad is not None
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [4.0, 5.0]
    with pytest.raises(ValueError, match=r"gradient: expected shape \(2,\), got \(3,\)"):
        grad(x * 1.0, [x], gradient=Tensor(np.ones(3)))


def test_only_the_way_to_the_inputs_is_walked() -> None:
    x, w = leaf(2.0), leaf(3.0)
    seen: list[str] = []
    a, b = x * 5.0, w * 7.0
    a.register_hook(lambda g: seen.append("a"))
    b.register_hook(lambda g: seen.append("b"))
    (ga,) = grad((a * b).sum(), [x], retain_graph=False)
    assert ga.tolist() == [21.0 * 5.0]
    assert seen == ["a"]
    w.data[0] = 0.0  # the rest is closed as well


@pytest.mark.parametrize("graph", [False, True])
def test_what_is_kept_is_the_callers_choice(graph: bool) -> None:
    x = leaf(2.0)
    y = cubic(x)
    grad(y, [x], create_graph=graph, retain_graph=True)
    grad(y, [x], create_graph=graph, retain_graph=False)
    for again in (lambda: grad(y, [x]), y.backward):
        with pytest.raises(RuntimeError, match="used by an earlier backward"):
            again()
    y = cubic(x)
    grad(y, [x], create_graph=graph)
    if graph:
        y.backward()
    else:
        with pytest.raises(RuntimeError, match="used by an earlier backward"):
            y.backward()


def test_a_part_that_was_used_up_is_not_taken_for_zero() -> None:
    x = leaf(1.0, 2.0)
    h = x * x
    h.sum().backward()
    for inputs in ([x], [h]):
        with pytest.raises(RuntimeError, match="grad: the records of this computation were used by an earlier"):
            grad((h * 2.0).sum(), inputs)


# ---- order, size


def test_gradients_meet_in_a_fixed_order() -> None:
    """From the last use to the first: 1e16 - 1e16 + 1 is 1, another order gives 0."""
    x = leaf(1.0)
    parts = [x * 1.0, x * -1e16, x * 1e16]
    total = parts[1] + parts[2] + parts[0]
    total.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0]


def test_a_tensor_made_early_and_used_late_waits_for_its_whole_gradient() -> None:
    x = leaf(3.0)
    early = x * 2.0
    late = early * early
    late = late * early
    late.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [3 * 36.0 * 2.0]


def test_long_and_wide_tapes() -> None:
    """20,000 records in a row, walked and dropped without recursion; a tensor with 5,000 uses."""
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y + 1.0
    y.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0]
    for _ in range(20_000):
        y = y * x
    del y
    x.data[0] = 2.0
    functional.stack(*(x * 2.0 for _ in range(5_000))).sum().backward()
    assert x.grad.tolist() == [1.0 + 10_000.0]


def test_infinities_and_nan_add_up_without_warning() -> None:
    x = leaf(1.0, 1.0)
    x.grad = np.array([np.inf, 1.0])
    (x * np.array([-np.inf, np.inf]) + x * np.array([np.inf, 1.0])).sum().backward()
    assert np.isnan(x.grad[0])
    assert x.grad[1] == np.inf


def test_tensors_without_axes_or_elements() -> None:
    x, empty = Tensor(2.0, requires_grad=True), Tensor(np.zeros((0, 3)), requires_grad=True)
    (x * x * x).backward()
    (empty * empty).sum().backward()
    assert isinstance(x.grad, np.ndarray)
    assert x.grad.item() == 12.0
    assert empty.grad is not None
    assert empty.grad.shape == (0, 3)
    (g,) = grad(cubic(empty), [empty], create_graph=True)
    assert grad(g.sum(), [empty])[0].shape == (0, 3)
