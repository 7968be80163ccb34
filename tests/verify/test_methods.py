"""The experiment with every method: a tiny one from end to end, what it may not let pass, and what is stored."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import InputError, Tensor
from minigrad.data import procedural
from minigrad.models import small_cnn
from minigrad.training import train
from quant import METHODS
from quant.ddq.memory import memory_factor
from quant.nn.convert import quantize
from quant.quantizer import Quantizer
from verify.method_settings import FOUR, Setting, settings
from verify.methods import Recipe, failures, run, stored, without_gradients
from verify.methods_page import DOCUMENT, document

TINY = Recipe(train_images=30, test_images=20, channels=(4, 4, 4), batch_size=10, float_steps=4, steps=5)
AGAIN = "run: python -m verify.methods --store"


def test_every_method_is_in_a_setting() -> None:
    found = settings()
    assert {s.method for s in found} == set(METHODS)
    assert all(s.method in (s.weights, s.activations) for s in found)
    for name in FOUR:
        assert {(2, 2), (1, 1)} <= {s.bits for s in found if (s.weights, s.activations) == (name, name)}
    assert [s.name for s in found if s.target] == ["ddq W4A4 learned, 2 on average"]
    for s in found:
        assert s.bits[0] in METHODS[s.weights].weights
        assert s.bits[1] in METHODS[s.activations].activations
    with pytest.raises(InputError, match=r"methods: expected some of apot, .*, got 'nothing'"):
        settings(["nothing"])


def test_a_tiny_run_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [s for s in settings(["lsq", "ddq"]) if s.bits != (1, 1)]
    jobs: list[str] = []
    found = run(chosen, tmp_path, recipe=TINY, seeds=(0, 3), on_job=jobs.append)
    assert len(jobs) == len(set(jobs)) == 2 + 2 * 2 * len(chosen)
    assert list(found["settings"]) == [s.name for s in chosen]
    for entry in found["settings"].values():
        for results in (entry["trained"], entry["zeroed"]):
            assert [set(r) for r in results] == [{"accuracy", "first_loss", "last_loss", "width"}] * 2
        assert entry["trained"] != entry["zeroed"]
        assert entry["trained"][0] != entry["trained"][1]
    # What is finished is not trained again.
    monkeypatch.setattr("minigrad.optim.SGD.step", None)
    assert run(chosen, tmp_path, recipe=TINY, seeds=(0, 3)) == found
    assert "| lsq W2A2 | `lsq`, `lsq` |" in document(found)


def test_schedules_and_the_memory_objective_are_part_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    epochs: list[tuple[int, int]] = []
    factors: list[float] = []

    def factor(*arguments: Any, **options: Any) -> Tensor:
        factors.append(memory_factor(*arguments, **options).item())
        return memory_factor(*arguments, **options)

    monkeypatch.setattr("verify.methods.set_progress", lambda model, *epoch: epochs.append(epoch))
    monkeypatch.setattr("verify.methods.memory_factor", factor)
    chosen = [s for s in settings(["ddq"]) if s.target]
    run(chosen, tmp_path, recipe=TINY, seeds=(0,))
    assert epochs == [(1, 2), (2, 2)] * 2
    assert factors == [2.0] * 10  # four bits with a target of two


def test_processes_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGRAD_THREADS", "1")
    chosen = settings(["ste"])
    one = run(chosen, tmp_path / "one", recipe=TINY, seeds=(1,))
    assert run(chosen, tmp_path / "two", recipe=TINY, seeds=(1,), processes=2) == one


def test_without_gradients_only_the_end_learns() -> None:
    def moved(zeroed: bool) -> set[str]:
        model = quantize(small_cnn(0), "lsq", bits=2, edge_bits=None)
        if zeroed:
            without_gradients(model)
        data = procedural(0, 30, 20)
        train(model, data, TINY.config(1, 0.1, 0))
        before = {n: p.data.copy() for n, p in model.named_parameters()}
        train(model, data, TINY.config(2, 0.1, 0))
        return {n for n, p in model.named_parameters() if not np.array_equal(p.data, before[n])}

    assert moved(True) == {"layers.13.gamma", "layers.13.beta", "layers.16.weight", "layers.16.bias"}
    everything = {n for n, _ in quantize(small_cnn(0), "lsq", bits=2, edge_bits=None).named_parameters()}
    assert moved(False) == everything


def test_zeroed_forwards_are_the_same() -> None:
    x = Tensor(np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32))
    plain = quantize(small_cnn(0), "dsq", bits=2, edge_bits=None)
    zeroed = copy.deepcopy(plain)
    without_gradients(zeroed)
    assert np.array_equal(plain(x).data, zeroed(x).data)
    assert np.array_equal(plain.eval()(x).data, zeroed.eval()(x).data)
    assert sum(isinstance(m, Quantizer) for _, m in zeroed.modules()) == 8


def good() -> dict[str, Any]:
    trained = {"accuracy": 0.8, "first_loss": 2.0, "last_loss": 1.0, "width": 2.0}
    entry = {"target": 2.0, "trained": [dict(trained), dict(trained)], "zeroed": [trained | {"accuracy": 0.5}] * 2}
    return {"seeds": [0, 1], "settings": {"a": entry}}


@pytest.mark.parametrize(
    ("which", "change", "message"),
    [
        ("trained", {"accuracy": float("nan")}, "a, seed 1: expected finite numbers"),
        ("zeroed", {"last_loss": float("inf")}, "a, seed 1: expected finite numbers"),
        ("trained", {"last_loss": 2.0}, "a, seed 1: the loss went from 2.0 to 2.0"),
        ("trained", {"accuracy": 0.5}, "a, seed 1: accuracy 0.5, 0.5 if zeroed"),
        ("trained", {"width": 2.5}, "a: expected at most 2.0 bits on average"),
    ],
)
def test_what_does_not_hold_is_found(which: str, change: dict[str, float], message: str) -> None:
    found = good()
    assert failures(found) == []
    found["settings"]["a"][which] = [found["settings"]["a"][which][0], found["settings"]["a"][which][1] | change]
    wrong = failures(found)
    assert any(line.startswith(message) for line in wrong)


def test_what_is_stored_is_complete_and_holds() -> None:
    found = stored()
    wanted = {s.name: s for s in settings()}
    assert found["settings"].keys() == wanted.keys(), AGAIN
    for name, entry in found["settings"].items():
        made = Setting(**{k: v for k, v in entry.items() if k not in ("trained", "zeroed")})
        assert (made.weights, made.activations, tuple(made.bits)) == (
            wanted[name].weights,
            wanted[name].activations,
            wanted[name].bits,
        ), AGAIN
        assert len(entry["trained"]) == len(entry["zeroed"]) == len(found["seeds"]) >= 3
    assert failures(found) == []


def test_the_page_is_made_from_what_is_stored() -> None:
    assert DOCUMENT.read_text() == document(stored()), "run: python -m verify.methods --page"
