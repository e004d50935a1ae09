"""Doorbells: pending evaluations go to the broker after the commit, as many as the workers can hold."""

import uuid

import structlog
from celery import Celery
from kombu.exceptions import KombuError
from sqlalchemy import Engine

from config.settings import Settings
from models import UnitOfWork
from models.states import EVALUATION_IN_FLIGHT
from worker.broker import TASK, message, queue_of

log = structlog.get_logger()


class Dispatcher:
    """Sends evaluations to Celery. Any number may run; a lock in the database lets one choose at a time."""

    def __init__(self, engine: Engine, app: Celery, settings: Settings) -> None:
        self._engine = engine
        self._app = app
        self._settings = settings
        connection = app.connection_for_write()
        self._errors = (KombuError, OSError, *connection.connection_errors, *connection.channel_errors)

    def run(self) -> int:
        """Fills the broker up to twice the workers' slots, and returns how many doorbells were rung."""
        chosen: list[tuple[str, uuid.UUID]] = []
        with UnitOfWork(self._engine) as work:
            if not work.try_lock("dispatch"):
                return 0
            in_flight = work.evaluations.count_in_flight()
            for device, n_slots in work.workers.slots(timeout_s=self._settings.worker_timeout_s).items():
                room = n_slots * self._settings.dispatch_per_slot - sum(
                    in_flight[device, state] for state in EVALUATION_IN_FLIGHT
                )
                if room > 0:
                    chosen.extend((device, one) for one in work.evaluations.dispatch(device, room))
            work.commit()
        return self._ring(chosen)

    def _ring(self, chosen: list[tuple[str, uuid.UUID]]) -> int:
        for n_rung, (device, evaluation_id) in enumerate(chosen):
            try:
                self._app.send_task(TASK, kwargs=message([str(evaluation_id)]), queue=queue_of(device), retry=False)
            except self._errors as failure:
                rest = [one for _, one in chosen[n_rung:]]
                log.warning("broker_unreachable", n_waiting=len(rest), error=str(failure))
                with UnitOfWork(self._engine) as work:
                    work.evaluations.undispatch(rest)
                    work.commit()
                return n_rung
        return len(chosen)
