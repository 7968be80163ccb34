"""The threads that share a kernel's work. The bits of a result do not depend on their number."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from minigrad.errors import InputError

__all__ = ["count", "split", "workspace"]

_local = threading.local()


@functools.cache
def count() -> int:
    """Number of threads: MINIGRAD_THREADS, or the processors this process may use."""
    setting = os.environ.get("MINIGRAD_THREADS", "")
    if not setting:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    if not setting.isdecimal() or int(setting) < 1:
        raise InputError(f"MINIGRAD_THREADS: expected a whole number of at least 1, got {setting!r}")
    return int(setting)


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count(), thread_name_prefix="minigrad")


if hasattr(os, "register_at_fork"):
    # A child process has the pool but not its threads.
    os.register_at_fork(after_in_child=_pool.cache_clear)


def split(total: int, work: Callable[[int, int], None]) -> None:
    """Call ``work(begin, end)`` on parts of range(total), one a thread; the first error is raised."""
    parts = min(count(), total)
    if parts <= 1:
        work(0, total)
        return
    bounds = [total * n // parts for n in range(parts + 1)]
    futures = [_pool().submit(work, bounds[n], bounds[n + 1]) for n in range(1, parts)]
    work(bounds[0], bounds[1])
    for future in futures:
        future.result()


def workspace(size: int) -> np.ndarray:
    """At least ``size`` bytes that belong to the calling thread until it asks again."""
    buffer: np.ndarray | None = getattr(_local, "buffer", None)
    if buffer is None or buffer.size < size:
        buffer = _local.buffer = np.empty(size, np.uint8)
    return buffer
