"""No step leaves anything behind: no memory, no locked array, and no cycle that only the collector would find."""

import gc
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from minigrad import InputError, Tensor, apply, functional, grad, hold
from minigrad.models import resnet20
from minigrad.optim import AdamW, ExponentialAverage, Group


class Stop(Exception):
    """Raised by a hook."""


def empty_caches() -> int:
    """Have Python drop its free lists and the names its types remember; the number of objects found in cycles."""
    clear = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache  # the one, from Python 3.13 on
    clear()
    return gc.collect()


def left_behind(step: Callable[[int], None], steps: int) -> tuple[int, int, int]:
    """By so many steps after the first six: bytes, arrays held, and objects in cycles.

    A cycle would keep whole activations until the collector runs, so the collector is off, and is to find nothing.
    """
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for n in range(6):
            step(n)
        empty_caches()
        held, before = len(hold._held), tracemalloc.get_traced_memory()[0]
        for n in range(steps):
            step(n)
        cycles = empty_caches()
        return tracemalloc.get_traced_memory()[0] - before, len(hold._held) - held, cycles
    finally:
        tracemalloc.stop()
        gc.enable()


def test_memory_is_back_at_the_start_after_a_thousand_steps() -> None:
    rng = np.random.default_rng(0)
    w, x = Tensor(rng.standard_normal((16, 16)), requires_grad=True), Tensor(rng.standard_normal((8, 16)))

    def stop(g: np.ndarray) -> None:
        raise Stop

    def step(n: int) -> None:
        hidden = apply("tanh", apply("linear", x, w))
        hook = hidden.register_hook(lambda g: g * 1.0)
        loss = (hidden * hidden).sum()
        apply("exp", hidden)  # a branch that no backward visits
        if n % 4 == 0:
            loss.backward()
        elif n % 4 == 1:
            (g,) = grad(loss, [w], create_graph=True)
            (g * g).sum().backward()
        elif n % 4 == 2:
            hidden.register_hook(stop)
            with suppress(Stop):
                loss.backward()
        else:
            with suppress(InputError):
                apply("linear", hidden, hidden)
        hook.remove()
        w.grad = np.zeros_like(w.data)

    grown, held, cycles = left_behind(step, 1000)
    assert (held, cycles) == (0, 0)
    assert grown < 1000, f"{grown} bytes more after 1,000 steps"  # not one of anything a step


def test_training_a_network_leaves_nothing() -> None:
    model = resnet20(0)
    optimizer = AdamW(model, {"weight": Group(), "norm": Group()})
    average = ExponentialAverage(model)
    x, labels = np.random.default_rng(0).standard_normal((2, 4, 4, 3)).astype(np.float32), np.arange(2)

    def step(n: int) -> None:
        loss = functional.cross_entropy(model(Tensor(x)), labels)
        if n % 4 == 3:  # never walked
            return
        model.zero_grad()
        loss.backward()
        optimizer.step(1e-4)
        average.update()
        with average.swapped():
            model(Tensor(x))

    grown, held, cycles = left_behind(step, 20)
    assert (held, cycles) == (0, 0)
    assert grown < 20 * 16, f"{grown} bytes more after 20 steps"  # not one of anything a step
