"""``python -m verify.methods``: a small network is trained with every method, and with its gradients taken away.

Each setting is a method for weights, one for activations and their widths. From a float network, trained once a seed,
it is fine-tuned twice with the same recipe: as it is ("trained"), and with no gradient passed by any quantizer, neither
to what it quantizes nor to its own parameters ("zeroed"). Then only what lies behind the last quantizer of activations
learns: batch norm and the linear layer. A method whose gradients are right has to do better.

What was found is stored in ``methods.json``, and ``docs/methods.md`` is made from that.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from minigrad.data import Dataset, procedural
from minigrad.errors import InputError
from minigrad.nn import BatchNorm, Conv2d, GlobalAvgPool, Linear, Module, ReLU, Sequential
from minigrad.optim import Group
from minigrad.tensor import Tensor
from minigrad.training import Config, History, train
from quant.ddq.memory import memory_factor, memory_target, weight_memory
from quant.nn.convert import quantize
from quant.nn.phases import set_progress
from quant.quantizer import Quantizer
from verify.method_settings import Setting, settings

__all__ = ["RECIPE", "SEEDS", "STORED", "Recipe", "failures", "network", "run", "stored", "without_gradients"]

STORED = Path(__file__).with_name("methods.json")
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Recipe:
    """How everything is trained. Rates are those of SGD with momentum 0.9; they fall to 0 by half a cosine."""

    train_images: int = 2000
    test_images: int = 1000
    channels: tuple[int, ...] = (12, 24, 24)
    strides: tuple[int, ...] = (2, 2, 1)
    batch_size: int = 40
    float_steps: int = 2000
    float_rate: float = 0.1
    steps: int = 320
    rate: float = 0.05

    def config(self, steps: int, rate: float, seed: int, rates: Mapping[str, float] | None = None) -> Config:
        """The training run of that many steps; ``rates`` are other factors of some groups."""
        changed = {name: replace(_GROUPS[name], rate=factor) for name, factor in (rates or {}).items()}
        return Config(steps, self.batch_size, rate, _GROUPS | changed, seed=seed)


#: Learned ranges, levels and shapes move slowly: their gradients are sums over a whole tensor.
_GROUPS = {
    "weight": Group(weight_decay=5e-4),
    "norm": Group(),
    "range": Group(rate=0.05, clip=1.0),
    "levels": Group(rate=0.05, clip=1.0),
    "shape": Group(rate=0.1, clip=1.0),
}
#: Of DDQ's memory factor. With the 0.02 of its source the gates would need some ten times as many steps.
_EXPONENT = 1.0
RECIPE = Recipe()


def network(recipe: Recipe, seed: int) -> Sequential:
    """3x3 convolutions, each with batch norm and ReLU, then global average pooling and a linear layer."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    layers: list[Module] = []
    channels = 3
    for out, stride in zip(recipe.channels, recipe.strides, strict=True):
        layers += [Conv2d(rng, channels, out, 3, stride=stride, padding=1), BatchNorm(out), ReLU()]
        channels = out
    return Sequential(*layers, GlobalAvgPool(), Linear(rng, channels, 10))


@functools.cache
def _data(train_images: int, test_images: int) -> Dataset:
    return procedural(0, train_images, test_images)


def _float_network(recipe: Recipe, seed: int, folder: Path, on_step: Callable[[int, float], None]) -> tuple[Any, float]:
    data, model = _data(recipe.train_images, recipe.test_images), network(recipe, seed)
    config = recipe.config(recipe.float_steps, recipe.float_rate, seed)
    history = train(model, data, config, folder / f"float-{seed}.safetensors", on_step=on_step)
    return model, history.accuracy[-1][1]


def without_gradients(model: Module) -> None:
    """From now on no quantizer of the network passes a gradient to its input or to its parameters."""
    for _, module in model.modules():
        if isinstance(module, Quantizer):
            vars(module)["quantize"] = functools.partial(_detached, module.quantize)


def _detached(quantize: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return quantize(x).detach()


def _fine_tune(
    recipe: Recipe, setting: Setting, seed: int, zeroed: bool, folder: Path, on_step: Callable[[int, float], None]
) -> dict[str, Any]:
    """One run: accuracy, the mean loss of the first and of the last 20 steps, the mean width of the weights."""
    floating, _ = _float_network(recipe, seed, folder, lambda done, loss: None)
    model = quantize(
        floating, setting.weights, setting.activations, bits=setting.bits, edge_bits=None, **setting.options
    )
    if zeroed:
        without_gradients(model)
    history = train(
        model,
        _data(recipe.train_images, recipe.test_images),
        recipe.config(recipe.steps, recipe.rate, seed, setting.rates),
        folder / f"{setting.name.replace(' ', '-')}-{seed}-{'zeroed' if zeroed else 'trained'}.safetensors",
        on_step=on_step,
        on_epoch=functools.partial(set_progress, model),
        objective=_objective(model, setting),
    )
    return {**_measured(history), "width": weight_memory(model) / memory_target(model, 1.0)}


def _objective(model: Module, setting: Setting) -> Callable[[Tensor], Tensor] | None:
    if setting.target is None:
        return None
    target = memory_target(model, setting.target)
    return lambda loss: loss * memory_factor(model, target, exponent=_EXPONENT)


def _measured(history: History) -> dict[str, Any]:
    count = min(20, len(history.loss) // 2)
    return {
        "accuracy": history.accuracy[-1][1],
        "first_loss": float(np.mean(history.loss[:count])),
        "last_loss": float(np.mean(history.loss[-count:])),
    }


Job = tuple[Recipe, Setting | None, int, bool, Path]


def _job(job: Job) -> tuple[Job, Any]:
    recipe, setting, seed, zeroed, folder = job
    if setting is None:
        return job, _float_network(recipe, seed, folder, lambda done, loss: None)[1]
    return job, _fine_tune(recipe, setting, seed, zeroed, folder, lambda done, loss: None)


def _each(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Any]]:
    if processes == 1:
        yield from map(_job, jobs)
        return
    os.environ["MINIGRAD_THREADS"] = "1"  # of the children, which start afresh
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(_job, jobs)


def run(
    chosen: Sequence[Setting],
    folder: Path,
    *,
    recipe: Recipe = RECIPE,
    seeds: Sequence[int] = SEEDS,
    processes: int = 1,
    on_job: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """Train everything; what is finished in the folder is taken from there, what is half done goes on.

    Returns
    -------
    dict, ready for JSON
        ``recipe``; ``float``: the accuracy of each seed; ``settings``: name -> the setting, and under "trained" and
        "zeroed" one result a seed: accuracy, first_loss, last_loss, width (mean bits of the quantized weights).

    Raises
    ------
    InputError
        If a loss or gradient is not finite, or the folder's files are of other runs.
    """
    found: dict[str, Any] = {
        "recipe": asdict(recipe),
        "seeds": list(seeds),
        "float": [0.0] * len(seeds),
        "settings": {
            s.name: {**asdict(s), "trained": [None] * len(seeds), "zeroed": [None] * len(seeds)} for s in chosen
        },
    }
    first: list[Job] = [(recipe, None, seed, False, folder) for seed in seeds]
    then: list[Job] = [(recipe, s, seed, zeroed, folder) for s in chosen for seed in seeds for zeroed in (False, True)]
    for jobs in (first, then):
        for (_, setting, seed, zeroed, _), result in _each(jobs, processes):
            place = found["settings"][setting.name]["zeroed" if zeroed else "trained"] if setting else found["float"]
            place[seeds.index(seed)] = result
            on_job(f"{setting.name if setting else 'float'}, seed {seed}{', zeroed' if zeroed else ''}")
    return json.loads(json.dumps(found))


def failures(found: Mapping[str, Any]) -> list[str]:
    """What does not hold: each trained run has finite numbers, a falling loss, and beats its zeroed one."""
    wrong = []
    for name, entry in found["settings"].items():
        for seed, trained, zeroed in zip(found["seeds"], entry["trained"], entry["zeroed"], strict=True):
            if not np.isfinite([*trained.values(), *zeroed.values()]).all():
                wrong.append(f"{name}, seed {seed}: expected finite numbers, got {trained} and {zeroed}")
            if not trained["last_loss"] < trained["first_loss"]:
                wrong.append(
                    f"{name}, seed {seed}: the loss went from {trained['first_loss']} to {trained['last_loss']}"
                )
            if not trained["accuracy"] > zeroed["accuracy"]:
                wrong.append(f"{name}, seed {seed}: accuracy {trained['accuracy']}, {zeroed['accuracy']} if zeroed")
        if entry["target"] is not None and not all(t["width"] <= entry["target"] for t in entry["trained"]):
            wrong.append(f"{name}: expected at most {entry['target']} bits on average")
    return wrong


def stored() -> dict[str, Any]:
    """What is stored with the project."""
    return json.loads(STORED.read_text())


def main() -> int:
    from minigrad.checkpoint import write_atomically
    from verify.methods_page import DOCUMENT, document

    parser = argparse.ArgumentParser(prog="python -m verify.methods", description=__doc__)
    parser.add_argument("methods", nargs="*", help="methods by name; all by default")
    parser.add_argument("--folder", type=Path, default=Path("build/methods"), help="of the runs; taken up from there")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--store", action="store_true", help="store what was found and write the page")
    parser.add_argument("--page", action="store_true", help="write the page from what is stored, without training")
    given = parser.parse_args()
    if given.page:
        write_atomically(DOCUMENT, document(stored()).encode())
        return 0
    if given.store and given.methods:
        raise InputError("--store: expected no methods; all are stored together")
    if given.processes < 1:
        raise InputError(f"--processes: expected at least 1, got {given.processes}")
    chosen = settings(given.methods or None)
    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("float", total=len(SEEDS) * (1 + 2 * len(chosen)))

        def on_job(name: str) -> None:
            progress.update(task, advance=1, description=name)

        found = run(chosen, given.folder, processes=given.processes, on_job=on_job)
    if given.store:
        write_atomically(STORED, (json.dumps(found, indent=1) + "\n").encode())
        write_atomically(DOCUMENT, document(found).encode())
    wrong = failures(found)
    print("\n".join(wrong) if wrong else f"{len(chosen)} settings: losses fall, and each beats its zeroed gradients")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        sys.exit(f"methods: error: {error}")
