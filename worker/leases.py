"""The parent process keeps the leases of what its pool computes: an evaluation may block its own process as it likes.

    on the board, held           the lease is renewed, unless the process is stopped
    on the board, held no more   the process is told to abandon it, and killed if it does not; nobody is blamed
    over a limit                 the process is killed, and what it was computing blamed for a crash
    on a dead process's board    blamed for a crash

A process goes from one doorbell to the next at any moment. So it is told or killed only while it is stopped, and shows
that it still does what is meant.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

import psutil
import structlog
from sqlalchemy import Engine

from config.settings import Settings
from models import UnitOfWork, is_transient
from models.evaluations import Token
from worker.board import Board, Shown

log = structlog.get_logger()

#: Tells a process of the pool to abandon what it computes.
ABANDON: Final = signal.SIGUSR2

#: How long a process that is told to abandon a computation may take before it is killed.
FAREWELL_S: Final = 5.0

_STOPPING_S: Final = 1.0
_RETRY_S: Final = 2.0


class PoolProcess(Protocol):
    """A process of the pool, as its parent knows it."""

    @property
    def pid(self) -> int | None:
        """Its id; None before its start."""

    @property
    def exitcode(self) -> int | None:
        """None while it runs and until the pool has seen its end; minus the signal, if one killed it."""


class LeaseKeeper:
    """Renews, stops and blames for one worker, from one thread of its parent process.

    Args:
        engine: the database.
        settings: the lease, the limits.
        board: what the processes of the pool show.
        processes: returns those that the pool has now.
        memory_limit_bytes: that one process may grow to.
        is_leaving: whether the worker ends, and so its processes die of no fault of theirs.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        board: Board,
        processes: Callable[[], Iterable[PoolProcess]],
        memory_limit_bytes: float,
        is_leaving: Callable[[], bool],
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._board = board
        self._processes = processes
        self._memory_limit_bytes = memory_limit_bytes
        self._is_leaving = is_leaving
        self._known: list[PoolProcess] = []
        self._current: set[int] = set()
        self._lost_at: dict[tuple[Token, ...], float] = {}
        self._dead: set[Shown] = set()
        self._killed: dict[Shown, str] = {}
        self._bury_at = 0.0

    def look(self) -> None:
        """Stops what is lost or exceeds a limit, and blames what dead processes were computing."""
        board = self._read()
        self._dead &= set(board)
        for shown in board:
            if not self._is_dead(shown.pid):
                self._watch(shown)
            elif shown not in self._dead:
                # Blamed at the next look: by then it is known whether the whole worker is being stopped.
                self._dead.add(shown)
            elif time.monotonic() > self._bury_at and not self._is_leaving():
                self._bury(shown)

    def renew(self) -> None:
        """Renews what is computed, and notes what is not held any more.

        Raises:
            OperationalError: the database does not answer.
        """
        board = [shown for shown in self._read() if shown.attempts and not self._is_dead(shown.pid)]
        if not board:
            return
        # What is stopped computes nothing. Should it go on later, its results come too late.
        stopped = {one for shown in board if _is_stopped(shown.pid) for one in shown.attempts}
        running = {one for shown in board for one in shown.attempts} - stopped
        with UnitOfWork(self._engine) as work:
            held = work.evaluations.renew(running, lease_s=self._settings.lease_s) | work.evaluations.held(stopped)
            work.commit()
        now = time.monotonic()
        lost = [shown.attempts for shown in board if held.isdisjoint(shown.attempts)]
        self._lost_at = {attempts: self._lost_at.get(attempts, now) for attempts in lost}

    def _read(self) -> list[Shown]:
        # The board first: who is on it has been in the pool.
        board = self._board.read()
        current = list(self._processes())
        # The pool forgets who died; the board does not. Of one that is just being started, the id is not known yet.
        on_board = {shown.pid for shown in board}
        self._known = [*current, *(one for one in self._known if one.pid in on_board and one not in current)]
        self._current = {process.pid for process in current if process.pid is not None}
        return board

    def _is_dead(self, pid: int) -> bool:
        # Another process may have the id once the pool has seen the end of the one that is meant.
        return pid not in self._current or _status(pid) in (None, psutil.STATUS_ZOMBIE)

    def _watch(self, shown: Shown) -> None:
        reason = self._exceeded(shown)
        if reason is not None:
            self._kill(shown, reason)
        elif (lost_at := self._lost_at.get(shown.attempts)) is not None:
            if time.monotonic() - lost_at < FAREWELL_S:
                with _stopped(self._board, shown) as process:
                    if process is not None:
                        process.send_signal(ABANDON)
            else:
                self._kill(shown, "it did not leave a computation that it had lost")

    def _exceeded(self, shown: Shown) -> str | None:
        if shown.computing_since is None:
            return None
        if _resident_bytes(shown.pid) > self._memory_limit_bytes:
            return f"its process grew beyond {self._memory_limit_bytes / 2**30:,.3g} GiB (HQNAS_MEMORY_LIMIT_GIB)"
        each_s = self._settings.time_limit_s
        limit_s = each_s * shown.n_shares
        if time.monotonic() - shown.computing_since > limit_s:
            shares = f", {each_s:,g} s for each of {shown.n_shares}" if shown.n_shares > 1 else ""
            return f"it ran longer than {limit_s:,g} s (HQNAS_TIME_LIMIT_S{shares})"
        return None

    def _exitcode(self, pid: int) -> int | None:
        if pid in self._current:
            # Only looked at: the pool has to see it, and must not find that somebody else has.
            with contextlib.suppress(ChildProcessError):
                seen = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if seen is not None:
                    return seen.si_status if seen.si_code == os.CLD_EXITED else -seen.si_status
            return None
        return next((process.exitcode for process in self._known if process.pid == pid), None)

    def _kill(self, shown: Shown, reason: str) -> None:
        with _stopped(self._board, shown) as process:
            if process is not None:
                process.kill()
                self._killed[shown] = reason
                log.warning("process_killed", pid=shown.pid, evaluation_ids=_ids(shown), reason=reason)

    def _bury(self, shown: Shown) -> None:
        how = self._killed.get(shown) or _ending(self._exitcode(shown.pid))
        try:
            with UnitOfWork(self._engine) as work:
                n_blamed = work.evaluations.record_crash(shown.attempts, limit=self._settings.crash_limit, how=how)
                work.ring()
                work.commit()
        except Exception as failure:
            if not is_transient(failure):
                raise
            log.warning("crash_not_recorded", evaluation_ids=_ids(shown), error=str(failure))
            self._bury_at = time.monotonic() + _RETRY_S
            return
        log.warning("process_died", pid=shown.pid, evaluation_ids=_ids(shown), n_blamed=n_blamed, how=how)
        self._board.forget(shown.pid)
        self._killed.pop(shown, None)


@contextlib.contextmanager
def _stopped(board: Board, shown: Shown) -> Iterator[psutil.Process | None]:
    """Stops a process for the block, and yields it if it still does what it showed."""
    try:
        process = psutil.Process(shown.pid)
        process.suspend()
    except psutil.NoSuchProcess:
        yield None
        return
    try:
        deadline = time.monotonic() + _STOPPING_S
        # Inside the kernel, a signal may have to wait.
        while not _is_stopped(shown.pid) and time.monotonic() < deadline:
            time.sleep(0.001)
        yield process if _is_stopped(shown.pid) and board.read_of(shown.pid) == shown else None
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()


def _is_stopped(pid: int) -> bool:
    return _status(pid) == psutil.STATUS_STOPPED


def _status(pid: int) -> str | None:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status()
    return None


def _resident_bytes(pid: int) -> int:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).memory_info().rss
    return 0


def _ending(status: int | None) -> str:
    if status is None:
        return "nobody saw how"
    if status >= 0:
        return f"it exited with status {status}"
    try:
        return f"it was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"it was killed by signal {-status}"


def _ids(shown: Shown) -> list[str]:
    return [str(one.evaluation_id) for one in shown.attempts]
