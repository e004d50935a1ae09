"""Searches: submitting, reading, picking the next that can move, ending."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.base import interval, new_id
from models.states import EVALUATION_SETTLED, SEARCH_OPEN, CandidateState, SearchState, StageState
from models.tables import Candidate, Evaluation, Generation, Search, Stage, Worker
from models.workers import is_live

#: Over how long the rate of evaluations is taken.
RATE_WINDOW = timedelta(seconds=60)

#: A queued search that could not begin is looked at again after this long, and not before.
LOOK_AGAIN = timedelta(seconds=1)

#: How long a caller waits for a controller that is advancing the same search.
LOCK_TIMEOUT_S = 3


class Searches:
    """The searches of all teams. Methods that take a team see only its own."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def submit(
        self, team_id: uuid.UUID, *, name: str, spec: dict[str, Any], idempotency_key: str | None
    ) -> tuple[Search, bool]:
        """Returns the new search and True, or the one submitted earlier under the same key and False."""
        values = {"id": new_id(), "team_id": team_id, "name": name, "spec": spec, "idempotency_key": idempotency_key}
        statement = insert(Search).values(values).on_conflict_do_nothing(index_elements=["team_id", "idempotency_key"])
        search_id = self._session.scalar(statement.returning(Search.id))
        if search_id is not None:
            return self._session.get_one(Search, search_id), True
        earlier = select(Search).where(Search.team_id == team_id, Search.idempotency_key == idempotency_key)
        return self._session.scalars(earlier).one(), False

    def get(self, team_id: uuid.UUID, search_id: uuid.UUID) -> Search | None:
        """Returns the team's search, or None."""
        return self._session.scalar(select(Search).where(Search.id == search_id, Search.team_id == team_id))

    def revision(self, team_id: uuid.UUID, search_id: uuid.UUID) -> int | None:
        """Returns the revision alone: all that an unchanged search costs a poller."""
        return self._session.scalar(select(Search.revision).where(Search.id == search_id, Search.team_id == team_id))

    def page(
        self, team_id: uuid.UUID, *, limit: int, before: uuid.UUID | None, state: SearchState | None
    ) -> list[Search]:
        """Returns up to `limit` searches, newest first, of those older than `before`."""
        statement = select(Search).where(Search.team_id == team_id).order_by(Search.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(Search.id < before)
        if state is not None:
            statement = statement.where(Search.state == state)
        return list(self._session.scalars(statement))

    def take_movable(self, *, worker_timeout_s: float) -> Search | None:
        """Returns a locked search that can move, the longest untouched first, or None.

        SKIP LOCKED: another controller is advancing that one already, and waiting for it would only serialise us.
        """
        statement = (
            select(Search)
            .where(Search.state.in_(SEARCH_OPEN), _can_move(worker_timeout_s))
            .order_by(Search.advanced_at.asc().nulls_first(), Search.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        return self._session.scalar(statement)

    def stalled(self, search_id: uuid.UUID | None, *, worker_timeout_s: float, grace_s: float) -> list[uuid.UUID]:
        """Returns searches, or the one if it is, that could move for longer than the grace and were not advanced."""
        since = func.now() - interval(grace_s)
        statement = select(Search.id).where(
            Search.state.in_(SEARCH_OPEN),
            func.coalesce(Search.advanced_at, Search.created_at) < since,
            _can_move(worker_timeout_s, since=since),
        )
        if search_id is not None:
            statement = statement.where(Search.id == search_id)
        return list(self._session.scalars(statement.order_by(Search.id)))

    def lock(self, team_id: uuid.UUID, search_id: uuid.UUID) -> Search | None:
        """Returns the team's search with its row locked, waiting for a controller that is advancing it.

        Raises:
            OperationalError: it took longer than the lock timeout; the same may be tried again.
        """
        self._session.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'"))
        statement = select(Search).where(Search.id == search_id, Search.team_id == team_id).with_for_update()
        return self._session.scalar(statement)

    def set_back(self, search_id: uuid.UUID) -> None:
        """Puts a search at the end of those that wait to be advanced."""
        self._session.execute(update(Search).where(Search.id == search_id).values(advanced_at=func.now()))

    def postpone(self, search: Search, reason: str) -> None:
        """Leaves a queued search that cannot begin for later, and says why; pollers see only a new reason."""
        if search.reason != reason:
            search.reason = reason
            search.revision += 1
        search.advanced_at = self._now()

    def begin(
        self, search: Search, *, wall_time_s: float | None, versions: dict[str, Any], engines: dict[str, Any]
    ) -> None:
        """Starts the clock of a queued search, with its engines by qubit count."""
        search.state = SearchState.RUNNING
        search.reason = None
        search.versions = versions
        search.engines = engines
        search.started_at = self._now()
        if wall_time_s is not None:
            search.deadline_at = search.started_at + timedelta(seconds=wall_time_s)

    def end(self, search: Search, state: SearchState, reason: str) -> None:
        """Moves a locked, open search to a final state, and its waiting candidates and stages with it.

        Evaluations that no other open search waits for are cancelled: nothing will be claimed for this one again.
        """
        if search.state not in SEARCH_OPEN:
            raise ValueError(f"search {search.id} is {search.state} already and cannot become {state}")
        search.state = state
        search.reason = reason
        search.finished_at = self._now()
        self.touch(search)
        self._session.flush()
        self._session.execute(
            update(Candidate)
            .where(Candidate.search_id == search.id, Candidate.state == CandidateState.WAITING)
            .values(state=CandidateState.CANCELLED)
        )
        self._session.execute(
            update(Stage)
            .where(Stage.search_id == search.id, Stage.state == StageState.WAITING)
            .values(state=StageState.CANCELLED, settled_at=func.now())
        )

    def touch(self, search: Search) -> None:
        """Makes a change visible to pollers and puts the search behind the others."""
        search.revision += 1
        search.advanced_at = self._now()

    def is_overdue(self, search: Search) -> bool:
        """Whether the wall time of the search is used up, by the database's clock."""
        return search.deadline_at is not None and search.deadline_at <= self._now()

    def add_generation(self, search: Search, number: int) -> None:
        """Records a completed generation."""
        self._session.add(
            Generation(
                search_id=search.id, number=number, n_evaluations=search.n_settled, hypervolume=search.hypervolume
            )
        )

    def generations(self, search_id: uuid.UUID) -> list[Generation]:
        """Returns the completed generations in order."""
        statement = select(Generation).where(Generation.search_id == search_id).order_by(Generation.number)
        return list(self._session.scalars(statement))

    def rates(self, search_ids: list[uuid.UUID]) -> dict[uuid.UUID, float]:
        """Returns evaluations settled a second over the last minute, or since a younger search started."""
        age_s = func.extract("epoch", func.now() - func.greatest(Search.started_at, func.now() - RATE_WINDOW))
        statement = (
            select(Search.id, func.count() / func.greatest(age_s, 1.0))
            .join(Candidate, Candidate.search_id == Search.id)
            .where(Search.id.in_(search_ids), Candidate.settled_at > func.now() - RATE_WINDOW)
            .where(Candidate.is_cached.is_(False))
            .group_by(Search.id)
        )
        return {search_id: float(rate) for search_id, rate in self._session.execute(statement)}

    def _now(self) -> datetime:
        return self._session.scalars(select(func.now())).one()


def _can_move(worker_timeout_s: float, *, since: ColumnElement[datetime] | None = None) -> ColumnElement[bool]:
    """A search moves when it can begin, is overdue, has a result that was not told yet, or waits for none.

    With `since`, by what had come until then.
    """
    is_settled: ColumnElement[bool] = Evaluation.state.in_(EVALUATION_SETTLED)
    if since is not None:
        is_settled = and_(is_settled, Evaluation.finished_at < since)
    waiting = and_(Candidate.search_id == Search.id, Candidate.state == CandidateState.WAITING)
    has_news = exists().where(waiting, Evaluation.id == Candidate.evaluation_id, is_settled)
    # An evaluated candidate that is looked at again waits with its stage alone.
    stage_waiting = and_(Stage.search_id == Search.id, Stage.state == StageState.WAITING)
    stage_has_news = exists().where(stage_waiting, Evaluation.id == Stage.evaluation_id, is_settled)
    return or_(
        and_(Search.state == SearchState.QUEUED, _can_begin(worker_timeout_s)),
        and_(
            Search.state == SearchState.RUNNING,
            or_(
                Search.deadline_at <= (func.now() if since is None else since),
                has_news,
                stage_has_news,
                and_(~exists().where(waiting), ~exists().where(stage_waiting)),
            ),
        ),
    )


def _can_begin(worker_timeout_s: float) -> ColumnElement[bool]:
    """A new search begins, or is told why not; from then on it waits for a worker that can tell the engines' speed."""
    can_choose = exists().where(
        is_live(worker_timeout_s), Worker.device == Search.spec["device"].astext, Worker.calibration.is_not(None)
    )
    return or_(
        Search.advanced_at.is_(None),
        Search.spec["engine"].astext.is_distinct_from("auto"),
        and_(can_choose, Search.advanced_at < func.now() - LOOK_AGAIN),
    )
