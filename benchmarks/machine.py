"""Names the machine that a report was measured on."""

import datetime
import os
import platform
from pathlib import Path

import torch


def describe() -> dict[str, str]:
    """Returns what a reader needs to judge a time by."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "Processor": f"{_cpu_model()}, {os.cpu_count()} cores, of which one thread on one core was used",
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "GPU": gpu,
        "System": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "Date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def _cpu_model() -> str:
    """Returns the processor's name and numbers: virtual machines often hide the name alone."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine()
    fields = {}
    for line in path.read_text(encoding="utf-8").split("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        fields[key.strip()] = value.strip()
    name = fields.get("model name", platform.machine())
    numbers = [f"{key} {fields[key]}" for key in ("cpu family", "model") if key in fields]
    return " ".join([name, f"({', '.join(numbers)})"] if numbers else [name])
