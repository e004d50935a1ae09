"""A worker makes itself known: registered with its slots and hardware, and heard of every few seconds."""

import os
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from models import is_transient
from worker.leases import LeaseKeeper
from worker.membership import Membership

log = structlog.get_logger()

#: How often the keeper looks at what the processes of the pool do.
_LOOK_S: Final = 0.5

#: How long the last round of the thread may take; the database may be slow to answer.
_FAREWELL_S: Final = 15.0

#: Held while the thread works, and while this process forks: what another thread has locked at that moment, deep in a
#: library, stays locked in the new process for ever.
_WORK_OR_FORK: Final = threading.Lock()

os.register_at_fork(
    before=_WORK_OR_FORK.acquire,
    after_in_parent=_WORK_OR_FORK.release,
    after_in_child=_WORK_OR_FORK.release,
)


class Presence:
    """Registers a worker and beats from a thread of the parent process, until `leave`. The keeper works in it.

    `is_stuck` says whether work waits that no process of the pool takes; when it stays so for `n_stuck_beats` in a row,
    `restart` is called. So it is when the thread meets an error that it does not expect, for nobody would renew the
    leases.

    Without `enter`, whoever owns it calls `attend` itself.
    """

    def __init__(
        self,
        membership: Membership,
        keeper: LeaseKeeper,
        *,
        period_s: float,
        is_leaving: threading.Event,
        is_stuck: Callable[[], bool],
        n_stuck_beats: int,
        restart: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._membership = membership
        self._worker = membership.worker
        self._keeper = keeper
        self._period_s = period_s
        self._is_stuck = is_stuck
        self._n_stuck_beats = n_stuck_beats
        self._restart = restart
        self._left = is_leaving
        self._n_stuck = 0
        self._monotonic = monotonic
        self._beat_at = monotonic()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def enter(self) -> None:
        """Registers the worker, now or as soon as the database answers, and starts beating."""
        self._thread.start()

    def leave(self) -> None:
        """Puts back what the worker still holds, with no blame, and takes its slots out of the count.

        Claims that are under way are waited for, and put back; no later one is granted.
        """
        self._left.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            # Not for ever: a signal may bring us here from the middle of a fork, during which the thread stands still.
            self._thread.join(_FAREWELL_S)
        try:
            self._membership.leave()
        except Exception as failure:
            if not is_transient(failure):
                raise
            log.warning("worker_left_silently", worker=self._worker, error=str(failure))

    def attend(self) -> None:
        """Beats if it is time to, and looks at what the processes of the pool do."""
        if self._monotonic() >= self._beat_at:
            self._beat()
            self._beat_at = self._monotonic() + self._period_s
        self._keeper.look()

    def _run(self) -> None:
        try:
            self._attend_until_left()
        except Exception:  # the edge of the thread, which nobody else watches
            log.exception("presence_failed", worker=self._worker)
            self._restart()

    def _attend_until_left(self) -> None:
        while True:
            # Who leaves may have interrupted a fork, which then never ends.
            while not _WORK_OR_FORK.acquire(timeout=_LOOK_S):
                if self._left.is_set():
                    return
            try:
                self.attend()
            finally:
                _WORK_OR_FORK.release()
            if self._left.wait(min(_LOOK_S, self._period_s)):
                return

    def _beat(self) -> None:
        try:
            # First, and apart: the worker's own row may be locked by a claim that stands still.
            self._keeper.renew()
        except Exception as failure:
            if not is_transient(failure):
                raise
            log.warning("leases_not_renewed", worker=self._worker, error=str(failure))
        try:
            self._membership.beat()
        except Exception as failure:
            if not is_transient(failure):
                raise
            log.warning("beat_not_recorded", worker=self._worker, error=str(failure))
        self._n_stuck = self._n_stuck + 1 if self._is_stuck() else 0
        if self._n_stuck == self._n_stuck_beats:
            log.error("worker_stuck", worker=self._worker)
            self._restart()
