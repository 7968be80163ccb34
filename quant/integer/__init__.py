"""The integer program: the normative meaning of every integer operation.

Each operation is a frozen record of integers with ``run``, its meaning in NumPy, exact: sums are formed in int64, or in
a float type whose every partial sum is an integer it holds exactly. ``output`` says which integers an operation takes
and gives; no promise is left to chance, a shape that could leave int32 is refused when a program is made.
C, NEON and generated code are compared with ``run`` bit for bit.
"""

from quant.integer.checks import Values
from quant.integer.conv2d import Conv2d
from quant.integer.encoding import Codebook, Encoding, Odd, Offset
from quant.integer.epilogue import ROUNDINGS, Requantize, Thresholds
from quant.integer.linear import Argmax, Linear, LinearInt8
from quant.integer.operation import Operation
from quant.integer.pool import MaxPool, SumPool, SumWindows
from quant.integer.program import OPERATIONS, Program
from quant.integer.residual import ResidualAdd

__all__ = [
    "OPERATIONS",
    "ROUNDINGS",
    "Argmax",
    "Codebook",
    "Conv2d",
    "Encoding",
    "Linear",
    "LinearInt8",
    "MaxPool",
    "Odd",
    "Offset",
    "Operation",
    "Program",
    "Requantize",
    "ResidualAdd",
    "SumPool",
    "SumWindows",
    "Thresholds",
    "Values",
]
