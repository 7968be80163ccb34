"""Functions of floats on every other kind of number, and on object arrays."""

from collections.abc import Iterator

import numpy as np
import pytest

from minigrad import elementary
from verify.gradients.ball import Ball, precision
from verify.gradients.magnitude import Magnitude
from verify.gradients.series import Series

ONE_ARGUMENT = [
    "erf",
    "erf_slope",
    "exp",
    "expm1",
    "floor",
    "log",
    "log1p",
    "sech2",
    "sigmoid",
    "sign",
    "softplus",
    "sqrt",
    "tanh",
]
KINDS = {
    "ball": (Ball, lambda n: n.nearest()),
    "magnitude": (Magnitude, lambda n: n.value),
    "series": (lambda x: Series.variable(Ball(x)), lambda n: n.constant.nearest()),
    "float": (float, float),
}
VALUES = np.array([[0.5, 2.25, 1.0], [0.125, 3.0, 4.0]])


@pytest.fixture(autouse=True)
def _precise() -> Iterator[None]:
    with precision(100):
        yield


def objects(values: np.ndarray, make: object) -> np.ndarray:
    array = np.empty(np.shape(values), dtype=object)
    for index in np.ndindex(array.shape):
        array[index] = make(float(values[index]))  # type: ignore[operator]
    return array


def numbers(array: np.ndarray, read: object) -> np.ndarray:
    """The values as floats; plain numbers among them are constants."""
    return np.array([x if isinstance(x, (int, float)) else _read(x, read) for x in array.ravel()]).reshape(array.shape)


def _read(x: object, read: object) -> float:
    return x.nearest() if isinstance(x, Ball) else read(x)  # type: ignore[operator]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ONE_ARGUMENT)
@pytest.mark.parametrize("shape", [(2, 3), (3, 2, 1), (0, 3), ()])
def test_an_object_array_is_mapped_element_by_element(name: str, kind: str, shape: tuple[int, ...]) -> None:
    make, read = KINDS[kind]
    values = np.resize(VALUES, shape)
    function = getattr(elementary, name)
    got = function(objects(values, make))
    assert isinstance(got, np.ndarray) and got.dtype == object
    assert got.shape == shape
    np.testing.assert_allclose(numbers(got, read).astype(np.float64), function(values), rtol=1e-14)


def test_a_mixed_array_keeps_its_floats() -> None:
    got = elementary.sqrt(np.array([4.0, Ball(2.25)], dtype=object))
    assert type(got[0]) is float and got[0] == 2.0
    assert got[1].exact == Ball(1.5).exact


@pytest.mark.parametrize("kind", KINDS)
def test_choices_broadcast(kind: str) -> None:
    make, read = KINDS[kind]
    x = objects(VALUES, make)
    low = objects(np.array([0.25, 0.5, 2.0]), make)
    clipped = elementary.clip(x, low, 3)
    assert np.array_equal(numbers(clipped, read), np.clip(VALUES, [0.25, 0.5, 2.0], 3))
    chosen = elementary.select(x > 1, x, low)
    assert np.array_equal(numbers(chosen, read), np.where(VALUES > 1, VALUES, [0.25, 0.5, 2.0]))
    assert elementary.select(x[0, 0] > 1, x, 0).tolist() == [[0] * 3] * 2
    assert elementary.within(x, 0, 1) is x or kind == "float"
    zero_d = objects(np.array(2.5), make)
    assert elementary.clip(zero_d, 0, 1).shape == () and elementary.clip(zero_d, 0, 1)[()] == 1
    assert elementary.select(zero_d > 1, zero_d, 0).shape == ()


def test_floats_stay_what_they_were() -> None:
    assert elementary.exp(np.ones((2, 0), np.float32)).dtype == np.float32
    assert elementary.exp(1.0).dtype == np.float64
    assert elementary.select(np.array([True, False]), 1.0, 2.0).tolist() == [1.0, 2.0]
    assert elementary.clip(np.float32(2), 0, 1).dtype == np.float32
