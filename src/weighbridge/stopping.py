"""How processes stop: what answers Ctrl-C and SIGTERM, and no worker that outlives its parent."""

__all__ = ["SIGNALS", "Handler", "answered_by", "end_with"]

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None
"""What `signal.signal` takes."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LOOKS = 0.3  # seconds between two looks at whether a parent still lives
_watched = set[int]()  # parents that this process watches


@contextmanager
def answered_by(handler: Handler) -> Iterator[None]:
    """Ctrl-C and SIGTERM go to this handler, and then again to those before it.

    Nothing changes outside the main thread: signals are not ours there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


def end_with(parent: int) -> None:
    """From now on this process ends when its parent is gone, however that went; it may be said again.

    Args:
        parent: the process id that the parent told, as it may be gone already.
    """
    if parent in _watched:
        return
    _watched.add(parent)
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="parent-watch").start()


def _watch(parent: int) -> None:
    known = multiprocessing.parent_process()
    if known is not None and known.pid == parent and known.sentinel is not None:  # joblib's workers have none
        known.join()  # at once, and also where a process keeps the id of a parent that is gone
    else:
        while os.getppid() == parent:
            time.sleep(_LOOKS)
    os._exit(1)
