"""DSQ's functions: the paper's numbers, their laws, the C kernels' bits, and bad input."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from flint import arb
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError, Tensor, backend, kernels
from quant import dsq
from quant.dsq import DSQ
from quant.dsq import kernels as dsq_kernels
from verify.gradients.truth import certify

PATHS = [name for name, number in backend.PATHS.items() if kernels.native().lib.mgk_has_path(number)]
BITS = st.integers(1, 8)
ALPHAS = st.one_of(st.floats(1e-6, 0.999), st.sampled_from([0.2, 0.5, 1e-6]))

# l = -1, u = 1, alpha = 0.2, 2 bits: x, soft, hard, dx, dl soft, du soft, dl hard, du hard, dalpha; the exact values
# rounded to 12 digits.
REFERENCE = """
-1.2 -1 -1 0 1 0 1 0 0
-0.9 -0.935985101975 -1 0.799533306865 0.208435909465 -0.00796921633059 0.240443358478 -0.0399766653433 0.135052516265
-0.6 -0.57656103561 -0.333333333333 1.30904380624 -0.258954527188 -0.0500892790528 -0.380568378326 0.0715245720853 \
-0.108024076329
0 0 0.333333333333 1.37326536084 -0.186632680418 -0.186632680418 -0.353299347084 -0.0199660137509 0
0.25 0.282174601836 0.333333333333 0.743450663924 0.0801187001104 0.176430635966 0.0545393343619 0.202010001714 \
-0.117224773653
0.7 0.712258901115 1 1.35682320714 -0.0596529316286 -0.297170275513 -0.203523481071 -0.15329972607 -0.0573646797859
1 1 1 0.494375529901 0 0.505624470099 0 0.505624470099 0
1.3 1 1 0 0 1 0 1 0
"""


@st.composite
def parameters(draw: st.DrawFn) -> tuple[float, float, float, int]:
    scale = draw(st.sampled_from([1.0, 1e-6, 1e6, 1e-3]))
    l = scale * draw(st.one_of(st.floats(-3, 3), st.just(0.0)))
    width = scale * draw(st.floats(0.01, 5))
    return l, l + width, draw(ALPHAS), draw(BITS)


def points(l: float, u: float, bits: int, seed: int, count: int = 40) -> np.ndarray:
    n = (1 << bits) - 1
    grid = l + (u - l) / n * np.arange(0, n + 0.5, 0.5)
    spread = np.random.default_rng(seed).uniform(l - 0.3 * (u - l), u + 0.3 * (u - l), count)
    return np.concatenate([grid, [l, u, np.nextafter(l, -9), np.nextafter(u, 9)], spread])


@pytest.mark.parametrize("line", REFERENCE.strip().splitlines())
def test_reference_table(line: str) -> None:
    x, *expected = line.split()
    at = np.array([float(x)])
    dx, dl, du, da = dsq.soft_partials(at, -1, 1, 0.2, 2)
    _, dl_hard, du_hard, _ = dsq.soft_partials(at, -1, 1, 0.2, 2, q="hard")
    got = (dsq.soft(at, -1, 1, 0.2, 2), dsq.hard(at, -1, 1, 0.2, 2), dx, dl, du, dl_hard, du_hard, da)
    for value, number in zip(got, expected, strict=True):
        got_here = float(value[0])
        assert f"{got_here:.12g}" == number or (number == "0" and abs(got_here) < 1e-15)


@given(parameters(), st.integers(0, 2**32))
def test_dx_dl_and_du_sum_to_one(p: tuple[float, float, float, int], seed: int) -> None:
    l, u, alpha, bits = p
    x = points(l, u, bits, seed)
    for q in ("soft", "hard"):
        dx, dl, du, _ = dsq.soft_partials(x, l, u, alpha, bits, q=q)
        size = 1 + np.abs(dx) * (1 + 2 * np.abs((x - l) / (u - l)))
        assert np.all(np.abs(dx + dl + du - 1) <= 2.0**-50 * size)


@given(parameters(), st.integers(0, 2**32))
def test_homogeneity(p: tuple[float, float, float, int], seed: int) -> None:
    """x dx + l dl + u du = y (Euler), for the soft and for the hard variant."""
    l, u, alpha, bits = p
    x = points(l, u, bits, seed)
    for q, y in (("soft", dsq.soft(x, l, u, alpha, bits)), ("hard", dsq.hard(x, l, u, alpha, bits))):
        dx, dl, du, _ = dsq.soft_partials(x, l, u, alpha, bits, q=q)
        if q == "hard":  # outside the levels' rounding the hard value is l + D code
            y = np.where((x < l) | (x > u), y, l + (u - l) / ((1 << bits) - 1) * dsq.codes(x, l, u, alpha, bits))
        size = np.abs(x * dx) * ((1 << bits) + 2) + np.abs(l) + np.abs(u)
        assert np.all(np.abs(x * dx + l * dl + u * du - y) <= 2.0**-48 * (size + np.abs(dx)))


@given(parameters(), st.integers(0, 2**32))
def test_certified_against_balls(p: tuple[float, float, float, int], seed: int) -> None:
    l, u, alpha, bits = p
    x = np.random.default_rng(seed).choice(points(l, u, bits, seed), 6)
    value, partials = dsq.soft(x, l, u, alpha, bits), dsq.soft_partials(x, l, u, alpha, bits)
    certificate = certify(lambda *a: dsq.soft(a[0], a[1], a[2], a[3], bits), (x, l, u, alpha), value, partials)
    assert certificate.bits >= 45, str(certificate)


@given(parameters(), st.integers(0, 2**32))
def test_codes_are_those_of_exact_arithmetic(p: tuple[float, float, float, int], seed: int) -> None:
    """Unless the place on the grid is within rounding of a tie; an exact tie goes up."""
    l, u, alpha, bits = p
    n = (1 << bits) - 1
    x = points(l, u, bits, seed)
    for point, code in zip(x, dsq.codes(x, l, u, alpha, bits), strict=True):
        place = (arb(point) - arb(l)) * n / (arb(u) - arb(l)) + arb(0.5)
        exact = min(max(math.floor(float(place)), 0), n)
        tie = abs(float(place) - round(float(place)))
        assert code == exact or tie <= 2.0**-50 * (1 + abs(float(place)) + n)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bits", range(1, 9))
def test_ties_go_up(bits: int, dtype: type) -> None:
    n = (1 << bits) - 1
    x = np.arange(n, dtype=dtype) + dtype(0.5)  # l = 0, u = n: the grid is the integers, exactly
    assert dsq.codes(x, 0, n, 0.2, bits).tolist() == list(range(1, n + 1))
    assert dsq.codes(x - dtype(2.0**-12), 0, n, 0.2, bits).tolist() == list(range(n))


@given(parameters(), st.booleans())
def test_levels_are_fixed_points(p: tuple[float, float, float, int], single: bool) -> None:
    l, u, alpha, bits = p
    dtype = np.float32 if single else np.float64
    if dtype(u) - dtype(l) <= 0:
        return
    levels = dsq.levels(dtype(l), dtype(u), dtype(alpha), bits)
    assert levels.dtype == dtype
    assert levels[-1] == dtype(u)
    if np.all(np.diff(levels) > 0):
        assert np.array_equal(dsq.codes(levels, l, u, alpha, bits), np.arange(1 << bits))
        assert np.array_equal(dsq.hard(levels, l, u, alpha, bits), levels)


@given(parameters(), st.integers(0, 2**32))
def test_order_is_kept(p: tuple[float, float, float, int], seed: int) -> None:
    l, u, alpha, bits = p
    x = np.sort(points(l, u, bits, seed))
    assert np.all(np.diff(dsq.codes(x, l, u, alpha, bits).astype(int)) >= 0)
    soft = dsq.soft(x, l, u, alpha, bits)
    assert np.all(np.diff(soft) >= -(2.0**-48) * (abs(l) + abs(u)))
    assert np.all((soft >= l) & (soft <= u))


@given(parameters(), st.integers(0, 2**32))
def test_soft_lies_between_the_levels_around_x(p: tuple[float, float, float, int], seed: int) -> None:
    l, u, alpha, bits = p
    x = points(l, u, bits, seed)
    levels, soft = dsq.levels(np.float64(l), np.float64(u), alpha, bits), dsq.soft(x, l, u, alpha, bits)
    i = np.clip(np.floor((x - l) / ((u - l) / ((1 << bits) - 1))), 0, (1 << bits) - 2).astype(int)
    slack = 2.0**-50 * (abs(l) + abs(u))
    assert np.all((soft >= levels[i] - slack) & (soft <= levels[i + 1] + slack))


@pytest.mark.parametrize("z", [0.1, 0.2, 0.3])
def test_the_rate_of_soft_to_hard(z: float) -> None:
    """For small alpha the gap at a distance z D from a middle is D (alpha/2)^(2 z), but for alpha/2 of a step."""
    for alpha in (1e-6, 1e-8, 1e-10):
        for x in (0.5 + z, 0.5 - z):
            gap = abs(dsq.soft(np.array([x]), 0, 3, alpha, 2) - dsq.hard(np.array([x]), 0, 3, alpha, 2)).item()
            assert gap == pytest.approx((alpha / 2) ** (2 * z), abs=alpha + 2 * (alpha / 2) ** (4 * z))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_bit_between_minus_one_and_one_is_the_sign(dtype: type) -> None:
    smallest = np.finfo(dtype).eps
    x: np.ndarray = np.array([-np.inf, -2, -1, -0.5, -smallest, -0.0, 0.0, smallest, 0.5, 1, 7], dtype)
    for function in (dsq.hard, dsq_kernels.hard):
        assert function(x, -1.0, 1.0, 0.2, 1).tolist() == [-1] * 5 + [1] * 6


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 0, 3), (4, 3)])
def test_shapes(shape: tuple[int, ...]) -> None:
    x: np.ndarray = np.random.default_rng(0).uniform(-1.5, 1.5, shape)
    gy: np.ndarray = np.ones(shape)
    for function in (dsq.soft, dsq.hard, dsq.codes, dsq_kernels.soft, dsq_kernels.hard):
        y = function(x, -1.0, 1.0, 0.2, 2)
        assert y.shape == shape
        strided = np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x
        assert np.array_equal(function(strided, -1.0, 1.0, 0.2, 2), y)
    for run in (dsq.soft_vjp, dsq_kernels.vjp):
        dx, *rest = run(gy, x, np.array(-1.0), np.array(1.0), np.array(0.2), 2, q="soft")
        assert dx.shape == shape
        assert [g.shape for g in rest] == [(), (), ()]
        assert sum(abs(float(g)) for g in rest) == 0 or x.size


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinities_lie_outside_and_subnormals_are_numbers(dtype: type) -> None:
    tiny = np.finfo(dtype).smallest_subnormal
    x: np.ndarray = np.array([-np.inf, np.inf, tiny, -tiny], dtype)
    for function in (dsq.soft, dsq.hard):
        assert function(x, 0.0, 1.0, 0.2, 2)[[0, 1, 3]].tolist() == [0, 1, 0]
    assert 0 <= dsq.soft(x, 0.0, 1.0, 0.2, 2)[2] < 1e-6
    assert [d[:2].tolist() for d in dsq.soft_partials(x, 0.0, 1.0, 0.2, 2)] == [[0, 0], [1, 0], [0, 1], [0, 0]]
    # A range of subnormal width still has its levels; one without room for those of 8 bits is refused.
    steps = np.arange(256).astype(dtype) * tiny
    assert np.array_equal(dsq.hard(steps, 0.0, 255 * tiny, 0.2, 8), steps)
    with pytest.raises(InputError, match="overflows or underflows"):
        dsq.hard(x, 0.0, 100 * tiny, 0.2, 8)


@given(parameters())
def test_alpha_to_zero_is_the_hard_quantizer(p: tuple[float, float, float, int]) -> None:
    l, u, _, bits = p
    step = (u - l) / ((1 << bits) - 1)
    middles = l + step * (np.arange((1 << bits) - 1) + 0.5)
    x = np.concatenate([middles + 0.2 * step, middles - 0.2 * step])
    gaps = [np.abs(dsq.soft(x, l, u, a, bits) - dsq.hard(x, l, u, a, bits)).max() for a in (1e-2, 1e-4, 1e-8)]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-3 * step


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("path", PATHS)
@given(parameters(), st.integers(0, 2**32), st.sampled_from([1, 15, 17, 255, 257, 4095, 4097, 9000, 40000]))
def test_the_library_has_the_bits_of_the_formulas(
    path: str, dtype: type, p: tuple[float, float, float, int], seed: int, count: int
) -> None:
    l, u, alpha, bits = p
    if dtype(u) <= dtype(l):
        return
    rng = np.random.default_rng(seed)
    x = rng.choice(points(l, u, bits, seed).astype(dtype), count)
    x[0] = rng.choice([np.inf, -np.inf, 0.0, x[0]])
    gy: np.ndarray = rng.standard_normal(count).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "path", lambda: backend.PATHS[path])
        got = [dsq_kernels.soft(x, l, u, alpha, bits), dsq_kernels.hard(x, l, u, alpha, bits)]
        for q in ("soft", "hard"):
            got += dsq_kernels.vjp(gy, x, l, u, alpha, bits, q=q)
    with np.errstate(invalid="ignore", over="ignore"):
        expected = [dsq.soft(x, l, u, alpha, bits), dsq.hard(x, l, u, alpha, bits)]
        expected += [*dsq.soft_vjp(gy, x, l, u, alpha, bits), *dsq.hard_vjp(gy, x, l, u, alpha, bits)]
    names = ("soft", "hard", *(f"{d} {q}" for q in ("soft", "hard") for d in ("dx", "dl", "du", "dalpha")))
    for name, a, b in zip(names, got, expected, strict=True):
        assert a.tobytes() == np.asarray(b).tobytes(), f"{name} differs: l={l!r}, u={u!r}, alpha={alpha!r}, bits={bits}"


def test_parameters_for_each_channel() -> None:
    rng = np.random.default_rng(0)
    x, gy = rng.standard_normal((5, 4, 3)), rng.standard_normal((5, 4, 3))
    l, u, alpha = np.array([-1.0, -0.5, 0.0]), np.array([1.0, 0.7, 2.0]), np.array([0.2, 0.1, 0.4])
    dx, dl, du, da = dsq.soft_vjp(gy, x, l, u, alpha, 3)
    for c in range(3):
        alone = dsq.soft_vjp(gy[..., c], x[..., c], l[c], u[c], alpha[c], 3)
        assert np.array_equal(alone[0], dx[..., c])
        assert np.allclose([alone[1], alone[2], alone[3]], [dl[c], du[c], da[c]], rtol=1e-13)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bits": 0}, "bits: 0 is not an integer from 1 to 8"),
        ({"bits": 9}, "bits: 9 is not"),
        ({"bits": 2.5}, "bits: 2.5 is not"),
        ({"bits": True}, "bits: True is not"),
        ({"l": 1.0}, "expected finite numbers with l < u, got l = 1.0 and u = 1.0"),
        ({"l": 2.0}, "l < u"),
        ({"l": math.nan}, "l < u"),
        ({"u": math.inf}, "l < u"),
        ({"alpha": 0.0}, "alpha: expected 0 < alpha < 1, got 0.0"),
        ({"alpha": 1.0}, "alpha: expected"),
        ({"alpha": -0.1}, "alpha: expected"),
        ({"alpha": math.nan}, "alpha: expected"),
    ],
)
@pytest.mark.parametrize("name", ["soft", "soft_partials", "codes", "hard"])
@pytest.mark.parametrize("implementation", [dsq, dsq_kernels])
def test_bad_parameters_are_named(implementation: object, name: str, changed: dict[str, object], message: str) -> None:
    function = getattr(implementation, name, None)
    if function is None:  # the library has no such function
        return
    arguments = {"l": -1.0, "u": 1.0, "alpha": 0.2, "bits": 2} | changed
    with pytest.raises(InputError, match=message):
        function(np.zeros(3), *arguments.values())


def test_nan_has_no_code() -> None:
    x = np.array([[0.0, 1.0], [0.5, np.nan]])
    with pytest.raises(InputError, match=r"x: NaN at index \(1, 1\)"):
        dsq.codes(x, -1.0, 1.0, 0.2, 2)


@pytest.mark.parametrize("function", [dsq.soft, dsq.soft_partials, dsq.hard, dsq.codes])
def test_parameters_that_do_not_fit_are_refused(function: Callable[..., object]) -> None:
    with pytest.raises(
        InputError, match=r"parameters of shapes \(3,\), \(\), \(\) do not broadcast against x of shape"
    ):
        function(np.zeros((4, 2)), -np.ones(3), 1.0, 0.2, 2)


def test_integers_are_refused() -> None:
    with pytest.raises(InputError, match="x: expected float32 or float64, got int64"):
        dsq.soft(np.array([1, 2]), -1, 1, 0.2, 2)


def test_nan_is_passed_on() -> None:
    x = np.array([np.nan, 0.0])
    for function in (dsq.soft, dsq_kernels.soft, dsq.hard, dsq_kernels.hard):
        y = function(x, -1.0, 1.0, 0.2, 2)
        assert np.isnan(y[0])
        assert y[1] == (0 if function in (dsq.soft, dsq_kernels.soft) else dsq.levels(-1.0, 1.0, 0.2, 2)[2])
    for partial in dsq.soft_partials(x, -1.0, 1.0, 0.2, 2):
        assert np.isnan(partial[0])


def test_a_width_that_overflows_is_refused() -> None:
    x = np.zeros(2, np.float32)
    for l, u in ((-3e38, 3e38), (0.0, 1e-45)):
        with pytest.raises(InputError, match="overflows or underflows"):
            dsq.soft(x, l, u, 0.2, 8)
        with pytest.raises(InputError, match="overflows or underflows"):
            dsq_kernels.soft(x, l, u, 0.2, 8)


def test_the_incoming_gradient_fits_or_is_refused() -> None:
    x = np.linspace(-1, 1, 5).astype(np.float32)
    for gy in (np.ones(2, np.float32), np.ones(5)):
        with pytest.raises(InputError, match="gy: expected float32"):
            dsq_kernels.vjp(gy, x, -1.0, 1.0, 0.2, 2, q="hard")
    quantizer = DSQ(2)
    x_tensor = Tensor(x, requires_grad=True)
    quantizer(x_tensor).backward(np.ones(5))
    l, u, alpha = quantizer.parameters_now()
    expected = dsq.hard_vjp(np.ones(5, np.float32), x, l, u, alpha, 2)[0]
    assert x_tensor.grad is not None
    assert np.array_equal(x_tensor.grad, expected)


def test_levels_of_a_range_for_each_channel() -> None:
    l = np.array([-1.0, -2.0, -3.0])
    levels = dsq.levels(l, 1.0, 0.2, 2)
    assert levels.shape == (4, 3)
    for c in range(3):
        assert np.array_equal(levels[:, c], dsq.levels(l[c], 1.0, 0.2, 2))


def test_an_alpha_whose_inverse_overflows_is_refused() -> None:
    with pytest.raises(InputError, match="so small that 2 / alpha overflows"):
        dsq.soft(np.zeros(1), -1.0, 1.0, 1e-310, 2)
