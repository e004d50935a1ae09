"""What each process of a worker's pool computes, for the worker's parent process to read: one small file for each.

The process that computes may be blocked in C with the interpreter's lock, stopped or dead; its file says all the same
what it holds. A file appears whole or not at all, in memory where the machine has a folder there, so that a full disk
does no harm.
"""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from models.evaluations import Token

_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the folder made there is the worker's alone
_PREFIX: Final = "hqnas-worker-"


@dataclass(frozen=True, slots=True)
class Shown:
    """What one process is doing. Its claims are shown until their outcomes are recorded."""

    pid: int
    attempts: tuple[Token, ...]  #: none while it claims
    computing_since: float | None  #: on the monotonic clock, which all processes share; None before and after
    n_shares: int  #: how many time limits it may compute for

    @classmethod
    def of(cls, pid: int, shown: dict[str, Any]) -> Self:
        """Returns what a file says."""
        attempts = tuple(Token(uuid.UUID(text), attempt) for text, attempt in shown["attempts"])
        return cls(pid, attempts, shown["computing_since"], shown["n_shares"])


class Board:
    """A folder with a file for each process of the pool that is at work, named by its id.

    Args:
        folder: made when something is shown.
        pid: returns the id of this process.
        monotonic: the clock of all who show and read.
    """

    def __init__(
        self, folder: Path, *, pid: Callable[[], int] = os.getpid, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder = folder
        self._pid = pid
        self._monotonic = monotonic

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Shows this process to be at work, with nothing in its hands yet, until the end of the block.

        An ordinary error ends it too: what was claimed lapses with its lease. What is on its way out of the process is
        left as it is, for then the process died of what it was computing.

        Raises:
            OSError: nothing can be shown, and so nothing must be claimed.
        """
        self._write([], computing_since=None, n_shares=0)
        try:
            yield
        except Exception:
            self.clear()
            raise
        self.clear()

    def show(self, attempts: Sequence[Token], *, is_computing: bool, n_shares: int) -> None:
        """Shows what this process has in its hands."""
        self._write(attempts, computing_since=self._monotonic() if is_computing else None, n_shares=n_shares)

    def clear(self) -> None:
        """Shows that this process holds nothing."""
        self.forget(self._pid())

    def read(self) -> list[Shown]:
        """Returns what all processes show."""
        try:
            pids = sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdecimal())
        except FileNotFoundError:
            return []
        return [shown for pid in pids if (shown := self.read_of(pid)) is not None]

    def read_of(self, pid: int) -> Shown | None:
        """Returns what a process shows, or None if it is not at work."""
        try:
            return Shown.of(pid, json.loads((self.folder / str(pid)).read_bytes()))
        except FileNotFoundError:
            return None

    def forget(self, pid: int) -> None:
        """Takes away what a process shows."""
        (self.folder / str(pid)).unlink(missing_ok=True)

    def remove(self) -> None:
        """Takes the folder away."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, attempts: Sequence[Token], *, computing_since: float | None, n_shares: int) -> None:
        shown = {
            "attempts": [(str(one.evaluation_id), one.attempt) for one in attempts],
            "computing_since": computing_since,
            "n_shares": n_shares,
        }
        # Whoever tidies up the machine's temporary folders may have taken it away.
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        pid = self._pid()
        unfinished = self.folder / f".{pid}"
        unfinished.write_text(json.dumps(shown), encoding="ascii")
        unfinished.replace(self.folder / str(pid))


@contextlib.contextmanager
def new_board() -> Iterator[Board]:
    """Yields a board of this process's own, and takes it away at the end, as well as those of killed workers."""
    parent = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=parent))
    with (unfinished / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Under this name, and so seen by others, only once it is locked.
        board = Board(unfinished.rename(parent / unfinished.name.removeprefix(".")))
        try:
            yield board
        finally:
            board.remove()
