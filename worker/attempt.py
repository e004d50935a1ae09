"""One attempt at the evaluations of a doorbell: claim, compute under leases that are renewed, record outcomes once.

No transaction is open while computing. Each write names the attempt; if a lease was lost meanwhile, the write
changes nothing and the outcome is dropped, for someone else is computing the same, or nobody needs it any more. The
other members of the bundle go on. While the database is away, claims and outcomes wait for it.
"""

import signal
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Self, TypeVar

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from config.settings import Settings
from models import UnitOfWork, is_transient
from models.evaluations import Claim
from worker.fault_points import FaultPoint, Reach, unharmed
from worker.outcomes import Compute, Outcome, compute

log = structlog.get_logger()

_RETRY_S = 2.0

_T = TypeVar("_T")

#: Sent by the thread that renews a lease to its own process, to take the main thread out of a lost computation.
_ABANDON = signal.SIGUSR2


class LeaseLost(BaseException):
    """The claim ended while computing: cancelled, or given to another. Nothing that a candidate runs may catch it."""


class Attempts:
    """Evaluates by id for one worker. Made once in each process of the pool, after the fork."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        worker: str,
        compute: Compute = compute,
        reach: Reach = unharmed,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._worker = worker
        self._compute = compute
        self._reach = reach
        self._pause = pause

    def run(self, ids: Sequence[uuid.UUID]) -> None:
        """Evaluates a bundle, without what someone else evaluates or nobody needs any more."""
        claims = self._until_answered(lambda: self._claim(ids), ids)
        if not claims:
            log.debug("evaluations_not_claimed", evaluation_ids=[str(one) for one in ids])
            return
        started = time.perf_counter()
        try:
            with _Lease(self._engine, claims, self._settings):
                outcomes = sorted(self._compute(claims), key=_by_id)
        except LeaseLost:
            for claim in claims:
                log.warning("evaluation_abandoned", evaluation_id=str(claim.evaluation_id), attempt=claim.attempt)
            return
        self._reach(FaultPoint.COMPUTED)
        # The results are kept and offered until the database answers: only it knows whether the claims still hold.
        are_recorded = self._until_answered(lambda: self._record(outcomes), ids)
        seconds = round(time.perf_counter() - started, 3)
        for (claim, outcome), is_recorded in zip(outcomes, are_recorded, strict=True):
            error = outcome.error
            ended = "evaluation_failed" if error else "evaluation_succeeded"
            log.info(
                ended if is_recorded else "evaluation_superseded",
                evaluation_id=str(claim.evaluation_id),
                attempt=claim.attempt,
                seconds=seconds,
                n_together=len(claims),
                **({"error": error["message"]} if error else {}),
            )

    def _claim(self, ids: Sequence[uuid.UUID]) -> list[Claim]:
        with UnitOfWork(self._engine) as work:
            claims = work.evaluations.claim(ids, worker=self._worker, lease_s=self._settings.lease_s)
            self._reach(FaultPoint.CLAIM_BEFORE_COMMIT)
            work.commit()
            self._reach(FaultPoint.CLAIM_COMMITTED)
            return claims

    def _record(self, outcomes: Sequence[tuple[Claim, Outcome]]) -> list[bool]:
        with UnitOfWork(self._engine) as work:
            are_recorded = [
                work.evaluations.succeed(claim, outcome.result, weights=outcome.weights)
                if outcome.result is not None
                else work.evaluations.fail(claim, outcome.error or {})
                for claim, outcome in outcomes
            ]
            if any(are_recorded):
                work.ring()
            self._reach(FaultPoint.RECORD_BEFORE_COMMIT)
            work.commit()
            self._reach(FaultPoint.RECORD_COMMITTED)
            return are_recorded

    def _until_answered(self, transaction: Callable[[], _T], ids: Sequence[uuid.UUID]) -> _T:
        """Repeats a transaction until the database answers. One that was committed unheard finds nothing to change."""
        while True:
            try:
                return transaction()
            except Exception as failure:
                if not is_transient(failure):
                    raise
                texts = [str(one) for one in ids]
                log.warning("evaluations_waiting_for_database", evaluation_ids=texts, error=str(failure))
                self._pause(_RETRY_S)


class _Lease:
    """Renews claims from a thread for as long as the block runs, and raises LeaseLost in the block when none is left.

    The block runs in the main thread: that is where Python delivers signals, between two of its instructions.
    """

    def __init__(self, engine: Engine, claims: Sequence[Claim], settings: Settings) -> None:
        self._engine = engine
        self._claims = list(claims)
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
                    held = work.evaluations.renew(self._claims, lease_s=self._settings.lease_s)
                    work.commit()
            except DBAPIError as failure:
                if not is_transient(failure):
                    raise
                ids = [str(claim.evaluation_id) for claim in self._claims]
                log.warning("leases_not_renewed", evaluation_ids=ids, error=str(failure))
                continue
            self._claims = [claim for claim in self._claims if claim.evaluation_id in held]
            if not self._claims:
                signal.pthread_kill(threading.main_thread().ident or 0, _ABANDON)
                return


def _by_id(outcome: tuple[Claim, Outcome]) -> uuid.UUID:
    return outcome[0].evaluation_id
