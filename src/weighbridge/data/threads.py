"""CPUs that this process may use, and threads that read and decode images."""

__all__ = ["cpu_count", "cpu_quota", "thread_count", "working"]

import math
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

_GROUPS, _LIMITS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def cpu_count() -> int:
    """CPUs that this process may use, at least 1.

    Affinity (taskset, cpusets) and the quota of its control group (containers) may leave fewer than the machine has.
    """
    cpus = os.cpu_count() or 1
    if sys.platform == "linux":
        cpus = min(cpus, len(os.sched_getaffinity(0)))
    quota = cpu_quota(_GROUPS, _LIMITS)
    return cpus if math.isinf(quota) else max(1, min(cpus, math.ceil(quota)))


def cpu_quota(groups: Path, limits: Path) -> float:
    """Seconds of processor time per second that the control groups of a process allow; inf if they limit nothing.

    The group and all groups above it are asked: `cpu.max` in version 2, `cpu.cfs_quota_us` in version 1.

    Args:
        groups: the file that names the groups, such as /proc/self/cgroup.
        limits: where the groups are mounted, such as /sys/fs/cgroup.
    """
    try:
        lines = groups.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return math.inf
    quotas = [math.inf]
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            quotas += [_quota(folder / "cpu.max") for folder in _upwards(limits, group)]
        elif "cpu" in controllers.split(","):
            quotas += [
                _quota(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")
                for folder in _upwards(limits / "cpu", group)
            ]
    return min(quotas)


def _upwards(top: Path, group: str) -> list[Path]:
    """The folder of a group and those above it. In a container the first may be out of sight, never the last."""
    parts = [part for part in group.split("/") if part]
    return [top.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


def _quota(*files: Path) -> float:
    """Quota and period in microseconds, in one file or in two, as a ratio."""
    try:
        quota, period = " ".join(path.read_text(encoding="utf-8") for path in files).split()
        ratio = float(quota.replace("max", "inf")) / float(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
    return ratio if ratio > 0 else math.inf  # version 1 says -1 for no limit


def thread_count() -> int:
    """One for every CPU, up to eight."""
    return min(8, cpu_count())


@contextmanager
def working(threads: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """Threads for a while. After an error or Ctrl-C nobody waits for work that has not begun."""
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
