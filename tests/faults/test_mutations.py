"""Each safeguard taken out in turn: schedules of faults must show it, and the invariant that is named must be the one."""

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from faults.simulation.clock import make_database
from faults.simulation.scenarios import SCENARIOS
from faults.simulation.simulator import Simulator
from sqlalchemy import create_engine, insert, make_url, select, text, update

from models import Candidate, Evaluation, Search
from models.base import new_id
from models.candidates import Candidates, Told
from models.evaluations import Claim, Evaluations
from models.searches import Searches, _can_move
from models.states import EVALUATION_SETTLED, SEARCH_OPEN, CandidateState, EvaluationState
from nas.algorithms import propose
from worker import advance, controller

#: Schedules of which one at least must show a mutation.
SEEDS = range(25)

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


def violations(simulator: Simulator, name: str) -> str:
    """Returns what the first schedule breaks that breaks anything."""
    for seed in SEEDS:
        report = simulator.run(seed, scenario=SCENARIO[name])
        if report.violations:
            print(f"schedule {seed} of {name}")
            return "\n".join(report.violations)
    return ""


def drop_unique(url: str, table: str) -> None:
    """Drops all unique constraints of a table but its primary key."""
    server = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    query = "SELECT conname FROM pg_constraint WHERE contype = 'u' AND conrelid = cast(:table AS regclass)"
    with server.begin() as connection:
        for name in list(connection.scalars(text(query), {"table": table})):
            connection.execute(text(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'))
    server.dispose()


def test_a_late_result_counts_without_the_attempt_as_fencing_token(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.learn(SCENARIO["plain"])

    def held(claims: Sequence[Claim]) -> Any:
        ids = [claim.evaluation_id for claim in claims]
        return (Evaluation.id.in_(ids), Evaluation.state == EvaluationState.RUNNING)

    monkeypatch.setattr("models.evaluations._held", held)
    assert "I2: the outcome of an evaluation is of attempt 1" in violations(simulator, "plain")


def test_searches_stand_still_without_the_sweep(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator.learn(SCENARIO["plain"])
    monkeypatch.setattr(controller, "sweep", lambda *_, **__: 0)
    assert "I7: after 150 rounds without a fault" in violations(simulator, "plain")


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
    assert "have two evaluations under one protocol of one team" in violations(simulator, "shared")


def without_lock(self: Searches, *, worker_timeout_s: float) -> Search | None:
    statement = select(Search).where(Search.state.in_(SEARCH_OPEN), _can_move(worker_timeout_s))
    return self._session.scalar(statement.order_by(Search.advanced_at.asc().nulls_first(), Search.id).limit(1))


def test_two_controllers_spoil_a_search_without_its_lock(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator.learn(SCENARIO["plain"])
    monkeypatch.setattr(Searches, "take_movable", without_lock)
    assert "I4: " in violations(simulator, "plain")


def test_a_generation_is_proposed_twice_without_lock_and_unique_key_of_candidates(
    simulator: Simulator, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.learn(SCENARIO["plain"])
    drop_unique(url, "candidates")
    monkeypatch.setattr(Searches, "take_movable", without_lock)
    assert "I1: " in violations(simulator, "plain")


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
    assert "I1" in violations(simulator, "plain")


def test_the_budget_is_overdrawn_where_it_is_not_looked_at(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.learn(SCENARIO["budget"])

    def unbounded(*arguments: Any, n_proposed: int, **options: Any) -> Any:
        return propose(*arguments, n_proposed=0, **options)

    monkeypatch.setattr(advance, "propose", unbounded)
    assert "I5: " in violations(simulator, "budget")
