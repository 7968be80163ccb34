"""Functions of PyTorch and JAX with their derivatives, as functions of NumPy arrays that ``check`` takes.

Arrays of floats arrive in the framework as tensors of the same dtype, arrays of integers and booleans too; everything
else is passed on as it is. The frameworks are imported when an adapter is made.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.errors import InputError

__all__ = ["Adapted", "jax_function", "torch_function"]


@dataclass(frozen=True)
class Adapted:
    """A function of arrays with its framework's derivatives; hand them to ``check`` by name."""

    function: Callable[..., Any]
    vjp: Callable[..., Any]
    jvp: Callable[..., Any]
    hvp: Callable[..., Any]


def _import(framework: str, name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"framework: {framework} is not installed here (pip install {name})") from None


def _is_float(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.floating, float)) and np.asarray(value).dtype.kind == "f"


def torch_function(f: Callable[..., Any]) -> Adapted:
    """A PyTorch function ``f(*tensors) -> tensor`` with the derivatives that autograd gives.

    The jvp is forward mode (``torch.func.jvp``) where every operation of ``f`` has it; else, as a function of its own
    ``torch.autograd.Function`` has not, the vjp of the vjp.

    Raises
    ------
    InputError
        If PyTorch is not installed.
    """
    torch = _import("PyTorch", "torch")

    def tensors(args: Sequence[Any], leaves: bool = False) -> list[Any]:
        made = []
        for a in args:
            if _is_float(a):
                made.append(torch.tensor(np.asarray(a), requires_grad=leaves))
            else:
                made.append(torch.tensor(a) if isinstance(a, np.ndarray) else a)
        return made

    def array(tensor: Any, like: Any) -> np.ndarray:
        return np.zeros(np.shape(like)) if tensor is None else np.array(tensor.detach().cpu().numpy())

    def function(*args: Any) -> np.ndarray:
        return np.array(f(*tensors(args)).detach().cpu().numpy())

    def backward(gy: Any, args: Sequence[Any], graph: bool) -> tuple[list[Any], list[int], Any, list[Any]]:
        made = tensors(args, leaves=True)
        positions = [n for n, a in enumerate(args) if _is_float(a)]
        value = f(*made)
        incoming = torch.tensor(np.asarray(gy), dtype=value.dtype, requires_grad=graph)
        if not value.requires_grad:
            return made, positions, incoming, [None] * len(positions)
        wanted = [made[n] for n in positions]
        found = torch.autograd.grad(value, wanted, incoming, allow_unused=True, create_graph=graph)
        return made, positions, incoming, list(found)

    def vjp(gy: Any, *args: Any) -> tuple[Any, ...]:
        _, positions, _, found = backward(gy, args, graph=False)
        result: list[Any] = [None] * len(args)
        for n, g in zip(positions, found, strict=True):
            result[n] = array(g, args[n])
        return tuple(result)

    def jvp(tangents: Sequence[Any], *args: Any) -> np.ndarray:
        made = tensors(args)
        moved = [n for n, t in enumerate(tangents) if t is not None]

        def of_moved(*chosen: Any) -> Any:
            full = list(made)
            for n, c in zip(moved, chosen, strict=True):
                full[n] = c
            return f(*full)

        primals = tuple(made[n] for n in moved)
        along = tuple(torch.tensor(np.asarray(tangents[n]), dtype=made[n].dtype) for n in moved)
        try:
            _, found = torch.func.jvp(of_moved, primals, along)
        except (RuntimeError, NotImplementedError):
            _, found = torch.autograd.functional.jvp(of_moved, primals, along)
        return np.array(found.detach().cpu().numpy())

    def hvp(gy: Any, tangents: Sequence[Any], *args: Any) -> tuple[Any, ...]:
        made, positions, _, found = backward(gy, args, graph=True)
        terms = [
            (g * torch.tensor(np.asarray(tangents[n]), dtype=g.dtype)).sum()
            for n, g in zip(positions, found, strict=True)
            if g is not None and g.requires_grad and tangents[n] is not None
        ]
        result: list[Any] = [np.zeros(np.shape(a)) if n in positions else None for n, a in enumerate(args)]
        if terms:
            second = torch.autograd.grad(sum(terms), [made[n] for n in positions], allow_unused=True)
            for n, g in zip(positions, second, strict=True):
                result[n] = array(g, args[n])
        return tuple(result)

    return Adapted(function, vjp, jvp, hvp)


def jax_function(f: Callable[..., Any]) -> Adapted:
    """A JAX function ``f(*arrays) -> array`` with the derivatives that JAX gives; float64 stays float64 in it.

    Raises
    ------
    InputError
        If JAX is not installed.
    """
    jax = _import("JAX", "jax")

    def of_floats(args: Sequence[Any]) -> tuple[Callable[..., Any], list[int], tuple[Any, ...]]:
        positions = [n for n, a in enumerate(args) if _is_float(a)]

        def moved(*chosen: Any) -> Any:
            full = list(args)
            for n, c in zip(positions, chosen, strict=True):
                full[n] = c
            return f(*full)

        return moved, positions, tuple(jax.numpy.asarray(args[n]) for n in positions)

    def along(tangents: Sequence[Any], positions: list[int], primals: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            jax.numpy.zeros_like(p) if tangents[n] is None else jax.numpy.asarray(tangents[n], p.dtype)
            for n, p in zip(positions, primals, strict=True)
        )

    def spread(found: Sequence[Any], positions: list[int], count: int) -> tuple[Any, ...]:
        result: list[Any] = [None] * count
        for n, g in zip(positions, found, strict=True):
            result[n] = np.array(g)
        return tuple(result)

    def function(*args: Any) -> np.ndarray:
        with jax.enable_x64(True):
            moved, _, primals = of_floats(args)
            return np.array(moved(*primals))

    def vjp(gy: Any, *args: Any) -> tuple[Any, ...]:
        with jax.enable_x64(True):
            moved, positions, primals = of_floats(args)
            value, pull = jax.vjp(moved, *primals)
            return spread(pull(jax.numpy.asarray(gy, value.dtype)), positions, len(args))

    def jvp(tangents: Sequence[Any], *args: Any) -> np.ndarray:
        with jax.enable_x64(True):
            moved, positions, primals = of_floats(args)
            return np.array(jax.jvp(moved, primals, along(tangents, positions, primals))[1])

    def hvp(gy: Any, tangents: Sequence[Any], *args: Any) -> tuple[Any, ...]:
        with jax.enable_x64(True):
            moved, positions, primals = of_floats(args)

            def gradient(*chosen: Any) -> Any:
                value, pull = jax.vjp(moved, *chosen)
                return pull(jax.numpy.asarray(gy, value.dtype))

            found = jax.jvp(gradient, primals, along(tangents, positions, primals))[1]
            return spread(found, positions, len(args))

    return Adapted(function, vjp, jvp, hvp)
