"""One attempt at an evaluation: claim it, compute under a lease that is renewed, record the outcome once.

No transaction is open while computing. Each write names the attempt; if the lease was lost meanwhile, the write
changes nothing and the outcome is dropped, for someone else is computing the same.
"""

import json
import signal
import threading
import time
import traceback
import uuid
from types import FrameType
from typing import Any, Self

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from config.settings import Settings
from models import UnitOfWork, is_transient
from models.evaluations import Claim
from nas.evaluation import evaluate
from nas.space import Genome
from nas.spec import Protocol

log = structlog.get_logger()

_RETRY_S = 2.0

#: Sent by the thread that renews a lease to its own process, to take the main thread out of a lost computation.
_ABANDON = signal.SIGUSR2


class LeaseLost(BaseException):
    """The claim ended while computing: cancelled, or given to another. Nothing that a candidate runs may catch it."""


class Attempts:
    """Evaluates by id for one worker. Made once in each process of the pool, after the fork."""

    def __init__(self, engine: Engine, settings: Settings, *, worker: str) -> None:
        self._engine = engine
        self._settings = settings
        self._worker = worker

    def run(self, evaluation_id: uuid.UUID) -> None:
        """Evaluates, unless someone else does or nobody needs it any more."""
        with UnitOfWork(self._engine) as work:
            claim = work.evaluations.claim(evaluation_id, worker=self._worker, lease_s=self._settings.lease_s)
            work.commit()
        if claim is None:
            log.debug("evaluation_not_claimed", evaluation_id=str(evaluation_id))
            return
        started = time.perf_counter()
        try:
            with _Lease(self._engine, claim, self._settings):
                result, error = _compute(claim)
        except LeaseLost:
            log.warning("evaluation_abandoned", evaluation_id=str(evaluation_id), attempt=claim.attempt)
            return
        is_recorded = self._record(claim, result, error)
        event = "evaluation_superseded" if not is_recorded else "evaluation_failed" if error else "evaluation_succeeded"
        log.info(
            event,
            evaluation_id=str(evaluation_id),
            attempt=claim.attempt,
            seconds=round(time.perf_counter() - started, 3),
            **({"error": error["message"]} if error else {}),
        )

    def _record(self, claim: Claim, result: dict[str, Any] | None, error: dict[str, Any] | None) -> bool:
        # The result is kept and offered until the database answers: only it knows whether the claim still holds.
        while True:
            try:
                with UnitOfWork(self._engine) as work:
                    if result is not None:
                        is_recorded = work.evaluations.succeed(claim, result)
                    else:
                        is_recorded = work.evaluations.fail(claim, error or {})
                    if is_recorded:
                        work.ring()
                    work.commit()
                    return is_recorded
            except DBAPIError as failure:
                if not is_transient(failure):
                    raise
                log.warning("result_waiting_for_database", evaluation_id=str(claim.evaluation_id), error=str(failure))
                time.sleep(_RETRY_S)


class _Lease:
    """Renews a claim from a thread for as long as the block runs, and raises LeaseLost in the block when it cannot.

    The block runs in the main thread: that is where Python delivers signals, between two of its instructions.
    """

    def __init__(self, engine: Engine, claim: Claim, settings: Settings) -> None:
        self._engine = engine
        self._claim = claim
        self._settings = settings
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._previous = signal.signal(_ABANDON, self._abandon)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        signal.signal(_ABANDON, self._previous)

    def _abandon(self, _number: int, _frame: FrameType | None) -> None:
        if not self._done.is_set():
            raise LeaseLost

    def _renew(self) -> None:
        while not self._done.wait(self._settings.renew_s):
            try:
                with UnitOfWork(self._engine) as work:
                    holds = work.evaluations.renew(self._claim, lease_s=self._settings.lease_s)
                    work.commit()
            except DBAPIError as failure:
                if not is_transient(failure):
                    raise
                log.warning("lease_not_renewed", evaluation_id=str(self._claim.evaluation_id), error=str(failure))
                continue
            if not holds:
                signal.pthread_kill(threading.main_thread().ident or 0, _ABANDON)
                return


def _compute(claim: Claim) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Returns the result or the error: a failure is data, whatever it is that failed."""
    try:
        result = evaluate(Genome.from_json(claim.genome), Protocol.model_validate(claim.protocol)).to_json()
        json.dumps(result, allow_nan=False)
    except Exception as failure:  # the edge of the process: whatever a candidate does stays its own
        return None, {
            "class": type(failure).__name__,
            "message": str(failure) or type(failure).__name__,
            "traceback": traceback.format_exc(),
        }
    return result, None
