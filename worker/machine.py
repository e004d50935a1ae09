"""What a worker runs on: hardware, and the versions of what computes."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import psutil
import torch

from config.settings import InvalidSettings

_PACKAGES: Final = ("hqnas", "celery", "torch", "pennylane", "pennylane-lightning", "pennylane-lightning-gpu", "numpy")

#: Where Linux says what a container may use of the machine's memory.
_MEMORY_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def hardware() -> dict[str, Any]:
    """Returns processor, cores, memory and GPUs."""
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": psutil.cpu_count(),
        "memory_bytes": memory_bytes(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that decide results and speed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def require_gpu() -> None:
    """Returns if there is a GPU.

    Raises:
        InvalidSettings: there is none, or torch cannot use it.
    """
    if not torch.cuda.is_available():
        raise InvalidSettings("device gpu needs an NVIDIA GPU, and torch sees none; use --device cpu")


def memory_bytes() -> int:
    """Returns the machine's memory, or what a container may use of it."""
    found: int = psutil.virtual_memory().total
    for name in _MEMORY_LIMITS:
        try:
            found = min(found, int(Path(name).read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue  # no such file, or "max"
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
