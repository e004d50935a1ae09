"""Each safeguard taken out in turn: schedules of faults must show it, and name the invariant that does not hold."""

import uuid
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pytest
from faults.evaluation_machine import ENOUGH, Machine
from faults.simulation.bus import Troubles
from faults.simulation.clock import Clock, make_database
from faults.simulation.database import OpenPassage, connect_through
from faults.simulation.profile import USUAL, Profile
from faults.simulation.scenarios import SCENARIOS
from faults.simulation.simulator import Simulator
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import create_engine, insert, make_url, select, text, tuple_, update
from sqlalchemy.exc import IntegrityError

from models import Candidate, Evaluation, Search, disposing
from models.base import new_id
from models.candidates import Candidates, Told
from models.evaluations import Evaluations, Fenced
from models.searches import Searches, _can_move
from models.states import EVALUATION_SETTLED, SEARCH_OPEN, CandidateState, EvaluationState
from nas.algorithms import propose
from worker import advance, controller

#: Schedules of which one at least must show a mutation.
SEEDS = range(8)

#: Processes get their turns in any order, also in the middle of a transaction, and nothing else goes wrong.
INTERLEAVED = Profile(turn_at_point=1.0, weights=USUAL, n_steps=250)
#: The broker loses half of all messages.
DEAF = Profile(weights=USUAL, troubles=Troubles(lost=0.5), n_steps=60)

SCENARIO = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.fixture
def url(database_url: str) -> str:
    """A database of the test's own, whose constraints it may drop."""
    return make_database(database_url, "mutated")


@pytest.fixture
def simulator(url: str) -> Iterator[Simulator]:
    made = Simulator(url)
    yield made
    made.close()


#: Without looking for the shortest example.
QUICK = settings(ENOUGH, phases=[Phase.generate], report_multiple_bugs=False, print_blob=False)


def find(violation: str, simulator: Simulator, name: str, profile: Profile) -> None:
    """Fails unless a schedule breaks something that is told in these words."""
    broken: list[str] = []
    for seed in SEEDS:
        broken += simulator.run(seed, scenario=SCENARIO[name], profile=profile).violations
        if any(one.startswith(violation) for one in broken):
            return
    pytest.fail(f"no {violation!r} in {broken}")


def drop_unique(url: str, table: str) -> None:
    """Drops all unique constraints of a table but its primary key."""
    server = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    query = "SELECT conname FROM pg_constraint WHERE contype = 'u' AND conrelid = cast(:table AS regclass)"
    with server.begin() as connection:
        for name in list(connection.scalars(text(query), {"table": table})):
            connection.execute(text(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'))
    server.dispose()


@pytest.mark.parametrize("clause", ["attempt", "state"])
def test_a_write_of_an_attempt_that_holds_no_more_counts_without_the_fencing(
    url: str, clause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(attempts: Collection[Fenced]) -> Any:
        is_running = Evaluation.state == EvaluationState.RUNNING
        if clause == "attempt":
            return (Evaluation.id.in_([one.evaluation_id for one in attempts]), is_running)
        tokens = [(one.evaluation_id, one.attempt) for one in attempts]
        return (tuple_(Evaluation.id, Evaluation.attempt).in_(tokens),)

    monkeypatch.setattr("models.evaluations._held", held)
    clock = Clock()
    found = (AssertionError, IntegrityError)
    with disposing(connect_through(OpenPassage(), clock, url)) as engine, pytest.raises(found):
        run_state_machine_as_test(lambda: Machine(engine, clock), settings=QUICK)  # type: ignore[no-untyped-call]


def test_searches_stand_still_without_the_sweep(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator.learn(SCENARIO["plain"])
    monkeypatch.setattr(controller, "sweep", lambda *_, **__: 0)
    find("I7: after 150 rounds without a fault", simulator, "plain", DEAF)


def test_a_genome_is_evaluated_twice_without_the_unique_key_of_evaluations(
    simulator: Simulator, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.learn(SCENARIO["shared"])
    drop_unique(url, "evaluations")

    def want(self: Evaluations, search: Search, **values: Any) -> tuple[uuid.UUID, bool]:
        session = self._session
        same = [getattr(Evaluation, name) == values[name] for name in ("genome_digest", "protocol_digest")]
        known = select(Evaluation.id, Evaluation.state).where(Evaluation.team_id == search.team_id, *same)
        row = session.execute(known.limit(1)).one_or_none()
        if row is None:
            adding = insert(Evaluation).values(id=new_id(), team_id=search.team_id, **values)
            row = session.execute(adding.returning(Evaluation.id, Evaluation.state)).one()
        return row.id, row.state == EvaluationState.SUCCEEDED

    monkeypatch.setattr(Evaluations, "want", want)
    find("I1: 2 evaluations are of one genome", simulator, "shared", INTERLEAVED)


def test_two_controllers_spoil_a_search_without_its_lock(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator.learn(SCENARIO["plain"])

    def take_movable(self: Searches, *, worker_timeout_s: float) -> Search | None:
        statement = select(Search).where(Search.state.in_(SEARCH_OPEN), _can_move(worker_timeout_s))
        return self._session.scalar(statement.order_by(Search.advanced_at.asc().nulls_first(), Search.id).limit(1))

    monkeypatch.setattr(Searches, "take_movable", take_movable)
    find("I3: n_settled is", simulator, "plain", INTERLEAVED)


def test_a_result_is_told_again_where_told_once_is_not_asked_for(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.learn(SCENARIO["plain"])

    def untold(self: Candidates, search_id: uuid.UUID) -> Any:
        statement = select(Candidate, Evaluation).join(Evaluation, Evaluation.id == Candidate.evaluation_id)
        is_settled = Evaluation.state.in_(EVALUATION_SETTLED)
        of_search = statement.where(Candidate.search_id == search_id, is_settled)
        return list(self._session.execute(of_search.order_by(Candidate.generation, Candidate.index)))

    def tell(self: Candidates, search: Search, outcomes: Sequence[Told]) -> None:
        for told in outcomes:
            state = CandidateState.FAILED if told.objectives is None else CandidateState.EVALUATED
            values = {name: getattr(told, name) for name in ("objectives", "violation", "metrics", "error")}
            self._session.execute(
                update(Candidate).where(Candidate.id == told.candidate_id).values(state=state, **values)
            )
            search.n_settled += 1
            search.n_failed += told.objectives is None

    monkeypatch.setattr(Candidates, "untold", untold)
    monkeypatch.setattr(Candidates, "tell", tell)
    find("I1: ", simulator, "plain", INTERLEAVED)


def test_the_budget_is_overdrawn_where_it_is_not_looked_at(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.learn(SCENARIO["budget"])

    def unbounded(*arguments: Any, n_proposed: int, **options: Any) -> Any:
        return propose(*arguments, n_proposed=0, **options)

    monkeypatch.setattr(advance, "propose", unbounded)
    find("I5: ", simulator, "budget", INTERLEAVED)
