"""Where training runs and how: device, precision, memory layout and allocator, probed once and recorded."""

__all__ = ["Machine", "Precision", "bf16_by_flags", "bf16_pays", "give_back_memory", "keep_freed_memory", "probe"]

import ctypes
import functools
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from torch.nn import functional as F

from weighbridge.data.threads import cpu_count
from weighbridge.engine.measure import above, in_turn, threads_of
from weighbridge.errors import ConfigError

Precision = Literal["fp32", "bf16"]

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # glibc's mallopt parameters
_WORTH_IT = 1.3  # bf16 must be this much faster before its rounding is accepted by default
_LONGEST = 0.5  # seconds of one measurement; the pair that is timed then is still finished
_PYTORCHS_THREADS = torch.get_num_threads()  # as it starts: one for every core that it finds, or OMP_NUM_THREADS
_WIDTH, _SIDE, _PIXELS = 32, 64, 4096  # of the step that threads are measured by: channels, side, pixels per thread


@dataclass(frozen=True)
class Machine:
    """What a run was made on, as recorded in run.json."""

    device: str  # "cpu" or "cuda"
    processes: int
    precision: Precision
    channels_last: bool
    keeps_memory: bool  # freed blocks stay with the process
    threads: int  # of each process, for sums over images
    processor: str
    torch_version: str
    python_version: str

    def facts(self) -> dict[str, object]:
        return asdict(self)

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    @property
    def fabric_precision(self) -> Literal["32-true", "bf16-mixed"]:
        return "bf16-mixed" if self.precision == "bf16" else "32-true"


def probe(
    *,
    device: str = "auto",
    processes: int = 1,
    at_once: int = 1,
    precision: str = "auto",
    threads: int = 0,
    batch: tuple[int, int, int, int] = (64, 3, 32, 32),
    channels_last: bool = True,
    keep_memory: bool = True,
) -> Machine:
    """Look at the machine and settle what was left to it.

    Args:
        device: `auto`, `cpu` or `cuda`.
        processes: how many training processes share the work.
        at_once: how many such runs share this machine.
        precision: `auto`, `fp32` or `bf16` (autocast). `auto` takes bf16 where `bf16_pays`.
        threads: of each process. 0: OMP_NUM_THREADS if it is set, else one or all of its share of the CPUs, whichever
            makes a small training step faster, as measured for half a second at most. With a GPU nothing is measured.
            PyTorch is told by whoever trains, not here.
        batch: shape (B, C, H, W) of what one process sees of a batch.
        channels_last: memory layout of images and convolution weights.
        keep_memory: let the C library keep freed blocks instead of handing them back to the kernel (glibc only);
            saves a page fault per 4 kB of activations in every step; peak memory stays with the process.

    Raises:
        ConfigError: if a GPU is asked for and there is none.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device = 'cuda' needs a CUDA GPU, and PyTorch finds none. Set device = 'auto' or 'cpu'")
    keeps_memory = keep_memory and device == "cpu" and keep_freed_memory()  # first: it makes steps faster
    if precision == "auto":
        precision = "bf16" if bf16_pays(device) else "fp32"
    threads = threads or _asked_of_openmp()
    if not threads:
        threads = max(1, min(_PYTORCHS_THREADS, cpu_count() // (processes * at_once)))
        if threads > 1 and device == "cpu":
            threads = _measured_threads(threads, batch, precision == "bf16", channels_last)
    return Machine(
        device=device,
        processes=processes,
        precision="bf16" if precision == "bf16" else "fp32",
        channels_last=channels_last,
        keeps_memory=keeps_memory,
        threads=threads,
        processor=_processor_name(device),
        torch_version=torch.__version__,
        python_version=platform.python_version(),
    )


def bf16_pays(device: str) -> bool:
    """Whether training in bf16 is worth its rounding: what the processor says, else what is measured.

    A measurement compares 512 x 512 matrix products until it is sure that bf16 is or is not 1.3 times faster, for half
    a second of the processor's time at most. What is not sure by then does not pay.
    """
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    with_onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    said = bf16_by_flags(_processor_flags()) if with_onednn else None
    return _bf16_is_measured_to_pay() if said is None else said


def bf16_by_flags(flags: frozenset[str]) -> bool | None:
    """Whether an x86 processor multiplies matrices in bf16; None if its flags do not settle it.

    oneDNN uses AMX and AVX512-BF16 where they are. On a processor with AVX512 alone it converts to fp32 and back, and
    is several times slower.

    Args:
        flags: of /proc/cpuinfo, such as `avx512f`.
    """
    if flags & {"amx_bf16", "avx512_bf16"}:
        return True
    return False if "avx512f" in flags else None


def _bf16_is_measured_to_pay() -> bool:
    full, half = (torch.ones(512, 512, dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    with _on_threads(1):  # by the processor's time for this thread: other processes then count little
        pairs = in_turn(
            lambda: torch.mm(full, full),
            lambda: torch.mm(half, half),
            enough=lambda pairs: above(pairs, _WORTH_IT) is not None,
            seconds=_LONGEST,
            clock=time.thread_time,
        )
    return above(pairs, _WORTH_IT) is True


@functools.cache  # what was measured for an estimate holds for the training
def _measured_threads(most: int, batch: tuple[int, int, int, int], half: bool, channels_last: bool) -> int:
    return _faster_threads(most, _small_step(batch, most, half, channels_last))


def _faster_threads(most: int, step: Callable[[], object]) -> int:
    """1 or `most`, whichever makes the step faster; it takes real time, as threads wait for each other."""

    def on(threads: int) -> None:
        torch.set_num_threads(threads)
        step()

    with _on_threads(1):
        step()  # pays for what has to be set up once
        pairs = in_turn(
            lambda: on(1), lambda: on(most), enough=lambda pairs: above(pairs, 1.0) is not None, seconds=_LONGEST
        )
    return threads_of(pairs, most)


def _small_step(
    batch: tuple[int, int, int, int], threads: int, half: bool, channels_last: bool
) -> Callable[[], object]:
    """Two convolutions and a matrix product, forward and backward, some milliseconds on each thread.

    Args:
        batch: shape (B, C, H, W); of large batches the step takes a part, with a share for every thread.
        threads: the most that it is measured on.
        half: in bf16, by autocast.
    """
    count, channels, height, width = batch
    side = min(_SIDE, height)
    count = max(1, min(count * height * width, _PIXELS * threads) // side**2)
    random = torch.Generator().manual_seed(0)  # whoever trains draws from the global one
    layout = torch.channels_last if channels_last else torch.contiguous_format
    images = torch.randn(count, channels, side, side, generator=random).contiguous(memory_format=layout)
    shapes = (_WIDTH, channels, 3, 3), (_WIDTH, _WIDTH, 3, 3)
    kernels = [torch.randn(shape, generator=random).contiguous(memory_format=layout) for shape in shapes]
    matrix = torch.randn(_WIDTH * 16, 256, generator=random)
    weights = [weight.requires_grad_() for weight in (*kernels, matrix)]

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            maps = images  # (B, C, side, side)
            for kernel in kernels:
                maps = torch.relu(F.conv2d(maps, kernel, padding=1))  # (B, width, side, side)
            features = F.adaptive_avg_pool2d(maps, 4).flatten(1)  # (B, 16 width)
            loss = (features @ matrix).float().square().mean()
        torch.autograd.grad(loss, weights)

    return step


@contextmanager
def _on_threads(threads: int) -> Iterator[None]:
    """PyTorch on so many threads, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _asked_of_openmp() -> int:
    """What OMP_NUM_THREADS says, of a list the outermost level; 0 if it says nothing."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdecimal() else 0


def _processor_flags() -> frozenset[str]:
    """`flags` of /proc/cpuinfo; none where there is no such file, or it has another form."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            return frozenset(next((line.split(":", 1)[1] for line in lines if line.startswith("flags")), "").split())
    except OSError:
        return frozenset()


def keep_freed_memory() -> bool:
    """Tell glibc not to return large blocks to the kernel; False where there is no glibc."""
    libc = _glibc()
    if libc is None:
        return False
    return bool(libc.mallopt(_M_MMAP_MAX, 0)) and bool(libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))


def give_back_memory() -> None:
    """Hand what is freed by now to the kernel after all, whatever `keep_freed_memory` said; only glibc can."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL("libc.so.6")
    except OSError:
        return None


def _processor_name(device: str) -> str:
    if device == "cuda":
        return str(torch.cuda.get_device_name())
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"
