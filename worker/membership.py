"""A worker's row among the workers: made at its first beat, kept alive by the next ones, stopped as it leaves."""

from typing import Any

import structlog
from sqlalchemy import Engine

from models import UnitOfWork

log = structlog.get_logger()


class Membership:
    """What a worker says of itself to the database, each time in one transaction."""

    def __init__(
        self,
        engine: Engine,
        *,
        worker: str,
        device: str,
        n_slots: int,
        hardware: dict[str, Any],
        versions: dict[str, Any],
        calibration: dict[str, Any] | None,
    ) -> None:
        self.worker = worker
        self._engine = engine
        self._n_slots = n_slots
        self._device = device
        self._about: dict[str, Any] = {"hardware": hardware, "versions": versions, "calibration": calibration}
        self._is_registered = False

    def beat(self) -> None:
        """Says that the worker lives; registers it if that has not been done.

        Raises:
            DBAPIError: the database cannot take it now.
        """
        with UnitOfWork(self._engine) as work:
            if self._is_registered:
                work.workers.beat(self.worker)
            else:
                work.workers.register(self.worker, device=self._device, n_slots=self._n_slots, **self._about)
                # What a worker of this name held before it died is free at once.
                work.evaluations.release(self.worker)
                work.ring()
            work.commit()
        if not self._is_registered:
            log.info("worker_registered", worker=self.worker, device=self._device, n_slots=self._n_slots)
        self._is_registered = True

    def leave(self) -> None:
        """Takes the worker's slots out of the count, and puts back what it still holds, with no blame.

        Raises:
            DBAPIError: as for `beat`.
        """
        with UnitOfWork(self._engine) as work:
            work.workers.stop(self.worker)
            n_released = work.evaluations.release(self.worker)
            work.ring()
            work.commit()
        log.info("worker_left", worker=self.worker, n_released=n_released)
