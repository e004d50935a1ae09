"""Doorbells: pending evaluations go to the broker after the commit, as many as the workers can hold.

One doorbell names a bundle of evaluations of one kind where the workers' calibrations say that this pays.
"""

import uuid
from typing import Final

import structlog
from celery import Celery
from kombu.exceptions import KombuError
from sqlalchemy import Engine

from config.settings import Settings
from models import UnitOfWork
from models.queue import BundleSizes
from models.states import EVALUATION_IN_FLIGHT
from nas.calibration import BUNDLED_ENGINE, bundle_sizes
from worker.broker import TASK, message, queue_of
from worker.bundles import form_bundles
from worker.fault_points import FaultPoint, Reach, unharmed
from worker.fleet import calibrated_workers

log = structlog.get_logger()

#: Pending evaluations that are looked through, so that those of a kind find one another.
_LOOKED_THROUGH: Final = 500


class Dispatcher:
    """Sends evaluations to Celery. Any number may run; a lock in the database lets one choose at a time."""

    def __init__(self, engine: Engine, app: Celery, settings: Settings, *, reach: Reach = unharmed) -> None:
        self._engine = engine
        self._app = app
        self._settings = settings
        self._reach = reach
        self._has_rung = False  #: since the broker was last asked after
        self._broker_error: str | None = None
        connection = app.connection_for_write()
        self._errors = (KombuError, OSError, *connection.connection_errors, *connection.channel_errors)

    def run(self) -> int:
        """Fills the broker up to twice the workers' slots, and returns how many doorbells were rung."""
        chosen: list[tuple[str, list[uuid.UUID]]] = []
        with UnitOfWork(self._engine) as work:
            if not work.try_lock("dispatch"):
                return 0
            in_flight = work.queue.count_in_flight()
            for device, n_slots in work.workers.slots(timeout_s=self._settings.worker_timeout_s).items():
                room = n_slots * self._settings.dispatch_per_slot - sum(
                    in_flight[device, state] for state in EVALUATION_IN_FLIGHT
                )
                if room > 0:
                    chosen.extend((device, bundle) for bundle in self._choose(work, device, n_slots, room))
            if not chosen:
                return 0
            self._reach(FaultPoint.DISPATCH_BEFORE_COMMIT)
            work.commit()
        self._reach(FaultPoint.DISPATCH_COMMITTED)
        return self._ring(chosen)

    def check_broker(self) -> str | None:
        """Returns why the broker cannot be reached, or None; connects to it only where no doorbell has told already."""
        if not self._has_rung:
            try:
                with self._app.connection_for_write() as connection:
                    connection.ensure_connection(max_retries=0)
            except self._errors as failure:
                self._broker_error = str(failure)
            else:
                self._broker_error = None
        self._has_rung = False
        return self._broker_error

    def _choose(self, work: UnitOfWork, device: str, n_slots: int, room: int) -> list[list[uuid.UUID]]:
        sizes = self._sizes(work, device)
        limit = max(room * max(sizes.values()), _LOOKED_THROUGH) if sizes else room
        pending, n_pending = work.queue.pending(device, limit, sizes=sizes)
        if not pending:
            return []
        return work.queue.dispatch(form_bundles(pending, room=room, n_pending=n_pending, n_slots=n_slots))

    def _sizes(self, work: UnitOfWork, device: str) -> BundleSizes:
        workers = calibrated_workers(work, device, timeout_s=self._settings.worker_timeout_s)
        sizes = bundle_sizes([worker.calibration for worker in workers])
        return {(BUNDLED_ENGINE, qubits): size for qubits, size in sizes.items()}

    def _ring(self, chosen: list[tuple[str, list[uuid.UUID]]]) -> int:
        for n_rung, (device, bundle) in enumerate(chosen):
            self._has_rung = True
            try:
                self._app.send_task(TASK, kwargs=message(list(map(str, bundle))), queue=queue_of(device), retry=False)
            except self._errors as failure:
                rest = [one for _, bundle in chosen[n_rung:] for one in bundle]
                self._broker_error = str(failure)
                log.warning("broker_unreachable", n_waiting=len(rest), error=self._broker_error)
                with UnitOfWork(self._engine) as work:
                    work.queue.undispatch(rest)
                    work.commit()
                return n_rung
            self._broker_error = None
            self._reach(FaultPoint.DISPATCH_RUNG)
        return len(chosen)
