"""Writing a file whole or not at all."""

import contextlib
import os
from pathlib import Path

from hqnas.client.errors import HqnasError


class CannotExport(HqnasError):
    """A file could not be made; the text says which and why."""


def write_file(path: Path, content: str | bytes) -> None:
    """Writes a file and the folders above it; a reader sees the old content or the new one, nothing between.

    Raises:
        CannotExport: the place cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_bytes(data)
            draft.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
    except OSError as error:
        raise CannotExport(f"cannot write {path}: {error.strerror}") from error
