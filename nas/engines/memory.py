"""How much memory is free, so that state vectors are refused before they are allocated."""

import ctypes
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from nas.errors import DeviceTooSmall

#: What lightning.gpu has loaded where torch has no CUDA of its own.
_CUDA_RUNTIME = "libcudart.so.12"
_CUDA_PROPERTIES_BYTES = 4096  # cudaDeviceProp, which starts with the name, is a quarter of that


@dataclass(frozen=True, slots=True)
class Memory:
    """Free memory, and where it is."""

    place: str
    free_bytes: int


def host_memory() -> Memory:
    """Returns the memory that this machine can give without swapping; limits of a container are not seen."""
    return Memory("this machine", psutil.virtual_memory().available)


def gpu_memory() -> Memory | None:
    """Returns the memory of the current GPU, or None where neither torch nor the CUDA runtime can tell."""
    if torch.cuda.is_available():
        return Memory(torch.cuda.get_device_name(), torch.cuda.mem_get_info()[0])
    try:
        return _from_cuda_runtime(ctypes.CDLL(_CUDA_RUNTIME))
    except OSError:
        return None


def require(n_bytes: int, memory: Memory | None, *, purpose: str) -> int:
    """Returns how many bytes are free beyond these, and 0 where nobody knows.

    Raises:
        DeviceTooSmall: they do not fit.
    """
    if memory is None:
        return 0
    if n_bytes > memory.free_bytes:
        raise DeviceTooSmall(
            f"{purpose} needs {_in_mib(n_bytes)} MiB, and {memory.place} has {_in_mib(memory.free_bytes)} MiB free; "
            "take fewer qubits or gates, precision complex64, another engine, or a machine with more memory"
        )
    return memory.free_bytes - n_bytes


def _in_mib(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:,.0f}"


def _from_cuda_runtime(runtime: Any) -> Memory | None:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    if runtime.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total)):
        return None
    number, properties = ctypes.c_int(), ctypes.create_string_buffer(_CUDA_PROPERTIES_BYTES)
    is_unnamed = runtime.cudaGetDevice(ctypes.byref(number)) or runtime.cudaGetDeviceProperties_v2(properties, number)
    return Memory("the GPU" if is_unnamed else properties.value.decode(), free.value)
