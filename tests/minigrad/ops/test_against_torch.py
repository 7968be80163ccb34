"""Forward and all gradients against PyTorch in float64, to 1e-12 of the sum of the absolute values of the terms.

That sum is taken element by element, so that an entry which cancels is measured against what was added up for it. For
functions that are linear in each argument it is the same function of absolute values; for the others it comes from the
primitive's definition. PyTorch's layouts are made by permuting inside of its function: gradients come back in ours.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad import PRIMITIVES, Tensor, apply
from verify.gradients.array_truth import evaluate
from verify.gradients.magnitude import Magnitude

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
F: Any = torch.nn.functional

TOLERANCE = 1e-12
SEEDS = st.integers(0, 2**32)
PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
#: The configurations compared, by primitive, and what the convolutions among them had.
SEEN: dict[str, set[str]] = {}
KINDS: Counter[str] = Counter()
#: How many are drawn of each.
EXAMPLES = {
    "conv2d": 500,
    "conv_transpose2d": 300,
    "max_pool2d": 250,
    "avg_pool2d": 250,
    "global_max_pool": 50,
    "global_avg_pool": 50,
    "batch_norm": 140,
    "affine_norm": 80,
    "layer_norm": 120,
    "group_norm": 120,
    "cross_entropy": 100,
    "nll": 50,
    "mse": 50,
    "log_softmax": 80,
    "linear": 100,
    "matmul": 120,
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Arrays are too small to share, and threads that wait for one another are slow on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def drawn(name: str, *strategies: Any) -> Callable[[Any], Any]:
    """``given`` with as many examples as the table says."""

    def decorate(test: Any) -> Any:
        return settings(max_examples=max(EXAMPLES[name], settings.default.max_examples))(given(*strategies)(test))

    return decorate


def run_torch(function: Any, arrays: list[np.ndarray], gy: np.ndarray | None) -> tuple[np.ndarray, list[Any]]:
    """Value and gradients (None for integer arrays) by PyTorch."""
    leaves = [torch.from_numpy(a.copy()) for a in arrays]
    floats = [leaf.requires_grad_() for leaf in leaves if leaf.is_floating_point()]
    y = function(*leaves)
    if gy is not None:
        y.backward(torch.from_numpy(gy.copy()))
    gradients = [leaf.grad for leaf in leaves] if floats else []
    return y.detach().numpy().copy(), [None if g is None else g.numpy() for g in gradients]


def terms_of_absolute_values(function: Any, arrays: list[np.ndarray], gy: np.ndarray) -> tuple[Any, list[Any]]:
    return run_torch(function, [np.abs(a) for a in arrays], np.abs(gy))


def terms_of_definition(name: str, arrays: list[np.ndarray], options: Any, gy: np.ndarray) -> tuple[Any, list[Any]]:
    positions = [n for n, a in enumerate(arrays) if a.dtype == np.float64]
    found = evaluate(PRIMITIVES[name].definition, arrays, options, Magnitude, positions, gy=gy)
    sums = {key: np.vectorize(lambda m: m.terms, [float])(array) for key, array in found.items() if array.size}
    empty = np.zeros(0)
    return sums.get("value", empty), [sums.get(f"vjp[{n}]", empty) for n in range(len(arrays))]


def compare(
    name: str,
    arrays: list[np.ndarray],
    options: dict[str, Any],
    function: Any,
    seed: int,
    terms: Any = None,
    constants: tuple[int, ...] = (),
) -> None:
    """One configuration; ``terms(arrays, gy)`` gives the sums that errors are measured against."""
    leaves = [Tensor(a, requires_grad=True) if a.dtype == np.float64 else a for a in arrays]
    for n in constants:
        leaves[n] = arrays[n]
    y = apply(name, *leaves, **options)
    gy = np.random.default_rng(seed + 1).standard_normal(y.shape)
    y.backward(gy)
    value, gradients = run_torch(function, arrays, gy)
    terms = terms or (lambda a, g: terms_of_absolute_values(function, a, g))
    of_value, of_gradients = terms(arrays, gy)
    where = f"{name} {[a.shape for a in arrays]} {options} seed {seed}"
    agree(f"{where}: value", y.data, value, of_value)
    for n, leaf in enumerate(leaves):
        if isinstance(leaf, Tensor):
            expected = np.zeros(leaf.shape) if gradients[n] is None else gradients[n]
            assert leaf.grad is not None
            agree(f"{where}: gradient of argument {n}", leaf.grad, expected, of_gradients[n])
    SEEN.setdefault(name, set()).add(where)


def agree(what: str, got: np.ndarray, expected: np.ndarray, terms: np.ndarray) -> None:
    assert got.shape == expected.shape, f"{what}: shape {got.shape}, expected {expected.shape}"
    if got.size:
        wrong = ~(np.abs(got - expected) <= TOLERANCE * terms)
        index = tuple(int(n) for n in np.argwhere(wrong)[0]) if wrong.any() else ()
        assert not wrong.any(), f"{what}{list(index)}: got {got[index]!r}, expected {expected[index]!r}"


def images(x: Any) -> Any:
    """Channels from the end to PyTorch's place (in memory too: its convolutions fail on some layouts of size 1)."""
    return x.movedim(-1, 1).contiguous()


def kernels(w: Any) -> Any:
    """(row, column, in, out) -> (out, in, row, column)"""
    return w.permute(3, 2, 0, 1).contiguous()


def back(y: Any) -> Any:
    return y.movedim(1, -1)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """Shapes of x and w, and options of conv2d."""
    kernel, dilation = draw(PAIRS), draw(PAIRS)
    stride = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    padding = draw(st.tuples(*[st.integers(0, 3)] * 4))
    groups = draw(st.sampled_from([1, 1, 2, 3, 5]))
    i, o = draw(st.sampled_from([1, 1, 2, 3])), draw(st.integers(1, 3))
    least = [max(1, (kernel[n] - 1) * dilation[n] + 1 - padding[2 * n] - padding[2 * n + 1]) for n in range(2)]
    height, width = (draw(st.integers(n, n + 8)) for n in least)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (draw(st.integers(0, 3)), height, width, groups * i), (*kernel, i, groups * o), options


@drawn("conv2d", convolutions(), SEEDS)
def test_conv2d(case: Any, seed: int) -> None:
    shape, weights, options = case
    stride, dilation, groups = options["stride"], options["dilation"], options["groups"]
    top, bottom, left, right = options["padding"]

    def function(x: Any, w: Any) -> Any:
        padded = F.pad(images(x), (left, right, top, bottom))
        return back(F.conv2d(padded, kernels(w), None, stride, 0, dilation, groups))

    rng = np.random.default_rng(seed)
    compare("conv2d", [rng.standard_normal(shape), rng.standard_normal(weights)], options, function, seed)
    KINDS.update(
        {
            "odd sizes": shape[1] % 2 and shape[2] % 2,
            "stride > kernel": stride[0] > weights[0] or stride[1] > weights[1],
            "dilation": max(dilation) > 1,
            "asymmetric padding": top != bottom or left != right,
            "groups": groups > 1,
            "depthwise": groups > 1 and weights[2] == 1,
            "batch 1": shape[0] == 1,
            "empty batch": shape[0] == 0,
        }
    )


@drawn("conv_transpose2d", st.data(), SEEDS)
def test_conv_transpose2d(data: st.DataObject, seed: int) -> None:
    draw = data.draw
    size, kernel, dilation = draw(PAIRS), draw(PAIRS), draw(PAIRS)
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    more = tuple(draw(st.integers(0, s - 1)) for s in stride)
    groups, i, o = draw(st.sampled_from([1, 1, 2, 3])), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    full = [(size[n] - 1) * stride[n] + (kernel[n] - 1) * dilation[n] + 1 + more[n] for n in range(2)]
    cuts = [draw(st.integers(0, min(2, full[n] - 1))) for n in range(2)]
    rest = [draw(st.integers(0, min(2, full[n] - cuts[n] - 1))) for n in range(2)]

    def function(x: Any, w: Any) -> Any:
        own = tuple(cuts) if cuts == rest else (0, 0)
        y = F.conv_transpose2d(images(x), kernels(w), None, stride, own, more, groups, dilation)
        return back(y if cuts == rest else F.pad(y, (-cuts[1], -rest[1], -cuts[0], -rest[0])))

    options = {"stride": stride, "dilation": dilation, "groups": groups, "output_padding": more}
    options["padding"] = (cuts[0], rest[0], cuts[1], rest[1])
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((draw(st.integers(0, 3)), *size, groups * i))
    compare("conv_transpose2d", [x, rng.standard_normal((*kernel, o, groups * i))], options, function, seed)


@st.composite
def pools(draw: st.DrawFn) -> tuple[tuple[int, ...], dict[str, Any]]:
    size = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(st.one_of(st.none(), st.tuples(st.integers(1, 5), st.integers(1, 5))))
    padding = tuple(draw(st.integers(0, size[n // 2] - 1)) for n in range(4))
    if draw(st.booleans()):
        padding = (min(padding[0], size[0] // 2),) * 2 + (min(padding[2], size[1] // 2),) * 2
    least = [max(1, size[n] - padding[2 * n] - padding[2 * n + 1]) for n in range(2)]
    shape = (draw(st.integers(0, 3)), *(draw(st.integers(n, n + 8)) for n in least), draw(st.integers(1, 3)))
    return shape, {"size": size, "stride": stride, "padding": padding}


def own_padding(options: dict[str, Any]) -> tuple[int, int] | None:
    """The padding as PyTorch's pools take it; None where they do not: it is added before."""
    top, bottom, left, right = options["padding"]
    fits = top == bottom <= options["size"][0] // 2 and left == right <= options["size"][1] // 2
    return (top, left) if fits else None


@drawn("max_pool2d", pools(), st.booleans(), SEEDS)
def test_max_pool2d(case: Any, ties: bool, seed: int) -> None:
    shape, options = case
    (top, bottom, left, right), own = options["padding"], own_padding(options)

    def function(x: Any) -> Any:
        padded = images(x) if own else F.pad(images(x), (left, right, top, bottom), value=-np.inf)
        return back(F.max_pool2d(padded, options["size"], options["stride"], own or 0))

    def terms(arrays: list[np.ndarray], gy: np.ndarray) -> tuple[Any, list[Any]]:
        value, gradients = run_torch(function, arrays, np.abs(gy))
        return np.abs(value), gradients

    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, shape).astype(np.float64) if ties else rng.standard_normal(shape)
    compare("max_pool2d", [x], options, function, seed, terms)


@drawn("avg_pool2d", pools(), st.booleans(), SEEDS)
def test_avg_pool2d(case: Any, count_include_pad: bool, seed: int) -> None:
    shape, options = case
    options = {**options, "count_include_pad": count_include_pad}
    (top, bottom, left, right), own = options["padding"], own_padding(options)
    size, stride = options["size"], options["stride"]

    def function(x: Any) -> Any:
        if own:
            return back(F.avg_pool2d(images(x), size, stride, own, False, count_include_pad))
        edges = (left, right, top, bottom)
        y = F.avg_pool2d(F.pad(images(x), edges), size, stride)
        inside = F.avg_pool2d(F.pad(torch.ones_like(images(x)), edges), size, stride)
        return back(y if count_include_pad else y / inside)

    compare("avg_pool2d", [np.random.default_rng(seed).standard_normal(shape)], options, function, seed)


SHAPES = st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3))


@drawn("global_avg_pool", SHAPES, SEEDS)
def test_global_avg_pool(shape: tuple[int, ...], seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal(shape)
    compare("global_avg_pool", [x], {}, lambda x: F.adaptive_avg_pool2d(images(x), 1).flatten(1), seed)


@drawn("global_max_pool", SHAPES, SEEDS)
def test_global_max_pool(shape: tuple[int, ...], seed: int) -> None:
    def function(x: Any) -> Any:
        return F.adaptive_max_pool2d(images(x), 1).flatten(1)

    def terms(arrays: list[np.ndarray], gy: np.ndarray) -> tuple[Any, list[Any]]:
        value, gradients = run_torch(function, arrays, np.abs(gy))
        return np.abs(value), gradients

    x = np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float64)
    compare("global_max_pool", [x], {}, function, seed, terms)


def by_definition(name: str, options: dict[str, Any]) -> Any:
    return lambda arrays, gy: terms_of_definition(name, arrays, options, gy)


@st.composite
def batches(draw: st.DrawFn) -> tuple[int, ...]:
    """(n, ..., channels) with at least two values a channel."""
    shape = (*draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)), draw(st.integers(1, 4)))
    return shape if int(np.prod(shape[:-1])) > 1 else (2, *shape[1:])


@drawn("batch_norm", batches(), st.sampled_from([1e-5, 1e-2]), SEEDS)
def test_batch_norm_in_training(shape: tuple[int, ...], eps: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape) + rng.uniform(-2, 2), *rng.standard_normal((2, shape[-1]))]
    own, statistics = (torch.zeros(shape[-1], dtype=torch.float64) for _ in range(2)), []
    running_mean, running_variance = own

    def function(x: Any, gamma: Any, beta: Any) -> Any:
        return back(F.batch_norm(images(x), running_mean, running_variance, gamma, beta, True, 1.0, eps))

    def observe(mean: np.ndarray, variance: np.ndarray) -> None:
        statistics.extend([mean, variance])

    terms = by_definition("batch_norm", {"eps": eps})
    compare("batch_norm", arrays, {"eps": eps, "observe": observe}, function, seed, terms)
    count = arrays[0].size // shape[-1]
    size = np.abs(arrays[0]).max() * np.ones(shape[-1])
    agree("batch_norm: mean", statistics[0], running_mean.numpy(), size)
    agree("batch_norm: variance", statistics[1] * count / (count - 1), running_variance.numpy(), 4 * size**2)


@drawn("affine_norm", batches(), st.sampled_from([1e-5, 1e-2]), SEEDS)
def test_batch_norm_in_evaluation(shape: tuple[int, ...], eps: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    gamma, beta, mean = rng.standard_normal((3, shape[-1]))
    arrays = [rng.standard_normal(shape), gamma, beta, mean, rng.uniform(0.01, 3, shape[-1])]

    def function(x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> Any:
        return back(F.batch_norm(images(x), mean.detach(), variance.detach(), gamma, beta, False, 0.0, eps))

    compare("affine_norm", arrays, {"eps": eps}, function, seed, by_definition("affine_norm", {"eps": eps}), (3, 4))


@drawn("layer_norm", st.data(), st.sampled_from([1e-5, 1e-2]), SEEDS)
def test_layer_norm(data: st.DataObject, eps: float, seed: int) -> None:
    lead = data.draw(st.lists(st.integers(0, 3), max_size=2))
    own = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=2)))
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal((*lead, *own)) + rng.uniform(-2, 2), *rng.standard_normal((2, *own))]

    def function(x: Any, gamma: Any, beta: Any) -> Any:
        return F.layer_norm(x, own, gamma, beta, eps)

    compare("layer_norm", arrays, {"eps": eps}, function, seed, by_definition("layer_norm", {"eps": eps}))


@drawn("group_norm", st.data(), st.sampled_from([1e-5, 1e-2]), SEEDS)
def test_group_norm(data: st.DataObject, eps: float, seed: int) -> None:
    lead = data.draw(st.lists(st.integers(1, 3), min_size=2, max_size=3))
    groups = data.draw(st.integers(1, 3))
    channels = groups * data.draw(st.integers(1, 2))
    if lead[1:] == [1] * (len(lead) - 1) and channels == groups:
        lead[1] = 2  # PyTorch refuses groups of one value
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal((*lead, channels)) + rng.uniform(-2, 2), *rng.standard_normal((2, channels))]
    options = {"groups": groups, "eps": eps}

    def function(x: Any, gamma: Any, beta: Any) -> Any:
        return back(F.group_norm(images(x), groups, gamma, beta, eps))

    compare("group_norm", arrays, options, function, seed, by_definition("group_norm", options))


LOGITS = st.tuples(st.integers(1, 6), st.integers(1, 6))


@drawn("cross_entropy", LOGITS, st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.sampled_from([1.0, 30.0]), SEEDS)
def test_cross_entropy(shape: tuple[int, int], smoothing: float, spread: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape) * spread, rng.integers(0, shape[1], shape[0])]
    options = {"label_smoothing": smoothing}

    def function(x: Any, labels: Any) -> Any:
        return F.cross_entropy(x, labels, label_smoothing=smoothing)

    compare("cross_entropy", arrays, options, function, seed, by_definition("cross_entropy", options))


@drawn("nll", LOGITS, SEEDS)
def test_nll(shape: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = [-rng.uniform(0, 5, shape), rng.integers(0, shape[1], shape[0])]
    compare("nll", arrays, {}, F.nll_loss, seed, by_definition("nll", {}))


@drawn("mse", st.lists(st.integers(1, 4), max_size=3), SEEDS)
def test_mse(shape: list[int], seed: int) -> None:
    arrays = list(np.random.default_rng(seed).standard_normal((2, *shape)))
    arrays = [np.asarray(a) for a in arrays]
    compare("mse", arrays, {}, F.mse_loss, seed, by_definition("mse", {}))


@drawn("log_softmax", st.data(), st.sampled_from([1.0, 30.0]), SEEDS)
def test_log_softmax(data: st.DataObject, spread: float, seed: int) -> None:
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    options = {"axis": data.draw(st.integers(-len(shape), len(shape) - 1))}
    x = np.random.default_rng(seed).standard_normal(shape) * spread

    def function(x: Any) -> Any:
        return F.log_softmax(x, options["axis"])

    compare("log_softmax", [x], options, function, seed, by_definition("log_softmax", options))


@drawn("linear", st.lists(st.integers(0, 4), min_size=1, max_size=3), st.integers(1, 70), st.integers(1, 20), SEEDS)
def test_linear(lead: list[int], inner: int, outer: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal((*lead, inner)), rng.standard_normal((inner, outer))]
    compare("linear", arrays, {}, lambda x, w: F.linear(x, w.T), seed)


@drawn("matmul", st.data(), SEEDS)
def test_matmul(data: st.DataObject, seed: int) -> None:
    batch = data.draw(st.lists(st.integers(1, 3), max_size=2))
    m, k, n = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 70)), data.draw(st.integers(1, 5))

    def lead() -> list[int]:
        """The batch's axes, some of size 1 or missing: they broadcast."""
        sizes = [data.draw(st.sampled_from([1, size])) for size in batch]
        return sizes[data.draw(st.integers(0, len(sizes))) :]

    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal((*lead(), m, k)), rng.standard_normal((*lead(), k, n))]
    compare("matmul", arrays, {}, torch.matmul, seed)


def test_enough_configurations_were_compared(capsys: pytest.CaptureFixture[str]) -> None:
    missing = [name for name in EXAMPLES if name not in SEEN]
    if missing:
        pytest.skip(f"the tests of {', '.join(missing)} did not run in this process")
    total = sum(map(len, SEEN.values()))
    kinds = ", ".join(f"{kind} {count}" for kind, count in KINDS.items())
    with capsys.disabled():
        print(f"\n{total} configurations agree with PyTorch {torch.__version__}; of the convolutions: {kinds}")
    assert total >= 2000
    assert min(KINDS.values()) >= 20
