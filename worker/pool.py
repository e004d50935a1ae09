"""The processes of a worker's pool, as this machine shows them: who lives, how who died ended, and stopping one."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final, Protocol

import psutil

_STOPPING_S: Final = 1.0


class PoolProcess(Protocol):
    """A process of the pool, as its parent knows it."""

    @property
    def pid(self) -> int | None:
        """Its id; None before its start."""

    @property
    def exitcode(self) -> int | None:
        """None while it runs and until the pool has seen its end; minus the signal, if one killed it."""


class Pool:
    """What a parent may ask and do about the processes of its pool.

    Args:
        processes: returns those that the pool has now.
    """

    def __init__(self, processes: Callable[[], Iterable[PoolProcess]]) -> None:
        self._processes = processes
        self._known: list[PoolProcess] = []
        self._current: set[int] = set()

    def update(self, *, shown: Collection[int]) -> None:
        """Takes note of the processes that there are; one that has gone stays known while its id is shown."""
        current = list(self._processes())
        # The pool forgets who died. Of one that is just being started, the id is not known yet.
        self._known = [*current, *(one for one in self._known if one.pid in shown and one not in current)]
        self._current = {process.pid for process in current if process.pid is not None}

    def is_dead(self, pid: int) -> bool:
        """Whether a process of the pool has ended."""
        # Another process may have the id once the pool has seen the end of the one that is meant.
        return pid not in self._current or _status(pid) in (None, psutil.STATUS_ZOMBIE)

    def is_stopped(self, pid: int) -> bool:
        """Whether a process stands still (SIGSTOP)."""
        return _status(pid) == psutil.STATUS_STOPPED

    def resident_bytes(self, pid: int) -> int:
        """Returns how much memory a process has; none if it has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(pid).memory_info().rss
        return 0

    def ending(self, pid: int) -> str:
        """Returns how a dead process died, to go on after "the last time"."""
        status = self._exitcode(pid)
        if status is None:
            return "nobody saw how"
        if status >= 0:
            return f"it exited with status {status}"
        try:
            return f"it was killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"it was killed by signal {-status}"

    @contextlib.contextmanager
    def stopped(self, pid: int) -> Iterator[psutil.Process | None]:
        """Stops a process for the block, and yields it if it stands still."""
        try:
            process = psutil.Process(pid)
            process.suspend()
        except psutil.NoSuchProcess:
            yield None
            return
        try:
            deadline = time.monotonic() + _STOPPING_S
            # Inside the kernel, a signal may have to wait.
            while not self.is_stopped(pid) and time.monotonic() < deadline:
                time.sleep(0.001)
            yield process if self.is_stopped(pid) else None
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def _exitcode(self, pid: int) -> int | None:
        if pid in self._current:
            # Only looked at: the pool has to see it, and must not find that somebody else has.
            with contextlib.suppress(ChildProcessError):
                seen = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if seen is not None:
                    return seen.si_status if seen.si_code == os.CLD_EXITED else -seen.si_status
            return None
        return next((process.exitcode for process in self._known if process.pid == pid), None)


def _status(pid: int) -> str | None:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status()
    return None
