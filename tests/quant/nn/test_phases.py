"""Schedules of a whole network and the three phases: who is on, who learns, and what a killed run goes on with."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import InputError
from minigrad.data import procedural
from minigrad.nn import BatchNorm, Conv2d, GlobalAvgPool, Linear, Module, ReLU, Sequential
from minigrad.optim import Group
from minigrad.training import Config, train
from quant.nn.convert import quantize
from quant.nn.phases import PHASES, Phases, penalty, set_progress
from quant.quantizer import Quantizer

GROUPS = {name: Group() for name in ("weight", "norm", "range", "levels", "shape")}
DATA = procedural(1, train=20, test=10)


def network(*methods: str, **options: Any) -> Sequential:
    rng = np.random.default_rng(0)
    first, second = Conv2d(rng, 3, 4, 3, stride=4, padding=1), Conv2d(rng, 4, 4, 3)
    floating = Sequential(
        first, BatchNorm(4), ReLU(), second, BatchNorm(4), ReLU(), GlobalAvgPool(), Linear(rng, 4, 10)
    )
    return quantize(floating, *(methods or ("qn",)), bits=2, edge_bits=2, **options)


def roles(model: Module) -> tuple[list[Any], list[Any]]:
    found = [(name, m) for name, m in model.modules() if isinstance(m, Quantizer)]
    return [m for n, m in found if "weight" in n], [m for n, m in found if "activation" in n]


def state(model: Module, part: str) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in model.state().items() if part in name}


def differs(model: Module, before: dict[str, np.ndarray]) -> bool:
    return any(not np.array_equal(model.state()[name], array) for name, array in before.items())


def test_progress_reaches_every_quantizer() -> None:
    model = network(temperature=5.0)
    set_progress(model, 3, 4)
    weights, activations = roles(model)
    assert len(weights) == 3
    assert len(activations) == 2
    assert {float(q.temperature) for q in weights + activations} == {15.0}


@pytest.mark.parametrize(("epoch", "epochs"), [(0, 3), (4, 3), (1, 0)])
def test_an_epoch_outside_the_run_is_named(epoch: int, epochs: int) -> None:
    with pytest.raises(InputError, match=f"epoch: expected 1 to {epochs}, got {epoch}"):
        set_progress(network(), epoch, epochs)
    with pytest.raises(InputError, match=f"epoch: expected 1 to {epochs}, got {epoch}"):
        Phases(network()).set_progress(epoch, epochs)


def test_training_tells_every_epoch() -> None:
    model = network(temperature=2.0)
    seen = []

    def on_step(done: int, loss: float) -> None:
        seen.append(float(roles(model)[0][0].temperature))

    train(model, DATA, Config(5, 10, 0.01, GROUPS), on_step=on_step, on_epoch=functools.partial(set_progress, model))
    assert seen == [2.0, 2.0, 4.0, 4.0, 6.0]


def test_penalties_of_all_quantizers_add_up() -> None:
    dsq, pact = network("dsq", alpha_penalty=0.5), network("dorefa", "pact", activation_options={"penalty_weight": 0.1})
    for _, activations in (roles(dsq), roles(pact)):
        activations[0].enabled = False
    # lambda/2 alpha^2 with alpha = 0.2 four times, and a^2 with a = 10 once.
    assert penalty(dsq).item() == pytest.approx(4 * 0.25 * 0.04, rel=1e-6)
    assert penalty(pact).item() == pytest.approx(0.05 * 100, rel=1e-6)
    penalty(dsq).backward()
    assert [q.alpha.grad is None for q in roles(dsq)[1]] == [True, False]
    assert penalty(network("lsq")).item() == 0


def test_the_phases_of_quantization_networks() -> None:
    model = network(temperature=5.0)
    weights, activations = roles(model)
    phases = Phases(model)
    temperatures = []
    for phase in PHASES:
        phases.begin(phase)
        assert {q.enabled for q in activations} == {phase != "weights"}
        assert {q.alpha.grad for q in weights} == {None}
        assert all(q.enabled for q in weights)
        before = {part: state(model, f"{part}_quantizer.alpha") for part in ("weight", "activation")}
        floating = state(model, ".weight")
        train(model, DATA, Config(4, 10, 0.01, GROUPS), on_epoch=phases.set_progress)
        assert differs(model, before["weight"]) == (phase != "activations")
        assert differs(model, before["activation"]) == (phase != "weights")
        assert differs(model, {n: a for n, a in floating.items() if n.endswith(".weight")})
        temperatures.append((float(weights[0].temperature), float(activations[0].temperature)))
    assert temperatures[0][0] == 10.0
    assert temperatures[1:] == [(10.0, 10.0), (10.0, 10.0)]


def test_the_fixed_weights_stay_at_the_end_of_their_schedule() -> None:
    model = network(temperature=5.0)
    weights, activations = roles(model)
    phases = Phases(model)
    for phase, expected in (("weights", 5.0), ("activations", 20.0), ("both", 5.0)):
        phases.begin(phase)
        phases.set_progress(1, 4)
        assert float(weights[0].temperature) == expected
        assert float(activations[0].temperature) == 5.0


def test_activations_choose_their_parameters_in_the_phase_that_switches_them_on() -> None:
    model = network()
    phases = Phases(model)
    phases.begin("weights")
    train(model, DATA, Config(1, 10, 0.01, GROUPS))
    weights, activations = roles(model)
    assert {q.initialised.item() for q in weights} == {1}
    assert {q.initialised.item() for q in activations} == {0}
    phases.begin("activations")
    train(model, DATA, Config(1, 10, 0.01, GROUPS))
    assert {q.initialised.item() for q in activations} == {1}


def test_what_never_learned_does_not_begin_to() -> None:
    """DSQ's alpha is fixed at 1 bit."""
    model = network("dsq", layers={1: 1})
    weights, _ = roles(model)
    learned = [p.requires_grad for q in weights for p in q.parameters()]
    assert set(learned) == {True, False}
    phases = Phases(model)
    for phase in PHASES:
        phases.begin(phase)
        now = [p.requires_grad for q in weights for p in q.parameters()]
        assert now == (learned if phase != "activations" else [False] * len(learned))


def test_an_unknown_phase_is_named() -> None:
    with pytest.raises(InputError, match="phase: expected one of weights, activations, both, got 'all'"):
        Phases(network()).begin("all")


class Killed(Exception):
    pass


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_killed_run_goes_on_in_its_epoch(steps: int, tmp_path: Path) -> None:
    def once(path: Path | None, kill: int) -> Module:
        model = network()

        def on_step(done: int, loss: float) -> None:
            if done == kill:
                raise Killed

        progress = functools.partial(set_progress, model)
        train(model, DATA, Config(5, 10, 0.05, GROUPS), path, on_step=on_step, on_epoch=progress, checkpoint_every=1)
        return model

    expected = once(None, 0).state()
    path = tmp_path / "run.safetensors"
    with pytest.raises(Killed):
        once(path, steps)
    resumed = once(path, 0).state()
    loaded = once(path, 0).state()
    for got in (resumed, loaded):
        assert all(array.tobytes() == got[name].tobytes() for name, array in expected.items())
