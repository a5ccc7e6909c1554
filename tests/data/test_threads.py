"""Threads that read and decode images."""

import math
import os
import threading
from concurrent.futures import CancelledError

import pytest

from weighbridge.data import threads
from weighbridge.data.threads import cpu_count, cpu_quota, thread_count, working


def test_there_are_threads_on_every_machine(monkeypatch):
    for cpus, expected in ((1, 1), (2, 2), (64, 8)):
        monkeypatch.setattr(threads, "cpu_count", lambda cpus=cpus: cpus)
        assert thread_count() == expected


def test_a_machine_that_does_not_tell_has_one_cpu(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert cpu_count() == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_affinity_limits_the_cpus():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert cpu_count() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_a_quota_is_rounded_up_to_whole_cpus(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)), raising=False)
    for quota, cpus in ((2.5, 3), (0.1, 1), (64.0, 8), (math.inf, 8)):
        monkeypatch.setattr(threads, "cpu_quota", lambda *places, quota=quota: quota)
        assert cpu_count() == cpus


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_smallest_quota_of_a_group_and_those_above_it_counts(tmp_path):
    groups, limits = tmp_path / "cgroup", tmp_path / "fs"
    write(groups, "0::/user/job\n")
    assert cpu_quota(groups, limits) == math.inf
    write(limits / "cpu.max", "max 100000\n")
    assert cpu_quota(groups, limits) == math.inf
    write(limits / "user/job/cpu.max", "400000 100000\n")
    assert cpu_quota(groups, limits) == 4.0
    write(limits / "user/cpu.max", "150000 100000\n")
    assert cpu_quota(groups, limits) == 1.5
    assert cpu_quota(tmp_path / "nothing", limits) == math.inf


def test_the_first_version_of_control_groups_is_read_too(tmp_path):
    groups, limits = tmp_path / "cgroup", tmp_path / "fs"
    write(groups, "5:memory:/job\n4:cpu,cpuacct:/of the host\n")  # in a container that group is out of sight
    write(limits / "cpu/cpu.cfs_quota_us", "-1\n")
    write(limits / "cpu/cpu.cfs_period_us", "100000\n")
    assert cpu_quota(groups, limits) == math.inf
    write(limits / "cpu/cpu.cfs_quota_us", "200000\n")
    assert cpu_quota(groups, limits) == 2.0


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
