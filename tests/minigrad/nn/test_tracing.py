"""Traces: which module takes and gives what, what a tensor is made from, and that the model stays as it is."""

import numpy as np
import pytest

from minigrad import InputError, Tensor
from minigrad.models import resnet20, small_cnn
from minigrad.nn import BatchNorm, Conv2d, Flatten, Identity, Linear, Module, ReLU, Sequential, trace

RNG = np.random.default_rng


class Skip(Module):
    """Its convolution's result is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = Conv2d(RNG(0), 3, 4, 3, padding=1)
        self.norm = BatchNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + y


class Square(Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x


def test_calls_come_in_the_order_of_their_ends() -> None:
    model = Sequential(Sequential(Flatten(), Linear(RNG(0), 12, 4)), ReLU(), Identity())
    seen = trace(model, (2, 2, 3))
    names = ["layers.0.layers.0", "layers.0.layers.1", "layers.0", "layers.1", "layers.2", ""]
    assert [call.name for call in seen.calls] == names
    flat, linear, inner, relu, identity, outer = seen.calls
    assert [type(call.module) for call in (flat, linear, relu)] == [Flatten, Linear, ReLU]
    assert linear.x is flat.y
    assert inner.y is linear.y
    assert identity.x is identity.y is outer.y is relu.y
    assert flat.y.shape == (0, 12)


def test_what_made_a_tensor_is_known() -> None:
    seen = trace(small_cnn(0), (32, 32, 3))
    relu = next(call for call in seen.calls if isinstance(call.module, ReLU))
    assert seen.primitive(relu.y) == "relu"
    assert seen.arguments(relu.y)[0] is relu.x
    assert seen.primitive(seen.calls[0].x) is None
    assert seen.arguments(seen.calls[0].x) == ()
    convolution = seen.calls[0].y
    assert seen.options(convolution)["stride"] == 1


def test_uses_are_counted_wherever_they_are() -> None:
    seen = trace(Sequential(Skip()), (8, 8, 3))
    conv, norm = seen.calls[0], seen.calls[1]
    assert seen.uses(conv.y) == 2
    assert seen.uses(norm.y) == 1
    assert seen.uses(seen.calls[-1].y) == 0
    seen = trace(Square(), (4,))
    assert seen.uses(seen.calls[0].x) == 2


def test_a_module_that_runs_twice_is_called_twice_by_its_first_name() -> None:
    shared = Linear(RNG(0), 4, 4)
    seen = trace(Sequential(shared, ReLU(), shared), (4,))
    assert [call.name for call in seen.calls] == ["layers.0", "layers.1", "layers.0", ""]


def test_nothing_about_the_model_changes() -> None:
    model = resnet20(0)
    model.layers[1].training = False
    modes = [module.training for _, module in model.modules()]
    before = {name: array.copy() for name, array in model.state().items()}
    seen = trace(model, (8, 8, 3))
    assert len(seen.calls) > 60
    del seen
    assert [module.training for _, module in model.modules()] == modes
    assert all("forward" not in vars(module) for _, module in model.modules())
    assert all(np.array_equal(array, before[name]) for name, array in model.state().items())
    model.load_state(before)  # nothing is held any more


@pytest.mark.parametrize("shape", [(), (0, 8, 3), (8, 8, 5)])
def test_a_shape_that_does_not_fit_is_named(shape: tuple[int, ...]) -> None:
    model = small_cnn(0)
    with pytest.raises(InputError):
        trace(model, shape)
    assert all("forward" not in vars(module) for _, module in model.modules())


def test_float64() -> None:
    seen = trace(small_cnn(0, dtype=np.float64), (8, 8, 3), np.float64)
    assert seen.calls[-1].y.dtype == np.float64
