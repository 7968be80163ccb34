"""Parameters and MACs: the papers' numbers, and closed formulas that owe nothing to the code."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad.models import lenet, mobilenet_v2, resnet20, resnet32, resnet56, vgg_small
from minigrad.nn import count

IMAGE = (32, 32, 3)
Size = tuple[int, int]


def total(*parts: Size) -> Size:
    return sum(p for p, _ in parts), sum(m for _, m in parts)


def conv(kernel: int, into: int, out: int, side: int, groups: int = 1, extra: int = 0) -> Size:
    """A convolution to side x side pixels, with ``extra`` parameters a channel: 2 of a batch norm, or 1 bias."""
    weights = kernel * kernel * into // groups * out
    return weights + extra * out, weights * side * side


def linear(into: int, out: int) -> Size:
    return into * out + out, into * out


def times(n: int, size: Size) -> Size:
    return n * size[0], n * size[1]


def resnet(n: int, projection: bool) -> Size:
    """6 n + 2 layers (He et al., section 4.2)."""
    parts = [conv(3, 3, 16, 32, extra=2), times(2 * n, conv(3, 16, 16, 32, extra=2)), linear(64, 10)]
    for out, side in ((32, 16), (64, 8)):
        parts += [conv(3, out // 2, out, side, extra=2), times(2 * n - 1, conv(3, out, out, side, extra=2))]
        if projection:
            parts.append(conv(1, out // 2, out, side, extra=2))
    return total(*parts)


def mobilenet(width: float, classes: int = 10, image: int = 32, strides: tuple[int, int] = (1, 1)) -> Size:
    """Table 2 of Sandler et al., row by row."""

    def channels(c: float) -> int:
        lower = int(c + 4) // 8 * 8
        return lower if lower >= 0.9 * c else lower + 8

    side, into = image // strides[0], channels(32 * width)
    parts = [conv(3, 3, into, side, extra=2)]
    rows = [(1, 16, 1, 1), (6, 24, 2, strides[1]), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2)]
    for t, c, n, s in [*rows, (6, 320, 1, 1)]:
        out = channels(c * width)
        for stride in (s, *(n - 1) * (1,)):
            wide = t * into
            if t > 1:
                parts.append(conv(1, into, wide, side, extra=2))
            side //= stride
            parts += [conv(3, wide, wide, side, groups=wide, extra=2), conv(1, wide, out, side, extra=2)]
            into = out
    last = channels(1280 * max(1, width))
    return total(*parts, conv(1, into, last, side, extra=2), linear(last, classes))


VGG = total(
    *(conv(3, i, o, s, extra=2) for i, o, s in ((3, 128, 32), (128, 128, 32), (128, 256, 16), (256, 256, 16))),
    *(conv(3, i, o, s, extra=2) for i, o, s in ((256, 512, 8), (512, 512, 8))),
    linear(512 * 4 * 4, 10),
)
LENET = total(
    conv(5, 3, 6, 28, extra=1), conv(5, 6, 16, 10, extra=1), linear(400, 120), linear(120, 84), linear(84, 10)
)

#: Model, options, formula, and what is published: millions of parameters, millions of MACs.
#: - option A, parameters: He et al., CVPR 2016, table 6; ResNet-56's MACs: Lin et al. ("HRank"), CVPR 2020, table 3.
#: - option B and MobileNetV2: the table of the pytorch-cifar-models collection (same architectures, CIFAR-10).
#: - VGG-Small, parameters: as the binary-network literature gives them (BiPer, CVPR 2024, for one).
#: - LeNet-5 of the PyTorch tutorial on CIFAR-10 has the same layers, 62,006 parameters; no published MACs.
CASES: list[tuple[Callable[..., Any], dict[str, Any], Size, tuple[str, str | None]]] = [
    (resnet20, {}, resnet(3, False), ("0.27", None)),
    (resnet32, {}, resnet(5, False), ("0.46", None)),
    (resnet56, {}, resnet(9, False), ("0.85", "125.49")),
    (resnet20, {"shortcut": "B"}, resnet(3, True), ("0.27", "40.81")),
    (resnet32, {"shortcut": "B"}, resnet(5, True), ("0.47", "69.12")),
    (resnet56, {"shortcut": "B"}, resnet(9, True), ("0.86", "125.75")),
    (vgg_small, {}, VGG, ("4.66", None)),
    (lenet, {}, LENET, ("0.06", None)),
    (mobilenet_v2, {}, mobilenet(1.0), ("2.24", "87.98")),
    (mobilenet_v2, {"width": 0.5}, mobilenet(0.5), ("0.70", "27.97")),
    (mobilenet_v2, {"width": 0.75}, mobilenet(0.75), ("1.37", "59.31")),
    (mobilenet_v2, {"width": 1.4}, mobilenet(1.4), ("4.33", "170.07")),
]


@pytest.mark.parametrize(("model", "options", "formula", "published"), CASES)
def test_sizes_are_the_published_ones(
    model: Callable[..., Any], options: dict[str, Any], formula: Size, published: tuple[str, str | None]
) -> None:
    counted = count(model(0, **options), IMAGE)
    assert (counted.parameters, counted.macs) == formula
    assert f"{counted.parameters / 1e6:.2f}" == published[0]
    assert published[1] in (None, f"{counted.macs / 1e6:.2f}")


def test_the_exact_sizes_of_the_residual_networks() -> None:
    """What other implementations of option A count, to the last parameter."""
    assert resnet(3, False) == (269_722, 40_551_040)
    assert resnet(5, False) == (464_154, 68_862_592)
    assert resnet(9, False) == (853_018, 125_485_696)
    assert VGG == (4_660_106, 607_600_640)
    assert LENET == (62_006, 651_720)


def test_mobilenet_with_its_own_strides_has_the_size_of_the_paper() -> None:
    """3.4 M parameters (3.47 M without the batch norms) and 300 M MACs in the paper's table 4; torchvision's has
    3,504,872 parameters."""
    model = mobilenet_v2(0, 1000, early_strides=(2, 2))
    counted = count(model, (224, 224, 3))
    assert (counted.parameters, counted.macs) == mobilenet(1.0, 1000, 224, (2, 2)) == (3_504_872, 300_774_272)
    weights = sum(p.data.size for p in model.parameters() if p.group == "weight")
    assert (int(weights / 1e5), int(counted.macs / 1e6)) == (34, 300)


@pytest.mark.parametrize("classes", [1, 100])
def test_classes_change_the_last_layer_only(classes: int) -> None:
    for model, last in ((resnet20, 64), (lenet, 84)):
        counted, ten = count(model(0, classes), IMAGE), count(model(0), IMAGE)
        assert counted.parameters - ten.parameters == (classes - 10) * (last + 1)
        assert counted.layers[-1].shape == (classes,)
        assert np.all([a == b for a, b in zip(counted.layers[:-1], ten.layers[:-1], strict=True)])
