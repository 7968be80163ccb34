"""Our rules as PyTorch functions, judged by ``torch.autograd.gradcheck``."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from minigrad.primitive import Primitive
from verify.gradients.mutants.behaviour import positions_of

__all__ = ["Gradcheck"]

#: Only the words of a failure: fast mode works out the whole Jacobian for its message, which large arrays forbid.
_MODULE: Any = importlib.import_module("torch.autograd.gradcheck")
assert hasattr(_MODULE, "_run_slow_mode_and_get_error")
_MODULE._run_slow_mode_and_get_error = lambda *_: ""


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def _tensor(array: Any, dtype: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(array, dtype))


class Gradcheck:
    """``gradcheck`` with its default settings, of the vjp or the jvp of a primitive at one example."""

    def __init__(
        self,
        primitive: Primitive,
        arrays: Sequence[np.ndarray],
        options: Mapping[str, Any],
        rule: str,
        fast: bool = False,
    ) -> None:
        self._rule, self._fast, self._options = rule, fast, options
        self._arrays, self._positions = arrays, positions_of(primitive, len(arrays))

    def judge(self, primitive: Primitive) -> bool:
        """Whether it finds nothing wrong. What the rule raises, it raises."""
        inputs = [_tensor(self._arrays[p], self._arrays[p].dtype).requires_grad_() for p in self._positions]
        forward = self._rule == "jvp"
        with warnings.catch_warnings():
            # It warns of float32.
            warnings.simplefilter("ignore")
            return bool(
                torch.autograd.gradcheck(
                    self._function(primitive),
                    inputs,
                    raise_exception=False,
                    fast_mode=self._fast,
                    check_forward_ad=forward,
                    check_backward_ad=not forward,
                    check_undefined_grad=not forward,
                )
            )

    def _complete(self, tensors: Sequence[Any]) -> list[np.ndarray]:
        given = list(self._arrays)
        for position, tensor in zip(self._positions, tensors, strict=True):
            given[position] = _array(tensor)
        return given

    def _function(self, primitive: Primitive) -> Any:
        """``apply(*tensors)`` of the arrays that have a gradient; the other arguments stay as they are."""
        arrays, positions, options, complete = self._arrays, self._positions, self._options, self._complete
        values = {name: value for name, value in options.items() if not callable(value)}

        class Rule(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, *tensors: Any) -> Any:
                ctx.given = complete(tensors)
                value, ctx.residuals = primitive.forward(*ctx.given, **options)
                return _tensor(value, np.asarray(value).dtype)

            @staticmethod
            def backward(ctx: Any, *gys: Any) -> Any:
                gy = _array(gys[0])
                found = primitive.vjp(gy, ctx.residuals, [n in positions for n in range(len(arrays))])
                gradients = [found[position] for position in positions]
                return tuple(None if g is None else _tensor(g, gy.dtype) for g in gradients)

            @staticmethod
            def jvp(ctx: Any, *tangents: Any) -> Any:
                along: list[Any] = [None] * len(arrays)
                for position, tangent in zip(positions, tangents, strict=True):
                    along[position] = None if tangent is None else _array(tangent)
                value = primitive.jvp(tuple(along), *ctx.given, **values)
                return _tensor(value, np.asarray(value).dtype)

        return Rule.apply
