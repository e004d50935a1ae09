"""Whether a disk has room: what fails for want of space cannot always say so, least of all in a log on that disk."""

import shutil
from pathlib import Path
from typing import Final

RUNNING_NEEDS: Final = 17 << 20
"""Bytes. PostgreSQL makes its log in segments of 16 MiB, and stops where it cannot make the next one."""

NEW_DATA_NEEDS: Final = 48 << 20
"""Bytes. What initdb makes, with room to begin; where it fails, it takes away what it has made."""


def is_full(folder: Path, *, needs: int = RUNNING_NEEDS) -> bool:
    """Whether less than `needs` bytes are free where the folder is, for an account without rights."""
    try:
        return shutil.disk_usage(folder).free < needs
    except OSError:
        return False
