"""The doorbell's handler, in the processes of a worker's pool."""

import contextlib
import os
from functools import cache
from pathlib import Path
from typing import Any, Final

import structlog
import torch
import torch._dynamo  # torch.optim loads it at its first step: 2 s in every process of the pool, or once here
from billiard.process import current_process
from celery import Task, current_app, shared_task
from celery.signals import worker_process_init

from config.logging import configure_logging
from config.settings import Settings
from models import connect
from worker.attempt import Attempts
from worker.board import Board
from worker.broker import BOARD, TASK, MessageRefused, ids_in

log = structlog.get_logger()

#: The kernel kills the process with the highest number first when memory runs out. The parent survives to blame.
_FIRST_TO_GO: Final = "1000"


@shared_task(name=TASK, bind=True)  # type: ignore[untyped-decorator]  # Celery has no types
def evaluate_bundle(self: Task, *_: Any, **arguments: Any) -> None:
    """Evaluates what a doorbell names, together; one that fails does not harm the others."""
    try:
        ids = ids_in(arguments)
    except MessageRefused as problem:
        log.error("message_refused", reason=str(problem))
        return
    _attempts(self.request.hostname).run(ids)


@worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _prepare_process(**_: Any) -> None:
    # The kernel kills this process with its parent, but only from the moment on at which Celery has asked for that.
    if os.getppid() != current_process()._parent_pid:
        os._exit(1)
    if not structlog.is_configured():  # a process that was spawned, and has nothing of its parent's
        configure_logging(Settings.load(), process="worker")
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")
    # As many processes as slots, so one thread each: more would only fight over the cores.
    torch.set_num_threads(1)
    _attempts.cache_clear()
    _board().clear()  # of a dead process that had this one's id


@cache
def _attempts(worker: str) -> Attempts:
    settings = Settings.load()
    engine = connect(settings.require_database_url(), application=f"worker-{worker}", pool_size=1)
    return Attempts(engine, settings, worker=worker, board=_board())


def _board() -> Board:
    return Board(Path(current_app.conf[BOARD]))
