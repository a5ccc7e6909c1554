"""What can render here, found out without harm and told in a sentence with the remedy.

Mitsuba comes in variants. `scalar_rgb` needs nothing; `llvm_ad_rgb` needs an LLVM library, and one that does not suit
it ends the whole process; `cuda_ad_rgb` needs NVIDIA's driver. So those two are first tried in a process of their own.
"""

__all__ = ["VARIANTS", "mitsuba", "oidn", "trouble", "variant_for"]

import ctypes
import importlib
import subprocess
import sys
from functools import cache
from types import ModuleType
from typing import Any, cast

from weighbridge.errors import ConfigError, RenderError, did_you_mean

VARIANTS = ("scalar_rgb", "llvm_ad_rgb", "cuda_ad_rgb")
_REMEDY = {
    "llvm_ad_rgb": (
        "install LLVM 19 (Debian: libllvm19) and set DRJIT_LIBLLVM_PATH to its libLLVM.so.19.1, "
        "or use --variant scalar_rgb"
    ),
    "cuda_ad_rgb": "use a machine with an NVIDIA GPU and a driver with OptiX, or --variant scalar_rgb",
}
_TINY_SCENE = """
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it may well crash: nobody wants the core
except ImportError:
    pass
import drjit
import mitsuba as mi
mi.set_variant(sys.argv[1])
drjit.set_thread_count(1)
import numpy as np
scene = mi.load_dict({
    "type": "scene", "integrator": {"type": "path"}, "light": {"type": "constant"},
    "ball": {"type": "sphere", "center": [0, 0, 4]},
    "sensor": {"type": "perspective", "film": {"type": "hdrfilm", "width": 4, "height": 4}},
})
assert np.array(mi.render(scene, spp=1)).mean() > 0
"""


def variant_for(quality: str, wanted: str) -> str:
    """The variant of Mitsuba that images of a quality are rendered with, known to work.

    Args:
        quality: `realtime` needs none of them.
        wanted: one of `VARIANTS`, or `auto`: CUDA where it works, else `scalar_rgb`.

    Raises:
        ConfigError: if there is no such variant.
        RenderError: if it does not work here.
    """
    if wanted not in ("auto", *VARIANTS):
        raise ConfigError(f"there is no variant '{wanted}'. {did_you_mean(wanted, ('auto', *VARIANTS))}")
    if quality == "realtime":
        return "scalar_rgb"
    oidn()
    if wanted == "auto":
        wanted = "cuda_ad_rgb" if _has_nvidia_driver() and trouble("cuda_ad_rgb") is None else "scalar_rgb"
    elif wanted != "scalar_rgb":
        problem = trouble(wanted)
        if problem is not None:
            raise RenderError(problem)
    if wanted == "scalar_rgb":
        mitsuba(wanted)
    return wanted


@cache
def trouble(variant: str, *, seconds: float = 120) -> str | None:
    """What keeps a variant from working, with the remedy; None if it renders a tiny scene in a process of its own.

    Args:
        seconds: it may take; then it is stopped.
    """
    remedy = _REMEDY.get(variant, "use --variant scalar_rgb")
    try:
        tried = subprocess.run(
            [sys.executable, "-c", _TINY_SCENE, variant],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return f"Mitsuba's {variant} does not render a tiny scene here within {seconds:g} s: {remedy}"
    if tried.returncode == 0:
        return None
    lines = [line.strip() for line in tried.stderr.splitlines() if line.strip()]
    told = [line for line in lines if "libatomic" in line]
    if told:
        return _cannot_load("Mitsuba", ImportError(told[-1]))
    errors = [line for line in lines if "error" in line.lower()]
    cause = f" ({(errors or lines)[-1].split(': 0x')[0][:120]})" if lines else ""
    how = "ends the process" if tried.returncode < 0 else "does not run"
    return f"Mitsuba's {variant} {how} on this machine{cause}: {remedy}"


@cache
def mitsuba(variant: str) -> Any:
    """Mitsuba, set to a variant and to one thread.

    Raises:
        RenderError: if it is not installed or cannot be loaded.
    """
    drjit, mi = _loaded("drjit", "Mitsuba"), _loaded("mitsuba", "Mitsuba")
    try:
        mi.set_variant(variant)
    except ImportError as error:
        raise RenderError(
            f"Mitsuba's {variant} cannot be loaded ({error}): {_REMEDY.get(variant, 'use --variant scalar_rgb')}"
        ) from error
    mi.set_log_level(mi.LogLevel.Error)
    drjit.set_thread_count(1)  # one thread a process: the jobs share the cores by processes
    return mi


def oidn() -> Any:
    """Open Image Denoise.

    Raises:
        RenderError: if it is not installed or cannot be loaded.
    """
    if "pyoidn" in sys.modules or "torch" in sys.modules:
        return _loaded("pyoidn", "Open Image Denoise")
    # It would load PyTorch where there is one: 450 MiB in every process, for nothing.
    sys.modules["torch"] = cast(ModuleType, None)
    try:
        return _loaded("pyoidn", "Open Image Denoise")
    finally:
        del sys.modules["torch"]


def _loaded(module: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except (ImportError, NameError, OSError) as error:  # NameError: Dr.Jit's own, which hides an ImportError
        raise RenderError(_cannot_load(name, error)) from error


def _cannot_load(name: str, error: BaseException) -> str:
    hidden: BaseException | None = error
    messages = []
    while hidden is not None:
        if isinstance(hidden, ModuleNotFoundError) and hidden.name in ("drjit", "mitsuba", "pyoidn"):
            return f"pre-rendered quality needs {name}, which is not installed: pip install 'weighbridge[render]'"
        messages.append(str(hidden))
        hidden = hidden.__cause__ or hidden.__context__
    if any("libatomic" in message for message in messages):
        return f"{name} needs libatomic.so.1, which is not on this machine: install it (Debian: apt install libatomic1)"
    return f"{name} cannot be loaded ({messages[-1]}): pip install --force-reinstall 'weighbridge[render]'"


def _has_nvidia_driver() -> bool:
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
