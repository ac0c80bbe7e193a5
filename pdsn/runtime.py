"""Where the work runs: device, precision and processes, through accelerate."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from pdsn.errors import UsageError, one_of

if TYPE_CHECKING:
    from accelerate import Accelerator

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16")
# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
CPU_INFO = Path("/proc/cpuinfo")


def start(device: str = "auto", precision: str = "auto") -> Accelerator:
    """Set up the device and the precision; under `accelerate launch`, the processes too.

    Args:
        device: one of `DEVICES`; "auto" takes CUDA, then MPS, then the CPU.
        precision: one of `PRECISIONS`; "auto" takes bf16 on CUDA and on a CPU that is faster by it, see
            `cpu_gains_by_bf16`, else fp32.

    Raises:
        UsageError: the device is not there, is MPS and was asked for bf16; or the name is unknown.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    one_of("--device", device, DEVICES)
    one_of("--precision", precision, PRECISIONS)
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device in available and not available[device]:
        raise UsageError(f"--device {device}: this machine has none that torch can use; try --device cpu")
    if device == "mps" and available["cuda"]:
        raise UsageError("--device mps: this machine has CUDA, use --device cuda")
    on_cpu = device == "cpu" or not any(available.values())
    on_cuda = not on_cpu and available["cuda"]
    if precision == "auto":
        fast = torch.cuda.is_bf16_supported() if on_cuda else on_cpu and cpu_gains_by_bf16()
        precision = "bf16" if fast else "fp32"
    if precision == "bf16" and not on_cpu and not on_cuda:
        raise UsageError("--precision bf16 runs on the CPU and on CUDA; on MPS take --precision fp32")
    if on_cpu:
        _reuse_memory()
    if not torch.distributed.is_initialized():
        # One process may run several stages (and the tests several settings): start afresh each time.
        AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(cpu=on_cpu, mixed_precision="bf16" if precision == "bf16" else "no")


def _reuse_memory() -> None:
    """Let glibc keep large blocks instead of handing them back to the system after each use.

    Feature maps of tens of megabytes come and go with every layer. Mapped anew each time, their pages cost
    two thirds of the time of inference with a small network; other C libraries are left alone.
    """
    import ctypes

    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_THRESHOLD, 1 << 30)
    mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


def cpu_gains_by_bf16() -> bool:
    """Whether the CPU multiplies faster in bf16 than in fp32; False where nobody can tell.

    AMX does. AVX512-BF16 does on AMD's CPUs; on Intel's without AMX (Cooper Lake, or a virtual machine that hides it) its one
    instruction takes twice the time, and convolutions in bf16 were measured at half the speed of those in fp32.
    """
    if platform.system() != "Linux":
        return False
    try:
        about = CPU_INFO.read_text(encoding="utf-8")
    except OSError:
        return False
    return "amx_bf16" in about or ("avx512_bf16" in about and "AuthenticAMD" in about)


def precision_of(accelerator: Accelerator) -> str:
    """The precision in use, "fp32" or "bf16"."""
    return "bf16" if accelerator.mixed_precision == "bf16" else "fp32"
