"""Evaluations: the shared cache, and the leases under which workers compute.

Every write of a worker carries the attempt that it claimed. A late or second attempt therefore changes nothing.

Statements that change several rows lock them by id first: a bundle's lease is renewed while a search is cancelled.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    case,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.base import interval, new_id
from models.locking import changing, locked_by_id
from models.states import (
    EVALUATION_CLAIMABLE,
    EVALUATION_OPEN,
    EVALUATION_SETTLED,
    CandidateState,
    EvaluationState,
    StageState,
)
from models.tables import Candidate, ConfirmationMember, Evaluation, Search, Stage, Worker


@dataclass(frozen=True, slots=True)
class Token:
    """One attempt at an evaluation, which fences every write. Once it holds no more, it never does again."""

    evaluation_id: uuid.UUID
    attempt: int


class Fenced(Protocol):
    """What names an attempt: a token, or a claim."""

    @property
    def evaluation_id(self) -> uuid.UUID:
        """What is computed."""

    @property
    def attempt(self) -> int:
        """The number of the attempt."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A right to compute one evaluation until the lease ends; `attempt` is the fencing token."""

    evaluation_id: uuid.UUID
    attempt: int
    genome: dict[str, Any]
    protocol: dict[str, Any]

    @property
    def token(self) -> Token:
        """What names the attempt, without what it computes."""
        return Token(self.evaluation_id, self.attempt)


#: The class of the error of an evaluation that kept killing its process.
CRASHED: Final = "crashed"


class Evaluations:
    """The evaluations of all teams. A row is found again by team, genome and protocol."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def want(
        self,
        search: Search,
        *,
        genome: dict[str, Any],
        genome_digest: str,
        protocol: dict[str, Any],
        protocol_digest: str,
        device: str,
        engine: str,
        qubits: int,
        priority: int,
    ) -> tuple[uuid.UUID, bool]:
        """Returns the evaluation of a genome under a protocol, and whether its result is there already.

        A failed or cancelled one is put back: the reason may be gone, and the earlier search has copied its outcome.
        """
        again = Evaluation.state.in_((EvaluationState.FAILED, EvaluationState.CANCELLED))
        fresh = {
            "state": EvaluationState.PENDING,
            "crash_count": 0,
            "lost_count": 0,
            "settled_attempt": None,
            "error": None,
            "finished_at": None,
        }
        statement = insert(Evaluation).values(
            id=new_id(),
            team_id=search.team_id,
            genome=genome,
            genome_digest=genome_digest,
            protocol=protocol,
            protocol_digest=protocol_digest,
            device=device,
            engine=engine,
            qubits=qubits,
            priority=priority,
        )
        columns = {
            name: case((again, literal(value, getattr(Evaluation, name).type)), else_=getattr(Evaluation, name))
            for name, value in fresh.items()
        }
        statement = statement.on_conflict_do_update(
            index_elements=["team_id", "genome_digest", "protocol_digest"],
            set_={
                **columns,
                "engine": engine,
                "qubits": qubits,
                "priority": func.greatest(Evaluation.priority, priority),
            },
        )
        row = self._session.execute(statement.returning(Evaluation.id, Evaluation.state)).one()
        return row.id, row.state == EvaluationState.SUCCEEDED

    def claim(self, ids: Sequence[uuid.UUID], *, worker: str, lease_s: float) -> list[Claim]:
        """Returns the rights to compute, by id, without what someone else has or nobody needs any more.

        A worker that has stopped gets none. The lock on its row lets it wait, as it stops, for claims under way.
        """
        stopped_at = select(Worker.stopped_at).where(Worker.name == worker).with_for_update(read=True)
        if self._session.scalar(stopped_at) is not None:
            return []
        conditions = (Evaluation.id.in_(ids), Evaluation.state.in_(EVALUATION_CLAIMABLE))
        locked = locked_by_id(*conditions)
        rows = self._session.execute(
            update(Evaluation)
            .where(Evaluation.id.in_(select(locked.c.id)), *conditions)
            .values(
                state=EvaluationState.RUNNING,
                attempt=Evaluation.attempt + 1,
                worker=worker,
                lease_expires_at=_in(lease_s),
                started_at=func.now(),
                settled_attempt=None,
            )
            .returning(Evaluation.id, Evaluation.attempt, Evaluation.genome, Evaluation.protocol)
        )
        return sorted(
            (Claim(row.id, row.attempt, row.genome, row.protocol) for row in rows), key=lambda one: one.evaluation_id
        )

    def renew(self, attempts: Collection[Fenced], *, lease_s: float) -> set[Token]:
        """Extends the leases of the attempts that still hold, and returns these."""
        statement = changing(*_held(attempts), values={"lease_expires_at": _in(lease_s)})
        rows = self._session.execute(statement.returning(Evaluation.id, Evaluation.attempt))
        return {Token(*row) for row in rows}

    def held(self, attempts: Collection[Fenced]) -> set[Token]:
        """Returns the attempts that still hold."""
        rows = self._session.execute(select(Evaluation.id, Evaluation.attempt).where(*_held(attempts)))
        return {Token(*row) for row in rows}

    def succeed(self, claim: Claim, result: dict[str, Any], *, weights: bytes | None = None) -> bool:
        """Records the result, and returns whether the claim still held; if not, nothing changed."""
        values = {**_settled(claim, EvaluationState.SUCCEEDED), "result": result, "weights": weights}
        return bool(self._change(*_held([claim]), values=values))

    def fail(self, claim: Claim, error: dict[str, Any]) -> bool:
        """Records why there is no result, and returns whether the claim still held."""
        return bool(self._change(*_held([claim]), values={**_settled(claim, EvaluationState.FAILED), "error": error}))

    def release(self, worker: str) -> int:
        """Puts back all that a worker holds, with no blame, and returns how many."""
        back = {"state": EvaluationState.PENDING, "lease_expires_at": None, "dispatched_at": None}
        return len(self._change(Evaluation.worker == worker, Evaluation.state == EvaluationState.RUNNING, values=back))

    def record_crash(self, attempts: Collection[Fenced], *, limit: int, how: str) -> int:
        """Blames what a process was computing that died; at the limit, the evaluation has failed.

        All of a bundle are blamed, for nobody knows which of them did it: from now on each travels alone.

        Args:
            attempts: what the process was computing; those that hold no more are not blamed.
            limit: of crashes.
            how: it died, to go on after "the last time".
        """
        message = f"its process died {_times(limit)}; the last time {how}"
        return self._blame(*_held(attempts), counter="crash_count", limit=limit, kind=CRASHED, message=message)

    def sweep_lost(self, *, limit: int) -> int:
        """Puts back evaluations whose lease ran out, and returns how many."""
        expired = Evaluation.lease_expires_at < func.now()
        return self._blame(
            expired, counter="lost_count", limit=limit, kind="lost", message=f"its worker vanished {_times(limit)}"
        )

    def sweep_unclaimed(self, device: str, *, after_s: float) -> int:
        """Puts back evaluations that were dispatched but not claimed in time, so that they are dispatched anew."""
        changed = self._change(
            Evaluation.state == EvaluationState.DISPATCHED,
            Evaluation.device == device,
            Evaluation.dispatched_at < _in(-after_s),
            values={"state": EvaluationState.PENDING, "dispatched_at": None},
        )
        return len(changed)

    def revive_wanted(self) -> int:
        """Puts back cancelled evaluations that a candidate, a stage or a confirmation waits for, and returns how many.

        A search may ask for an evaluation in the moment in which another search's cancelling gives it up; neither
        transaction sees the other.
        """
        wanted: CompoundSelect[Any] = union_all(
            select(Candidate.evaluation_id).where(Candidate.state == CandidateState.WAITING),
            select(Stage.evaluation_id).where(Stage.state == StageState.WAITING),
            select(ConfirmationMember.evaluation_id).where(ConfirmationMember.state == CandidateState.WAITING),
        )
        changed = self._change(
            Evaluation.state == EvaluationState.CANCELLED,
            Evaluation.id.in_(wanted),
            values={"state": EvaluationState.PENDING, "finished_at": None},
        )
        return len(changed)

    def cancel_unwanted(self, search_id: uuid.UUID) -> int:
        """Cancels the open evaluations of an ended search that nothing waits for; returns how many."""
        mine = union_all(
            select(Candidate.evaluation_id).where(
                Candidate.search_id == search_id, Candidate.state == CandidateState.CANCELLED
            ),
            select(Stage.evaluation_id).where(Stage.search_id == search_id, Stage.state == StageState.CANCELLED),
        )
        return self._cancel(Evaluation.id.in_(mine))

    def cancel_unconfirmed(self, confirmation_id: uuid.UUID) -> int:
        """Cancels the open evaluations of an ended confirmation that nothing waits for; returns how many."""
        mine = select(ConfirmationMember.evaluation_id).where(
            ConfirmationMember.confirmation_id == confirmation_id, ConfirmationMember.state == CandidateState.CANCELLED
        )
        return self._cancel(Evaluation.id.in_(mine))

    def _cancel(self, mine: ColumnElement[bool]) -> int:
        # One after the other, and by a statement of its own, so that the next one sees what was cancelled before: two
        # searches that end at once would each leave what they share to the other.
        self._session.execute(select(func.pg_advisory_xact_lock(func.hashtext("cancel"))))
        changed = self._change(
            mine,
            Evaluation.state.in_(EVALUATION_OPEN),
            ~is_waited_for(),
            values={"state": EvaluationState.CANCELLED, "lease_expires_at": None, "finished_at": func.now()},
        )
        return len(changed)

    def _blame(self, *conditions: ColumnElement[bool], counter: str, limit: int, kind: str, message: str) -> int:
        count = getattr(Evaluation, counter) + 1
        is_last = count >= limit
        reason = func.jsonb_build_object("class", kind, "message", message)
        changed = self._change(
            *conditions,
            Evaluation.state == EvaluationState.RUNNING,
            values={
                counter: count,
                "state": case((is_last, EvaluationState.FAILED), else_=EvaluationState.PENDING),
                "error": case((is_last, reason), else_=None),
                "finished_at": case((is_last, func.now()), else_=None),
                "lease_expires_at": None,
                "dispatched_at": None,
            },
        )
        return len(changed)

    def _change(self, *conditions: ColumnElement[bool], values: Mapping[str, Any]) -> Sequence[uuid.UUID]:
        """Changes the rows for which the conditions hold once they are locked, and returns their ids."""
        return self._session.scalars(changing(*conditions, values=values).returning(Evaluation.id)).all()


def is_waited_for() -> ColumnElement[bool]:
    """Returns the condition under which a candidate, a stage or a confirmation waits for an evaluation."""
    # A stage, too, waits in the state of that name.
    waiting = (
        select(owner.evaluation_id)
        .where(owner.evaluation_id == Evaluation.id, owner.state == CandidateState.WAITING)
        .exists()
        for owner in (Candidate, Stage, ConfirmationMember)
    )
    return or_(*waiting)


def _held(attempts: Collection[Fenced]) -> tuple[ColumnElement[bool], ...]:
    """Returns the conditions under which attempts still hold."""
    held = [(attempt.evaluation_id, attempt.attempt) for attempt in attempts]
    return (tuple_(Evaluation.id, Evaluation.attempt).in_(held), Evaluation.state == EvaluationState.RUNNING)


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


def _in(seconds: float) -> Any:
    return func.now() + interval(seconds)


def _settled(claim: Claim, state: EvaluationState) -> dict[str, Any]:
    assert state in EVALUATION_SETTLED
    # The claim's attempt and not the row's: were a write ever let through that the fencing should stop, it would show.
    return {
        "state": state,
        "settled_attempt": claim.attempt,
        "lease_expires_at": None,
        "finished_at": func.now(),
    }
