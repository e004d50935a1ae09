"""A worker makes itself known: registered with its slots and hardware, and heard of every few seconds."""

import threading
from collections.abc import Callable

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from config.settings import Settings
from models import UnitOfWork, is_transient
from nas.calibration import Calibration
from worker.machine import hardware, versions

log = structlog.get_logger()

#: Beats in a row at which work waits and no process takes it, before the worker is taken for stuck.
_STUCK_BEATS = 3


class Presence:
    """Registers a worker and beats from a thread of the parent process, until `leave`.

    `is_stuck` says whether work waits that no process of the pool takes; when it stays so, `restart` is called.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        worker: str,
        device: str,
        n_slots: int,
        calibration: Calibration | None,
        is_stuck: Callable[[], bool],
        restart: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._worker = worker
        self._device = device
        self._n_slots = n_slots
        self._calibration = calibration
        self._is_stuck = is_stuck
        self._restart = restart
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="presence", daemon=True)

    def enter(self) -> None:
        """Registers the worker, now or as soon as the database answers, and starts beating."""
        self._thread.start()

    def leave(self) -> None:
        """Puts back what the worker still holds, with no blame, and takes its slots out of the count."""
        self._left.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
        try:
            with UnitOfWork(self._engine) as work:
                n_released = work.evaluations.release(self._worker)
                work.workers.stop(self._worker)
                work.ring()
                work.commit()
            log.info("worker_left", worker=self._worker, n_released=n_released)
        except DBAPIError as failure:
            if not is_transient(failure):
                raise
            log.warning("worker_left_silently", worker=self._worker, error=str(failure))

    def _beat(self) -> None:
        is_registered, n_stuck = False, 0
        while True:
            try:
                with UnitOfWork(self._engine) as work:
                    if is_registered:
                        work.workers.beat(self._worker)
                    else:
                        self._register(work)
                    work.commit()
                is_registered = True
            except DBAPIError as failure:
                if not is_transient(failure):
                    raise
                log.warning("beat_not_recorded", worker=self._worker, error=str(failure))
            n_stuck = n_stuck + 1 if self._is_stuck() else 0
            if n_stuck == _STUCK_BEATS:
                log.error("worker_stuck", worker=self._worker)
                self._restart()
            if self._left.wait(self._settings.renew_s):
                return

    def _register(self, work: UnitOfWork) -> None:
        # What a worker of this name held before it died is free at once.
        work.evaluations.release(self._worker)
        work.workers.register(
            self._worker,
            device=self._device,
            n_slots=self._n_slots,
            hardware=hardware(),
            versions=versions(),
            calibration=None if self._calibration is None else self._calibration.to_json(),
        )
        work.ring()
        log.info("worker_registered", worker=self._worker, device=self._device, n_slots=self._n_slots)
