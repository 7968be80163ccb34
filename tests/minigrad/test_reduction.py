"""The tree of sums against its definition, one addition at a time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from minigrad.reduction import sum_to_shape, tree_sum


def by_definition(terms: np.ndarray) -> np.floating:
    """Blocks of 4,096, 16 lanes, pairwise; missing terms are +0."""
    zero = terms.dtype.type(0)
    sums = []
    for first in range(0, max(len(terms), 1), 4096):
        block = terms[first : first + 4096]
        lanes = [zero] * 16
        for n, term in enumerate(block):
            lanes[n % 16] = lanes[n % 16] + term
        while len(lanes) > 1:
            half = len(lanes) // 2
            lanes = [lanes[n] + lanes[n + half] for n in range(half)]
        sums.append(lanes[0])
    while len(sums) > 1:
        pairs = [sums[n] + sums[n + 1] for n in range(0, len(sums) - 1, 2)]
        sums = pairs + sums[len(sums) - len(sums) % 2 :]
    return sums[0]


@given(st.sampled_from([0, 1, 2, 15, 16, 17, 300, 4095, 4096, 4097, 8193, 12289]), st.integers(0, 2**32), st.booleans())
def test_bits_of_the_tree(count: int, seed: int, single: bool) -> None:
    terms = np.random.default_rng(seed).standard_normal(count).astype(np.float32 if single else np.float64)
    assert np.asarray(tree_sum(terms)).tobytes() == np.asarray(by_definition(terms)).tobytes()


@given(st.integers(1, 5000), st.integers(1, 3), st.integers(0, 2**32))
def test_columns_are_summed_alike(count: int, columns: int, seed: int) -> None:
    terms = np.random.default_rng(seed).standard_normal((count, columns)).astype(np.float32)
    expected = [tree_sum(terms[:, n]) for n in range(columns)]
    assert tree_sum(terms).tobytes() == np.array(expected).tobytes()


@given(array_shapes(min_dims=0, max_dims=4, max_side=4), st.data())
def test_undoes_broadcasting(shape: tuple[int, ...], data: st.DataObject) -> None:
    ones = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
    small = tuple(1 if one else size for one, size in zip(ones, shape, strict=True))
    small = small[data.draw(st.integers(0, next((n for n, s in enumerate(small) if s != 1), len(small)))) :]
    a = np.random.default_rng(0).integers(-9, 9, shape).astype(np.float64)
    axes = tuple(range(len(shape) - len(small)))
    expected = a.sum(axis=axes)
    stretched = tuple(n for n, (s, e) in enumerate(zip(small, expected.shape, strict=True)) if s == 1 and e != 1)
    expected = expected.sum(axis=stretched, keepdims=True)
    assert np.array_equal(sum_to_shape(a, small), expected)
