"""``python -m verify.peers.convolution``: our integer kernels' time against PyTorch's and onnxruntime's int8.

It runs in the environment of ``make peers``. One process for each of our x86 paths, in which the others are limited to
the same instructions as far as they let themselves be; there everyone runs in turn, on one thread, and medians of the
processor's time are compared. What was measured is stored in ``convolution.json`` with ``--store``;
``python -m verify.kernels.bench.page`` then makes the table of docs/kernels.md.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minigrad.kernels import native
from quant.runtime import PATHS
from quant.target import NativeTarget
from verify.gradients.mutants.summary import store
from verify.peers.rivals import LAYERS, TORCH_ENGINES, Layer, onnxruntime_layer, our_layer, torch_layer

__all__ = ["LIMITS", "STORED", "compare", "measure", "table"]

STORED = Path(__file__).with_name("convolution.json")

#: What is set for each path before the frameworks are loaded: oneDNN, FBGEMM and PyTorch's own loops.
LIMITS = {
    "vnni": {
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI",
        "FBGEMM_ENABLE_INSTRUCTIONS": "AVX512_E1",
        "ATEN_CPU_CAPABILITY": "avx512",
    },
    "avx2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "FBGEMM_ENABLE_INSTRUCTIONS": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    },
}
#: The frameworks' instructions as found, for what AMX gives where there is any.
UNLIMITED = "unlimited"
BITS = (1, 2, 4, 8)
NOTE = "onnxruntime has no such switch: it uses what the processor has, on both paths."

Measurement = dict[str, Any]


def has_amx() -> bool:
    """Whether the processor multiplies int8 tiles."""
    try:
        return "amx_int8" in Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False


def compare(contestants: Mapping[str, Callable[[], object]], rounds: int, milliseconds: float) -> dict[str, float]:
    """The median milliseconds of each, of rounds in which all run in turn for about so many milliseconds.

    The process's time on the processor counts: what others do with the machine does not.
    """
    repeats = {}
    for name, run in contestants.items():
        begin = time.process_time()
        run()
        run()
        repeats[name] = max(1, round(milliseconds / 1000 / max((time.process_time() - begin) / 2, 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            begin = time.process_time()
            for _ in range(repeats[name]):
                run()
            times[name].append((time.process_time() - begin) / repeats[name] * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def measure(path: str, layers: Sequence[Layer], bits: Sequence[int], rounds: int) -> Measurement:
    """All layers in this process, whose environment is limited already.

    Returns
    -------
    dict, ready for JSON
        layer -> contestant -> ``milliseconds``, and ``kernel`` (ours) or ``off``, the largest difference of the
        rival's codes from the exact ones; ours are compared bit for bit before they run.
    """
    import torch

    target = NativeTarget(native())
    results: Measurement = {}
    for layer in layers:
        runs: dict[str, Callable[[], object]] = {}
        facts: dict[str, dict[str, Any]] = {}
        for b in bits:
            runs[f"{b} bit"], kernel, _ = our_layer(layer, b, path, target)
            facts[f"{b} bit"] = {"kernel": kernel}
        for engine in TORCH_ENGINES:
            if engine in torch.backends.quantized.supported_engines:
                runs[f"PyTorch {engine}"], off = torch_layer(layer, engine)
                facts[f"PyTorch {engine}"] = {"off": off}
        runs["onnxruntime"], off = onnxruntime_layer(layer)
        facts["onnxruntime"] = {"off": off}
        with torch.inference_mode():
            for name, milliseconds in compare(runs, rounds, 5).items():
                facts[name]["milliseconds"] = round(milliseconds, 4)
        results[layer.name] = facts
    return results


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("torch", "onnxruntime", "numpy")}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def table(measurement: Measurement) -> str:
    """Milliseconds, and for the rivals how many times as long as our 2-bit kernel they take, in Markdown."""
    lines = []
    for path, layers in measurement["paths"].items():
        names = list(next(iter(layers.values())))
        limits = ", ".join(f"`{key}={value}`" for key, value in measurement["limits"][path].items()) or "no limits"
        lines += [
            f"Milliseconds, {path} ({limits}):",
            "",
            "| layer | " + " | ".join(names) + " |",
            "|" + " --- |" * (len(names) + 1),
        ]
        for layer, facts in layers.items():
            ours = facts["2 bit"]["milliseconds"]
            cells = [
                f"{fact['milliseconds']:.3f}" + ("" if "kernel" in fact else f" ({fact['milliseconds'] / ours:.2f}x)")
                for fact in facts.values()
            ]
            lines.append(f"| {layer} | " + " | ".join(cells) + " |")
        lines.append("")
    amx = "The processor has AMX" if measurement["amx"] else "The processor has no AMX: nothing to compare with it"
    versions = ", ".join(f"{name} {version}" for name, version in measurement["versions"].items())
    return "\n".join([*lines, f"{NOTE} {amx}.", f"{measurement['processor']}; {versions}."])


def _child(path: str, given: argparse.Namespace) -> Measurement:
    limits = LIMITS.get(path, {})
    environment = {key: value for key, value in os.environ.items() if key not in LIMITS["vnni"]} | limits
    command = [sys.executable, "-m", "verify.peers.convolution", "--child", path, "--rounds", str(given.rounds)]
    command += ["--bits", *map(str, given.bits)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m verify.peers.convolution", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--bits", type=int, nargs="+", default=BITS, help="ours; 2 among them")
    parser.add_argument("--store", action="store_true", help="keep what is measured")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        path = "vnni" if given.child == UNLIMITED else given.child
        print(json.dumps(measure(path, LAYERS, given.bits, given.rounds)))
        return 0
    library = NativeTarget(native())
    paths = [path for path in LIMITS if library.call("mgk_has_path", PATHS[path])]
    paths += [UNLIMITED] if has_amx() and "vnni" in paths else []
    measurement = {
        "processor": _processor(),
        "amx": has_amx(),
        "versions": _versions(),
        "limits": {path: LIMITS.get(path, {}) for path in paths},
        "note": NOTE,
        "paths": {path: _child(path, given) for path in paths},
    }
    print(table(measurement))
    if given.store:
        store(STORED, measurement)
    return 0


if __name__ == "__main__":
    sys.exit(main())
