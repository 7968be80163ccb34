"""An autograd engine in NumPy whose bits are reproducible. It knows nothing of quantization."""

from minigrad import ops
from minigrad.backward import grad
from minigrad.errors import InputError
from minigrad.primitive import PRIMITIVES, Kink, Primitive, register
from minigrad.tensor import Tensor, apply, no_grad

__all__ = ["PRIMITIVES", "InputError", "Kink", "Primitive", "Tensor", "apply", "grad", "no_grad", "ops", "register"]
