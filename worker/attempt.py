"""One attempt at the evaluations of a doorbell: claim, compute, record outcomes once.

No transaction is open while computing. The parent process renews the leases (`worker/leases.py`). Each write names the
attempt; if a lease was lost meanwhile, the write changes nothing and the outcome is dropped, for someone else is
computing the same, or nobody needs it any more. The other members of the bundle go on. While the database is away,
claims and outcomes wait for it.
"""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import structlog
from sqlalchemy import Engine

from config.settings import Settings
from models import UnitOfWork, is_transient
from models.evaluations import Claim
from nas.spec.confirmation import CONFIRMATION
from worker.board import Board
from worker.fault_points import FaultPoint, Reach, unharmed
from worker.outcomes import Compute, Outcome, compute

log = structlog.get_logger()

_RETRY_S: Final = 2.0

_T = TypeVar("_T")


class Attempts:
    """Evaluates by id for one worker. Made once in each process of the pool, after the fork.

    Args:
        engine: the database.
        settings: the lease.
        worker: by whose name claims are made.
        board: where the parent process sees what is being computed, to renew its leases; None where nobody looks.
        compute: what computes.
        reach: called at fault points.
        pause: waits for some seconds.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        worker: str,
        board: Board | None = None,
        compute: Compute = compute,
        reach: Reach = unharmed,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._worker = worker
        self._board = board
        self._compute = compute
        self._reach = reach
        self._pause = pause

    def run(self, ids: Sequence[uuid.UUID]) -> None:
        """Evaluates a bundle, without what someone else evaluates or nobody needs any more."""
        with contextlib.nullcontext() if self._board is None else self._board.at_work():
            self._run(ids)

    def _run(self, ids: Sequence[uuid.UUID]) -> None:
        claims = self._until_answered(lambda: self._claim(ids), ids)
        if not claims:
            log.debug("evaluations_not_claimed", evaluation_ids=[str(one) for one in ids])
            return
        started = time.perf_counter()
        with self._shown(claims):
            outcomes = sorted(self._compute(claims), key=_by_id)
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

    @contextlib.contextmanager
    def _shown(self, claims: Sequence[Claim]) -> Iterator[None]:
        """Shows the claims as being computed until the end of the block, and as held from then on."""
        if self._board is None:
            yield
            return
        attempts, n_shares = [claim.token for claim in claims], sum(map(_n_shares, claims))
        self._board.show(attempts, is_computing=True, n_shares=n_shares)
        yield
        try:
            self._board.show(attempts, is_computing=False, n_shares=n_shares)
        except OSError as failure:
            # The disk is full. As it is, the board still keeps the leases; what is computed must not be lost for it.
            log.warning(
                "board_not_written", evaluation_ids=[str(one.evaluation_id) for one in claims], error=str(failure)
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


def _n_shares(claim: Claim) -> int:
    # A confirmation trains the candidate and its controls anew with each seed.
    return int(claim.protocol["seeds"]) if claim.protocol.get("kind") == CONFIRMATION else 1


def _by_id(outcome: tuple[Claim, Outcome]) -> uuid.UUID:
    return outcome[0].evaluation_id
