"""A worker process: Celery's prefork pool with one process a slot, known to the database by its name."""

import logging
import os
import signal
import socket

import psutil
from celery import Celery
from celery.signals import setup_logging, worker_shutting_down
from celery.worker import state

from config.settings import Settings
from models import connect, disposing
from worker.broker import make_app, queue_of
from worker.calibration import calibration_of
from worker.machine import require_gpu
from worker.presence import Presence

#: Exit status of a worker that could only go on as a new process; whoever started it starts it again.
_STUCK = 75


def run_worker(settings: Settings, *, slots: int, device: str, name: str | None = None) -> None:
    """Evaluates until SIGTERM or SIGINT; then what is being computed is put back, and the process ends.

    Args:
        settings: where the database and the broker are.
        slots: evaluations at a time; on a GPU one for each device.
        device: `cpu` or `gpu`, the class of evaluations taken.
        name: unique among live workers; by default made of the process id.

    Raises:
        InvalidSettings: no database is set, or the machine has no GPU for a GPU worker.
    """
    url = settings.require_database_url()
    worker = f"{name or f'{device}-{os.getpid()}'}@{socket.gethostname()}"
    if device == "gpu":
        require_gpu()
    # The signal's presence alone tells Celery that logging is set up already.
    setup_logging.connect(_keep_our_logging)
    app = make_app(settings)
    with disposing(connect(url, application=f"worker-{worker}", pool_size=1)) as engine:
        presence: Presence | None = None

        def leave(status: int) -> None:
            # A lease is cheap to give back and an evaluation may run for hours; Celery would wait for it, or for
            # seconds even where nothing runs. What it has not acknowledged is rung again by the sweep.
            for child in psutil.Process().children(recursive=True):
                child.kill()
            if presence is not None:
                presence.leave()
            os._exit(status)

        def stop_at_once(*_: object, **__: object) -> None:
            leave(0)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop_at_once)  # until Celery, once it runs, has handlers of its own
        worker_shutting_down.connect(stop_at_once)
        # Before it is known: what measures alone measures right, and nothing is sent to who cannot take it yet.
        calibration = calibration_of(device, cache=settings.cache)
        presence = Presence(
            engine,
            settings,
            worker=worker,
            device=device,
            n_slots=slots,
            calibration=calibration,
            is_stuck=_has_work_that_nobody_takes,
            restart=lambda: leave(_STUCK),
        )
        presence.enter()
        _serve(app, worker=worker, slots=slots, device=device)


def _has_work_that_nobody_takes() -> bool:
    """Whether messages wait in this process though no process of the pool computes.

    A process that is killed while it waits for work takes billiard's lock on the queue with it, and its successor
    waits for that lock for ever.
    """
    return bool(state.reserved_requests) and not state.active_requests


def _serve(app: Celery, *, worker: str, slots: int, device: str) -> None:
    if device == "gpu":
        # A forked process cannot use CUDA once its parent has touched it.
        app.conf.worker_pool_start_method = "spawn"
    process = app.Worker(
        hostname=worker,
        pool="prefork",
        concurrency=slots,
        queues=[queue_of(device)],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    process.start()


def _keep_our_logging(**_: object) -> None:
    # Our events tell what happens to an evaluation; Celery's would repeat it for every message.
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)
