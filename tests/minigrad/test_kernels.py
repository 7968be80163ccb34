"""Opening the kernel library."""

import threading
from pathlib import Path

import pytest

from minigrad import kernels


def test_threads_that_come_first_together_open_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two interfaces would make structs that the other's functions refuse."""
    opened: list[Path] = []
    all_here = threading.Barrier(4, timeout=10)

    class Slow:
        def __init__(self, path: Path) -> None:
            opened.append(path)
            threading.Event().wait(0.05)

    monkeypatch.setattr(kernels, "Library", Slow)
    monkeypatch.setattr(kernels, "_libraries", {})
    got: list[object] = []

    def work() -> None:
        all_here.wait()
        got.append(kernels.load("some/path"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [Path("some/path")]
    assert [library is got[0] for library in got] == [True] * 4
    assert kernels.load(Path("some/path")) is got[0]
    assert kernels.load("another") is not got[0]
