"""The tape."""

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import PRIMITIVES, InputError, Tensor, apply, no_grad
from minigrad.nn import Parameter
from minigrad.primitive import Primitive, register


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


def test_a_tensor_used_twice_gets_both_gradients() -> None:
    x = leaf(2.0, 3.0)
    (x * x + x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [5.0, 7.0]


def test_a_diamond_is_walked_once() -> None:
    x = leaf(3.0)
    y = x * 2.0
    (y * y).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [24.0]


def test_gradients_accumulate_over_calls() -> None:
    x = leaf(1.0)
    for _ in range(3):
        (x * 4.0).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [12.0]


def test_numbers_on_either_side() -> None:
    x = leaf(2.0)
    y = 1.0 - 6.0 / (x + 1.0) * 2.0
    assert y.data.tolist() == [-3.0]
    y.sum().backward()
    assert x.grad is not None
    assert np.allclose(x.grad, 12.0 / 9.0)


def test_arrays_join_as_constants() -> None:
    x = leaf(2.0, 3.0)
    (np.array([10.0, 100.0]) * x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [10.0, 100.0]


def test_float32_stays_float32() -> None:
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    y = (2.0 * x / 3.0 - 1.0).mean()
    assert y.dtype == np.float32
    y.backward()
    assert x.grad is not None
    assert x.grad.dtype == np.float32


def test_nothing_is_recorded_without_need() -> None:
    x = leaf(1.0)
    with no_grad():
        y = x * 2.0
    assert not y.requires_grad
    assert not (Tensor(np.ones(1)) * 2.0).requires_grad
    assert not x.detach().requires_grad


def test_a_second_backward_is_refused() -> None:
    x = leaf(1.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="used by an earlier backward"):
        y.backward()


def test_bad_calls_name_what_was_expected() -> None:
    with pytest.raises(RuntimeError, match="does not depend"):
        Tensor(np.ones(1)).backward()
    with pytest.raises(ValueError, match=r"gradient: expected one of shape \(2,\)"):
        (leaf(1.0, 2.0) * 1.0).backward()
    with pytest.raises(ValueError, match=r"gradient: expected shape \(2,\), got \(3,\)"):
        (leaf(1.0, 2.0) * 1.0).backward(np.ones(3))
    with pytest.raises(TypeError, match="add: argument 1 is float32, another float64"):
        leaf(1.0) + Tensor(np.ones(1, np.float32))
    with pytest.raises(TypeError, match="expected numbers"):
        Tensor(np.array(["a"]))


def test_arrays_beside_a_tensor() -> None:
    x = Tensor(np.ones(2, np.float32))
    assert (x * np.array([1, 2])).dtype == np.float32
    with pytest.raises(TypeError, match="multiply: argument 1 is float64, another float32"):
        x * np.ones(2)
    with pytest.raises(TypeError, match="add: expected a Tensor"):
        apply("add", 1.0, 2.0)
    with pytest.raises(ValueError, match="primitive: none is named 'nope'"):
        apply("nope", x)
    assert x.reshape((2, 1)).shape == x.reshape(2, 1).shape == (2, 1)
    assert x.sum(np.int64(0)).shape == ()


def test_names_in_the_registry_are_unique() -> None:
    with pytest.raises(ValueError, match="'add' is registered already"):
        register(PRIMITIVES["add"])


def test_residuals_are_freed_by_backward() -> None:
    x = leaf(*range(3))
    y = apply("exp", x)
    kept = weakref.ref(y._array)
    loss = y.sum()
    del y
    assert kept() is not None
    loss.backward()
    gc.collect()
    assert kept() is None, "the tape still holds what only the vjp needed"


def test_the_incoming_gradient_is_not_written_to() -> None:
    x = leaf(1.0, 2.0)
    gradient = np.array([1.0, 1.0])
    y = x.reshape(2, 1).reshape(2)
    (y + y).backward(gradient)
    assert gradient.tolist() == [1.0, 1.0]
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 2.0]


def test_the_gradient_has_the_tensors_dtype() -> None:
    x = Tensor(np.ones((1, 4, 4, 2), np.float32), requires_grad=True)
    w = Tensor(np.ones((3, 3, 2, 3), np.float32), requires_grad=True)
    y = apply("conv2d", x, w)
    y.backward(np.ones(y.shape))  # float64
    assert x.grad is not None
    assert w.grad is not None
    assert x.grad.dtype == w.grad.dtype == np.float32
    assert w.grad.ravel().tolist() == [4.0] * w.data.size


def test_operands_of_a_convolution_have_one_dtype() -> None:
    x = Tensor(np.ones((1, 4, 4, 2), np.float32))
    with pytest.raises(TypeError, match="conv2d: argument 1 is float64, another float32"):
        apply("conv2d", x, np.ones((3, 3, 2, 3)))


def test_gradients_belong_to_their_tensor_alone() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    gradient = np.ones(2)
    (a + b).backward(gradient)
    assert a.grad is not None
    assert b.grad is not None
    a.grad *= 5
    assert b.grad.tolist() == gradient.tolist() == [1.0, 1.0]
    c = leaf(1.0, 2.0)
    c.sum().backward()
    assert c.grad is not None
    c.grad *= 2  # no read-only view
    d = Tensor(np.array(2.0), requires_grad=True)
    (d * d).backward()
    assert isinstance(d.grad, np.ndarray)


def test_negative_axes_of_transpose() -> None:
    x = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    weights = np.arange(6.0).reshape(3, 2)
    (x.transpose(-1, 0) * weights).sum().backward()
    assert x.grad is not None
    assert np.array_equal(x.grad, weights.T)


# ---- not an array


def test_a_tensor_is_made_of_real_numbers() -> None:
    assert Tensor([1, 2]).dtype == Tensor(np.array([True])).dtype == Tensor(np.float16(1)).dtype == np.float64
    for data in (1j, np.array([1j]), "1", None, np.array([object()]), np.array(["2020"], "datetime64[D]")):
        with pytest.raises(TypeError, match="data: expected numbers, got dtype"):
            Tensor(data)


@pytest.mark.parametrize(
    "use", [np.asarray, np.array, Tensor, lambda x: np.concatenate([x, x]), lambda x: np.stack([x])]
)
def test_an_array_is_not_made_of_a_tensor_silently(use: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="expected an array, got a Tensor; take its data"):
        use(leaf(1.0, 2.0))


def test_a_tensor_is_true_if_its_only_element_is() -> None:
    assert Tensor(0.5)
    assert not leaf(0.0)
    for x in (leaf(1.0, 2.0), Tensor(np.zeros(0))):
        with pytest.raises(ValueError, match="bool: expected a tensor of one element, got shape"):
            bool(x)


@pytest.mark.parametrize("other", [0.0, 1, True, np.float64(1.0), np.ones(1)])
def test_a_tensor_is_not_compared_with_numbers(other: Any) -> None:
    x = leaf(1.0)
    for compare in (lambda: x == other, lambda: x != other, lambda: other == x):
        with pytest.raises(TypeError, match="==: a tensor equals only itself; compare its data"):
            compare()


def test_a_tensor_equals_itself() -> None:
    x, y = leaf(1.0), leaf(1.0)
    assert x == x
    assert x != y
    assert x in [y, x]
    assert x != None  # noqa: E711
    assert len({x, y, x}) == 2


def test_a_tensor_is_iterated_over_its_first_axis() -> None:
    x = Tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    first, second, third = x
    (first * 1.0 + second * 2.0 + third * 3.0).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[1.0] * 2, [2.0] * 2, [3.0] * 2]
    with pytest.raises(TypeError, match="len"):
        list(Tensor(1.0))


# ---- copies


COPIES: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]


@pytest.mark.parametrize("copied", COPIES)
def test_a_leaf_is_copied_without_its_hooks(copied: Callable[[Any], Any]) -> None:
    x = Parameter(np.array([1.0, 2.0]), group="norm")
    x.grad = np.array([3.0, 4.0])
    calls: list[int] = []
    x.register_hook(lambda g: calls.append(1))
    y = (x * x).sum()  # x is held meanwhile
    z = copied(x)
    assert isinstance(z, Parameter)
    assert (z.group, z.requires_grad, z.data.tolist(), z.grad.tolist()) == ("norm", True, [1.0, 2.0], [3.0, 4.0])
    z.sum().backward()
    assert not calls
    if copied is not copy.copy:
        z.data[0] = 9.0
    y.backward()
    assert x.grad.tolist() == [3.0 + 2.0, 4.0 + 4.0]


@pytest.mark.parametrize("copied", COPIES)
def test_a_result_on_the_tape_is_not_copied(copied: Callable[[Any], Any]) -> None:
    x = leaf(1.0, 2.0)
    y = x * x
    with pytest.raises(InputError, match=r"copy: this tensor is a result on the tape; copy its detach\(\)"):
        copied(y)
    assert copied(y.detach()).data.tolist() == [1.0, 4.0]
    y.sum().backward()
    with pytest.raises(InputError, match="copy: this tensor is a result on the tape"):
        copied(y)


# ---- dtypes of operands


def test_numbers_take_the_dtype_and_arrays_of_floats_keep_theirs() -> None:
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    for number in (2, 2.0, np.float64(2.0), np.int64(2), True):
        assert (x * number).dtype == (number * x).dtype == (x**number).dtype == np.float32
    for other in (np.float32(2), np.float16(2), np.ones(2, np.float32)):
        with pytest.raises(TypeError, match=r"multiply: argument . is float(32|16|64), another"):
            leaf(1.0, 2.0) * other
    for none in (None, "a", 1j, np.array([1j]), 10**400):
        with pytest.raises(TypeError, match="add: argument 1: expected numbers"):
            leaf(1.0) + none


def test_only_leaves_keep_a_gradient() -> None:
    x = leaf(1.0)
    y = x * 2.0
    y.sum().backward()
    assert y.grad is None
    z = y.detach()
    assert not (z * 2.0).requires_grad
    with no_grad():
        assert not (x * 2.0).requires_grad


def test_a_primitive_runs_without_warnings() -> None:
    def forward(x: np.ndarray) -> tuple[np.ndarray, None]:
        return x / (x - x), None

    def vjp(gy: np.ndarray, residuals: None, needs: object) -> tuple[np.ndarray]:
        return (gy / (gy - gy),)

    rule = Primitive("loud", forward, vjp, vjp, vjp, "", (), vjp)  # type: ignore[arg-type]
    x = leaf(1.0)
    assert apply(rule, x.detach()).item() == np.inf
    apply(rule, x).backward()
    assert x.grad is not None
    assert x.grad.tolist() == [np.inf]
