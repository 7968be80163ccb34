"""What the walk back offers beside gradients in leaves: gradients by anything, any shape of tape, what is kept."""

import weakref

import numpy as np
import pytest

from minigrad import InputError, Tensor, apply, functional, grad


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


def cubic(x: Tensor) -> Tensor:
    return (x * x * x).sum()


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
    assert grad(cubic(x), (t for t in [x]))[0].tolist() == [3.0, 12.0]  # type: ignore[arg-type]
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


def test_a_tensor_is_visited_once_however_many_ways_lead_to_it() -> None:
    """64 doublings: 2^64 ways."""
    x = leaf(1.0)
    y = x
    for _ in range(64):
        y = y + y
    y.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0**64]


def test_what_lies_behind_the_walk_is_freed() -> None:
    """A large network's last activations are gone before the gradients of its first ones are formed."""
    x = leaf(1.0, 2.0)
    first = x * 2.0
    third = functional.exp(first * 2.0) * 3.0
    fourth = third * third
    arrays = [weakref.ref(t._array) for t in (third, fourth)]
    seen: list[bool] = []
    first.register_hook(lambda g: seen.extend(array() is None for array in arrays))
    loss = fourth.sum()
    del third, fourth
    assert all(array() is not None for array in arrays)
    loss.backward()
    assert seen == [True, True]


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
