"""Kombu's filesystem transport, made safe for several processes on one folder.

Kombu writes a message in place, so another process can take a file that is not written yet and choke on it. Here a
message appears under its name only when it is complete, and one is taken by renaming it inside the same folder.

    .<name>.msg         being written
    <name>.msg          to be taken
    .taken-<name>.msg   being read, by the one process that could rename it; it is removed before it is answered
"""

import contextlib
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any, Final

from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

from worker.readable import ReadableOnly, tell_unreadable

LEFTOVER_S: Final = 3600.0
"""A doorbell is written, or read once taken, in milliseconds; what stands longer in between, nobody comes back for."""


class Channel(filesystem.Channel):  # type: ignore[misc]  # kombu has no types
    """A channel whose messages appear and disappear in one step each."""

    def _put(self, queue: str, payload: dict[str, Any], **_: Any) -> None:
        folder = Path(self.data_folder_out)
        name = f"{time.time_ns():020d}_{uuid.uuid4()}.{queue}.msg"
        unfinished = folder / f".{name}"
        try:
            unfinished.write_text(dumps(payload))
            unfinished.rename(folder / name)
        except BaseException:
            # On a full disk there is one for each attempt, and every consumer would list them all for ever.
            unfinished.unlink(missing_ok=True)
            raise

    def _get(self, queue: str) -> dict[str, Any]:
        folder = Path(self.data_folder_in)
        for name in sorted(path.name for path in folder.iterdir()):
            if name.startswith(".") or name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = folder / f".taken-{name}"
            # Another process may have been faster.
            with contextlib.suppress(FileNotFoundError):
                (folder / name).rename(taken)
                text = taken.read_bytes()
                taken.unlink()
                try:
                    payload: dict[str, Any] = loads(text)
                except ValueError as problem:
                    tell_unreadable(queue, str(problem))
                    continue
                return payload
        raise Empty


class Transport(ReadableOnly, filesystem.Transport):  # type: ignore[misc]  # as above
    """The transport of the one-machine default."""

    Channel = Channel

    def establish_connection(self) -> Any:
        """Returns the connection, over a folder without what killed processes left in it."""
        connection = super().establish_connection()
        _remove_leftovers(Path(self.client.transport_options["data_folder_in"]))
        return connection


def _remove_leftovers(folder: Path) -> None:
    for path in folder.glob(".*.msg"):
        # Others may tidy up as well, and what cannot be removed keeps nobody from starting.
        with contextlib.suppress(OSError):
            # Not the time of writing: a doorbell that waited for long keeps it when it is renamed, to be read now.
            if time.time() - path.stat().st_ctime > LEFTOVER_S:
                path.unlink()
