"""Threads that read and decode images."""

__all__ = ["thread_count", "working"]

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


def thread_count() -> int:
    """One for every core, up to eight."""
    return min(8, os.cpu_count() or 1)


@contextmanager
def working(threads: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """Threads for a while. After an error or Ctrl-C nobody waits for work that has not begun."""
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
