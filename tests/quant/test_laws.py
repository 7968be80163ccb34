"""The laws of quantizers, for every method, role and bit width: those that hold of all, and those a method declares.

A law that a method does not declare has to fail for it somewhere: otherwise the record says too little.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad import InputError, Tensor
from minigrad.primitive import PRIMITIVES
from quant import METHODS, Method
from quant.method import LAWS, ROLES
from quant.quantizer import Quantizer

CASES = [(name, role) for name, method in METHODS.items() for role in ROLES if method.widths(role)]
each_case = pytest.mark.parametrize(("name", "role"), CASES)
#: A part of the profile's examples: there are hundreds of tests.
few = settings(max_examples=max(4, settings().max_examples // 4))
fewer = settings(max_examples=max(3, settings().max_examples // 10))

Array = np.ndarray
Dtype = Any
DTYPES = st.sampled_from([np.float32, np.float64])
SEEDS = st.integers(0, 2**32)


def sample(role: str, seed: int, dtype: Dtype = np.float64, count: int = 60) -> Array:
    """Numbers to initialise from: of both signs for weights, most of them positive for activations."""
    rng = np.random.default_rng([seed, 1])
    return (rng.standard_normal(count) + (0.0 if role == "weight" else 0.7)).astype(dtype)


def quantizer(name: str, role: Any, bits: int, x: Array, **options: Any) -> Quantizer:
    """A module in evaluation, initialised from x."""
    module = METHODS[name].quantizer(bits, role, dtype=x.dtype.type, **options)
    module.initialise(x)
    module.initialised[...] = 1
    module.eval()
    return module


def trained(name: str, role: Any, bits: int, x: Array, seed: int) -> Quantizer:
    """The same; with odd seeds its parameters have moved, as an optimizer's step might, and been projected."""
    module = quantizer(name, role, bits, x)
    rng = np.random.default_rng([seed, 7])
    for parameter in module.parameters() if seed % 2 else ():
        if parameter.requires_grad:
            size = (0.3 if seed % 4 == 1 else 3.0) * np.maximum(np.abs(parameter.data), 0.5)
            parameter.data[...] += size * rng.standard_normal(parameter.shape)
    module.project()
    return module


def run(module: Quantizer, x: Array) -> Array:
    return module(Tensor(x)).data


def points(module: Quantizer, x: Array, seed: int) -> Array:
    """Where a quantizer may go wrong: its levels, the middles between them and their neighbours, far points; and x."""
    levels = np.ravel(module.levels(x))
    middles = (levels[1:] + levels[:-1]) * levels.dtype.type(0.5)
    special = np.concatenate([levels, middles, np.nextafter(middles, -np.inf), np.nextafter(middles, np.inf)])
    far = np.array([-1e30, -50.0, -0.0, 0.0, 1e-30, 50.0, 1e30])
    some = np.random.default_rng([seed, 2]).choice(special, min(len(special), 100), replace=False)
    return np.concatenate([some, far, x]).astype(x.dtype)


def is_elementwise(name: str) -> bool:
    return "elementwise" in METHODS[name].laws


def inputs(name: str, module: Quantizer, x: Array, seed: int) -> Array:
    """What to evaluate: special points, or where all elements count together, only x."""
    return points(module, x, seed) if is_elementwise(name) else x


def level_of_code(module: Quantizer, x: Array) -> Array:
    """levels[codes]: the levels broadcast against x behind their first axis."""
    levels, codes = module.levels(x), module.codes(x)
    between = [1] * (x.ndim - levels.ndim + 1)
    spread = np.broadcast_to(levels.reshape(len(levels), *between, *levels.shape[1:]), (len(levels), *x.shape))
    return np.take_along_axis(spread, codes[None].astype(np.intp), axis=0)[0]


def drawn_widths(name: str, role: Any) -> st.SearchStrategy[int]:
    return st.sampled_from(METHODS[name].widths(role))


# ---- what holds of every method


@each_case
@few
@given(data=st.data(), seed=SEEDS, dtype=DTYPES)
def test_codes_do_not_decrease_with_x(name: str, role: str, data: st.DataObject, seed: int, dtype: Dtype) -> None:
    bits = data.draw(drawn_widths(name, role))
    x = sample(role, seed, dtype)
    module = trained(name, role, bits, x, seed)
    codes = module.codes(np.sort(inputs(name, module, x, seed)))
    assert codes.dtype == np.uint8
    assert np.all(np.diff(codes.astype(int)) >= 0)
    levels = module.levels(x)
    assert len(levels) <= 2**bits
    assert codes.max() < len(levels)
    assert np.all(np.diff(levels, axis=0) >= 0)


@each_case
@few
@given(data=st.data(), seed=SEEDS, dtype=DTYPES)
def test_the_evaluated_value_is_the_level_of_the_code(
    name: str, role: str, data: st.DataObject, seed: int, dtype: Dtype
) -> None:
    module = trained(name, role, data.draw(drawn_widths(name, role)), x := sample(role, seed, dtype), seed)
    x = inputs(name, module, x, seed)
    for shaped in (x, x[: len(x) // 3 * 3].reshape(-1, 3)):
        y, expected = run(module, shaped), level_of_code(module, shaped)
        assert y.dtype == expected.dtype == dtype
        assert np.array_equal(y, expected)


@each_case
@few
@given(data=st.data(), seed=SEEDS, dtype=DTYPES, exponent=st.integers(-40, 40))
def test_projection_leaves_parameters_alone_that_data_of_any_scale_started(
    name: str, role: str, data: st.DataObject, seed: int, dtype: Dtype, exponent: int
) -> None:
    bits = data.draw(drawn_widths(name, role))
    module = quantizer(name, role, bits, sample(role, seed, dtype) * dtype(2.0**exponent))
    started = {key: value.copy() for key, value in module.state().items()}
    module.project()
    for key, value in module.state().items():
        assert np.array_equal(value, started[key]), key


@each_case
@few
@given(data=st.data(), seed=SEEDS)
def test_elements_may_be_permuted(name: str, role: str, data: st.DataObject, seed: int) -> None:
    """Exactly where element depends on element alone; otherwise but for the rounding of sums in another order."""
    module = trained(name, role, data.draw(drawn_widths(name, role)), x := sample(role, seed), seed)
    x = inputs(name, module, x, seed)
    order = np.random.default_rng([seed, 3]).permutation(len(x))
    y, permuted = run(module, x)[order], run(module, x[order])
    if is_elementwise(name):
        assert np.array_equal(permuted, y)
    else:
        assert near(module, x[order], permuted, y)


def near(module: Quantizer, x: Array, got: Array, expected: Array) -> bool:
    """Whether two results are the same but for 2^-40 of their size, and where x is that close to a tie."""
    slack = 2.0**-40 * (1 + np.abs(x))
    low, high = np.sort([run(module, x - slack), run(module, x + slack)], axis=0)
    size = 2.0**-40 * np.abs(expected).max()
    ties = (got >= low - size) & (got <= high + size) & (expected >= low - size) & (expected <= high + size)
    return bool(np.all((np.abs(got - expected) <= size) | ties))


@each_case
@few
@given(data=st.data(), seed=SEEDS, dtype=DTYPES)
def test_training_with_a_surrogate_goes_forward_as_evaluation(
    name: str, role: str, data: st.DataObject, seed: int, dtype: Dtype
) -> None:
    if PRIMITIVES[METHODS[name].primitives[0]].surrogate is None:
        return  # a soft forward: the law is "between"
    module = trained(name, role, data.draw(drawn_widths(name, role)), x := sample(role, seed, dtype), seed)
    x = inputs(name, module, x, seed)
    evaluated = run(module, x)
    module.train()
    assert np.array_equal(run(module, x), evaluated)


@each_case
@fewer
@given(data=st.data(), seed=SEEDS)
def test_parameters_of_channels_are_those_of_each_channel(name: str, role: str, data: st.DataObject, seed: int) -> None:
    """Values and gradients of x bit for bit, gradients of parameters but for the order of their sums."""
    method = METHODS[name]
    if not method.per_channel:
        with pytest.raises(InputError, match="channels"):
            method.quantizer(method.widths(role)[0], role, channels=3)  # type: ignore[arg-type]
        return
    bits = data.draw(drawn_widths(name, role))
    x = sample(role, seed).reshape(20, 3) * np.array([1.0, 0.5, 3.0])
    together = quantizer(name, role, bits, x, channels=3).train()
    gy = np.random.default_rng([seed, 4]).uniform(-1, 1, x.shape)
    if not is_elementwise(name):
        channels_are_apart(together, x, gy)
        return
    y, gx, gradients = backward(together, x, gy)
    for channel in range(3):
        alone = quantizer(name, role, bits, x[:, channel])
        for key, part in alone.state().items():
            whole = together.state()[key]
            if whole.shape != part.shape:
                assert close(whole[..., channel], part), f"{key} is initialised otherwise"
            part[...] = whole if whole.shape == part.shape else whole[..., channel]
        y1, gx1, gradients1 = backward(alone.train(), x[:, channel], gy[:, channel])
        assert np.array_equal(y[:, channel], y1)
        assert np.array_equal(gx[:, channel], gx1)
        for key, whole in gradients.items():
            assert whole.shape == gradients1[key].shape or close(whole[..., channel], gradients1[key]), key


def channels_are_apart(module: Any, x: Array, gy: Array) -> None:
    """What the parameters of a channel change is that channel, and it alone changes their gradients."""
    before = backward(module, x, gy)
    gy = gy.copy()
    gy[:, 1] = 0
    _, _, gradients = backward(module, x, gy)
    for key, parameter in module.named_parameters():
        if parameter.shape[-1:] != (3,):
            continue
        assert np.all(gradients[key][..., 1] == 0)
        assert np.array_equal(gradients[key][..., ::2], before[2][key][..., ::2])
        kept = parameter.data[..., 1].copy()
        parameter.data[..., 1] *= 1.25
        moved = backward(module, x, gy)[0]
        parameter.data[..., 1] = kept
        assert np.array_equal(moved[:, ::2], before[0][:, ::2])


def close(a: Array, b: Array) -> bool:
    return bool(np.allclose(a, b, rtol=2.0**-36, atol=2.0**-36))


def backward(module: Any, x: Array, gy: Array) -> tuple[Array, Array, dict[str, Array]]:
    tensor = Tensor(x.copy(), requires_grad=True)
    module.zero_grad()
    y = module(tensor)
    y.backward(gy.copy())
    assert tensor.grad is not None
    return y.data, tensor.grad, {key: p.grad for key, p in module.named_parameters() if p.grad is not None}


@each_case
@fewer
@given(data=st.data(), seed=SEEDS, dtype=DTYPES)
def test_shapes_and_layouts(name: str, role: str, data: st.DataObject, seed: int, dtype: Dtype) -> None:
    module = quantizer(name, role, data.draw(drawn_widths(name, role)), x := sample(role, seed, dtype))
    grid = x.reshape(6, 10)
    for module.training in (False, True):
        for strided in (x[::2], x[::-1], grid.T, grid[1:, ::3]):
            y = run(module, strided)
            assert y.dtype == dtype
            assert np.array_equal(y, run(module, np.ascontiguousarray(strided)))
            assert np.array_equal(module.codes(strided), module.codes(np.ascontiguousarray(strided)))
    if not is_elementwise(name):
        return  # what nothing or one element makes of statistics, the method's own tests say
    for module.training in (False, True):
        assert run(module, x[:0]).shape == (0,)
        assert run(module, x[:0].reshape(0, 3)).shape == (0, 3)
        assert np.shape(run(module, x[3])) == ()  # type: ignore[arg-type]
        assert run(module, x[3]) == run(module, x[3:4])  # type: ignore[arg-type]
    _, gx, _ = backward(module, x[:0], x[:0])
    assert gx.shape == (0,)
    _, gx, _ = backward(module, grid.T, np.ones_like(grid.T))
    assert np.array_equal(gx, backward(module, np.ascontiguousarray(grid.T), np.ones_like(grid.T))[1])


BAD = {
    "empty": np.zeros(0),
    "zeros": np.zeros(12),
    "constant": np.full(12, 0.5),
    "NaN": np.array([0.5, np.nan, -0.25, 1.0]),
    "infinity": np.array([0.5, np.inf, -0.25, 1.0]),
    "subnormal": np.array([5e-324, -5e-324, 1e-323, 0.0]),
    "huge": np.array([1.7e308, -1.7e308, 1e308, 3e307]),
    "text": np.array(["0.5", "-0.25"]),
    "objects": np.array([0.5, None], object),
}


@each_case
@pytest.mark.parametrize("kind", BAD)
def test_data_to_initialise_from_is_refused_or_good_enough(name: str, role: str, kind: str) -> None:
    """An InputError in one line that names x or a parameter; otherwise a quantizer that quantizes.

    Nothing is chosen from no or non-finite numbers: who takes them has the same parameters whatever the data.
    """
    for bits in METHODS[name].widths(role):  # type: ignore[arg-type]
        module = METHODS[name].quantizer(bits, role, dtype=np.float64)  # type: ignore[arg-type]
        x = sample(role, 0)
        try:
            module.initialise(BAD[kind])
            module.initialised[...] = 1
            # Parameters that are no use may be found here, the first time they are used.
            found = [run(module.train(mode), x) for mode in (False, True)]  # type: ignore[arg-type]
        except InputError as refusal:
            assert "\n" not in str(refusal)
            assert ":" in str(refusal)
            continue
        assert all(np.isfinite(a).all() for a in module.state().values()), "a parameter is not finite"
        assert np.isfinite(found).all()
        if kind in ("empty", "NaN", "infinity", "text", "objects"):
            for other in (sample(role, 1), 3 * sample(role, 2)):
                same = quantizer(name, role, bits, other).state().values()
                assert all(np.array_equal(a, b) for a, b in zip(module.state().values(), same, strict=True))


@each_case
def test_what_is_no_number_is_refused_or_stays_none(name: str, role: str) -> None:
    for bits in METHODS[name].widths(role):  # type: ignore[arg-type]
        module = quantizer(name, role, bits, x := sample(role, 5))
        x = x.copy()
        x[7] = np.nan
        with pytest.raises(InputError, match=r"NaN|finite"):
            module.codes(x)
        for module.training in (False, True):
            try:
                y = run(module, x)
            except InputError:
                continue
            assert np.isnan(y[7])
            assert not is_elementwise(name) or np.isfinite(np.delete(y, 7)).all()


@each_case
def test_infinities_go_to_the_outer_levels(name: str, role: str) -> None:
    if not is_elementwise(name):
        return
    for bits in METHODS[name].widths(role):  # type: ignore[arg-type]
        module = quantizer(name, role, bits, x := sample(role, 6))
        ends = np.array([-np.inf, np.inf])
        levels = module.levels(x)
        assert np.array_equal(run(module, ends), [levels[0], levels[-1]])
        assert module.codes(ends).tolist() == [0, len(levels) - 1]
        gradient = backward(module.train(), ends, np.ones(2))[1]
        assert np.isfinite(gradient).all()


# ---- what a method declares


def idempotent(method: Method, role: Any, bits: int, seed: int, dtype: Dtype) -> None:
    module = trained(method.name, role, bits, x := sample(role, seed, dtype), seed)
    x = inputs(method.name, module, x, seed)
    y = run(module, x)
    assert np.array_equal(run(module, y), y)
    levels = module.levels(x)
    assert np.array_equal(run(module, levels), levels)


def scales(method: Method, role: Any, bits: int, seed: int, dtype: Dtype) -> None:
    factor = dtype(2.0 ** np.random.default_rng([seed, 5]).integers(-20, 20))
    x = sample(role, seed, dtype)
    before, after = (quantizer(method.name, role, bits, data) for data in (x, x * factor))
    given = inputs(method.name, before, x, seed)
    given = given[(given == 0) | (np.abs(given) * min(factor, 1) >= np.finfo(dtype).tiny)]
    assert np.array_equal(run(after, given * factor), run(before, given) * factor)


def shifts(method: Method, role: Any, bits: int, seed: int, dtype: Dtype) -> None:
    """But for the rounding of the sum x + c, and at ties."""
    c = float(np.random.default_rng([seed, 6]).uniform(0.5, 4.0))
    x = sample(role, seed)
    before, after = (quantizer(method.name, role, bits, data) for data in (x, x + c))
    assert near(after, x + c, run(after, x + c), run(before, x) + c)


def odd(method: Method, role: Any, bits: int, seed: int, dtype: Dtype) -> None:
    module = trained(method.name, role, bits, x := sample(role, seed, dtype), seed)
    assert np.array_equal(run(module, -x), -run(module, x))


def between(method: Method, role: Any, bits: int, seed: int, dtype: Dtype) -> None:
    """Of the forward in training; within rounding."""
    module = trained(method.name, role, bits, x := sample(role, seed, dtype), seed)
    x = inputs(method.name, module, x, seed)
    levels = np.unique(module.levels(x))
    at = np.searchsorted(levels, x)
    low, high = levels[np.maximum(at - 1, 0)], levels[np.minimum(at, len(levels) - 1)]
    module.train()
    y = run(module, x)
    slack = 8 * np.finfo(dtype).eps * np.abs(levels).max()
    assert np.all((y >= np.minimum(low, high) - slack) & (y <= high + slack))


def elementwise(method: Method, role: Any, bits: int, seed: int, dtype: Dtype) -> None:
    module = trained(method.name, role, bits, x := sample(role, seed, dtype), seed)
    # Not through ``inputs``, which asks whether this law is declared.
    x = np.concatenate([x, np.ravel(module.levels(x))[:9]])
    for module.training in (False, True):
        y = run(module, x)
        assert np.array_equal(np.concatenate([run(module, x[:7]), run(module, x[7:])]), y)
        assert np.array_equal(run(module, np.append(x, dtype(100.0)))[:-1], y)


CHECKS: dict[str, Callable[[Method, Any, int, int, Dtype], None]] = {
    "idempotent": idempotent,
    "scales": scales,
    "shifts": shifts,
    "odd": odd,
    "between": between,
    "elementwise": elementwise,
}


def test_every_law_has_a_check() -> None:
    assert set(CHECKS) == set(LAWS)


@pytest.mark.parametrize(("name", "role", "law"), [(n, r, law) for n, r in CASES for law in sorted(METHODS[n].laws)])
@few
@given(data=st.data(), seed=SEEDS, dtype=DTYPES)
def test_a_declared_law_holds(name: str, role: str, law: str, data: st.DataObject, seed: int, dtype: Dtype) -> None:
    CHECKS[law](METHODS[name], role, data.draw(drawn_widths(name, role)), seed, dtype)


@pytest.mark.parametrize(("name", "law"), [(n, law) for n, m in METHODS.items() for law in sorted({*LAWS} - m.laws)])
def test_a_law_that_is_not_declared_fails_somewhere(name: str, law: str) -> None:
    method = METHODS[name]
    if law == "between" and not hasattr(method.module, "soft"):
        return  # it is about the soft value
    for seed in range(20):
        for role in ROLES:
            for bits in method.widths(role):
                try:
                    CHECKS[law](method, role, bits, seed, np.float64)
                except (AssertionError, InputError):
                    return
    raise AssertionError(f"{name} does not declare that it is {law!r}, but it seems to be: {LAWS[law]}")
