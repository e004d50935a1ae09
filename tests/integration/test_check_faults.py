"""Whatever is wrong with a database is found: each invariant broken in every way that SQL allows, and named with ids.

Each fault is planted in a transaction that is rolled back, with the constraint dropped that would keep it out.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from made_up import EPOCHS, SETTINGS, SPEC, advance_all, candidates, empty, pending, reload, run, settle, submit
from sqlalchemy import Connection, Engine, text

from models import Search, UnitOfWork
from models.states import CandidateState
from models.tables import DEFAULT_TEAM_ID
from worker.check import Report, examine
from worker.controller import confirm_one

AT_ONCE = {"training": {"epochs": EPOCHS}}
ARMS = ("candidate", "frozen_circuit", "no_entanglement", "classical_net")


def confirmed() -> dict[str, Any]:
    """Returns a made-up result of a confirmation."""
    about = {"parameters": 20, "trained_parameters": 20, "quantum_parameters": 4, "two_qubit_gates": 1}
    arms = {
        arm: {
            **about,
            "hidden": None,
            "is_void": False,
            "trials": [
                {"seed": seed, "epoch": 2, "test_accuracy": 0.9 - 0.1 * i + 0.01 * (seed * i % 3), "error": None}
                for seed in range(3)
            ],
        }
        for i, arm in enumerate(ARMS)
    }
    metric = {"name": "test_accuracy", "goal": "maximize", "unit": "share", "bounds": [0.0, 1.0]}
    return {"metric": metric, "rows": {"test": 30}, "learning_rate": 0.1, "arms": arms, "engine": {}}


def confirm(engine: Engine, search: Search) -> uuid.UUID:
    """Confirms two candidates of a search, of which the second cannot be measured."""
    evaluated = [one.id for one in candidates(engine, search) if one.state == CandidateState.EVALUATED]
    with UnitOfWork(engine) as work:
        confirmation = work.confirmations.add(
            search, evaluated[:2], request={}, n_seeds=3, epochs=EPOCHS, idempotency_key=None
        )
        work.commit()
    confirm_one(engine)
    with UnitOfWork(engine) as work:
        for number, one in enumerate(pending(engine)):
            (claim,) = work.evaluations.claim([one.id], worker="w", lease_s=60)
            if number:
                work.evaluations.fail(claim, {"class": "Broken", "message": "it broke"})
            else:
                work.evaluations.succeed(claim, confirmed())
        work.commit()
    while confirm_one(engine):
        pass
    return confirmation.id


@dataclass(frozen=True)
class Searches:
    """Searches side by side: what each fault is planted in."""

    plain: Search  #: finished, with failures, then confirmed
    staged: Search  #: finished, with stops and a second look
    grid: Search
    running: Search  #: with stages, in its second generation
    cancelled: Search
    again: Search  #: its second look under way


@pytest.fixture(scope="module")
def searches(_shared_engine: Engine) -> Iterator[Searches]:
    engine = _shared_engine
    empty(engine)
    again = {"algorithm": {**SPEC["algorithm"], "reevaluate": {}}}
    grid = {
        "space": {"qubits": [3, 4], "layers": [1, 2, 3], "topology": ["none", "linear"]},
        "algorithm": {"name": "grid", "population": 6},
    }
    plain = run(engine, submit(engine, **AT_ONCE), fails=lambda one: one.genome_digest < "3")
    confirm(engine, plain)
    staged = run(engine, submit(engine, **again, dataset={"name": "wine"}))
    of_grid = run(engine, submit(engine, **AT_ONCE, **grid))
    second = submit(engine, **AT_ONCE, **again, dataset={"name": "digits"})
    while reload(engine, second).reevaluation is None:
        advance_all(engine)
        settle(engine, pending(engine) if reload(engine, second).reevaluation is None else [])
    running, cancelled = (submit(engine, dataset={"name": name}) for name in ("moons", "circles"))
    advance_all(engine)
    while reload(engine, running).generation != 1:
        mine = [one for one in pending(engine) if one.protocol["dataset"]["name"] in ("moons", "circles")]
        settle(engine, mine)
        advance_all(engine)
    mine = [one for one in pending(engine) if one.protocol["dataset"]["name"] in ("moons", "circles")]
    settle(engine, mine[:3])
    with UnitOfWork(engine) as work:
        locked = work.searches.lock(DEFAULT_TEAM_ID, cancelled.id)
        assert locked is not None
        work.searches.end(locked, "cancelled", "cancelled on request")
        work.evaluations.cancel_unwanted(locked.id)
        work.commit()
    yield Searches(
        *(reload(engine, one) for one in (plain, staged, of_grid, running, cancelled, second)),
    )
    empty(engine)


class Inside(UnitOfWork):
    """Reads what a transaction has planted and not committed."""

    def snapshot(self) -> None:
        pass


def look(connection: Connection | Engine, **options: Any) -> Report:
    with Inside(connection) as work:  # type: ignore[arg-type]
        return examine(work, SETTINGS, **{"is_served": True, **options})


def test_without_a_fault_nothing_is_found(_shared_engine: Engine, searches: Searches) -> None:
    found = look(_shared_engine)
    assert found.violations == ()
    assert found.n_searches == 6


def test_the_searches_have_all_that_faults_are_planted_in(_shared_engine: Engine, searches: Searches) -> None:
    assert {one.state for one in candidates(_shared_engine, searches.plain)} == {"evaluated", "failed"}
    assert {one.state for one in candidates(_shared_engine, searches.staged)} == {"evaluated", "stopped"}
    assert {one.state for one in candidates(_shared_engine, searches.cancelled)} == {"evaluated", "cancelled"}
    assert (searches.staged.reevaluation or {})["rounds"]
    assert (searches.grid.state, searches.grid.n_candidates) == ("finished", 12)
    assert (searches.running.state, searches.running.generation) == ("running", 1)
    assert (searches.again.state, (searches.again.reevaluation or {})["rounds"]) == ("running", [])
