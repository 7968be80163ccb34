"""The training loop: the steps it takes, what it measures and keeps, and what makes a run another one."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from minigrad import InputError, Tensor, apply, no_grad, training
from minigrad.data import Dataset, batch, channel_means, normalize, procedural
from minigrad.nn import BatchNorm, Conv2d, GlobalAvgPool, Linear, Module, ReLU, Sequential
from minigrad.optim import SGD, AdamW, Group, clip_norm, cosine, warmup
from minigrad.training import Config, predict, train
from quant.dsq import DSQ
from quant.nn.convert import quantize

GROUPS = {"weight": Group(weight_decay=5e-4), "norm": Group(), "range": Group(), "shape": Group()}
DATA = procedural(1, train=20, test=10)
MEANS = channel_means(DATA.train_images)


def small(seed: int = 0) -> Sequential:
    rng = np.random.default_rng(seed)
    first, second = Conv2d(rng, 3, 4, 3, stride=4, padding=1), Conv2d(rng, 4, 4, 3)
    tail = (GlobalAvgPool(), Linear(rng, 4, 10))
    return Sequential(first, BatchNorm(4), ReLU(), second, BatchNorm(4), ReLU(), *tail)


def same(a: Module, b: Module) -> bool:
    return all(array.tobytes() == b.state()[name].tobytes() for name, array in a.state().items())


def test_training_is_the_loop_written_out() -> None:
    """Two epochs of three steps, the batch norm's statistics, the momentum and the accuracies on the way."""
    steps, rate = 6, 0.2
    expected, accuracies, losses = small(), [], []
    optimizer = SGD(expected, GROUPS, momentum=0.5)
    for n in range(steps):
        x, labels = batch(DATA, 7, n // 3, n % 3, 8, means=MEANS)
        loss = apply("cross_entropy", expected(Tensor(x)), labels)
        losses.append(loss.item())
        expected.zero_grad()
        loss.backward()
        optimizer.step(cosine(rate, steps)(n))
        expected.project()
        if n % 2 == 1:
            logits = expected.eval()(Tensor(normalize(DATA.test_images, MEANS))).data
            accuracies.append((n + 1, float(np.mean(logits.argmax(axis=1) == DATA.test_labels))))
            expected.train()
    model = small()
    history = train(
        model, DATA, Config(steps, 8, rate, GROUPS, optimizer_options={"momentum": 0.5}, seed=7), measure_every=2
    )
    assert same(model, expected)
    assert history.loss == losses
    assert history.accuracy == accuracies


def test_every_step_ends_inside_the_domain() -> None:
    model = quantize(small())
    quantizers = [module for _, module in model.modules() if isinstance(module, DSQ)]
    for quantizer in quantizers:
        quantizer.alpha.data[...] = 0.9
    # The decay alone takes u to -49 u; alpha stands still.
    groups = GROUPS | {"range": Group(weight_decay=1e3), "shape": Group(rate=0.0)}
    train(model, DATA, Config(1, 8, 0.05, groups))
    assert [float(q.u.data) > 0 for q in quantizers] == [True] * 5
    assert [float(q.alpha.data) for q in quantizers] == [0.5] * 5


def test_predictions_are_of_evaluation() -> None:
    model = small()
    train(model, DATA, Config(3, 8, 0.1, GROUPS))
    before = {name: array.copy() for name, array in model.state().items()}
    got = predict(model, DATA.test_images, MEANS, batch_size=3)
    assert all(np.array_equal(model.state()[name], array) for name, array in before.items())
    expected = model.eval()(Tensor(normalize(DATA.test_images, MEANS))).data
    assert np.array_equal(got, expected)


@pytest.mark.parametrize("mode", [True, False])
def test_predicting_keeps_the_mode(mode: bool) -> None:
    model = small().train(mode)
    predict(model, DATA.test_images, MEANS)
    assert [module.training for _, module in model.modules()] == [mode] * 9


def test_predicting_keeps_the_mode_of_each_module() -> None:
    """A batch norm that is frozen stays so, also where the model fails."""
    model = small()
    model.layers[1].training = False
    modes = [module.training for _, module in model.modules()]
    predict(model, DATA.test_images, MEANS)
    assert [module.training for _, module in model.modules()] == modes
    with pytest.raises(InputError):
        predict(model, DATA.test_images[..., :2], MEANS[:2])
    assert [module.training for _, module in model.modules()] == modes


def test_predicting_records_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = small(), []
    forward = model.forward

    def watched(x: Tensor) -> Tensor:
        seen.append(forward(x))
        return seen[-1]

    monkeypatch.setattr(model, "forward", watched)
    predict(model, DATA.test_images, MEANS)
    assert [y.requires_grad for y in seen] == [False]


def test_the_step_schedule_falls_after_half_and_three_quarters() -> None:
    rate = Config(8, 1, 1.0, GROUPS, schedule="multi_step").learning_rate()
    assert [rate(n) for n in range(8)] == pytest.approx([1.0] * 4 + [0.1] * 2 + [0.01] * 2)


def test_the_options_of_a_run_are_used() -> None:
    """Optimizer, warm-up and clipping, written out."""
    steps, rate = 5, 0.01
    expected = small()
    optimizer = AdamW(expected, GROUPS, betas=(0.5, 0.9))
    for n in range(steps):
        x, labels = batch(DATA, 0, n // 3, n % 3, 8, means=MEANS)
        expected.zero_grad()
        apply("cross_entropy", expected(Tensor(x)), labels).backward()
        assert clip_norm(optimizer.parameters, 0.1) > 0.1
        optimizer.step(warmup(cosine(rate, steps - 2), 2)(n))
    options = {"optimizer": "adamw", "optimizer_options": {"betas": (0.5, 0.9)}, "warmup": 2, "clip_norm": 0.1}
    model = small()
    train(model, DATA, Config(steps, 8, rate, GROUPS, **options))  # type: ignore[arg-type]
    assert same(model, expected)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adam"},
        {"optimizer_options": {"momentum": 0.8}},
        {"optimizer_options": {"nesterov": True}},
        {"schedule": "constant"},
        {"schedule_options": {"least": np.float32(0.01)}},
        {"warmup": 1},
        {"clip_norm": 1.0},
    ],
)
def test_every_option_names_the_run(options: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    train(small(), DATA, Config(2, 8, 0.1, GROUPS), path)
    changed = Config(2, 8, 0.1, GROUPS, **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="other settings, data or model"):
        train(small(), DATA, changed, path)
    path.unlink()
    history = train(small(), DATA, changed, path)
    assert train(small(), DATA, changed, path) == history


def test_the_last_accuracy_is_of_all_test_images(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def accuracy(model: Module, images: np.ndarray, labels: np.ndarray, means: np.ndarray) -> float:
        assert np.array_equal(labels, DATA.test_labels[: len(images)])
        seen.append(len(images))
        return 0.0

    monkeypatch.setattr(training, "_GLANCE", 3)
    monkeypatch.setattr(training, "accuracy", accuracy)
    history = train(small(), DATA, Config(5, 8, 0.1, GROUPS), measure_every=2)
    assert seen == [3, 3, 10]
    assert [step for step, _ in history.accuracy] == [2, 4, 5]


def test_an_infinite_loss_stops_the_run() -> None:
    model = small()
    model.layers[7].bias.data[...] = -3.3e38  # type: ignore[attr-defined]
    model.layers[7].bias.data[0] = 3.3e38  # type: ignore[attr-defined]
    with np.errstate(over="ignore"), pytest.raises(InputError, match="the loss is inf at step 0") as error:
        train(model, DATA, Config(2, 8, 0.1, GROUPS))
    assert error.tb is not None
    model.load_state(small().state())  # no tape that the error keeps alive holds the weights


@pytest.mark.parametrize("part", ["train_images", "train_labels", "test_images", "test_labels"])
def test_every_part_of_the_data_names_the_run(part: str, tmp_path: Path) -> None:
    def changed(array: np.ndarray) -> Dataset:
        return dataclasses.replace(DATA, **{part: array})  # type: ignore[arg-type]

    path, config = tmp_path / "run.safetensors", Config(1, 8, 0.1, GROUPS)
    train(small(), DATA, config, path)
    train(small(), changed(getattr(DATA, part).copy()), config, path)
    with pytest.raises(InputError, match="other settings, data or model"):
        train(small(), changed(np.ascontiguousarray(getattr(DATA, part)[::-1])), config, path)


@pytest.mark.parametrize("options", [{"bits": 3}, {"forward": "soft"}, {"alpha": 0.3}, {"edge_bits": 4}])
def test_the_options_of_quantizers_name_the_run(options: dict[str, object], tmp_path: Path) -> None:
    path, config = tmp_path / "run.safetensors", Config(1, 8, 0.1, GROUPS)
    train(quantize(small(), bits=2, forward="hard"), DATA, config, path)
    with pytest.raises(InputError, match="other settings, data or model"):
        train(quantize(small(), **options), DATA, config, path)  # type: ignore[arg-type]


def test_nothing_is_recorded_after_an_inner_no_grad() -> None:
    x = Tensor(np.ones(1), requires_grad=True)
    with no_grad():
        with no_grad():
            pass
        assert not (x * 2.0).requires_grad
    assert (x * 2.0).requires_grad


def test_a_leaf_takes_a_gradient_in_its_own_dtype() -> None:
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    x.backward(np.ones(3))
    assert x.grad is not None
    assert x.grad.dtype == np.float32


def test_every_epoch_begins_with_a_call(tmp_path: Path) -> None:
    """Three steps an epoch; after resuming, the epoch of the last step done comes again."""
    path, calls = tmp_path / "run.safetensors", []

    class Killed(Exception):
        pass

    def on_step(done: int, loss: float) -> None:
        calls.append(("step", done))
        if calls.count(("step", 5)) == 1 and done == 5:
            raise Killed

    def run() -> None:
        config = Config(7, 8, 0.1, GROUPS)
        train(
            small(),
            DATA,
            config,
            path,
            on_step=on_step,
            on_epoch=lambda epoch, epochs: calls.append((epoch, epochs)),
            checkpoint_every=1,
        )

    with pytest.raises(Killed):
        run()
    first = [(1, 3), ("step", 1), ("step", 2), ("step", 3), (2, 3), ("step", 4), ("step", 5)]
    assert calls == first
    run()
    assert calls[7:] == [(2, 3), ("step", 5), ("step", 6), (3, 3), ("step", 7)]
    run()
    assert calls[12:] == [(3, 3), ("step", 7)]


def test_the_objective_is_what_is_minimised() -> None:
    plain, scaled = small(), small()
    history = train(plain, DATA, Config(1, 8, 0.1, GROUPS | {"weight": Group()}))
    other = train(scaled, DATA, Config(1, 8, 0.05, GROUPS | {"weight": Group()}), objective=lambda loss: loss * 2.0)
    assert other.loss == [2 * history.loss[0]]
    assert all(np.array_equal(p.data, q.data) for p, q in zip(plain.parameters(), scaled.parameters(), strict=True))
