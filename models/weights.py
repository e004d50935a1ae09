"""What was fitted: kept with the result of an evaluation for as long as a candidate needs it."""

import uuid
from collections.abc import Sequence

from sqlalchemy import ColumnElement, or_, select, union_all
from sqlalchemy.orm import Session

from models.locking import changing
from models.states import SEARCH_OPEN, CandidateState
from models.tables import Candidate, Evaluation, Search, Stage
from nas.spec.fidelity import StageKind


class Weights:
    """The safetensors files of results."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def drop(self, candidate_ids: Sequence[uuid.UUID]) -> int:
        """Forgets the weights behind these candidates that none needs any more, of whatever search; returns how many.

        Behind a candidate is each of its evaluations. Needed are those that candidates on a front were last told, and
        those that may come to be: of candidates that wait, and of second looks in searches that have not ended.
        """
        return self._drop(Candidate.id.in_(candidate_ids)) if candidate_ids else 0

    def drop_of(self, search_id: uuid.UUID) -> int:
        """Forgets the weights behind all candidates of an ended search that none needs any more."""
        return self._drop(Candidate.search_id == search_id)

    def _drop(self, *of_candidates: ColumnElement[bool]) -> int:
        # Locked by a statement of its own: the next one then sees candidates that another search has proposed on these
        # evaluations up to now, and whoever proposes one from now on waits for this transaction. What is locked is
        # being proposed at this moment, in an order that is not ours: it is left to the search that will be told it.
        of_stages = select(Stage.evaluation_id).join(Candidate, Candidate.id == Stage.candidate_id)
        mine = union_all(
            select(Candidate.evaluation_id).where(*of_candidates, ~Candidate.on_front),
            of_stages.where(*of_candidates),
        )
        kept = (Evaluation.id.in_(mine), Evaluation.weights.is_not(None))
        ids = self._session.scalars(
            select(Evaluation.id).where(*kept).order_by(Evaluation.id).with_for_update(skip_locked=True)
        ).all()
        if not ids:
            return 0
        needed = select(Candidate.id).where(
            Candidate.evaluation_id == Evaluation.id,
            or_(Candidate.on_front, Candidate.state == CandidateState.WAITING),
        )
        looked_at = (
            select(Stage.number)
            .join(Search, Search.id == Stage.search_id)
            .where(Stage.evaluation_id == Evaluation.id, Stage.kind == StageKind.AGAIN, Search.state.in_(SEARCH_OPEN))
        )
        unneeded = ~or_(needed.exists(), looked_at.exists())
        statement = changing(Evaluation.id.in_(ids), unneeded, values={"weights": None})
        return len(self._session.scalars(statement.returning(Evaluation.id)).all())

    def get(self, evaluation_id: uuid.UUID) -> bytes | None:
        """Returns the safetensors file of a result, or None if none was made or it is not kept any more."""
        return self._session.scalar(select(Evaluation.weights).where(Evaluation.id == evaluation_id))
