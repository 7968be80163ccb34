"""Each outline is what its name says, at points that tell it from its neighbours."""

import numpy as np
import pytest

from minigrad.data import shapes

SIZE = np.full((1, 1, 1), 640, np.int32)


def inside(name: str, u: int, v: int) -> bool:
    """Return whether the point (u, v), in percent of the size, lies inside an outline."""
    point = [np.full((1, 1, 1), 640 * value // 100, np.int32) for value in (u, v)]
    return bool(getattr(shapes, name)(*point, SIZE)[0, 0, 0] < 0)


@pytest.mark.parametrize(
    ("name", "points_inside", "points_outside"),
    [
        ("disc", [(0, 0), (95, 0), (-60, -60)], [(105, 0), (75, 75)]),
        ("crescent", [(0, 0), (-95, 0), (0, 90)], [(50, 0), (90, 0), (-75, 75)]),
        ("ring", [(75, 0), (-75, 0), (0, -95), (0, 55)], [(0, 0), (45, 0), (105, 0)]),
        ("horseshoe", [(-75, 0), (0, 75), (0, -75), (60, 45)], [(75, 0), (75, 25), (0, 0), (45, 0)]),
        ("square", [(0, 0), (80, 80), (-80, 80)], [(95, 0), (0, -95)]),
        ("triangle", [(0, 0), (80, 55), (-80, 55), (0, -110)], [(0, 70), (60, -60), (0, -135)]),
        ("cross", [(0, 0), (95, 0), (-95, 0), (0, 95), (0, -95)], [(40, 40), (-40, 40)]),
        ("tee", [(0, 0), (95, 0), (-95, 0), (0, 95)], [(0, -95), (40, 40), (0, -40)]),
    ],
)
def test_outline(name: str, points_inside: list, points_outside: list) -> None:
    assert name in shapes.CLASSES
    assert [point for point in points_inside if not inside(name, *point)] == []
    assert [point for point in points_outside if inside(name, *point)] == []


def grid() -> tuple[np.ndarray, np.ndarray]:
    u, v = np.meshgrid(np.arange(-1024, 1024, 64, dtype=np.int32), np.arange(-1024, 1024, 64, dtype=np.int32))
    return u[None], v[None]


def test_textures() -> None:
    """Stripes do not change along u; a checker does, and is turned inside out by a step of one stripe."""
    u, v = grid()
    width = np.full((1, 1, 1), 4 * 64, np.int32)
    striped, checked = shapes.stripes(u, v, width), shapes.checker(u, v, width)
    for texture in (striped, checked):
        assert texture.min() == 0 and texture.max() == 64 and texture.dtype == np.int32
    assert (striped == striped[:, :, :1]).all()
    assert (striped[:, :-4] + striped[:, 4:] == 64).all()
    assert (checked[:, :-4] + checked[:, 4:] == 64).all()
    assert (checked[:, :, :-4] + checked[:, :, 4:] == 64).all()


def test_coverage_is_a_ramp_of_one_pixel() -> None:
    distance = np.array([-100, -32, -16, 0, 16, 32, 100], np.int32)
    assert shapes.coverage(distance).tolist() == [64, 64, 48, 32, 16, 0, 0]


def test_distances_fit_int32_and_are_whole() -> None:
    u, v = grid()
    for outline in shapes.OUTLINES:
        assert outline(u * 2, v * 2, SIZE).dtype == np.int32
