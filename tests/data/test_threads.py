"""Threads that read and decode images."""

import threading
from concurrent.futures import CancelledError

import pytest

from weighbridge.data.threads import thread_count, working


def test_there_are_threads_on_every_machine(monkeypatch):
    for cores, threads in ((None, 1), (2, 2), (64, 8)):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        assert thread_count() == threads


def test_all_work_is_done_by_threads_of_this_name():
    with working(2, "reading") as pool:
        names = list(pool.map(lambda number: threading.current_thread().name, range(20)))
    assert len(names) == 20
    assert all(name.startswith("reading") for name in names)


def test_after_an_error_what_has_not_begun_is_not_begun():
    begun, go = threading.Event(), threading.Event()

    def first():
        begun.set()
        assert go.wait(timeout=60)
        return "done"

    futures = []

    def stopped():
        with working(1, "reading") as pool:
            futures.extend([pool.submit(first), pool.submit(str)])
            assert begun.wait(timeout=60)
            threading.Timer(0.2, go.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert futures[0].result() == "done"
    with pytest.raises(CancelledError):
        futures[1].result(timeout=60)
