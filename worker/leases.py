"""The parent process keeps the leases of what its pool computes: an evaluation may block its own process as it likes.

    on the board, held           the lease is renewed, unless the process is stopped
    on the board, held no more   the process is killed; nobody is blamed
    over a limit                 the process is killed, and what it was computing blamed for a crash
    on a dead process's board    blamed for a crash

A process goes from one doorbell to the next at any moment. So it is killed only while it is stopped, and shows that it
still does what is meant. It is not asked to leave a computation: an exception from outside, in the middle of a library,
may leave behind what makes later results wrong, and a new process costs little.
"""

import time
from collections.abc import Callable
from typing import Final

import structlog
from sqlalchemy import Engine

from config.settings import Settings
from models import UnitOfWork, is_transient
from models.evaluations import Token
from worker.board import Board, Shown
from worker.pool import Pool

log = structlog.get_logger()

_RETRY_S: Final = 2.0


class LeaseKeeper:
    """Renews, kills and blames for one worker, from one thread of its parent process.

    Args:
        engine: the database.
        settings: the lease, the limits.
        board: what the processes of the pool show.
        pool: its processes.
        memory_limit_bytes: that one process may grow to.
        is_leaving: whether the worker ends, and so its processes die of no fault of theirs.
        monotonic: the clock of the board.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        board: Board,
        pool: Pool,
        memory_limit_bytes: float,
        is_leaving: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._board = board
        self._pool = pool
        self._memory_limit_bytes = memory_limit_bytes
        self._is_leaving = is_leaving
        self._monotonic = monotonic
        self._lost: set[tuple[Token, ...]] = set()
        self._abandoned: set[Shown] = set()
        self._dead: set[Shown] = set()
        self._killed: dict[Shown, str] = {}
        self._bury_at = 0.0

    def look(self) -> None:
        """Kills what is lost or exceeds a limit, and blames what dead processes were computing."""
        board = self._board.read()
        self._dead &= set(board)
        for shown in board:
            if not self._pool.is_dead(shown.pid):
                self._watch(shown)
            elif shown not in self._dead:
                # Blamed at the next look: by then it is known whether the whole worker is being stopped.
                self._dead.add(shown)
            elif self._monotonic() > self._bury_at and not self._is_leaving():
                self._bury(shown)

    def renew(self) -> None:
        """Renews what is computed, and notes what is not held any more.

        Raises:
            OperationalError: the database does not answer.
        """
        board = [shown for shown in self._board.read() if shown.attempts and not self._pool.is_dead(shown.pid)]
        if not board:
            return
        # What is stopped computes nothing. Should it go on later, its results come too late.
        stopped = {one for shown in board if self._pool.is_stopped(shown.pid) for one in shown.attempts}
        running = {one for shown in board for one in shown.attempts} - stopped
        with UnitOfWork(self._engine) as work:
            held = work.evaluations.renew(running, lease_s=self._settings.lease_s) | work.evaluations.held(stopped)
            work.commit()
        self._lost = {shown.attempts for shown in board if held.isdisjoint(shown.attempts)}

    def _watch(self, shown: Shown) -> None:
        if shown.attempts in self._lost:
            if self._kill(shown):
                self._abandoned.add(shown)
                log.warning("evaluation_abandoned", pid=shown.pid, evaluation_ids=_ids(shown))
        elif (reason := self._exceeded(shown)) is not None and self._kill(shown):
            self._killed[shown] = reason
            log.warning("process_killed", pid=shown.pid, evaluation_ids=_ids(shown), reason=reason)

    def _exceeded(self, shown: Shown) -> str | None:
        if shown.computing_since is None:
            return None
        if self._pool.resident_bytes(shown.pid) > self._memory_limit_bytes:
            return f"its process grew beyond {self._memory_limit_bytes / 2**30:,.3g} GiB (HQNAS_MEMORY_LIMIT_GIB)"
        each_s = self._settings.time_limit_s
        limit_s = each_s * shown.n_shares
        if self._monotonic() - shown.computing_since > limit_s:
            shares = f", {each_s:,g} s for each of {shown.n_shares}" if shown.n_shares > 1 else ""
            return f"it ran longer than {limit_s:,g} s (HQNAS_TIME_LIMIT_S{shares})"
        return None

    def _kill(self, shown: Shown) -> bool:
        """Kills a process if it still does what it showed, and returns whether it did."""
        with self._pool.stopped(shown.pid) as process:
            if process is None or self._board.read_of(shown.pid) != shown:
                return False
            process.kill()
            return True

    def _bury(self, shown: Shown) -> None:
        if shown in self._abandoned:
            self._board.forget(shown.pid)
            self._abandoned.discard(shown)
            return
        how = self._killed.get(shown) or self._pool.ending(shown.pid)
        try:
            with UnitOfWork(self._engine) as work:
                n_blamed = work.evaluations.record_crash(shown.attempts, limit=self._settings.crash_limit, how=how)
                work.ring()
                work.commit()
        except Exception as failure:
            if not is_transient(failure):
                raise
            log.warning("crash_not_recorded", evaluation_ids=_ids(shown), error=str(failure))
            self._bury_at = self._monotonic() + _RETRY_S
            return
        log.warning("process_died", pid=shown.pid, evaluation_ids=_ids(shown), n_blamed=n_blamed, how=how)
        self._board.forget(shown.pid)
        self._killed.pop(shown, None)


def _ids(shown: Shown) -> list[str]:
    return [str(one.evaluation_id) for one in shown.attempts]
