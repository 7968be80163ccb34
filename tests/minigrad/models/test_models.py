"""Every model: its bits follow from the seed, it runs and learns in both precisions, its state is all there is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import InputError, Tensor, apply, no_grad
from minigrad.models import lenet, mobilenet_v2, resnet20, resnet32, resnet56, small_cnn, vgg_small
from minigrad.nn import ACTIVATIONS, Module

MODELS: dict[str, tuple[Callable[..., Module], dict[str, Any]]] = {
    "resnet20": (resnet20, {}),
    "resnet20 B": (resnet20, {"shortcut": "B"}),
    "resnet32": (resnet32, {}),
    "resnet56": (resnet56, {}),
    "vgg_small": (vgg_small, {}),
    "mobilenet_v2": (mobilenet_v2, {"width": 0.5, "dropout": 0.1}),
    "lenet": (lenet, {}),
    "small_cnn": (small_cnn, {}),
}


def make(name: str, seed: int = 0, dtype: type = np.float32, **more: Any) -> Module:
    model, options = MODELS[name]
    return model(seed, 10, dtype, **options, **more)


def images(count: int, dtype: type = np.float32, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 32, 32, 3)).astype(dtype)


def loss_and_gradient(model: Module, x: np.ndarray, labels: np.ndarray) -> float:
    model.zero_grad()
    loss = apply("cross_entropy", model(Tensor(x)), labels)
    loss.backward()
    return loss.item()


@pytest.mark.parametrize("name", MODELS)
def test_a_model_follows_from_its_seed(name: str) -> None:
    first, again, other = make(name).state(), make(name).state(), make(name, 1).state()
    assert list(first) == list(again) == list(other)
    for key, array in first.items():
        assert array.tobytes() == again[key].tobytes()
        drawn = np.ndim(array) in (2, 4) or key.endswith("seed")
        assert np.array_equal(array, other[key]) != drawn


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", MODELS)
def test_a_small_step_down_the_gradient_lowers_the_loss_as_predicted(name: str, dtype: type) -> None:
    model, x, labels = make(name, dtype=dtype), images(2, dtype), np.array([3, 1])
    for _, module in model.modules():
        if hasattr(module, "rate"):
            module.rate = 0.0  # with other masks it would be another loss
    before = loss_and_gradient(model, x, labels)
    gradients = [p.grad for p in model.parameters()]
    assert all(g is not None and g.dtype == dtype and np.isfinite(g).all() for g in gradients)
    slope = sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients if g is not None)
    rate = 0.001 * before / slope
    for parameter in model.parameters():
        parameter.data -= dtype(rate) * parameter.grad
    after = loss_and_gradient(model, x, labels)
    assert 0.5 * rate * slope < before - after < 1.5 * rate * slope


@pytest.mark.parametrize("name", MODELS)
def test_the_state_is_everything(name: str, tmp_path: Path) -> None:
    model, other = make(name), make(name, 1)
    with no_grad():
        model(Tensor(images(2)))  # moves the running statistics and the dropout's generator
    model.save(tmp_path / "state.safetensors")
    other.load(tmp_path / "state.safetensors")
    x = Tensor(images(2, seed=2))
    with no_grad():
        for mode in (True, False):
            assert model.train(mode)(x).data.tobytes() == other.train(mode)(x).data.tobytes()


@pytest.mark.parametrize("name", MODELS)
def test_in_evaluation_an_image_does_not_see_its_batch(name: str) -> None:
    model, x = make(name), images(3)
    with no_grad():
        model(Tensor(x))
        together = model.eval()(Tensor(x)).data
        alone = [model(Tensor(x[n : n + 1])).data for n in range(3)]
    assert together.shape == (3, 10)
    assert together.tobytes() == np.concatenate(alone).tobytes()
    assert np.isfinite(together).all()


@pytest.mark.parametrize("name", ["resnet20", "vgg_small", "mobilenet_v2", "lenet"])
def test_the_activation_is_the_one_named(name: str) -> None:
    layers = {type(m) for _, m in make(name, activation="softplus").modules()}
    assert ACTIVATIONS["softplus"] in layers
    assert not layers & {kind for key, kind in ACTIVATIONS.items() if key != "softplus"}


def test_option_a_takes_every_second_pixel_and_pads_behind() -> None:
    block = next(m for _, m in make("resnet20").modules() if type(m).__name__ == "PadShortcut")
    x = images(2)
    y = block(Tensor(x)).data
    assert y.shape == (2, 16, 16, 19)
    assert np.array_equal(y[..., :3], x[:, ::2, ::2])
    assert not y[..., 3:].any()


def test_a_block_adds_its_shortcut_before_the_last_activation() -> None:
    block = make("resnet20").layers[3]  # type: ignore[attr-defined]
    block.second_norm.gamma.data[...] = 0.0
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 16)).astype(np.float32)
    assert np.array_equal(block(Tensor(x)).data, np.maximum(x, 0))


def test_a_bottleneck_is_linear_and_added_where_the_shapes_are_equal() -> None:
    model = make("mobilenet_v2")
    residuals = [m for _, m in model.modules() if type(m).__name__ == "InvertedResidual"]
    assert [m.added for m in residuals] == [bool(int(d)) for d in "00101101110110110"]  # type: ignore[attr-defined]
    block = residuals[2]
    norm = block.branch.layers[-1]  # type: ignore[attr-defined]
    norm.gamma.data[...], norm.beta.data[...] = 0.0, -7.0
    x = np.random.default_rng(0).standard_normal((2, 4, 4, norm.beta.shape[0])).astype(np.float32)
    assert np.array_equal(block(Tensor(x)).data, x - 7)


@pytest.mark.parametrize("name", MODELS)
def test_bad_seeds_and_classes_are_refused(name: str) -> None:
    model, options = MODELS[name]
    for seed, classes in ((-1, 10), (1 << 64, 10), (1.5, 10), ("1", 10), (None, 10), (0, 0), (0, 2.5)):
        with pytest.raises(InputError, match="seed, classes: expected"):
            model(seed, classes, **options)


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: resnet20(0, shortcut="C"), "shortcut: expected 'A' or 'B', got 'C'"),
        (lambda: resnet20(0, activation="swish"), "activation: expected one of gelu, .*, got 'swish'"),
        (lambda: mobilenet_v2(0, width=0), "width: expected a finite number above 0, got 0"),
        (lambda: mobilenet_v2(0, dropout=1.0), "rate: expected 0 <= rate < 1, got 1.0"),
        (lambda: mobilenet_v2(0, early_strides=(0, 1)), "stride: expected"),
    ],
)
def test_bad_options_are_refused(make_it: Callable[[], Module], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_it()(Tensor(images(1)))
