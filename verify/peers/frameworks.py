"""How each framework spells the functions of ``points.py``, and how it is asked for a gradient.

A function has one or several spellings: a framework may answer differently by each.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from verify.peers.points import Point

__all__ = ["FRAMEWORKS", "Answer", "Framework"]

#: The numbers asked for: one list an argument (gradients), or one (values).
Answer = list[list[float]]
Spellings = dict[str, dict[str, Callable[..., Any]]]


class Framework:
    """A framework, imported when it is made.

    Attributes
    ----------
    name, version : as the table's head says
    spellings : function of ``points.py`` -> how it is written -> the function on the framework's own arrays
    """

    name: str
    package: str

    def __init__(self) -> None:
        self.version = importlib.metadata.version(self.package)
        self.spellings: Spellings = self.make_spellings()

    def make_spellings(self) -> Spellings:
        raise NotImplementedError

    def value(self, function: Callable[..., Any], arrays: list[np.ndarray]) -> Any:
        raise NotImplementedError

    def gradients(self, function: Callable[..., Any], arrays: list[np.ndarray]) -> list[Any]:
        raise NotImplementedError

    def answers(self, point: Point) -> Iterator[tuple[str, Answer]]:
        """Every spelling and what it gives; nothing where the framework has no such function.

        A spelling under ``function, value`` has a value alone.
        """
        spellings = dict(self.spellings.get(point.function, {}))
        if point.asks == "value":
            spellings |= self.spellings.get(f"{point.function}, value", {})
        for spelling, function in spellings.items():
            arrays = [np.array(a, np.float64) for a in point.arguments]
            with np.errstate(all="ignore"):
                found = [self.value(function, arrays)] if point.asks == "value" else self.gradients(function, arrays)
            yield spelling, [np.asarray(a, np.float64).ravel().tolist() for a in found]


class Minigrad(Framework):
    name = "minigrad"
    package = "minigrad-reference"

    def make_spellings(self) -> Spellings:
        from minigrad import functional as F
        from quant import dsq

        def tie(x: Any) -> Any:
            """The codes of DSQ's hard quantizer with levels -8 to 7, as levels."""
            return dsq.codes(x.data, -8.0, 7.0, 0.5, 4).astype(np.float64) - 8

        return {
            "relu": {"relu": F.relu},
            "relu6": {"relu6": F.relu6},
            "leaky_relu(slope 0.125)": {"leaky_relu": lambda x: F.leaky_relu(x, slope=0.125)},
            "prelu(slope 0.125)": {"prelu": F.prelu},
            "clip(0, 1)": {"clip": lambda x: F.clip(x, low=0.0, high=1.0)},
            "hardtanh": {"hardtanh": F.hardtanh},
            "hardswish": {"hardswish": F.hardswish},
            "abs": {"abs": F.abs},
            "sign": {"sign": F.sign},
            "maximum": {"maximum": F.maximum},
            "minimum": {"minimum": F.minimum},
            "max": {"max": F.max},
            "min": {"min": F.min},
            "max pooling 2x2": {
                "max_pool2d": F.max_pool2d,
                "global_max_pool": F.global_max_pool,
            },
            "sqrt": {"sqrt": F.sqrt},
            "where(x > 0, sqrt(x), 0)": {"where": lambda x: F.where(x.data > 0, F.sqrt(x), np.zeros(1))},
            "sqrt(sum(x x))": {"sqrt(sum)": lambda x: F.sqrt(F.sum(x * x))},
            "power(x, y)": {"power": F.power},
            "round, value": {"dsq.codes": tie},
        }

    def value(self, function: Callable[..., Any], arrays: list[np.ndarray]) -> Any:
        from minigrad import Tensor

        result = function(*map(Tensor, arrays))
        return result.data if isinstance(result, Tensor) else result

    def gradients(self, function: Callable[..., Any], arrays: list[np.ndarray]) -> list[Any]:
        from minigrad import Tensor

        leaves = [Tensor(a, requires_grad=True) for a in arrays]
        result = function(*leaves)
        result.backward(np.ones(result.shape))
        return [leaf.grad for leaf in leaves]


class PyTorch(Framework):
    name = "PyTorch"
    package = "torch"

    def make_spellings(self) -> Spellings:
        import torch
        from torch.nn import functional as F

        def pool(x: Any) -> Any:
            return F.max_pool2d(x.permute(0, 3, 1, 2), 2)

        return {
            "relu": {"relu": torch.relu},
            "relu6": {"nn.functional.relu6": F.relu6},
            "leaky_relu(slope 0.125)": {"nn.functional.leaky_relu": lambda x: F.leaky_relu(x, 0.125)},
            "prelu(slope 0.125)": {"nn.functional.prelu": F.prelu},
            "clip(0, 1)": {"clamp": lambda x: torch.clamp(x, 0, 1)},
            "hardtanh": {"nn.functional.hardtanh": F.hardtanh},
            "hardswish": {"nn.functional.hardswish": F.hardswish},
            "abs": {"abs": torch.abs},
            "sign": {"sign": torch.sign},
            "maximum": {"maximum": torch.maximum},
            "minimum": {"minimum": torch.minimum},
            "max": {"max": torch.max, "max(dim=0)": lambda x: torch.max(x, 0).values, "amax": torch.amax},
            "min": {"min": torch.min, "min(dim=0)": lambda x: torch.min(x, 0).values, "amin": torch.amin},
            "max pooling 2x2": {"nn.functional.max_pool2d": pool},
            "sqrt": {"sqrt": torch.sqrt},
            "where(x > 0, sqrt(x), 0)": {"where": lambda x: torch.where(x > 0, torch.sqrt(x), 0.0)},
            "sqrt(sum(x x))": {"sqrt(sum)": lambda x: torch.sqrt(torch.sum(x * x))},
            "norm": {"linalg.norm": torch.linalg.norm},
            "power(x, y)": {"pow": torch.pow},
            "round": {"round": torch.round},
        }

    def value(self, function: Callable[..., Any], arrays: list[np.ndarray]) -> Any:
        import torch

        return function(*(torch.tensor(a) for a in arrays)).numpy()

    def gradients(self, function: Callable[..., Any], arrays: list[np.ndarray]) -> list[Any]:
        import torch

        leaves = [torch.tensor(a, requires_grad=True) for a in arrays]
        return list(torch.autograd.grad(function(*leaves).sum(), leaves))


class Jax(Framework):
    name = "JAX"
    package = "jax"

    def make_spellings(self) -> Spellings:
        import jax
        from jax import nn
        from jax import numpy as jnp

        def pool(x: Any) -> Any:
            return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

        return {
            "relu": {"nn.relu": nn.relu},
            "relu6": {"nn.relu6": nn.relu6},
            "leaky_relu(slope 0.125)": {"nn.leaky_relu": lambda x: nn.leaky_relu(x, 0.125)},
            "prelu(slope 0.125)": {"nn.leaky_relu": nn.leaky_relu},
            "clip(0, 1)": {
                "numpy.clip": lambda x: jnp.clip(x, 0, 1),
                "lax.clamp": lambda x: jax.lax.clamp(0.0, x, 1.0),
            },
            "hardtanh": {"nn.hard_tanh": nn.hard_tanh},
            "hardswish": {"nn.hard_swish": nn.hard_swish},
            "abs": {"numpy.abs": jnp.abs},
            "sign": {"numpy.sign": jnp.sign},
            "maximum": {"numpy.maximum": jnp.maximum},
            "minimum": {"numpy.minimum": jnp.minimum},
            "max": {"numpy.max": jnp.max},
            "min": {"numpy.min": jnp.min},
            "max pooling 2x2": {"lax.reduce_window": pool},
            "sqrt": {"numpy.sqrt": jnp.sqrt},
            "where(x > 0, sqrt(x), 0)": {"numpy.where": lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0)},
            "sqrt(sum(x x))": {"sqrt(sum)": lambda x: jnp.sqrt(jnp.sum(x * x))},
            "norm": {"numpy.linalg.norm": jnp.linalg.norm},
            "power(x, y)": {"numpy.power": jnp.power},
            "round": {"numpy.round": jnp.round},
        }

    def value(self, function: Callable[..., Any], arrays: list[np.ndarray]) -> Any:
        import jax

        with jax.enable_x64(True):
            return np.asarray(function(*map(jax.numpy.asarray, arrays)))

    def gradients(self, function: Callable[..., Any], arrays: list[np.ndarray]) -> list[Any]:
        import jax

        with jax.enable_x64(True):
            by_every_argument = jax.grad(lambda *a: function(*a).sum(), tuple(range(len(arrays))))
            return [np.asarray(g) for g in by_every_argument(*map(jax.numpy.asarray, arrays))]


class Autograd(Framework):
    name = "HIPS autograd"
    package = "autograd"

    def make_spellings(self) -> Spellings:
        from autograd import numpy as anp

        return {
            "relu": {"maximum(x, 0)": lambda x: anp.maximum(x, 0.0)},
            "relu6": {"clip(x, 0, 6)": lambda x: anp.clip(x, 0.0, 6.0)},
            "clip(0, 1)": {"clip": lambda x: anp.clip(x, 0.0, 1.0)},
            "hardtanh": {"clip(x, -1, 1)": lambda x: anp.clip(x, -1.0, 1.0)},
            "abs": {"abs": anp.abs},
            "sign": {"sign": anp.sign},
            "maximum": {"maximum": anp.maximum},
            "minimum": {"minimum": anp.minimum},
            "max": {"max": anp.max},
            "min": {"min": anp.min},
            "sqrt": {"sqrt": anp.sqrt},
            "where(x > 0, sqrt(x), 0)": {"where": lambda x: anp.where(x > 0, anp.sqrt(x), 0.0)},
            "sqrt(sum(x x))": {"sqrt(sum)": lambda x: anp.sqrt(anp.sum(x * x))},
            "norm": {"linalg.norm": anp.linalg.norm},
            "power(x, y)": {"power": anp.power},
            "round": {"round": anp.round},
        }

    def value(self, function: Callable[..., Any], arrays: list[np.ndarray]) -> Any:
        return function(*arrays)

    def gradients(self, function: Callable[..., Any], arrays: list[np.ndarray]) -> list[Any]:
        from autograd import elementwise_grad

        return [elementwise_grad(function, n)(*arrays) for n in range(len(arrays))]


FRAMEWORKS: tuple[type[Framework], ...] = (Minigrad, PyTorch, Jax, Autograd)
