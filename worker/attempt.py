"""One attempt at the evaluations of a doorbell: claim, compute under leases that are renewed, record outcomes once.

No transaction is open while computing. Each write names the attempt; if a lease was lost meanwhile, the write
changes nothing and the outcome is dropped, for someone else is computing the same, or nobody needs it any more. The
other members of the bundle go on.
"""

import json
import signal
import threading
import time
import traceback
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, Self

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from config.settings import Settings
from models import UnitOfWork, is_transient
from models.evaluations import Claim
from nas.confirmation.trial import Confirmed, confirm
from nas.evaluation import Evaluation, evaluate_bundle
from nas.space import Genome
from nas.spec import Protocol
from nas.spec.confirmation import CONFIRMATION, ConfirmationProtocol

log = structlog.get_logger()

_RETRY_S = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result or error of an evaluation, the other None."""

    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    weights: bytes | None = None  #: beside a result, of what was fitted


#: What computing gives: a measurement of a search or of a confirmation, or the error that it met.
Found = Evaluation | Confirmed | Exception

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

    def run(self, ids: Sequence[uuid.UUID]) -> None:
        """Evaluates a bundle, without what someone else evaluates or nobody needs any more."""
        with UnitOfWork(self._engine) as work:
            claims = work.evaluations.claim(ids, worker=self._worker, lease_s=self._settings.lease_s)
            work.commit()
        if not claims:
            log.debug("evaluations_not_claimed", evaluation_ids=[str(one) for one in ids])
            return
        started = time.perf_counter()
        try:
            with _Lease(self._engine, claims, self._settings):
                outcomes = sorted(_compute(claims), key=_by_id)
        except LeaseLost:
            for claim in claims:
                log.warning("evaluation_abandoned", evaluation_id=str(claim.evaluation_id), attempt=claim.attempt)
            return
        are_recorded = self._record(outcomes)
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

    def _record(self, outcomes: Sequence[tuple[Claim, Outcome]]) -> list[bool]:
        # The results are kept and offered until the database answers: only it knows whether the claims still hold.
        while True:
            try:
                with UnitOfWork(self._engine) as work:
                    are_recorded = [
                        work.evaluations.succeed(claim, outcome.result, weights=outcome.weights)
                        if outcome.result is not None
                        else work.evaluations.fail(claim, outcome.error or {})
                        for claim, outcome in outcomes
                    ]
                    if any(are_recorded):
                        work.ring()
                    work.commit()
                    return are_recorded
            except DBAPIError as failure:
                if not is_transient(failure):
                    raise
                ids = [str(claim.evaluation_id) for claim, _ in outcomes]
                log.warning("results_waiting_for_database", evaluation_ids=ids, error=str(failure))
                time.sleep(_RETRY_S)


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


def _compute(claims: Sequence[Claim]) -> Iterator[tuple[Claim, Outcome]]:
    """Yields each claim with its outcome: a failure is data, whatever it is that failed."""
    for protocol, members in _of_one_kind(claims):
        for claim, found in zip(members, _evaluate(protocol, [one.genome for one in members]), strict=True):
            yield claim, _outcome(found)


def _of_one_kind(claims: Sequence[Claim]) -> Iterator[tuple[dict[str, Any], list[Claim]]]:
    """Yields claims of one protocol and qubit count; of what the dispatcher bundles, that is all at once."""
    kinds: dict[str, list[Claim]] = {}
    for claim in claims:
        kinds.setdefault(json.dumps([claim.protocol, claim.genome.get("qubits")], sort_keys=True), []).append(claim)
    for members in kinds.values():
        yield members[0].protocol, members


def _evaluate(protocol: dict[str, Any], genomes: Sequence[dict[str, Any]]) -> list[Found]:
    try:
        return _measure(protocol, [Genome.from_json(one) for one in genomes])
    except Exception as failure:  # the edge of the process: whatever a candidate does stays its own
        if len(genomes) == 1:
            return [failure]
    return [found for genome in genomes for found in _evaluate(protocol, [genome])]


def _measure(protocol: dict[str, Any], genomes: list[Genome]) -> list[Found]:
    if protocol.get("kind") == CONFIRMATION:
        terms = ConfirmationProtocol.model_validate(protocol)
        return [confirm(genome, terms) for genome in genomes]
    return [*evaluate_bundle(genomes, Protocol.model_validate(protocol))]


def _outcome(found: Found) -> Outcome:
    failure = found
    if not isinstance(found, Exception):
        try:
            result = found.to_json()
            json.dumps(result, allow_nan=False)
        except Exception as problem:  # as above
            failure = problem
        else:
            return Outcome(result=result, weights=found.weights if isinstance(found, Evaluation) else None)
    assert isinstance(failure, Exception)
    error = {
        "class": type(failure).__name__,
        "message": str(failure) or type(failure).__name__,
        "traceback": "".join(traceback.format_exception(failure)),
    }
    return Outcome(error=error)
