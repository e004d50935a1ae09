"""The doorbell's handler, in the processes of a worker's pool, and what the parent does when one of them dies."""

import uuid
from functools import cache
from typing import Any

import structlog
import torch
import torch._dynamo  # torch.optim loads it at its first step: 2 s in every process of the pool, or once here
from billiard.exceptions import WorkerLostError
from celery import Task, shared_task
from celery.signals import worker_process_init
from celery.worker import state
from celery.worker.request import Request
from sqlalchemy.exc import DBAPIError

from config.settings import Settings
from models import UnitOfWork, connect, is_transient
from worker.attempt import Attempts
from worker.broker import TASK, MessageRefused, ids_in

log = structlog.get_logger()


class _EvaluationRequest(Request):  # type: ignore[misc]  # Celery has no types
    """A message as the worker's parent process sees it."""

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """Blames the evaluations of a process that died; the sweep would take a whole lease to notice."""
        failure = exc_info.exception
        failure = getattr(failure, "exc", failure)  # billiard wraps what a child raised
        is_stopping = (state.should_stop, state.should_terminate) != (None, None)
        if isinstance(failure, WorkerLostError | SystemExit) and not is_stopping:
            record_crash(ids_in(self.kwargs), worker=self.hostname)
        super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)


class _EvaluationTask(Task):  # type: ignore[misc]  # Celery has no types
    Request = _EvaluationRequest


@shared_task(name=TASK, base=_EvaluationTask, bind=True)  # type: ignore[untyped-decorator]  # Celery has no types
def evaluate_bundle(self: Task, *_: Any, **arguments: Any) -> None:
    """Evaluates what a doorbell names, together; one that fails does not harm the others."""
    try:
        ids = ids_in(arguments)
    except MessageRefused as problem:
        log.error("message_refused", reason=str(problem))
        return
    _attempts(self.request.hostname).run(ids)


def record_crash(ids: list[uuid.UUID], *, worker: str) -> None:
    """Counts a crash against what the dead process was computing, and wakes the controller."""
    settings = Settings.load()
    engine = connect(settings.require_database_url(), application="worker", pool_size=1)
    try:
        with UnitOfWork(engine) as work:
            n_blamed = work.evaluations.record_crash(ids, worker=worker, limit=settings.crash_limit)
            work.ring()
            work.commit()
        log.warning("process_died", worker=worker, evaluation_ids=[str(one) for one in ids], n_blamed=n_blamed)
    except DBAPIError as failure:
        if not is_transient(failure):
            raise
        log.warning("crash_not_recorded", worker=worker, error=str(failure))
    finally:
        engine.dispose()


@worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _prepare_process(**_: Any) -> None:
    # As many processes as slots, so one thread each: more would only fight over the cores.
    torch.set_num_threads(1)
    _attempts.cache_clear()


@cache
def _attempts(worker: str) -> Attempts:
    settings = Settings.load()
    return Attempts(
        connect(settings.require_database_url(), application=f"worker-{worker}", pool_size=2), settings, worker=worker
    )
