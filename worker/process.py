"""A worker process: Celery's prefork pool with one process a slot, known to the database by its name."""

import contextlib
import gc
import math
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable
from multiprocessing import current_process
from typing import Any, Final

import psutil
import structlog
from celery import Celery
from celery.signals import setup_logging, worker_ready, worker_shutting_down
from celery.worker import state

from config.settings import Settings
from models import connect, disposing
from worker.board import Board, new_board
from worker.broker import BOARD, STARTING_S, make_app, queue_of
from worker.calibration import calibration_of
from worker.leases import LeaseKeeper
from worker.machine import hardware, memory_bytes, require_gpu, versions
from worker.membership import Membership
from worker.pool import Pool, PoolProcess
from worker.presence import Presence

log = structlog.get_logger()

#: Exit status of a worker that could only go on as a new process; whoever started it starts it again.
_STUCK: Final = 75

_STUCK_BEATS: Final = 3

#: How long the kernel may take to end killed processes.
_DYING_S: Final = 5.0

#: Of the machine's memory, what one process may take unless a setting says otherwise: more than any evaluation that
#: is let begin, and less than makes the machine swap or the kernel choose whom to kill.
_MEMORY_SHARE: Final = 0.9


def run_worker(settings: Settings, *, slots: int, device: str, name: str | None = None) -> None:
    """Evaluates until SIGTERM or SIGINT; then what is being computed is put back, and the process ends.

    Args:
        settings: where the database and the broker are.
        slots: evaluations at a time; a GPU worker has one device, and one slot unless they share it.
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
    with disposing(connect(url, application=f"worker-{worker}", pool_size=1)) as engine, new_board() as board:
        app.conf[BOARD] = str(board.folder)
        # The folder for its sockets, which multiprocessing leaves behind where a process is killed or ends at once.
        current_process()._config["tempdir"] = str(board.folder)  # type: ignore[attr-defined]
        presence: Presence | None = None
        is_leaving = threading.Event()

        def leave(status: int) -> None:
            # A lease is cheap to give back and an evaluation may run for hours; Celery would wait for it, or for
            # seconds even where nothing runs. What it has not acknowledged is rung again by the sweep.
            is_leaving.set()
            try:
                _kill_children()
                if presence is not None:
                    presence.leave()
                board.remove()
            except Exception:  # whatever happens: who lives on without a keeper computes for nothing
                log.exception("worker_left_silently", worker=worker)
            finally:
                os._exit(status)

        def stop_at_once(*_: object, **__: object) -> None:
            leave(0)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop_at_once)  # until Celery, once it runs, has handlers of its own
        worker_shutting_down.connect(stop_at_once)
        # Before it is known: what measures alone measures right, and nothing is sent to who cannot take it yet.
        calibration = calibration_of(device, cache=settings.cache)
        process = _celery_worker(app, worker=worker, slots=slots, device=device)
        keeper = LeaseKeeper(
            engine,
            settings,
            board=board,
            pool=_pool_of(process),
            memory_limit_bytes=_memory_limit_bytes(settings),
            is_leaving=is_leaving.is_set,
        )
        membership = Membership(
            engine,
            worker=worker,
            device=device,
            n_slots=slots,
            hardware=hardware(),
            versions=versions(),
            calibration=None if calibration is None else calibration.to_json(),
        )
        presence = Presence(
            membership,
            keeper,
            period_s=settings.renew_s,
            is_leaving=is_leaving,
            is_stuck=lambda: _has_work_that_nobody_takes(board),
            n_stuck_beats=_stuck_beats(settings, device),
            restart=lambda: leave(_STUCK),
        )
        presence.enter()
        # Celery collects garbage before each fork. In all that torch brings, this would stop the thread that keeps the
        # leases for a second, and make children copy pages that they only read.
        gc.freeze()
        process.start()


def _kill_children() -> None:
    children = psutil.Process().children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=_DYING_S)


def _memory_limit_bytes(settings: Settings) -> float:
    if settings.memory_limit_gib is not None:
        return settings.memory_limit_gib * 2**30
    return _MEMORY_SHARE * memory_bytes()


def _stuck_beats(settings: Settings, device: str) -> int:
    """Returns at how many beats in a row work has to wait before the worker is taken for stuck."""
    # A process that is spawned takes no work while it starts.
    return max(_STUCK_BEATS, math.ceil(STARTING_S / settings.renew_s) if device == "gpu" else 0)


def _has_work_that_nobody_takes(board: Board) -> bool:
    """Whether messages wait in this process though no process of the pool is at work.

    A process that is killed while it waits for work takes billiard's lock on the queue with it, and its successor
    waits for that lock for ever.
    """
    return bool(state.reserved_requests) and not state.active_requests and not board.read()


def _pool_of(process: Any) -> Pool:
    """Returns the processes of Celery's pool, none before it has started."""
    clean_up: Callable[[PoolProcess], None] | None = None

    def processes() -> Iterable[PoolProcess]:
        pool = process.pool._pool
        return [] if pool is None else list(pool._pool)

    def remember(ended: PoolProcess) -> None:
        found.remember(ended)
        if clean_up is not None:
            clean_up(ended)

    def remember_ends(**_: object) -> None:
        nonlocal clean_up
        pool = process.pool._pool
        if pool.on_process_down is not remember:
            # With Redis, Celery has its own, and a new one whenever it has connected; with a folder, none.
            clean_up, pool.on_process_down = pool.on_process_down, remember

    found = Pool(processes)
    worker_ready.connect(remember_ends, weak=False)
    return found


def _celery_worker(app: Celery, *, worker: str, slots: int, device: str) -> Any:
    if device == "gpu":
        # A forked process cannot use CUDA once its parent has touched it.
        app.conf.worker_pool_start_method = "spawn"
    return app.Worker(
        hostname=worker,
        pool="prefork",
        concurrency=slots,
        queues=[queue_of(device)],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )


def _keep_our_logging(**_: object) -> None:
    """Stands for a set-up of logging, which is done."""
