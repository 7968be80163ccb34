"""The functions of tensors are the primitives, all of them, with their documentation."""

import inspect

import numpy as np
import pytest

from minigrad import PRIMITIVES, Tensor, functional
from minigrad.draw import SeededDraw

OWN = sorted(name for name, p in PRIMITIVES.items() if p.forward.__module__.startswith("minigrad.ops"))


def test_every_primitive_is_a_function() -> None:
    assert sorted(set(functional.__all__) - {"split"}) == OWN
    assert all(hasattr(functional, name) for name in functional.__all__)


@pytest.mark.parametrize("name", OWN)
def test_a_function_is_its_primitive(name: str) -> None:
    primitive, function = PRIMITIVES[name], getattr(functional, name)
    for seed in range(5):
        arrays, options = primitive.examples(SeededDraw(seed), np.float64)
        expected, _ = primitive.forward(*arrays, **options)
        floats = [Tensor(a) if a.dtype == np.float64 else a for a in arrays]
        assert function(*floats, **options).data.tobytes() == np.asarray(expected).tobytes()


@pytest.mark.parametrize("name", OWN)
def test_a_function_is_documented(name: str) -> None:
    function = getattr(functional, name)
    assert function.__name__ == name
    assert function.__doc__
    assert inspect.signature(function).return_annotation == "Tensor"
    parameters = inspect.signature(function).parameters
    options = [p for p, v in parameters.items() if not str(v.annotation).startswith("Array")]
    for option in options:
        assert option in function.__doc__, f"{name}: the option {option} is not documented"


def test_options_may_be_given_by_position() -> None:
    x = Tensor(np.array([-3.0, 0.5, 3.0]))
    assert functional.clip(x, -1.0, 2.0).data.tolist() == [-1.0, 0.5, 2.0]
    assert functional.reshape(x, (3, 1)).shape == (3, 1)
    assert functional.concatenate(x, x, axis=0).shape == (6,)


def test_a_call_that_does_not_fit_names_the_function() -> None:
    x = Tensor(np.ones(3))
    with pytest.raises(TypeError, match="exp: got an unexpected keyword argument 'base'"):
        functional.exp(x, base=2)
    with pytest.raises(TypeError, match="add: missing a required argument: 'b'"):
        functional.add(x)


def test_the_functions_are_told_apart() -> None:
    for name in OWN:
        function = getattr(functional, name)
        assert function.__qualname__ == name
        assert function.__doc__ == PRIMITIVES[name].forward.__doc__
        assert list(inspect.signature(function).parameters) == list(
            inspect.signature(PRIMITIVES[name].forward).parameters
        )
    a, b = Tensor(np.array([1.0, 4.0])), np.array([2.0, 3.0])
    assert functional.maximum(a, b).data.tolist() == [2.0, 4.0]
    assert functional.minimum(a, b).data.tolist() == [1.0, 3.0]
