"""Functions of PyTorch and JAX under ``check``: right ones pass, wrong backward rules do not."""

import sys

import numpy as np
import pytest

from minigrad.errors import InputError
from verify.gradients import check, jax_function, surrogate, torch_function

X = np.random.default_rng(1).normal(size=(3, 4))
W = np.random.default_rng(2).normal(size=(4, 2))


def judged(adapted, args, **options):
    return check(adapted.function, args, vjp=adapted.vjp, jvp=adapted.jvp, hvp=adapted.hvp, **options)


@pytest.mark.parametrize(("make", "module"), [(torch_function, "torch"), (jax_function, "jax")])
def test_a_framework_that_is_not_there_is_named(make, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=f"is not installed here .pip install {module}."):
        make(lambda x: x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_torch(dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is not in this environment")

    def layer(x, w, power):
        return torch.tanh(x @ w) ** power

    adapted = torch_function(layer)
    verdict = judged(adapted, (X.astype(dtype), W.astype(dtype), 2))
    assert verdict.require()["second order"].compared > 0
    assert adapted.function(X.astype(dtype), W.astype(dtype), 2).dtype == dtype
    indexed = torch_function(lambda x, index: x[index].sin())
    assert judged(indexed, (X[0], np.array([0, 0, 3]))).passed
    unused = torch_function(lambda x, w: x.sin())
    assert judged(unused, (X, W)).passed


def test_a_wrong_backward_of_torch_is_found():
    torch = pytest.importorskip("torch", reason="PyTorch is not in this environment")

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(ctx, gy):
            (x,) = ctx.saved_tensors
            g = gy * x.cos()
            return g * torch.where(torch.arange(g.numel()).reshape(g.shape) == 5, 1.5, 1.0)

    class Through(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.round()

        @staticmethod
        def backward(ctx, gy):
            return gy

    adapted = torch_function(Wrong.apply)
    verdict = check(adapted.function, (X,), vjp=adapted.vjp)
    assert verdict["reverse"].failure.index == (1, 1)
    through = torch_function(Through.apply)
    assert check(through.function, (X,), vjp=through.vjp, declaration=surrogate("identity", lambda x: x * 1)).passed
    assert not check(through.function, (X,), vjp=through.vjp).passed


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_jax(dtype):
    jax = pytest.importorskip("jax", reason="JAX is not in this environment")

    def layer(x, w, power):
        return jax.numpy.tanh(x @ w) ** power

    adapted = jax_function(layer)
    verdict = judged(adapted, (X.astype(dtype), W.astype(dtype), 2))
    assert verdict.require()["second order"].compared > 0
    assert adapted.function(X.astype(dtype), W.astype(dtype), 2).dtype == dtype


def test_a_wrong_backward_of_jax_is_found():
    jax = pytest.importorskip("jax", reason="JAX is not in this environment")

    @jax.custom_vjp
    def wrong(x):
        return jax.numpy.sin(x)

    wrong.defvjp(lambda x: (jax.numpy.sin(x), x), lambda x, gy: (gy * jax.numpy.cos(x) * 1.001,))
    adapted = jax_function(wrong)
    assert check(adapted.function, (X,), vjp=adapted.vjp)["reverse"].status == "wrong"
    x = np.random.default_rng(3).normal(size=5_000).astype(np.float32)
    adapted = jax_function(lambda x: jax.numpy.sum(jax.numpy.sin(x)))
    flipped = lambda gy, x: tuple(-g for g in adapted.vjp(gy, x))  # noqa: E731
    assert not check(adapted.function, (x,), vjp=flipped, budget=1_000)["reverse"].passed
