"""Where training runs and how: device, precision, memory layout and allocator, probed once and recorded."""

__all__ = ["Machine", "Precision", "bf16_gain", "give_back_memory", "keep_freed_memory", "probe"]

import ctypes
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch

from weighbridge.errors import ConfigError

Precision = Literal["fp32", "bf16"]

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # glibc's mallopt parameters
_WORTH_IT = 1.3  # bf16 must be this much faster before its rounding is accepted by default


@dataclass(frozen=True)
class Machine:
    """What a run was made on, as recorded in run.json."""

    device: str  # "cpu" or "cuda"
    processes: int
    precision: Precision
    channels_last: bool
    keeps_memory: bool  # freed blocks stay with the process
    threads: int
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
    precision: str = "auto",
    channels_last: bool = True,
    keep_memory: bool = True,
) -> Machine:
    """Look at the machine and settle what was left to it.

    Args:
        device: `auto`, `cpu` or `cuda`.
        processes: how many training processes share the work.
        precision: `auto`, `fp32` or `bf16` (autocast). `auto` takes bf16 where a matrix product of this machine gains
            from it: GPUs, and CPUs with AMX or AVX512-BF16.
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
    if precision == "auto":
        precision = "bf16" if bf16_gain(device) > _WORTH_IT else "fp32"
    return Machine(
        device=device,
        processes=processes,
        precision="bf16" if precision == "bf16" else "fp32",
        channels_last=channels_last,
        keeps_memory=keep_memory and device == "cpu" and keep_freed_memory(),
        threads=torch.get_num_threads(),
        processor=_processor_name(device),
        torch_version=torch.__version__,
        python_version=platform.python_version(),
    )


def bf16_gain(device: str) -> float:
    """How many times faster a bf16 matrix product is than an fp32 one, measured on the spot (some 30 ms on a CPU)."""
    if device == "cuda":
        return 2.0 if torch.cuda.is_bf16_supported(including_emulation=False) else 0.0
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(512, 512, dtype=dtype)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            torch.mm(matrix, matrix)
            times.append(time.perf_counter() - start)
        seconds[dtype] = min(times[1:])  # the first one pays for set-up
    return seconds[torch.float32] / seconds[torch.bfloat16]


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
