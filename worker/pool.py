"""The processes of a worker's pool, as this machine shows them: who lives, how who died ended, and stopping one."""

import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

import psutil

_STOPPING_S: Final = 1.0

#: Far more processes than end between a death and the look that blames somebody for it.
_N_REMEMBERED: Final = 1024


class PoolProcess(Protocol):
    """A process of the pool, as its parent knows it."""

    @property
    def pid(self) -> int | None:
        """Its id; None before its start."""

    @property
    def exitcode(self) -> int | None:
        """None while it runs, then its status, or minus the signal that killed it; asking takes note of its end."""


class Pool:
    """What a parent may ask and do about the processes of its pool.

    Args:
        processes: returns those that the pool has now; it forgets who has ended.
    """

    def __init__(self, processes: Callable[[], Iterable[PoolProcess]]) -> None:
        self._processes = processes
        self._ended: deque[tuple[int | None, int | None]] = deque(maxlen=_N_REMEMBERED)

    def remember(self, ended: PoolProcess) -> None:
        """Remembers how a process ended that the pool forgets."""
        self._ended.append((ended.pid, ended.exitcode))

    def is_dead(self, pid: int) -> bool:
        """Whether a process of the pool has ended."""
        # Another process may have the id once the pool has seen the end of the one that is meant.
        return self._process(pid) is None or _status(pid) in (None, psutil.STATUS_ZOMBIE)

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

    def _process(self, pid: int) -> PoolProcess | None:
        return next((one for one in self._processes() if one.pid == pid), None)

    def _exitcode(self, pid: int) -> int | None:
        process = self._process(pid)
        if process is not None:
            try:
                # Only looked at: the pool has to see it, and must not find that somebody else has.
                seen = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return process.exitcode  # the pool has seen it, and has not come to forgetting it
            if seen is not None:
                return seen.si_status if seen.si_code == os.CLD_EXITED else -seen.si_status
        return next((exitcode for ended, exitcode in reversed(tuple(self._ended)) if ended == pid), None)


def _status(pid: int) -> str | None:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status()
    return None
