"""Stages: the evaluations of candidates that have more than one, and what each told."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, Uuid, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from models.states import EVALUATION_SETTLED, StageState
from models.tables import Candidate, Evaluation, Stage

#: In one statement, which may have 65,535 values.
_ROWS_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Opened:
    """A stage that begins: the evaluation that its candidate waits for."""

    candidate_id: uuid.UUID
    number: int
    evaluation_id: uuid.UUID
    kind: str
    epochs: int
    is_cached: bool


class Stages:
    """The stages of candidates, in the order of their numbers."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def open(self, search_id: uuid.UUID, stages: Iterable[Opened]) -> None:
        """Adds stages that wait for their evaluations."""
        values = [
            {
                "candidate_id": one.candidate_id,
                "number": one.number,
                "search_id": search_id,
                "evaluation_id": one.evaluation_id,
                "kind": one.kind,
                "epochs": one.epochs,
                "is_cached": one.is_cached,
            }
            for one in stages
        ]
        self._insert(values)

    def record_full(self, candidates: Iterable[Candidate], *, kind: str, epochs: int) -> None:
        """Records what candidates without stages were told by their one evaluation, before another is added."""
        values = [
            {
                "candidate_id": one.id,
                "number": 0,
                "search_id": one.search_id,
                "evaluation_id": one.evaluation_id,
                "kind": kind,
                "epochs": epochs,
                "state": StageState.PASSED,
                "metrics": one.metrics,
                "is_cached": one.is_cached,
                "settled_at": one.settled_at,
            }
            for one in candidates
        ]
        self._insert(values)

    def _insert(self, values: list[dict[str, Any]]) -> None:
        for start in range(0, len(values), _ROWS_AT_ONCE):
            self._session.execute(insert(Stage).values(values[start : start + _ROWS_AT_ONCE]))

    def settle(
        self,
        stage: Stage,
        state: StageState,
        *,
        metrics: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
    ) -> None:
        """Moves a waiting stage to where its evaluation brought it.

        Raises:
            RuntimeError: it does not wait any more. Whoever holds the search's lock never meets that.
        """
        changed = self._session.scalars(
            update(Stage)
            .where(Stage.candidate_id == stage.candidate_id, Stage.number == stage.number)
            .where(Stage.state == StageState.WAITING)
            .values(state=state, metrics=metrics, error=error, settled_at=func.now())
            .returning(Stage.number)
            .execution_options(synchronize_session=False)
        ).all()
        if not changed:
            raise RuntimeError(f"stage {stage.number} of candidate {stage.candidate_id} does not wait any more")

    def of_candidates(self, candidate_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[Stage]]:
        """Returns the stages of each candidate that has any, by its id."""
        statement = (
            select(Stage)
            .where(Stage.candidate_id == func.any(literal(list(candidate_ids), ARRAY(Uuid()))))
            .order_by(Stage.candidate_id, Stage.number)
            .execution_options(populate_existing=True)
        )
        found: dict[uuid.UUID, list[Stage]] = {}
        for stage in self._session.scalars(statement):
            found.setdefault(stage.candidate_id, []).append(stage)
        return found

    def untold(self, search_id: uuid.UUID) -> list[Row[Stage, Evaluation]]:
        """Returns waiting stages whose evaluation is settled, with it, in the order of their candidates."""
        statement = (
            select(Stage, Evaluation)
            .join(Evaluation, Evaluation.id == Stage.evaluation_id)
            .join(Candidate, Candidate.id == Stage.candidate_id)
            .where(
                Stage.search_id == search_id,
                Stage.state == StageState.WAITING,
                Evaluation.state.in_(EVALUATION_SETTLED),
            )
            .order_by(Candidate.generation, Candidate.index)
        )
        return list(self._session.execute(statement))

    def has_waiting(self, search_id: uuid.UUID) -> bool:
        """Whether a stage of the search has no result yet."""
        waiting = exists().where(Stage.search_id == search_id, Stage.state == StageState.WAITING)
        return bool(self._session.scalar(select(waiting)))

    def improvements(self, search_id: uuid.UUID, *, kind: str) -> list[Row[Stage, Evaluation, Candidate]]:
        """Returns passed stages of a kind whose results their candidates do not have yet, in the candidates' order."""
        statement = (
            select(Stage, Evaluation, Candidate)
            .join(Evaluation, Evaluation.id == Stage.evaluation_id)
            .join(Candidate, Candidate.id == Stage.candidate_id)
            .where(
                Stage.search_id == search_id,
                Stage.kind == kind,
                Stage.state == StageState.PASSED,
                Candidate.evaluation_id != Stage.evaluation_id,
            )
            .order_by(Candidate.generation, Candidate.index)
        )
        return list(self._session.execute(statement))

    def looked_at(self, search_id: uuid.UUID, *, kind: str) -> set[uuid.UUID]:
        """Returns the candidates that have a stage of a kind, whatever became of it."""
        return set(
            self._session.scalars(select(Stage.candidate_id).where(Stage.search_id == search_id, Stage.kind == kind))
        )
