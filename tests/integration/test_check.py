"""A check of a live database: silent on whatever searches do, at any moment; what it reads, and what it only notes."""

import math
import threading
from typing import Any

import pytest
from made_up import EPOCHS, SETTINGS, SPEC, advance_all, candidates, never, pending, reload, run, settle, submit
from processes import wait_until
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import InternalError

from models import Evaluation, Search, UnitOfWork
from models import evaluations as evaluations_of
from models.states import EvaluationState, SearchState
from models.tables import DEFAULT_TEAM_ID
from worker.check import GRACE_S, Report, examine
from worker.sweep import sweep

AT_ONCE = {"training": {"epochs": EPOCHS}}
AGAIN = {"algorithm": {**SPEC["algorithm"], "reevaluate": {}}}
TINY = {
    "space": {"qubits": [3, 4], "layers": [1, 2, 3], "topology": ["none", "linear"]},
    "algorithm": {"population": 5, "generations": 4},
}


def look(engine: Engine, **options: Any) -> Report:
    with UnitOfWork(engine) as work:
        return examine(work, SETTINGS, **{"served_s": math.inf, **options})


def is_unlucky(evaluation: Evaluation) -> bool:
    return evaluation.genome_digest < "2"


@pytest.mark.parametrize("changes", [AT_ONCE, AGAIN], ids=["plain", "in stages, and again"])
def test_nothing_is_wrong_at_any_moment_of_a_search(engine: Engine, changes: dict[str, Any]) -> None:
    search = submit(engine, **changes)
    assert look(engine).violations == ()
    advance_all(engine)
    while waiting := pending(engine):
        settle(engine, waiting[:5], fails=is_unlucky)
        assert look(engine).violations == ()
        advance_all(engine)
        assert look(engine).violations == ()
    found = look(engine)
    assert (found.notes, found.n_searches, found.n_candidates) == ((), 1, 18)
    assert reload(engine, search).state == SearchState.FINISHED


ENDINGS: dict[str, tuple[dict[str, Any], SearchState, str]] = {
    "all failed": (AT_ONCE, SearchState.FAILED, "none of its 6 candidates could be evaluated"),
    "budget": ({**AT_ONCE, "budget": {"evaluations": 8}}, SearchState.FINISHED, "its budget of 8 evaluations"),
    "space": ({**AT_ONCE, **TINY}, SearchState.FINISHED, "its space is used up: all 12 architectures"),
    "random, noise ignored": (
        {**AT_ONCE, "algorithm": {**SPEC["algorithm"], "name": "random", "noise": "ignore"}},
        SearchState.FINISHED,
        "all 3 generations are done",
    ),
    "nothing feasible": (
        {**AT_ONCE, "constraints": [{"metric": "gradient_variance", "at_least": 9}]},
        SearchState.FINISHED,
        "all 3 generations are done",
    ),
    "nothing to build": (
        {**AT_ONCE, "constraints": [{"metric": "two_qubit_gates", "at_least": 999}]},
        SearchState.FAILED,
        "no architecture of its space can be built",
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_wrong_with_a_search_however_it_ended(engine: Engine, ending: str) -> None:
    changes, state, reason = ENDINGS[ending]
    search = run(engine, submit(engine, **changes), fails=(lambda _: True) if ending == "all failed" else never)
    assert (search.state, (search.reason or "")[: len(reason)]) == (state, reason)
    found = look(engine)
    assert (found.violations, found.notes) == ((), ())


@pytest.mark.parametrize("changes", [{}, {**AT_ONCE, **AGAIN}], ids=["in a generation", "in a second look"])
def test_nothing_is_wrong_with_a_search_that_the_wall_time_ended(engine: Engine, changes: dict[str, Any]) -> None:
    search = submit(engine, **changes)
    advance_all(engine)
    while (one := reload(engine, search)).reevaluation is None and (one.generation or 0) < 1 + bool(changes):
        settle(engine, pending(engine))
        advance_all(engine)
    settle(engine, pending(engine)[:2])
    with engine.begin() as connection:
        connection.execute(text("UPDATE searches SET deadline_at = now() - interval '1 s'"))
    advance_all(engine)
    assert reload(engine, search).reason == "the wall time of its budget is used up"
    assert look(engine).violations == ()


def test_a_search_that_waits_for_a_calibrated_worker_is_not_forgotten(engine: Engine) -> None:
    search = submit(engine, **AT_ONCE, engine="auto")
    advance_all(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE searches SET advanced_at = now() - interval '1 day'"))
    assert reload(engine, search).state == SearchState.QUEUED
    assert look(engine).violations == ()


def test_shared_and_revived_evaluations_are_as_they_should(engine: Engine) -> None:
    first = run(engine, submit(engine, **AT_ONCE), fails=is_unlucky)
    second = submit(engine, **AT_ONCE)
    advance_all(engine)
    assert look(engine).violations == ()  # the first was told failures that are put back by now
    second = run(engine, second)
    assert (first.n_failed > 0, second.n_failed, second.n_cached > 0) == (True, 0, True)
    assert look(engine).violations == ()


def test_nothing_is_wrong_while_searches_run_beside_the_check(engine: Engine) -> None:
    search = submit(engine, **AGAIN)
    advance_all(engine)

    def serve() -> None:
        while waiting := pending(engine):
            settle(engine, waiting[:5], fails=is_unlucky)
            advance_all(engine)

    server = threading.Thread(target=serve)
    server.start()
    found = []
    while server.is_alive():
        found.append(look(engine, served_s=None, replays=False))
    server.join()
    assert [one.violations for one in found] == [()] * len(found)
    assert reload(engine, search).state == SearchState.FINISHED


def test_two_searches_that_are_cancelled_at_once_leave_nothing_that_both_had_asked_for(engine: Engine) -> None:
    searches = [submit(engine, **AT_ONCE) for _ in range(2)]
    advance_all(engine)

    def end(work: UnitOfWork, search: Search) -> None:
        locked = work.searches.lock(DEFAULT_TEAM_ID, search.id)
        assert locked is not None
        work.searches.end(locked, SearchState.CANCELLED, "cancelled on request")
        work.evaluations.cancel_unwanted(search.id)

    def end_the_other() -> None:
        with UnitOfWork(engine) as work:
            end(work, searches[1])
            work.commit()

    def is_waiting() -> bool:
        with engine.connect() as connection:
            return bool(connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))

    other = threading.Thread(target=end_the_other)
    with UnitOfWork(engine) as work:
        end(work, searches[0])
        other.start()
        wait_until(lambda: is_waiting() or not other.is_alive(), "the other search")
        work.commit()
    other.join()
    assert pending(engine) == []
    with engine.begin() as connection:
        connection.execute(text("UPDATE searches SET finished_at = now() - interval '1 day'"))
    assert look(engine).violations == ()


def test_a_check_sees_one_moment_and_writes_nothing(engine: Engine) -> None:
    with UnitOfWork(engine) as work:
        work.snapshot()
        assert work.audit.search_ids() == []
        submit(engine, **AT_ONCE)
        assert work.audit.search_ids() == []
        with pytest.raises(InternalError, match="read-only"):
            work.session.execute(text("DELETE FROM searches"))
    with UnitOfWork(engine) as work:  # the connection goes back as it was
        work.session.execute(text("DELETE FROM searches"))
        work.commit()


def test_an_unknown_search_is_a_lookup_error(engine: Engine) -> None:
    with pytest.raises(LookupError, match=f"there is no search {DEFAULT_TEAM_ID}"):
        look(engine, search_id=DEFAULT_TEAM_ID)


def test_many_cases_of_one_fault_are_one_violation_with_their_ids(engine: Engine) -> None:
    search = run(engine, submit(engine, **AT_ONCE))
    with engine.begin() as connection:
        connection.execute(text("UPDATE candidates SET settled_at = NULL WHERE generation = 1"))
    (found,) = look(engine).violations
    assert found.message == "candidate 1.0 is evaluated and has no time at which it was settled; and 5 more like it"
    ids = [str(one.id) for one in candidates(engine, search) if one.generation == 1]
    assert found.ids == (str(search.id), *ids)


def claim_twice(engine: Engine) -> tuple[Any, Any]:
    """Returns a claim that was lost, and the one that came after it."""
    submit(engine, **AT_ONCE)
    advance_all(engine)
    (one, *_) = pending(engine)
    claims = []
    for _ in range(2):
        with UnitOfWork(engine) as work:
            claims += work.evaluations.claim([one.id], worker="w", lease_s=60)
            work.commit()
        if len(claims) == 1:
            with engine.begin() as connection:
                connection.execute(
                    text("UPDATE evaluations SET lease_expires_at = now() - interval '1 s' WHERE state = 'running'")
                )
            sweep(engine, SETTINGS)
    return claims[0], claims[1]


@pytest.mark.parametrize("is_success", [True, False])
def test_a_late_result_that_no_fence_stops_is_found(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, is_success: bool
) -> None:
    late, _ = claim_twice(engine)
    monkeypatch.setattr(evaluations_of, "_held", lambda claims: [Evaluation.id.in_([c.evaluation_id for c in claims])])
    with UnitOfWork(engine) as work:
        if is_success:
            work.evaluations.succeed(late, {"metrics": {}})
        else:
            work.evaluations.fail(late, {"class": "Broken", "message": "it broke"})
        work.commit()
    (found,) = look(engine).violations
    assert (found.invariant, found.ids) == ("I2", (str(late.evaluation_id),))


def test_an_outcome_without_its_attempt_is_of_an_older_worker_and_no_violation(engine: Engine) -> None:
    run(engine, submit(engine, **AT_ONCE), fails=is_unlucky)
    with engine.begin() as connection:
        connection.execute(text("UPDATE evaluations SET settled_attempt = NULL, attempt = attempt + 1"))
    assert look(engine).violations == ()


def test_a_failure_that_is_put_back_forgets_its_attempt(engine: Engine) -> None:
    run(engine, submit(engine, **AT_ONCE), fails=lambda _: True)
    submit(engine, **AT_ONCE)
    advance_all(engine)
    with UnitOfWork(engine) as work:
        rows = work.session.execute(select(Evaluation.state, Evaluation.attempt, Evaluation.settled_attempt)).all()
    assert set(rows) == {(EvaluationState.PENDING, 1, None)}


def test_what_began_under_other_versions_is_noted_and_checked_as_far_as_it_can_be(engine: Engine) -> None:
    search = run(engine, submit(engine, **AT_ONCE))
    with engine.begin() as connection:
        connection.execute(text("UPDATE searches SET versions = jsonb_set(versions, '{numpy}', '\"1\"')"))
        connection.execute(text("UPDATE candidates SET is_survivor = false"))
        connection.execute(text("UPDATE searches SET n_front = 99"))
    found = look(engine)
    assert [one.message for one in found.violations] == [f"n_front is 99, and the rows say {search.n_front}"]
    assert found.notes[0].startswith(f"proposals were not made again of search {search.id} begun under numpy 1, ")


def test_what_began_under_other_rules_has_its_front_left_alone(engine: Engine) -> None:
    search = run(engine, submit(engine, **AT_ONCE))
    with engine.begin() as connection:
        connection.execute(text("UPDATE searches SET versions = jsonb_set(versions, '{operators}', '\"1\"')"))
        connection.execute(text("UPDATE candidates SET is_contender = false"))
    assert (look(engine).violations, len(look(engine).notes)) == ((), 1)
    assert f"search {search.id} begun under other rules" in look(engine).notes[0]


def test_a_spec_that_this_version_cannot_read_is_noted(engine: Engine) -> None:
    search = run(engine, submit(engine, **AT_ONCE))
    with engine.begin() as connection:
        connection.execute(text("UPDATE searches SET spec = jsonb_set(spec, '{space,qutrits}', '3')"))
    found = look(engine)
    assert found.violations == ()
    assert f"of search {search.id} with a spec that this version cannot read: space.qutrits: " in found.notes[0]


def test_work_that_no_worker_takes_and_a_broker_that_is_away_are_noted(engine: Engine) -> None:
    submit(engine, **AT_ONCE)
    advance_all(engine)
    assert look(engine).notes == (
        "6 evaluations wait for a worker with device cpu, and none was heard of in the last 30 s; "
        "start one with `hqnas worker --device cpu`",
    )
    with UnitOfWork(engine) as work:
        work.workers.register("w", device="cpu", n_slots=2, hardware={}, versions={})
        work.commit()
    (note,) = look(engine).notes
    assert note.startswith("6 evaluations are pending and none on its way, though workers with device cpu have 2 slots")
    with UnitOfWork(engine) as work:
        work.queue.dispatch([[one.id] for one in pending(engine)[:1]])
        work.commit()
    assert look(engine).notes == ()


def test_a_doorbell_that_waits_for_a_slot_is_not_lost(engine: Engine) -> None:
    submit(engine, **AT_ONCE)
    advance_all(engine)
    first, second, *_ = pending(engine)
    with UnitOfWork(engine) as work:
        work.workers.register("w", device="cpu", n_slots=1, hardware={}, versions={})
        work.queue.dispatch([[first.id]])
        (claim,) = work.evaluations.claim([second.id], worker="w", lease_s=60)
        work.commit()
    with engine.begin() as connection:
        connection.execute(text("UPDATE evaluations SET dispatched_at = now() - interval '1 day'"))
        connection.execute(text("UPDATE workers SET started_at = now() - interval '1 day'"))
    assert look(engine).violations == ()  # every slot is busy
    with UnitOfWork(engine) as work:
        work.evaluations.fail(claim, {"class": "test", "message": "test"})
        work.commit()
    assert look(engine).violations == ()  # one became free just now
    with engine.begin() as connection:
        connection.execute(text("UPDATE evaluations SET finished_at = now() - interval '1 day'"))
    assert [one.ids for one in look(engine).violations] == [(str(first.id),)]
    with UnitOfWork(engine) as work:
        work.workers.register("w", device="cpu", n_slots=1, hardware={}, versions={})
        work.commit()
    assert look(engine).violations == ()  # its worker came just now


def test_a_doorbell_that_a_later_one_has_overtaken_is_lost_however_busy_the_workers(engine: Engine) -> None:
    submit(engine, **AT_ONCE)
    advance_all(engine)
    first, second, *_ = pending(engine)
    with UnitOfWork(engine) as work:
        work.workers.register("w", device="cpu", n_slots=1, hardware={}, versions={})
        work.queue.dispatch([[first.id], [second.id]])
        work.commit()
    with engine.begin() as connection:
        late = "UPDATE evaluations SET dispatched_at = now() - make_interval(secs => 60 + :s) WHERE id = :id"
        connection.execute(text(late), {"s": 86_400, "id": first.id})
        connection.execute(text(late), {"s": 0, "id": second.id})
    assert look(engine).violations == ()  # the worker came just now
    with UnitOfWork(engine) as work:
        (claim,) = work.evaluations.claim([second.id], worker="w", lease_s=60)
        work.evaluations.fail(claim, {"class": "test", "message": "test"})
        work.commit()
    assert [one.ids for one in look(engine).violations] == [(str(first.id),)]


def test_what_was_late_before_a_controller_came_is_not_held_against_it(engine: Engine) -> None:
    submit(engine, **AT_ONCE)
    with engine.begin() as connection:
        connection.execute(text("UPDATE searches SET created_at = now() - interval '1 day'"))
    assert len(look(engine, served_s=GRACE_S + 1).violations) == 1
    found = look(engine, served_s=GRACE_S - 1)
    assert found.violations == ()
    assert found.notes == (
        "a controller has been connected to this database for 59 s only: what is late is not held against it before "
        "60 s; check again then",
    )


def test_a_search_is_checked_without_what_is_wrong_with_others(engine: Engine) -> None:
    searches: list[Search] = [
        run(engine, submit(engine, **AT_ONCE, dataset={"name": name})) for name in ("iris", "wine")
    ]
    with engine.begin() as connection:
        connection.execute(text("UPDATE searches SET n_front = 99 WHERE id = :id"), {"id": searches[0].id})
        connection.execute(text("UPDATE evaluations SET attempt = 9 WHERE protocol->'dataset'->>'name' = 'iris'"))
    assert look(engine, search_id=searches[1].id).violations == ()
    assert {one.invariant for one in look(engine, search_id=searches[0].id).violations} == {"I2", "I3"}
