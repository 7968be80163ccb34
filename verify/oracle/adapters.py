"""Calling a user's function: NumPy with a vjp of its own, or PyTorch with autograd."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from minigrad.errors import InputError
from verify.oracle.vectors import Group

__all__ = ["Adapter", "Misbehaved", "NumpyAdapter", "TorchAdapter", "integer_codes", "located", "make_adapter"]

Function = Callable[..., Any]


class Misbehaved(Exception):
    """The user's function raised, or returned something that is not a result; the message says what."""


@contextmanager
def located(group: Group, snippet: str) -> Iterator[None]:
    """Adds to what the user's function does wrong in here the group, and code that shows it."""
    try:
        yield
    except Misbehaved as error:
        values = ", ".join(f"{name} = {value!r}" for name, value in group.parameters.items())
        error.args = (f"{error} in group {group.id} ({values})" if values else str(error), snippet)
        raise


class Adapter(Protocol):
    """One framework's way to evaluate a function and its gradients.

    ``scalars`` are the differentiable parameters, ``options`` the integers that follow them.
    """

    framework: str
    has_gradients: bool

    def value(self, x: np.ndarray, scalars: Sequence[float], options: Sequence[int]) -> np.ndarray:
        """The function's value, float64 of the shape of x."""

    def gradients(
        self, gy: np.ndarray, x: np.ndarray, scalars: Sequence[float], options: Sequence[int]
    ) -> list[np.ndarray | None]:
        """The gradients of x (its shape) and of each scalar (0-d); None where none arrives."""


def _accepts(function: Function, count: int, what: str) -> None:
    """InputError where a call with ``count`` arguments cannot work."""
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError as error:
        raise InputError(f"{what}: cannot be called with {count} arguments ({error})") from None
    except Exception:
        return  # a builtin that does not tell its signature, or an object that raises when asked


def _call(function: Function, name: str, *args: Any) -> Any:
    """The call, with what it raises turned into ``Misbehaved`` and its warnings kept from the report."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args)
    except (Exception, SystemExit) as error:  # a function that calls exit() must not end the check with its status
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        where = f" (line {last.tb_lineno} of {last.tb_frame.f_code.co_name})" if last is not None else ""
        raise Misbehaved(f"{name} raised {type(error).__name__}: {' '.join(str(error).split())}{where}") from None


def _array(value: Any, what: str) -> np.ndarray:
    """``value`` as an array; ``Misbehaved`` where it is none: lists of lists of different lengths, and the like."""
    try:
        return np.asarray(value)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise Misbehaved(f"{what} is no array of numbers: {type(error).__name__}: {reason}") from None


def _require(array: np.ndarray, shape: tuple[int, ...], what: str) -> np.ndarray:
    if array.dtype != np.float64:
        raise Misbehaved(f"{what} has dtype {array.dtype}, expected float64")
    if array.shape != shape:
        raise Misbehaved(f"{what} has shape {array.shape}, expected {shape}")
    return array


class NumpyAdapter:
    """``function(x, *scalars, *options) -> y`` and ``vjp(gy, x, *scalars, *options) -> (dx, ...)``; scalars: floats."""

    framework = "numpy"

    def __init__(self, function: Function, vjp: Function | None, names: Sequence[str], count: int) -> None:
        self.function, self.vjp, self.names = function, vjp, names
        self.has_gradients = vjp is not None
        _accepts(function, count, "the function")
        if vjp is not None:
            _accepts(vjp, count + 1, "--vjp")

    def value(self, x: np.ndarray, scalars: Sequence[float], options: Sequence[int]) -> np.ndarray:
        y = _call(self.function, "the function", x.copy(), *scalars, *options)
        if not isinstance(y, np.ndarray):
            raise Misbehaved(f"the function returned {type(y).__name__}, expected a NumPy array")
        return _require(y, x.shape, "the returned value")

    def gradients(
        self, gy: np.ndarray, x: np.ndarray, scalars: Sequence[float], options: Sequence[int]
    ) -> list[np.ndarray | None]:
        assert self.vjp is not None
        returned = _call(self.vjp, "the vjp", gy.copy(), x.copy(), *scalars, *options)
        if len(self.names) == 1 and not isinstance(returned, (tuple, list)):
            returned = (returned,)
        if not isinstance(returned, (tuple, list)) or len(returned) != len(self.names):
            size = len(returned) if isinstance(returned, (tuple, list)) else type(returned).__name__
            raise Misbehaved(f"the vjp returned {size}, expected a tuple of {len(self.names)}: {self.names}")
        gradients: list[np.ndarray | None] = []
        for name, gradient in zip(self.names, returned, strict=True):
            if gradient is None:
                gradients.append(None)
                continue
            shape = x.shape if name == self.names[0] else ()
            gradients.append(_require(_array(gradient, name), shape, name))
        return gradients


class TorchAdapter:
    """``function(x, *scalars, *options) -> y`` on float64 tensors that require gradients; scalars are 0-dimensional."""

    framework = "torch"
    has_gradients = True

    def __init__(self, function: Function, names: Sequence[str], count: int) -> None:
        try:
            import torch
        except ImportError:
            raise InputError("--framework torch: PyTorch is not installed here (pip install torch)") from None
        self.torch, self.function, self.names = torch, function, names
        _accepts(function, count, "the function")

    def _run(self, x: np.ndarray, scalars: Sequence[float], options: Sequence[int]) -> tuple[Any, list[Any]]:
        torch = self.torch
        leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True)]
        leaves += [torch.tensor(s, dtype=torch.float64, requires_grad=True) for s in scalars]
        y = _call(self.function, "the function", *leaves, *options)
        if not isinstance(y, torch.Tensor):
            raise Misbehaved(f"the function returned {type(y).__name__}, expected a tensor")
        if y.dtype != torch.float64:
            raise Misbehaved(f"the returned value has dtype {y.dtype}, expected torch.float64")
        if tuple(y.shape) != x.shape:
            raise Misbehaved(f"the returned value has shape {tuple(y.shape)}, expected {x.shape}")
        return y, leaves

    def value(self, x: np.ndarray, scalars: Sequence[float], options: Sequence[int]) -> np.ndarray:
        y, _ = self._run(x, scalars, options)
        return np.array(y.detach().cpu().numpy(), dtype=np.float64)

    def gradients(
        self, gy: np.ndarray, x: np.ndarray, scalars: Sequence[float], options: Sequence[int]
    ) -> list[np.ndarray | None]:
        y, leaves = self._run(x, scalars, options)
        if not y.requires_grad:
            return [None] * len(leaves)
        incoming = self.torch.tensor(gy, dtype=self.torch.float64)

        def backward() -> Any:
            return self.torch.autograd.grad(y, leaves, incoming, allow_unused=True)

        returned = _call(backward, "the backward pass")
        return [None if g is None else np.array(g.cpu().numpy(), dtype=np.float64) for g in returned]


def make_adapter(framework: str, function: Function, vjp: Function | None, names: Sequence[str], count: int) -> Adapter:
    """The adapter of a framework; ``names`` are those of the gradients, ``count`` the arguments of a call.

    Raises
    ------
    InputError
        If the framework is not known or not installed, or the function cannot take these arguments.
    """
    if framework == "numpy":
        return NumpyAdapter(function, vjp, names, count)
    if framework == "torch":
        if vjp is not None:
            raise InputError("--vjp: PyTorch's gradients come through autograd; use it with --framework numpy")
        return TorchAdapter(function, names, count)
    raise InputError(f"--framework: expected numpy or torch, got {framework!r}")


def integer_codes(function: Function, x: np.ndarray, scalars: Sequence[float], options: Sequence[int]) -> np.ndarray:
    """The codes a NumPy function gives for x, as int64; any integer dtype is taken, and floats that are integers."""
    _accepts(function, 1 + len(scalars) + len(options), "--codes")
    codes = _array(_call(function, "codes", x.copy(), *scalars, *options), "codes")
    if codes.shape != x.shape:
        raise Misbehaved(f"codes has shape {codes.shape}, expected {x.shape}")
    if codes.dtype.kind not in "iuf":
        raise Misbehaved(f"codes of dtype {codes.dtype} are not all integers")
    # Before any arithmetic: a cast of what int64 cannot hold gives anything, and warns.
    if not np.isfinite(codes).all():
        raise Misbehaved(f"codes of dtype {codes.dtype} are not all integers: some are NaN or infinite")
    furthest = max((int(code) for code in codes), key=abs, default=0)
    if abs(furthest) >= 2**63:
        raise Misbehaved(f"codes reach {float(furthest):.3g}, which is no int64; they run from 0 to N = 2^bits - 1")
    if not np.array_equal(codes, np.rint(codes)):
        raise Misbehaved(f"codes of dtype {codes.dtype} are not all integers")
    return codes.astype(np.int64)
