"""Every primitive of ``minigrad.ops`` as a function of tensors: ``functional.conv2d(x, w, stride=2)``.

Signatures and documentation are those of the primitives' forward functions; arrays may be tensors, arrays or numbers,
at least one of them a tensor.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from minigrad.ops.indexing import split
from minigrad.primitive import PRIMITIVES
from minigrad.tensor import Tensor, apply


def _function(name: str) -> Callable[..., Tensor]:
    rule = PRIMITIVES[name]
    signature = inspect.signature(rule.forward)
    # What is annotated as an array is an argument of the tape; the rest are options.
    arrays = {p.name for p in signature.parameters.values() if str(p.annotation).startswith("Array")}

    def function(*arguments: Any, **options: Any) -> Tensor:
        try:
            bound = signature.bind(*arguments, **options)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
        given: list[Any] = []
        rest: dict[str, Any] = {}
        for key, value in bound.arguments.items():
            kind = signature.parameters[key].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                given.extend(value)
            elif key in arrays:
                given.append(value)
            else:
                rest[key] = value
        return apply(rule, *given, **rest)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = rule.forward.__doc__
    function.__signature__ = signature.replace(return_annotation="Tensor")  # type: ignore[attr-defined]
    return function


add = _function("add")
subtract = _function("subtract")
negative = _function("negative")
multiply = _function("multiply")
divide = _function("divide")
power = _function("power")

maximum = _function("maximum")
minimum = _function("minimum")
where = _function("where")

exp = _function("exp")
log = _function("log")
sqrt = _function("sqrt")
tanh = _function("tanh")
sigmoid = _function("sigmoid")
softplus = _function("softplus")
abs = _function("abs")
sign = _function("sign")
clip = _function("clip")

relu = _function("relu")
relu6 = _function("relu6")
hardtanh = _function("hardtanh")
leaky_relu = _function("leaky_relu")
prelu = _function("prelu")
silu = _function("silu")
hardswish = _function("hardswish")

gelu = _function("gelu")

sum = _function("sum")
mean = _function("mean")
var = _function("var")

max = _function("max")
min = _function("min")

logsumexp = _function("logsumexp")
softmax = _function("softmax")
log_softmax = _function("log_softmax")

reshape = _function("reshape")
transpose = _function("transpose")
broadcast_to = _function("broadcast_to")
pad = _function("pad")

concatenate = _function("concatenate")
stack = _function("stack")

slice = _function("slice")
gather = _function("gather")

matmul = _function("matmul")
linear = _function("linear")

conv2d = _function("conv2d")

conv_transpose2d = _function("conv_transpose2d")

max_pool2d = _function("max_pool2d")
avg_pool2d = _function("avg_pool2d")

global_avg_pool = _function("global_avg_pool")
global_max_pool = _function("global_max_pool")

batch_norm = _function("batch_norm")
affine_norm = _function("affine_norm")

layer_norm = _function("layer_norm")
group_norm = _function("group_norm")

cross_entropy = _function("cross_entropy")
nll = _function("nll")
mse = _function("mse")

dropout = _function("dropout")

__all__ = [
    "abs",
    "add",
    "affine_norm",
    "avg_pool2d",
    "batch_norm",
    "broadcast_to",
    "clip",
    "concatenate",
    "conv2d",
    "conv_transpose2d",
    "cross_entropy",
    "divide",
    "dropout",
    "exp",
    "gather",
    "gelu",
    "global_avg_pool",
    "global_max_pool",
    "group_norm",
    "hardswish",
    "hardtanh",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "max_pool2d",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mse",
    "multiply",
    "negative",
    "nll",
    "pad",
    "power",
    "prelu",
    "relu",
    "relu6",
    "reshape",
    "sigmoid",
    "sign",
    "silu",
    "slice",
    "softmax",
    "softplus",
    "split",
    "sqrt",
    "stack",
    "subtract",
    "sum",
    "tanh",
    "transpose",
    "var",
    "where",
]
