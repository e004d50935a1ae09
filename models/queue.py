"""The queue: which pending evaluations go to the workers next, how they travel, and how many are on their way.

A doorbell names one evaluation or a bundle of them; what is in flight is counted in doorbells, for each takes a slot.
"""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Uuid, and_, case, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from models.base import new_id
from models.locking import changing, locked_by_id
from models.states import EVALUATION_IN_FLIGHT, EvaluationState
from models.tables import Evaluation
from nas.spec.confirmation import CONFIRMATION


@dataclass(frozen=True, slots=True)
class Pending:
    """An evaluation that waits to be dispatched. Those of equal `kind` may travel together."""

    evaluation_id: uuid.UUID
    kind: tuple[uuid.UUID, int, str, int | None]  #: team, priority, digest of the protocol, qubits
    bundle_size: int  #: the most that should travel together; 1 for what has harmed a process already


#: Bundle size by (engine, qubits), where it is above 1.
BundleSizes = Mapping[tuple[str, int], int]

_MESSAGE: Final = func.coalesce(Evaluation.message_id, Evaluation.id)


class Queue:
    """What waits to be computed, over all teams."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def pending(self, device: str, limit: int, *, sizes: BundleSizes) -> tuple[list[Pending], int]:
        """Returns up to `limit` pending evaluations of a device class in the order of their turns, and how many wait.

        Teams take turns by the doorbell: one's nth in flight or waiting comes after every other team's (n − 1)th, and
        one of a bundle of n counts 1/n. Within a team higher priority goes first, then the older.
        """
        in_flight = (
            select(Evaluation.team_id, func.count(_MESSAGE.distinct()).label("n"))
            .where(Evaluation.state.in_(EVALUATION_IN_FLIGHT))
            .group_by(Evaluation.team_id)
            .subquery()
        )
        size = _bundle_size(sizes)
        share = func.sum(1.0 / size).over(
            partition_by=Evaluation.team_id, order_by=(Evaluation.priority.desc(), Evaluation.sequence)
        )
        statement = (
            select(
                Evaluation.id,
                Evaluation.team_id,
                Evaluation.priority,
                Evaluation.protocol_digest,
                Evaluation.qubits,
                size.label("size"),
                func.count().over().label("n_pending"),
            )
            .outerjoin(in_flight, in_flight.c.team_id == Evaluation.team_id)
            .where(Evaluation.state == EvaluationState.PENDING, Evaluation.device == device)
            .order_by(func.coalesce(in_flight.c.n, 0) + share, Evaluation.sequence)
            .limit(limit)
        )
        rows = self._session.execute(statement).all()
        found = [
            Pending(row.id, (row.team_id, row.priority, row.protocol_digest, row.qubits), row.size) for row in rows
        ]
        return found, rows[0].n_pending if rows else 0

    def dispatch(self, bundles: Sequence[Sequence[uuid.UUID]]) -> list[list[uuid.UUID]]:
        """Marks pending evaluations as dispatched, each bundle in one doorbell; returns the bundles as they are left.

        What is not pending any more drops out.
        """
        messages: dict[uuid.UUID, uuid.UUID] = {}
        for bundle in bundles:
            messages |= dict.fromkeys(bundle, new_id())
        columns = (literal(list(values), ARRAY(Uuid())) for values in (messages.keys(), messages.values()))
        chosen = func.unnest(*columns).table_valued("id", "message_id", name="chosen").render_derived()
        is_pending = (
            Evaluation.id == func.any(literal(list(messages), ARRAY(Uuid()))),
            Evaluation.state == EvaluationState.PENDING,
        )
        locked = locked_by_id(*is_pending)
        statement = (
            update(Evaluation)
            .where(Evaluation.id.in_(select(locked.c.id)), *is_pending, Evaluation.id == chosen.c.id)
            .values(state=EvaluationState.DISPATCHED, dispatched_at=func.now(), message_id=chosen.c.message_id)
        )
        marked = set(self._session.scalars(statement.returning(Evaluation.id)))
        left = ([evaluation_id for evaluation_id in bundle if evaluation_id in marked] for bundle in bundles)
        return [bundle for bundle in left if bundle]

    def undispatch(self, ids: Sequence[uuid.UUID]) -> None:
        """Puts evaluations back whose doorbell could not be sent."""
        back = {"state": EvaluationState.PENDING, "dispatched_at": None}
        self._session.execute(
            changing(Evaluation.id.in_(ids), Evaluation.state == EvaluationState.DISPATCHED, values=back)
        )

    def count_in_flight(self) -> Counter[tuple[str, str]]:
        """Returns the number of doorbells by (device, state), for the states dispatched and running."""
        statement = (
            select(Evaluation.device, Evaluation.state, func.count(_MESSAGE.distinct()))
            .where(Evaluation.state.in_(EVALUATION_IN_FLIGHT))
            .group_by(Evaluation.device, Evaluation.state)
        )
        return Counter({(device, state): n for device, state, n in self._session.execute(statement)})


def _bundle_size(sizes: BundleSizes) -> ColumnElement[int]:
    """Returns the column of how many of an evaluation's kind may travel together."""
    alone = literal(1)
    if not sizes:
        return alone
    has_harmed = Evaluation.crash_count + Evaluation.lost_count > 0
    # On a core, a bundle gives what its members give alone to the last bit in double precision only, and which
    # candidates travel together depends on timing.
    is_rounded = and_(Evaluation.device == "cpu", Evaluation.protocol["precision"].astext == "complex64")
    # A confirmation is many trainings in one, and together already.
    is_confirmation = Evaluation.protocol["kind"].astext == CONFIRMATION
    fits = [
        (and_(Evaluation.engine == engine, Evaluation.qubits == qubits), literal(size))
        for (engine, qubits), size in sizes.items()
    ]
    return case((or_(has_harmed, is_rounded, is_confirmation), alone), *fits, else_=alone)
