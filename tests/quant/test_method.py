"""Every record of a method is complete and true, and refuses what it does not have by name."""

import dataclasses
import importlib
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import quant
from minigrad import InputError, Tensor
from minigrad.draw import SeededDraw
from minigrad.primitive import PRIMITIVES
from quant import METHODS
from quant.draw import NoSuchWidth, PinnedDraw, draw_bits
from quant.method import LAWS, ROLES, at_width, register_method
from quant.quantizer import Quantizer

CASES = [(name, role) for name, method in METHODS.items() for role in ROLES if method.widths(role)]
each_case = pytest.mark.parametrize(("name", "role"), CASES)
each = pytest.mark.parametrize("name", METHODS)


def test_every_file_with_a_method_is_imported() -> None:
    folder = Path(quant.__file__).parent
    files = {path.relative_to(folder) for path in folder.rglob("*.py") if "register_method(\n" in path.read_text()}
    names = [method.module.__name__.removeprefix("quant.") for method in METHODS.values()]
    homes = {Path(name, "quantizer.py") if (folder / name).is_dir() else Path(f"{name}.py") for name in names}
    assert files - {Path("method.py")} == homes


def test_packages_of_methods_have_one_anatomy() -> None:
    packages = [Path(method.module.__file__ or "") for method in METHODS.values()]
    packages = [path.parent for path in packages if path.name == "__init__.py"]
    assert packages
    for package in packages:
        assert {"functions.py", "primitive.py", "quantizer.py"} <= {path.name for path in package.iterdir()}


@each
def test_the_record_is_complete(name: str) -> None:
    method = METHODS[name]
    assert method.name == name
    assert method.module is importlib.import_module(f"quant.{name}") is getattr(quant, name)
    assert name in quant.__all__
    assert method.title
    assert method.gradient
    assert any(word.isdigit() or "." in word for word in method.source.split()), "no year or number in the source"
    for widths in (method.weights, method.activations):
        assert list(widths) == sorted(set(widths))
        assert set(widths) <= set(range(1, 9))
    assert method.widths() == tuple(sorted({*method.weights, *method.activations})) != ()
    assert 16 <= method.single_bits <= 24
    assert method.laws <= set(LAWS)
    assert inspect.getdoc(method.module)
    for function in ("hard", "codes", "levels"):
        assert inspect.getdoc(getattr(method.module, function)), function


@each
def test_the_words_of_the_gradient_are_those_of_the_first_primitive(name: str) -> None:
    method = METHODS[name]
    first, words = PRIMITIVES[method.primitives[0]], method.gradient
    assert ("modifier" in words.split(":")[0]) == (first.modifier is not None)
    if first.modifier is None:
        assert ("surrogate" in words) == (first.surrogate is not None)


@each_case
def test_arguments_are_those_of_the_first_primitive_at_every_width(name: str, role: Any) -> None:
    method, x = METHODS[name], np.linspace(-1.2, 1.2, 7)
    for bits in method.widths(role):
        parameters, options = method.arguments(bits, role)
        assert len(parameters) == len(method.parameters)
        assert all(isinstance(p, np.ndarray) and p.dtype == np.float64 for p in parameters)
        assert options.get("bits") == bits
        value, residuals = PRIMITIVES[method.primitives[0]].forward(x, *parameters, **options)
        assert value.shape == x.shape
        gradients = PRIMITIVES[method.primitives[0]].vjp(np.ones(7), residuals, [True] * (1 + len(parameters)))
        for gradient, argument in zip(gradients, (x, *parameters), strict=True):
            assert gradient is None or (gradient.shape == argument.shape and np.isfinite(gradient).all())
        # The window is the typical one: the levels lie about in [-1, 1] or [0, 1], but for a scale of their own.
        assert np.abs(value).max() <= 2.0**bits


@each_case
def test_the_levels_are_as_many_as_the_width_has_room_for(name: str, role: Any) -> None:
    for bits in METHODS[name].widths(role):
        module = METHODS[name].quantizer(bits, role)
        x = np.random.default_rng(bits).standard_normal(500).astype(np.float32)
        module.initialise(x)
        levels = module.levels(x)
        assert levels.dtype == np.float32
        assert 2 ** (bits - 1) < len(levels) <= 2**bits


@each
def test_primitives_have_examples_of_every_width(name: str) -> None:
    method = METHODS[name]
    covered: set[int] = set()
    for primitive in (PRIMITIVES[p] for p in method.primitives):
        assert callable(primitive.definition)
        for bits in method.widths():
            pinned = at_width(primitive, bits)
            for seed in range(12):
                try:
                    arrays, options = pinned.examples(SeededDraw(seed), np.float64)
                except NoSuchWidth:
                    continue
                assert all(a.dtype == np.float64 for a in arrays if a.dtype.kind == "f")
                assert options.get("bits", bits) == bits
                covered.add(bits)
    assert covered == set(method.widths())


@each
def test_every_kink_exists_at_some_width(name: str) -> None:
    method = METHODS[name]
    for primitive in (PRIMITIVES[p] for p in method.primitives):
        for kink in primitive.kinks:
            found = set()
            for bits in method.widths():
                for seed in range(12):
                    try:
                        point = kink.at(PinnedDraw(SeededDraw(seed), bits), np.float64)
                    except NoSuchWidth:
                        continue
                    assert point.options.get("bits", bits) == bits, kink.where
                    found.add(bits)
            assert found, f"{primitive.name}: {kink.where} exists at no width"


@each_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_module_has_the_width_and_dtype_it_was_asked_for(name: str, role: Any, dtype: Any) -> None:
    for bits in METHODS[name].widths(role):
        module = METHODS[name].quantizer(bits, role, dtype=dtype)
        assert isinstance(module, Quantizer)
        assert module.bits == bits
        assert not module.initialised
        for key, parameter in module.named_parameters():
            assert parameter.dtype == dtype, key
            assert parameter.group in ("range", "shape", "levels"), key
        x = Tensor(np.random.default_rng(0).uniform(-1, 1, (6, 4)).astype(dtype))
        assert module(x).dtype == dtype
        assert module.initialised, "the first batch in training initialises"
        module.enabled = False
        assert module(x) is x


@each_case
def test_a_state_makes_another_module_the_same(name: str, role: Any) -> None:
    for bits in METHODS[name].widths(role):
        x = np.random.default_rng(3).standard_normal((8, 5)).astype(np.float32)
        module, other = (METHODS[name].quantizer(bits, role) for _ in range(2))
        module(Tensor(x))
        other.load_state({key: array.copy() for key, array in module.state().items()})
        for mode in (True, False):
            assert np.array_equal(module.train(mode)(Tensor(x)).data, other.train(mode)(Tensor(x)).data)


@each
@pytest.mark.parametrize("bits", [0, 9, -1, 2.5, True, "2", None, 2.0, np.float32(2)])
def test_widths_it_does_not_have_are_refused(name: str, bits: Any) -> None:
    method = METHODS[name]
    for role in ROLES:
        with pytest.raises(InputError, match=f"^bits: {name} takes .* for {role}s, got"):
            method.quantizer(bits, role)


@each
def test_widths_of_the_other_role_are_refused(name: str) -> None:
    method = METHODS[name]
    for role in ROLES:
        for bits in set(range(1, 9)) - set(method.widths(role)):
            with pytest.raises(InputError, match=rf"^bits: {name} takes .* for {role}s, got {bits}$"):
                method.quantizer(bits, role)
        for bits in method.widths(role):
            assert method.quantizer(np.int64(bits), role).bits == bits  # type: ignore[arg-type]


@each_case
def test_bad_options_are_refused_by_name(name: str, role: Any) -> None:
    method = METHODS[name]
    bits = method.widths(role)[0]
    with pytest.raises(InputError, match=r"^role: expected one of weight, activation, got 'weights'$"):
        method.quantizer(bits, "weights")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=rf"^options of {name}: .*no_such_thing"):
        method.quantizer(bits, role, no_such_thing=1)
    for dtype in (np.int32, np.float16, "float", None):
        with pytest.raises(InputError, match=r"^dtype: expected float32 or float64"):
            method.quantizer(bits, role, dtype=dtype)
    for channels in (0, -1, 2.5, True):
        with pytest.raises(InputError, match=r"^channels: "):
            method.quantizer(bits, role, channels=channels)


@each_case
def test_the_wrong_number_of_channels_is_refused(name: str, role: Any) -> None:
    method = METHODS[name]
    if not method.per_channel:
        return
    module = method.quantizer(method.widths(role)[-1], role, channels=3)
    assert any(3 in array.shape for array in module.state().values()), "no parameter is one a channel"
    with pytest.raises(InputError, match="3"):
        # Some have nothing to learn from the first batch.
        module(Tensor(np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)))


# ---- the registry


def test_the_registry_refuses_what_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in list(METHODS):
        monkeypatch.setitem(METHODS, key, METHODS[key])
    with pytest.raises(ValueError, match="a method named 'lsq' is registered already"):
        register_method(METHODS["lsq"])
    with pytest.raises(ValueError, match="unknown primitives or laws"):
        register_method(dataclasses.replace(METHODS["lsq"], name="other", laws=frozenset({"even"})))
    with pytest.raises(ValueError, match="unknown primitives or laws"):
        register_method(dataclasses.replace(METHODS["lsq"], name="other", primitives=("lsq", "nothing")))
    with pytest.raises(ValueError, match="unknown primitives or laws"):
        register_method(dataclasses.replace(METHODS["lsq"], name="other", primitives=()))
    assert "other" not in METHODS


def test_a_width_is_drawn_or_pinned() -> None:
    assert {draw_bits(SeededDraw(seed), (2, 5)) for seed in range(20)} == {2, 5}
    assert draw_bits(PinnedDraw(SeededDraw(0), 5), (2, 5)) == 5
    with pytest.raises(NoSuchWidth, match="bits: there are examples of 2, 5, not of 3"):
        draw_bits(PinnedDraw(SeededDraw(0), 3), (2, 5))
