"""Candidates: proposing, telling results, the survivors and the front."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.evaluations import CRASHED
from models.states import EVALUATION_SETTLED, CandidateState
from models.tables import Candidate, Evaluation, Search


@dataclass(frozen=True, slots=True)
class Told:
    """The outcome of one candidate, as the search sees it."""

    candidate_id: uuid.UUID
    objectives: list[float] | None  #: None for a failure
    violation: float | None
    metrics: dict[str, Any] | None
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Crashed:
    """A candidate that failed because its evaluation kept killing its process."""

    place: int  #: among all candidates of its search, from 1, in (generation, index) order
    generation: int
    index: int
    message: str


@dataclass(frozen=True, slots=True)
class Front:
    """The candidates on a front, and those that it and every later front may consist of, by id."""

    members: frozenset[uuid.UUID]
    contenders: frozenset[uuid.UUID]


class Candidates:
    """The candidates of searches, always in (generation, index) order."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def propose(self, search: Search, generation: int, rows: list[dict[str, Any]]) -> None:
        """Adds a generation's candidates. Repeating it after an unknown commit adds nothing.

        Args:
            search: the locked search.
            generation: its number.
            rows: values of `id`, `genome`, `digest`, `evaluation_id` and `is_cached`, in order.
        """
        values = [
            {**row, "search_id": search.id, "generation": generation, "index": index} for index, row in enumerate(rows)
        ]
        self._session.execute(insert(Candidate).values(values))
        search.generation = generation
        search.n_candidates += len(rows)
        search.n_cached += sum(row["is_cached"] for row in rows)

    def digests(self, search_id: uuid.UUID) -> set[str]:
        """Returns the digests of all genomes proposed so far."""
        return set(self._session.scalars(select(Candidate.digest).where(Candidate.search_id == search_id)))

    def untold(self, search_id: uuid.UUID) -> list[Row[Candidate, Evaluation]]:
        """Returns waiting candidates whose evaluation is settled, with it, in (generation, index) order."""
        statement = (
            select(Candidate, Evaluation)
            .join(Evaluation, Evaluation.id == Candidate.evaluation_id)
            .where(
                Candidate.search_id == search_id,
                Candidate.state == CandidateState.WAITING,
                Evaluation.state.in_(EVALUATION_SETTLED),
            )
            .order_by(Candidate.generation, Candidate.index)
        )
        return list(self._session.execute(statement))

    def tell(self, search: Search, outcomes: Iterable[Told]) -> None:
        """Settles waiting candidates; one that is settled already is left as it is, so a result counts once."""
        for told in outcomes:
            has_failed = told.objectives is None
            changed = self._session.scalars(
                update(Candidate)
                .where(Candidate.id == told.candidate_id, Candidate.state == CandidateState.WAITING)
                .values(
                    state=CandidateState.FAILED if has_failed else CandidateState.EVALUATED,
                    objectives=told.objectives,
                    violation=told.violation,
                    metrics=told.metrics,
                    error=told.error,
                    settled_at=func.now(),
                )
                .returning(Candidate.id)
            ).all()
            search.n_settled += len(changed)
            search.n_failed += len(changed) if has_failed else 0

    def stop(
        self,
        search: Search,
        candidate_id: uuid.UUID,
        *,
        stopped: dict[str, Any],
        violation: float,
        metrics: dict[str, Any],
    ) -> None:
        """Settles a waiting candidate at an early stage, with what was measured so far and without objectives."""
        changed = self._session.scalars(
            update(Candidate)
            .where(Candidate.id == candidate_id, Candidate.state == CandidateState.WAITING)
            .values(
                state=CandidateState.STOPPED,
                stopped=stopped,
                violation=violation,
                metrics=metrics,
                settled_at=func.now(),
            )
            .returning(Candidate.id)
        ).all()
        search.n_settled += len(changed)
        search.n_stopped += len(changed)

    def go_on(self, candidate_id: uuid.UUID, evaluation_id: uuid.UUID) -> None:
        """Lets a waiting candidate wait for the evaluation of its next stage."""
        self._session.execute(
            update(Candidate)
            .where(Candidate.id == candidate_id, Candidate.state == CandidateState.WAITING)
            .values(evaluation_id=evaluation_id)
        )

    def mark_cached(self, search: Search, candidate_id: uuid.UUID) -> None:
        """Notes that all results of a candidate with stages had been there before they were asked for."""
        self._session.execute(update(Candidate).where(Candidate.id == candidate_id).values(is_cached=True))
        search.n_cached += 1

    def improve(self, told: Told, evaluation_id: uuid.UUID) -> None:
        """Replaces the results of an evaluated candidate by better estimates of the same. Its front is redrawn next."""
        self._session.execute(
            update(Candidate)
            .where(Candidate.id == told.candidate_id, Candidate.state == CandidateState.EVALUATED)
            .values(
                objectives=told.objectives,
                violation=told.violation,
                metrics=told.metrics,
                evaluation_id=evaluation_id,
                on_front=False,
                is_contender=False,
            )
        )

    def measured(self, search_id: uuid.UUID) -> list[Candidate]:
        """Returns the candidates that have objectives, in (generation, index) order."""
        statement = (
            select(Candidate)
            .where(Candidate.search_id == search_id, Candidate.state == CandidateState.EVALUATED)
            .order_by(Candidate.generation, Candidate.index)
            .execution_options(populate_existing=True)
        )
        return list(self._session.scalars(statement))

    def count_waiting(self, search_id: uuid.UUID) -> int:
        """Returns how many candidates have no result yet."""
        statement = select(func.count()).where(
            Candidate.search_id == search_id, Candidate.state == CandidateState.WAITING
        )
        return self._session.scalar(statement) or 0

    def crashed(self, search_id: uuid.UUID) -> list[Crashed]:
        """Returns the candidates whose evaluation kept killing its process, in (generation, index) order."""
        of_search = (
            select(
                func.row_number().over(order_by=(Candidate.generation, Candidate.index)).label("place"),
                Candidate.generation,
                Candidate.index,
                Candidate.error["message"].astext.label("message"),
                Candidate.error["class"].astext.label("kind"),
            )
            .where(Candidate.search_id == search_id)
            .subquery()
        )
        columns = (of_search.c.place, of_search.c.generation, of_search.c.index, of_search.c.message)
        statement = select(*columns).where(of_search.c.kind == CRASHED).order_by(of_search.c.place)
        return [Crashed(*row) for row in self._session.execute(statement)]

    def parents_and_offspring(self, search: Search) -> list[Candidate]:
        """Returns the survivors so far and the current generation: all that the next selection needs."""
        statement = (
            select(Candidate)
            .where(Candidate.search_id == search.id)
            .where(Candidate.is_survivor | (Candidate.generation == search.generation))
            .order_by(Candidate.generation, Candidate.index)
            .execution_options(populate_existing=True)
        )
        return list(self._session.scalars(statement))

    def set_survivors(self, search_id: uuid.UUID, ids: Iterable[uuid.UUID]) -> None:
        """Makes exactly these candidates the population that the next generation descends from."""
        survivors = list(ids)
        for is_survivor in (True, False):
            chosen = Candidate.id.in_(survivors) if is_survivor else Candidate.id.not_in(survivors)
            self._session.execute(
                update(Candidate)
                .where(Candidate.search_id == search_id, Candidate.is_survivor.is_(not is_survivor), chosen)
                .values(is_survivor=is_survivor)
            )

    def set_rivals(self, search_id: uuid.UUID) -> None:
        """Makes the front of this moment what the early stages of the next generation are judged against."""
        self._session.execute(
            update(Candidate)
            .where(Candidate.search_id == search_id, Candidate.is_rival != Candidate.on_front)
            .values(is_rival=Candidate.on_front)
        )

    def rivals(self, search_id: uuid.UUID) -> list[Candidate]:
        """Returns the front of the moment at which the generation under way was proposed."""
        statement = (
            select(Candidate)
            .where(Candidate.search_id == search_id, Candidate.is_rival)
            .order_by(Candidate.generation, Candidate.index)
        )
        return list(self._session.scalars(statement))

    def front(self, search_id: uuid.UUID) -> list[Candidate]:
        """Returns the non-dominated feasible candidates in (generation, index) order."""
        statement = (
            select(Candidate)
            .where(Candidate.search_id == search_id, Candidate.on_front)
            .order_by(Candidate.generation, Candidate.index)
        )
        return list(self._session.scalars(statement))

    def contenders(self, search_id: uuid.UUID) -> list[Candidate]:
        """Returns the candidates that a front may consist of, those on it included, in (generation, index) order."""
        statement = (
            select(Candidate)
            .where(Candidate.search_id == search_id, Candidate.is_contender)
            .order_by(Candidate.generation, Candidate.index)
        )
        return list(self._session.scalars(statement))

    def move_front(self, search_id: uuid.UUID, *, before: Front, after: Front) -> None:
        """Marks candidates as contenders and as on the front, and takes the marks off others; writes what changes."""
        for column, were, are in (
            (Candidate.on_front, before.members, after.members),
            (Candidate.is_contender, before.contenders, after.contenders),
        ):
            for ids, is_in in ((were - are, False), (are - were, True)):
                if ids:
                    self._session.execute(
                        update(Candidate)
                        .where(Candidate.search_id == search_id, Candidate.id.in_(ids))
                        .values({column: is_in})
                    )

    def page(self, search_id: uuid.UUID, *, limit: int, after: tuple[int, int] | None) -> list[Candidate]:
        """Returns up to `limit` candidates in (generation, index) order, after the given one."""
        place = tuple_(Candidate.generation, Candidate.index)
        statement = select(Candidate).where(Candidate.search_id == search_id)
        if after is not None:
            statement = statement.where(place > after)
        return list(self._session.scalars(statement.order_by(Candidate.generation, Candidate.index).limit(limit)))

    def get(self, team_id: uuid.UUID, candidate_id: uuid.UUID) -> Row[Candidate, Evaluation, Search] | None:
        """Returns the team's candidate with its evaluation and search, or None."""
        statement = (
            select(Candidate, Evaluation, Search)
            .join(Evaluation, Evaluation.id == Candidate.evaluation_id)
            .join(Search, Search.id == Candidate.search_id)
            .where(Candidate.id == candidate_id, Search.team_id == team_id)
        )
        return self._session.execute(statement).one_or_none()
