"""What is pasted makes the same arrays again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from verify.gradients import measure
from verify.gradients.paste import paste, paste_call


@given(hnp.arrays(hnp.floating_dtypes(endianness="=", sizes=(32, 64)), hnp.array_shapes(min_dims=0, min_side=0)))
def test_arrays(array):
    again = eval(paste(array), {"np": np})
    assert again.dtype == array.dtype and again.shape == array.shape
    assert np.array_equal(again, array, equal_nan=True)
    assert np.array_equal(np.signbit(again[again == 0]), np.signbit(array[array == 0]))


@pytest.mark.parametrize(
    "value",
    [
        (),
        (1,),
        (1.5, None, "same"),
        [1, (2, 3)],
        {"axis": (0, 1), "keepdims": True, "eps": 1e-5},
        np.array([True, False]),
        np.array([[1, 2]], dtype=np.int64),
    ],
)
def test_options(value):
    again = eval(paste(value), {"np": np})
    assert type(again) is type(value) and str(again) == str(value)


def test_calls():
    text = paste_call(measure.middle, (np.ones(2), np.array([1])), {"axis": 0}, np.ones(2), (np.ones(2), None))
    assert text.startswith("import numpy as np\nfrom verify.gradients.measure import middle\narrays = (np.array(")
    found = {}
    exec(text, found)
    assert found["options"] == {"axis": 0} and found["tangents"][1] is None and found["gy"].shape == (2,)
    exec(paste_call(lambda x: x, (np.ones(2),), {}), {})
