"""``minigrad demo``: train, certify, export, and the same bits from NumPy, C and NEON code on an emulated core."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from minigrad import PRIMITIVES, training
from minigrad.checkpoint import check_writable, write_atomically
from minigrad.data import Dataset, channel_means, load
from minigrad.errors import InputError
from minigrad.models import small_cnn
from minigrad.nn import Sequential
from minigrad.optim import Group
from minigrad.training import Config, History
from quant.dsq import DSQ
from quant.evaluation import HardNetwork, evaluate_on_integers
from quant.export import program_of
from quant.integer import Program
from quant.nn.convert import quantize
from verify.certificate import certify_quantizer, quantizers
from verify.forward import LayerComparison, compare_forward
from verify.gradients.registry import Entry, judge_all
from verify.gradients.truth import Certificate
from verify.kernels.compare import Row, compare_program
from verify.kernels.targets import Runner, available

__all__ = ["Result", "Settings", "run"]

#: Learned ranges and alphas move slowly: their gradients are sums over a whole tensor.
_GROUPS = {
    "weight": Group(weight_decay=5e-4),
    "norm": Group(),
    "range": Group(rate=0.05, clip=1.0),
    "shape": Group(rate=0.05, weight_decay=1e-3, clip=1.0),
}
_EXAMPLES = 4
_REPORT, _GRADIENTS, _PROGRAM = "report.html", "gradients.html", "network.safetensors"


@dataclass(frozen=True)
class Settings:
    """What ``minigrad demo`` is asked for; InputError if it makes no sense."""

    data: Path | None = None
    out: Path = Path("demo")
    bits: int = 2
    alpha: float = 0.2
    seed: int = 0
    float_steps: int = 1316
    quantized_steps: int = 564
    batch_size: int = 64

    def __post_init__(self) -> None:
        # The quantizers check their own parameters; an instance is made before anything is read or written.
        DSQ(self.bits, alpha=self.alpha)
        if self.alpha > 0.5:
            raise InputError(
                f"alpha: training keeps alpha in 0 < alpha <= 0.5 (0 < alpha < 1 elsewhere), got {self.alpha}"
            )
        for name in ("float_steps", "quantized_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected at least 1, got {getattr(self, name)}")
            if getattr(self, name) >= 1 << 31:
                raise InputError(f"{name}: expected less than 2^31, got {getattr(self, name)}")
        if not 0 <= self.seed < 1 << 64:
            raise InputError(f"seed: expected at least 0 and below 2^64, got {self.seed}")


@dataclass
class Result:
    """Everything the report shows."""

    settings: Settings
    data: Dataset
    floating: Sequential
    quantized: Sequential
    histories: tuple[History, History]
    network: HardNetwork
    program: Program
    accuracies: dict[str, float]
    hard_differences: list[tuple[str, int, int]]
    rows: list[Row]
    forward: list[LayerComparison]
    logit_difference: float
    classes_changed: int
    certificates: dict[str, Certificate]
    primitives: list[Entry]

    @property
    def passed(self) -> bool:
        """Whether every proof holds."""
        proofs = [
            [differing == 0 for _, _, differing in self.hard_differences],
            [row.mismatches == 0 for row in self.rows],
            [layer.not_at_a_tie == 0 for layer in self.forward],
            [certificate.bits >= CERTIFIED_BITS for certificate in self.certificates.values()],
            [entry.passed for entry in self.primitives],
        ]
        return all(proof and all(proof) for proof in proofs)


#: What a float64 value or gradient is held to: |error| <= 2^-45 of the sum of its terms.
CERTIFIED_BITS = 45


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description:<30}"),
        BarColumn(bar_width=8),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield progress


def _add(progress: Progress, name: str, total: int) -> Any:
    return progress.add_task(name, total=total, note="")


def _train(progress: Progress, name: str, model: Sequential, data: Dataset, config: Config, path: Path) -> History:
    task = _add(progress, name, config.steps)

    def on_step(done: int, loss: float) -> None:
        progress.update(task, completed=done, note=f"loss {loss:.3f}")

    history = training.train(model, data, config, path, on_step=on_step, measure_every=-(-config.steps // 8))
    progress.update(task, note=f"accuracy {100 * history.accuracy[-1][1]:.1f} %")
    return history


def _checkpoints(settings: Settings, data: Dataset) -> Path:
    """A folder for each kind of run, so that another one's checkpoints are neither used nor lost."""
    keys = (settings.bits, settings.alpha, settings.seed, settings.float_steps, settings.quantized_steps)
    return settings.out / "checkpoints" / "-".join(str(k) for k in (data.name, *keys, settings.batch_size))


def run(settings: Settings, console: Console) -> Result:
    """The whole demonstration; writes ``report.html`` and the program into ``settings.out``.

    Raises
    ------
    InputError
        For data, settings or checkpoints that cannot be used; nothing is half written then.
    """
    data = load(settings.data, seed=settings.seed)
    console.print(f"data: {data.name}, {len(data.train_images):,} training and {len(data.test_images):,} test images")
    folder = _checkpoints(settings, data)
    for path in (
        settings.out / _REPORT,
        settings.out / _GRADIENTS,
        settings.out / _PROGRAM,
        folder / "float.safetensors",
        folder / "dsq.safetensors",
    ):
        check_writable(path)
    means = channel_means(data.train_images)
    with _progress(console) as progress:
        floating, quantized, histories = _train_both(progress, settings, data, folder)
        network = evaluate_on_integers(quantized, means)
        program = program_of(network, f"small_cnn DSQ {settings.bits}-bit")
        program.save(settings.out / _PROGRAM)
        results, differences = _hard_against_integer(progress, network, program, data.test_images)
        rows = _on_targets(progress, program, data.test_images)
        forward = _against_float(progress, network, data.test_images)
        certificates, primitives = _certify(progress, quantized, settings.seed)
        logits = training.predict(quantized, data.test_images, means)
    result = Result(
        settings=settings,
        data=data,
        floating=floating,
        quantized=quantized,
        histories=histories,
        network=network,
        program=program,
        accuracies={
            "float32": histories[0].accuracy[-1][1],
            "fake-quantized": float(np.mean(logits.argmax(axis=1) == data.test_labels)),
            "integer": float(np.mean(results[-1] == data.test_labels)),
        },
        hard_differences=differences,
        rows=rows,
        forward=forward,
        logit_difference=float(np.abs(logits - results[-2] * network.logit_scale).max()),
        classes_changed=int(np.sum(logits.argmax(axis=1) != results[-1])),
        certificates=certificates,
        primitives=primitives,
    )
    from verify.report import demo as report  # matplotlib takes a second to import
    from verify.report import gradients

    write_atomically(settings.out / _GRADIENTS, gradients.page(result.primitives, _EXAMPLES, settings.seed).encode())
    write_atomically(settings.out / _REPORT, report.page(result, _GRADIENTS).encode())
    return result


def _train_both(
    progress: Progress, settings: Settings, data: Dataset, folder: Path
) -> tuple[Sequential, Sequential, tuple[History, History]]:
    def config(steps: int, rate: float) -> Config:
        return Config(steps, settings.batch_size, rate, _GROUPS, seed=settings.seed)

    floating = small_cnn(settings.seed, classes=len(data.classes))
    first = _train(
        progress,
        "train in float32",
        floating,
        data,
        config(settings.float_steps, 0.1),
        folder / "float.safetensors",
    )
    quantized = quantize(copy.deepcopy(floating), bits=settings.bits, alpha=settings.alpha)
    second = _train(
        progress,
        f"train with DSQ, {settings.bits} bit",
        quantized,
        data,
        config(settings.quantized_steps, 0.05),
        folder / "dsq.safetensors",
    )
    return floating, quantized, (first, second)


def _hard_against_integer(
    progress: Progress, network: HardNetwork, program: Program, images: np.ndarray
) -> tuple[list[np.ndarray], list[tuple[str, int, int]]]:
    """The program's logits and classes of all images, and for each layer how many codes are not hard evaluation's."""
    task = _add(progress, "integers = hard evaluation", len(images))
    names = [*(layer.name for layer in network.layers), "logits"]
    # The operations whose results are those of hard evaluation: each layer's thresholds, and the linear layer.
    positions = [2 * n + 1 for n in range(len(network.layers))] + [len(program.ops) - 2]
    compared, differing = [0] * len(names), [0] * len(names)
    kept: list[list[np.ndarray]] = []
    for begin in range(0, len(images), 250):
        batch = images[begin : begin + 250]
        integers, codes = program.run(batch), network.run(batch)
        for n, position in enumerate(positions):
            compared[n] += codes[n].size
            differing[n] += int(np.sum(codes[n] != integers[position]))
        kept.append(integers[-2:])
        progress.advance(task, len(batch))
    progress.update(task, note=f"{sum(differing)} of {sum(compared):,} differ")
    logits_and_classes = [np.concatenate(parts) for parts in zip(*kept, strict=True)]
    return logits_and_classes, list(zip(names, compared, differing, strict=True))


def _on_targets(progress: Progress, program: Program, images: np.ndarray) -> list[Row]:
    """Every target on every image."""
    runners = available(progress.console.print)
    tasks = {runner.name: _add(progress, f"same bits: {runner.name}", len(images)) for runner in runners}

    def on_images(runner: Runner, count: int) -> None:
        progress.advance(tasks[runner.name], count)

    by_runner = compare_program(program, images, runners, on_images)
    for runner, rows in zip(runners, by_runner, strict=True):
        wrong, compared = sum(row.mismatches for row in rows), sum(row.compared for row in rows)
        progress.update(tasks[runner.name], note=f"{wrong} of {compared:,} differ")
    return list(chain.from_iterable(by_runner))


def _against_float(progress: Progress, network: HardNetwork, images: np.ndarray) -> list[LayerComparison]:
    task = _add(progress, "float32 forward, at ties only", len(images))
    layers = compare_forward(network, images, lambda n: progress.advance(task, n))
    differing, off = sum(layer.differing for layer in layers), sum(layer.not_at_a_tie for layer in layers)
    progress.update(task, note=f"{differing} differ, {off} not at a tie")
    return layers


def _certify(progress: Progress, quantized: Sequential, seed: int) -> tuple[dict[str, Certificate], list[Entry]]:
    learned = list(quantizers(quantized))
    task = _add(progress, "DSQ in ball arithmetic", len(learned))
    certificates = {}
    for name, quantizer in learned:
        certificates[name] = certify_quantizer(quantizer, seed)
        progress.advance(task)
    progress.update(task, note=f"error <= 2^-{min(c.bits for c in certificates.values()):g} of terms")
    task = _add(progress, "every primitive's derivatives", len(PRIMITIVES))
    entries = []
    for entry in judge_all(sorted(PRIMITIVES), _EXAMPLES, seed):
        for failure in entry.failures:
            progress.console.print(failure, markup=False)
        entries.append(entry)
        progress.advance(task)
    progress.update(task, note=f"{sum(e.points for e in entries):,} points certified")
    return certificates, sorted(entries, key=lambda entry: entry.name)
