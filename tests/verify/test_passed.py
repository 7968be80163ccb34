"""The verdict: it falls with each proof, reaches the exit status, and is about the right numbers."""

import copy
import dataclasses
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from minigrad import checkpoint, training
from minigrad.data import channel_means
from minigrad.models import small_cnn
from quant.dsq import DSQ
from quant.evaluation import evaluate_on_integers
from quant.export import program_of
from quant.nn.convert import quantize
from verify import certificate, cli, demo
from verify.demo import CERTIFIED_BITS, Result, Settings
from verify.forward import LayerComparison
from verify.gradients.registry import Entry
from verify.gradients.truth import Bound, Certificate
from verify.kernels.compare import Row


def certified(*bits: float) -> Certificate:
    return Certificate(1, tuple(Bound("y", b, 0, (), 0.0, 0.0, 0.0, 0.0) for b in bits))


def judged(name: str, *failures: str, points: int = 4) -> Entry:
    return Entry(name, "smooth", points, {"value": math.inf}, math.inf, 5, 0, "", {}, failures, 0.1)


def good() -> Result:
    unused: Any = None
    return Result(
        settings=unused,
        data=unused,
        floating=unused,
        quantized=unused,
        histories=unused,
        network=unused,
        program=unused,
        accuracies={"integer": 0.5},
        hard_differences=[("conv1", 9, 0), ("conv2", 9, 0)],
        rows=[Row("conv2d", "native", "scalar", compared=9), Row("argmax", "native", "scalar", compared=9)],
        forward=[LayerComparison("conv1", 9), LayerComparison("conv2", 9, differing=3)],
        logit_difference=1.0,
        classes_changed=1,
        certificates={"layer 1 weights": certified(CERTIFIED_BITS, math.inf), "layer 2 weights": certified(50)},
        primitives=[judged("add"), judged("relu")],
    )


BROKEN: dict[str, dict[str, Any]] = {
    "a hard difference": {"hard_differences": [("conv1", 9, 0), ("conv2", 9, 1)]},
    "a mismatch": {"rows": [Row("conv2d", "n", "s", compared=9), Row("argmax", "n", "s", compared=9, mismatches=1)]},
    "a code away from a tie": {"forward": [LayerComparison("conv1"), LayerComparison("conv2", 9, 1, 1)]},
    "too few bits": {"certificates": {"a": certified(60), "b": certified(60, CERTIFIED_BITS - 1)}},
    "too few bits of the value": {"certificates": {"a": certified(CERTIFIED_BITS - 1, 60)}},
    "bits that are no number": {"certificates": {"a": certified(math.nan)}},
    "minus infinite bits": {"certificates": {"a": certified(-math.inf)}},
    "no point looked at": {"primitives": [judged("add"), judged("relu", points=0)]},
    "a derivative that is wrong": {"primitives": [judged("add", "vjp[0] is wrong"), judged("relu")]},
    "no layers": {"hard_differences": []},
    "no targets": {"rows": []},
    "no float layers": {"forward": []},
    "no certificates": {"certificates": {}},
    "no primitives": {"primitives": []},
}


def test_a_result_passes_when_every_proof_holds() -> None:
    assert good().passed


@pytest.mark.parametrize("what", BROKEN)
def test_a_result_falls_with_each_proof(what: str) -> None:
    assert not dataclasses.replace(good(), **BROKEN[what]).passed


@pytest.mark.parametrize(("broken", "status", "verdict"), [({}, 0, "all proofs hold"), ({"rows": []}, 1, "FAILED")])
def test_the_verdict_is_the_exit_status(
    broken: dict[str, Any], status: int, verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "run", lambda settings, console: dataclasses.replace(good(), **broken))
    done = CliRunner().invoke(cli.app, ["demo", "--out", str(tmp_path)])
    assert done.exit_code == status
    assert verdict in done.output
    assert ("FAILED" in done.output) == ("all proofs hold" not in done.output)


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_a_certificate_is_of_every_point_at_the_learned_parameters(bits: int) -> None:
    quantizer = DSQ(bits, "free", alpha=0.4)
    quantizer.l.data[...], quantizer.u.data[...] = -0.3, 1.7
    l, u, _ = (float(p) for p in quantizer.parameters_now())
    x = certificate.points(l, u, bits, 5, seed=3)
    found = certificate.certify_quantizer(quantizer, seed=3, count=5)
    assert found.points == len(x)
    assert [bound.name for bound in found.bounds] == ["y", "dx", "dl", "du", "dalpha"]
    assert found.bits >= CERTIFIED_BITS
    for end in (l, u):
        assert {end, np.nextafter(end, -np.inf), np.nextafter(end, np.inf)} <= set(x)


def test_weights_and_activations_are_both_certified() -> None:
    names = [name for name, _ in certificate.quantizers(quantize(small_cnn(0)))]
    inner = [f"layer {n} {role}" for n in range(2, 6) for role in ("activations", "weights")]
    assert names == ["layer 1 weights", *inner, "layer 6 activations", "layer 6 weights"]


def test_the_result_is_about_the_run(cifar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The float network as it was trained, and each accuracy of the network it names."""
    integers: list[np.ndarray] = []

    def against_integer(progress: Any, network: Any, program: Any, images: np.ndarray) -> Any:
        results, differences = original(progress, network, program, images)
        integers.extend(results)
        assert np.array_equal(results[1], program.run(images)[-1])
        # Other classes than the float networks have, so that nobody else's accuracy is taken for this one.
        return [results[0], np.full_like(results[1], 3)], differences

    original = demo._hard_against_integer
    monkeypatch.setattr(demo, "_hard_against_integer", against_integer)
    monkeypatch.setattr(demo, "_on_targets", lambda *_: [])
    monkeypatch.setattr(demo, "_against_float", lambda *_: [])
    monkeypatch.setattr(demo, "_certify", lambda *_: ({}, []))
    monkeypatch.setattr("verify.report.demo.page", lambda result, _: "page")
    monkeypatch.setattr("verify.report.gradients.page", lambda *_: "page")
    result = demo.run(
        Settings(cifar_folder, tmp_path, float_steps=2, quantized_steps=2, batch_size=25), Console(quiet=True)
    )
    (path,) = tmp_path.glob("checkpoints/*/float.safetensors")
    arrays, _ = checkpoint.read(path)
    for name, array in result.floating.state().items():
        assert array.tobytes() == arrays[f"model.{name}"].tobytes(), name
    labels, means = result.data.test_labels, channel_means(result.data.train_images)
    classes = [training.predict(m, result.data.test_images, means) for m in (result.floating, result.quantized)]
    expected = [float(np.mean(logits.argmax(axis=1) == labels)) for logits in classes]
    assert list(result.accuracies) == ["float32", "fake-quantized", "integer"]
    assert list(result.accuracies.values()) == [*expected, float(np.mean(labels == 3))]
    assert result.logit_difference == np.abs(classes[1] - integers[0] * result.network.logit_scale).max()
    assert result.classes_changed == int(np.sum(classes[1].argmax(axis=1) != 3))
    assert not result.passed


def test_a_code_that_differs_from_the_program_is_counted() -> None:
    rng = np.random.default_rng(0)
    images, means = rng.integers(0, 256, (3, 32, 32, 3)).astype(np.uint8), np.array([125, 123, 114], np.uint8)
    network = evaluate_on_integers(quantize(small_cnn(0)), means)
    program = program_of(network, "test")
    changed = copy.copy(network.layers[1])
    epilogue = dataclasses.replace(changed.epilogue, beta=changed.epilogue.beta + 0.3 * changed.epilogue.step)
    other = dataclasses.replace(
        network, layers=(network.layers[0], dataclasses.replace(changed, epilogue=epilogue), *network.layers[2:])
    )
    progress: Any = SimpleNamespace(add_task=lambda *_, **__: 0, advance=lambda *_: None, update=lambda *_, **__: None)
    for used, wrong in ((network, False), (other, True)):
        results, differences = demo._hard_against_integer(progress, used, program, images)
        assert np.array_equal(results[1], program.run(images)[-1])
        assert [name for name, _, _ in differences] == ["conv1", "conv2", "conv3", "conv4", "conv5", "logits"]
        expected = [int(np.sum(a != b)) for a, b in zip(used.run(images)[:2], program.run(images)[1:4:2], strict=True)]
        assert [differing for _, _, differing in differences[:2]] == expected
        assert expected[0] == 0
        assert (expected[1] > 0) == wrong
