"""Optimizers, schedules, clipping and averages against PyTorch's, in float64."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.nn import BatchNorm, Linear, Module, Parameter, Sequential
from minigrad.nn.init import fans, gain
from minigrad.optim import (
    SGD,
    Adam,
    AdamW,
    ExponentialAverage,
    Group,
    Schedule,
    StochasticAverage,
    clip_norm,
    cosine,
    exponential,
    gradient_norm,
    multi_step,
    one_cycle,
    reestimate_statistics,
    step,
    warmup,
)

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")

SHAPES = [(3, 4), (5,), ()]


class Three(Module):
    """Parameters of several shapes in two groups."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        self.a = Parameter(rng.standard_normal(SHAPES[0]))
        self.b = Parameter(rng.standard_normal(SHAPES[1]))
        self.c = Parameter(rng.standard_normal(SHAPES[2]), group="norm")


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (SGD, "SGD", {"momentum": 0.0}),
        (SGD, "SGD", {"momentum": 0.9}),
        (SGD, "SGD", {"momentum": 0.7, "nesterov": True}),
        (Adam, "Adam", {}),
        (Adam, "Adam", {"betas": (0.5, 0.75), "eps": 1e-3}),
        (AdamW, "AdamW", {}),
        (AdamW, "AdamW", {"betas": (0.5, 0.75), "eps": 1e-3}),
    ],
)
def test_optimizers(ours: Any, theirs: str, options: dict[str, Any], decay: float) -> None:
    """30 steps with a changing rate, two groups, and a parameter that has no gradient in some steps."""
    rng = np.random.default_rng(0)
    model = Three(rng)
    copies = [torch.tensor(p.data, requires_grad=True) for p in model.parameters()]
    optimizer = ours(model, {"weight": Group(weight_decay=decay), "norm": Group(0.5)}, **options)
    groups = [{"params": copies[:2], "weight_decay": decay}, {"params": copies[2:], "weight_decay": 0.0}]
    peer = getattr(torch.optim, theirs)(groups, lr=1.0, **options)
    for n in range(30):
        rate = 0.1 / (1 + n % 4)
        peer.param_groups[0]["lr"], peer.param_groups[1]["lr"] = rate, 0.5 * rate
        for parameter, copy in zip(model.parameters(), copies, strict=True):
            gradient = rng.standard_normal(parameter.shape)
            absent = parameter is model.b and n % 3 == 1
            parameter.grad = None if absent else np.asarray(gradient)
            copy.grad = None if absent else torch.tensor(gradient)
        optimizer.step(rate)
        peer.step()
        for parameter, copy in zip(model.parameters(), copies, strict=True):
            assert np.allclose(parameter.data, copy.detach().numpy(), rtol=1e-12, atol=1e-13)


def _peer_rates(make: Callable[[Any], Any], rate: float, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate, momentum=0.9)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("steps", [2, 7, 40, 101])
def test_schedules(steps: int) -> None:
    scheduler = torch.optim.lr_scheduler
    rate = 0.3
    cases: list[tuple[Schedule, Callable[[Any], Any]]] = [
        (step(rate, every=3, factor=0.5), lambda o: scheduler.StepLR(o, 3, 0.5)),
        (multi_step(rate, milestones=[2, 5, 30]), lambda o: scheduler.MultiStepLR(o, [2, 5, 30], 0.1)),
        (exponential(rate, factor=0.95), lambda o: scheduler.ExponentialLR(o, 0.95)),
        (cosine(rate, steps), lambda o: scheduler.CosineAnnealingLR(o, steps)),
        (cosine(rate, steps, least=0.1), lambda o: scheduler.CosineAnnealingLR(o, steps, 0.1)),
        (
            warmup(exponential(rate, factor=0.9), 4),
            lambda o: scheduler.SequentialLR(
                o, [scheduler.LinearLR(o, 0.2, total_iters=4), scheduler.ExponentialLR(o, 0.9)], [4]
            ),
        ),
    ]
    rise = 0.3 if steps > 2 else 0.4  # PyTorch divides by 0 where the peak is the first step.
    for phases in (2, 3):
        for anneal, theirs in (("cosine", "cos"), ("linear", "linear")):
            options: dict[str, Any] = {"pct_start": rise, "anneal_strategy": theirs, "three_phase": phases == 3}
            ours = one_cycle(rate, steps, rise=rise, anneal=anneal, phases=phases)
            cases.append((ours, functools.partial(scheduler.OneCycleLR, max_lr=rate, total_steps=steps, **options)))
    for ours, make in cases:
        count = steps - 1  # OneCycleLR refuses to step further.
        assert [ours(n) for n in range(count)] == pytest.approx(_peer_rates(make, rate, count), rel=1e-12, abs=1e-16)


@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clipping(limit: float) -> None:
    """PyTorch divides by the norm + 1e-6."""
    rng = np.random.default_rng(1)
    model = Three(rng)
    copies = []
    for parameter in model.parameters():
        parameter.grad = np.asarray(rng.standard_normal(parameter.shape))
        copies.append(torch.zeros(parameter.shape, dtype=torch.float64, requires_grad=True))
        copies[-1].grad = torch.tensor(parameter.grad)
    parameters = dict(model.named_parameters())
    norm = gradient_norm(parameters)
    theirs = float(torch.nn.utils.clip_grad_norm_(copies, limit))
    assert clip_norm(parameters, limit) == norm == pytest.approx(theirs, rel=1e-14)
    for parameter, copy in zip(model.parameters(), copies, strict=True):
        assert parameter.grad is not None
        assert np.allclose(parameter.grad, copy.grad.numpy(), rtol=2e-6 / norm)


def _twins() -> tuple[Sequential, Any]:
    rng = np.random.default_rng(2)
    ours = Sequential(Linear(rng, 3, 4, np.float64), BatchNorm(4, dtype=np.float64))
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).double()
    _copy(ours, theirs)
    return ours, theirs


def _copy(ours: Sequential, theirs: Any) -> None:
    state = ours.state()
    with torch.no_grad():
        theirs[0].weight[...] = torch.tensor(state["layers.0.weight"].T.copy())
        theirs[0].bias[...] = torch.tensor(state["layers.0.bias"])
        theirs[1].weight[...] = torch.tensor(state["layers.1.gamma"])
        theirs[1].bias[...] = torch.tensor(state["layers.1.beta"])


@pytest.mark.parametrize("kind", ["stochastic", "exponential"])
def test_averages_and_their_statistics(kind: str) -> None:
    swa = torch.optim.swa_utils
    rng = np.random.default_rng(3)
    ours, theirs = _twins()
    average: Any = StochasticAverage(ours) if kind == "stochastic" else ExponentialAverage(ours, 0.9, warmup=False)
    peer = swa.AveragedModel(theirs, multi_avg_fn=None if kind == "stochastic" else swa.get_ema_multi_avg_fn(0.9))
    if kind == "exponential":  # PyTorch's average starts with the first update, ours with the model.
        peer.update_parameters(theirs)
    for _ in range(5):
        for parameter in ours.parameters():
            parameter.data += 0.1 * rng.standard_normal(parameter.shape)
        _copy(ours, theirs)
        average.update()
        peer.update_parameters(theirs)
    batches = [rng.standard_normal((6, 3)) for _ in range(4)]
    swa.update_bn([torch.tensor(x) for x in batches], peer)
    with average.swapped():
        reestimate_statistics(ours, batches)
        x = rng.standard_normal((7, 3))
        got = ours.eval()(Tensor(x)).data
        assert np.allclose(got, peer.eval()(torch.tensor(x)).detach().numpy(), rtol=1e-12, atol=1e-13)


def test_gains_and_fans() -> None:
    init = torch.nn.init
    for name in ("linear", "sigmoid", "tanh", "relu"):
        assert gain(name) == pytest.approx(init.calculate_gain(name), rel=1e-15)
    assert gain("leaky_relu", 0.2) == pytest.approx(init.calculate_gain("leaky_relu", 0.2), rel=1e-15)
    assert fans((30, 20)) == init._calculate_fan_in_and_fan_out(torch.empty(20, 30))
    assert fans((3, 5, 16, 32)) == init._calculate_fan_in_and_fan_out(torch.empty(32, 16, 3, 5))
