"""Leases: an evaluation has one owner at a time, and only the newest attempt can write."""

import threading
import uuid
from typing import Any

import pytest
from processes import wait_until
from sqlalchemy import Engine, select, text, update

from models import UnitOfWork
from models.evaluations import Claim
from models.states import EvaluationState, SearchState
from models.tables import DEFAULT_TEAM_ID, Candidate, Evaluation, Search, Team
from worker.bundles import form_bundles


def add_search(work: UnitOfWork, team_id: uuid.UUID = DEFAULT_TEAM_ID) -> Search:
    search, _ = work.searches.submit(team_id, name="test", spec={}, idempotency_key=None)
    return search


def wanted(digest: str) -> dict[str, Any]:
    return {
        "genome": {"of": digest},
        "genome_digest": digest,
        "protocol": {},
        "protocol_digest": "p",
        "device": "cpu",
        "engine": "batched",
        "qubits": 4,
        "priority": 0,
    }


def want(work: UnitOfWork, search: Search, digest: str = "a", **changes: Any) -> uuid.UUID:
    evaluation_id, _ = work.evaluations.want(search, **{**wanted(digest), **changes})
    return evaluation_id


@pytest.fixture
def evaluation_id(work: UnitOfWork) -> uuid.UUID:
    with work:
        found = want(work, add_search(work))
        work.commit()
    return found


def claim(work: UnitOfWork, evaluation_id: uuid.UUID, *, worker: str = "w", lease_s: float = 60) -> Claim | None:
    claims = claim_all(work, [evaluation_id], worker=worker, lease_s=lease_s)
    return claims[0] if claims else None


def claim_all(work: UnitOfWork, ids: list[uuid.UUID], *, worker: str = "w", lease_s: float = 60) -> list[Claim]:
    with work:
        found = work.evaluations.claim(ids, worker=worker, lease_s=lease_s)
        work.commit()
    return found


def dispatch(work: UnitOfWork, device: str, room: int, *, n_slots: int = 1, **sizes: int) -> list[list[uuid.UUID]]:
    """Dispatches as the dispatcher does; `q4=8` lets up to 8 evaluations of 4 qubits travel together."""
    by_kind = {("batched", int(name[1:])): size for name, size in sizes.items()}
    pending, n_pending = work.queue.pending(device, 1000, sizes=by_kind)
    return work.queue.dispatch(form_bundles(pending, room=room, n_pending=n_pending, n_slots=n_slots))


def dispatch_alone(work: UnitOfWork, device: str, room: int) -> list[uuid.UUID]:
    return [one for (one,) in dispatch(work, device, room)]


def must_claim(work: UnitOfWork, evaluation_id: uuid.UUID, **options: Any) -> Claim:
    found = claim(work, evaluation_id, **options)
    assert found is not None
    return found


def row(work: UnitOfWork, evaluation_id: uuid.UUID) -> Evaluation:
    with work:
        return work.session.get_one(Evaluation, evaluation_id)


def expire(work: UnitOfWork) -> None:
    with work:
        work.session.execute(
            update(Evaluation)
            .where(Evaluation.lease_expires_at.is_not(None))
            .values(lease_expires_at=text("now() - interval '1 second'"))
        )
        work.commit()


def sweep(work: UnitOfWork, *, limit: int = 10) -> int:
    with work:
        n_lost = work.evaluations.sweep_lost(limit=limit)
        work.commit()
    return n_lost


def test_of_racing_claims_one_gets_the_evaluation(engine: Engine, evaluation_id: uuid.UUID) -> None:
    together, claims = threading.Barrier(8), []

    def race(worker: str) -> None:
        together.wait()
        claims.append(claim(UnitOfWork(engine), evaluation_id, worker=worker))

    threads = [threading.Thread(target=race, args=(f"w{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in claims if one is not None]) == 1


def test_a_claim_forgets_which_attempt_settled_before(work: UnitOfWork, evaluation_id: uuid.UUID) -> None:
    # As a controller of an earlier release leaves it that puts a failure back.
    with work:
        work.session.execute(update(Evaluation).where(Evaluation.id == evaluation_id).values(settled_attempt=1))
        work.commit()
    must_claim(work, evaluation_id)
    assert row(work, evaluation_id).settled_attempt is None


def test_the_result_of_a_superseded_attempt_changes_nothing(work: UnitOfWork, evaluation_id: uuid.UUID) -> None:
    late = must_claim(work, evaluation_id)
    expire(work)
    assert sweep(work) == 1
    current = must_claim(work, evaluation_id)
    with work:
        assert not work.evaluations.succeed(late, {"from": "late"})
        assert not work.evaluations.renew([late], lease_s=60)
        assert not work.evaluations.fail(late, {"from": "late"})
        assert work.evaluations.succeed(current, {"from": "current"})
        work.commit()
    assert row(work, evaluation_id).result == {"from": "current"}


def test_a_result_is_recorded_once(work: UnitOfWork, evaluation_id: uuid.UUID) -> None:
    mine = must_claim(work, evaluation_id)
    with work:
        assert work.evaluations.succeed(mine, {"n": 1})
        assert not work.evaluations.succeed(mine, {"n": 2})
        work.commit()
    assert row(work, evaluation_id).result == {"n": 1}


def test_a_lost_lease_is_put_back_and_counted(work: UnitOfWork, evaluation_id: uuid.UUID) -> None:
    must_claim(work, evaluation_id)
    expire(work)
    sweep(work)
    found = row(work, evaluation_id)
    assert (found.state, found.lost_count, found.crash_count) == (EvaluationState.PENDING, 1, 0)


def test_a_held_lease_is_left_alone(work: UnitOfWork, evaluation_id: uuid.UUID) -> None:
    must_claim(work, evaluation_id)
    assert sweep(work) == 0


def test_an_evaluation_that_keeps_killing_its_process_fails_with_the_reason(
    work: UnitOfWork, evaluation_id: uuid.UUID
) -> None:
    for how in ("it was killed by SIGSEGV", "nobody saw how", "it exited with status 7"):
        crash(work, [evaluation_id], how=how)
    found = row(work, evaluation_id)
    assert (found.state, found.crash_count) == (EvaluationState.FAILED, 3)
    message = "its process died 3 times; the last time it exited with status 7"
    assert found.error == {"class": "crashed", "message": message}


def test_a_crash_does_not_blame_a_later_attempt(work: UnitOfWork, evaluation_id: uuid.UUID) -> None:
    early = must_claim(work, evaluation_id)
    expire(work)
    sweep(work)
    must_claim(work, evaluation_id)
    with work:
        assert work.evaluations.record_crash([early], limit=3, how="nobody saw how") == 0


def test_a_worker_that_leaves_gives_its_evaluations_back_without_blame(
    work: UnitOfWork, evaluation_id: uuid.UUID
) -> None:
    must_claim(work, evaluation_id)
    with work:
        assert work.evaluations.release("w") == 1
        work.commit()
    found = row(work, evaluation_id)
    assert (found.state, found.lost_count, found.crash_count) == (EvaluationState.PENDING, 0, 0)


def test_two_searches_of_a_team_share_one_evaluation(work: UnitOfWork, evaluation_id: uuid.UUID) -> None:
    with work:
        assert want(work, add_search(work)) == evaluation_id


def test_two_teams_share_no_evaluation(work: UnitOfWork, evaluation_id: uuid.UUID) -> None:
    with work:
        team = Team(name="others")
        work.session.add(team)
        work.session.flush()
        assert want(work, add_search(work, team.id)) != evaluation_id


def test_a_known_result_is_cached_for_the_next_search(work: UnitOfWork, evaluation_id: uuid.UUID) -> None:
    mine = must_claim(work, evaluation_id)
    with work:
        work.evaluations.succeed(mine, {})
        search = add_search(work)
        assert work.evaluations.want(search, **wanted("a")) == (evaluation_id, True)


def test_a_failed_evaluation_is_tried_again_for_the_next_search(work: UnitOfWork, evaluation_id: uuid.UUID) -> None:
    mine = must_claim(work, evaluation_id)
    with work:
        work.evaluations.fail(mine, {"class": "x", "message": "y"})
        want(work, add_search(work))
        work.commit()
    found = row(work, evaluation_id)
    assert (found.state, found.error, found.attempt) == (EvaluationState.PENDING, None, 1)


def test_dispatch_takes_turns_between_teams(work: UnitOfWork) -> None:
    with work:
        team = Team(name="others")
        work.session.add(team)
        work.session.flush()
        mine, theirs = add_search(work), add_search(work, team.id)
        many = [want(work, mine, f"m{i}") for i in range(6)]
        few = [want(work, theirs, f"t{i}") for i in range(2)]
        assert dispatch_alone(work, "cpu", 4) == [many[0], few[0], many[1], few[1]]
        assert dispatch_alone(work, "cpu", 2) == many[2:4]


def test_dispatch_takes_higher_priority_first_within_a_team(work: UnitOfWork) -> None:
    with work:
        search = add_search(work)
        low, high = want(work, search, "low"), want(work, search, "high", priority=5)
        assert dispatch_alone(work, "cpu", 2) == [high, low]


def test_dispatch_keeps_to_the_device(work: UnitOfWork) -> None:
    with work:
        want(work, add_search(work), device="gpu")
        assert dispatch_alone(work, "cpu", 2) == []


def test_a_doorbell_that_nobody_answered_is_dispatched_anew(work: UnitOfWork, evaluation_id: uuid.UUID) -> None:
    with work:
        assert dispatch_alone(work, "cpu", 1) == [evaluation_id]
        assert dispatch_alone(work, "cpu", 1) == []
        assert work.evaluations.sweep_unclaimed("cpu", after_s=3600.0) == 0
        work.commit()
    with work:
        assert work.evaluations.sweep_unclaimed("cpu", after_s=0.0) == 1
        assert dispatch_alone(work, "cpu", 1) == [evaluation_id]


def add_candidate(work: UnitOfWork, search: Search, evaluation_id: uuid.UUID) -> None:
    rows = [{"genome": {}, "digest": "a", "evaluation_id": evaluation_id, "is_cached": False}]
    work.candidates.propose(search, 0, rows)


def test_cancelling_a_search_cancels_what_no_other_waits_for(work: UnitOfWork, evaluation_id: uuid.UUID) -> None:
    with work:
        shared, own = add_search(work), add_search(work)
        alone = want(work, own, "alone")
        add_candidate(work, shared, evaluation_id)
        add_candidate(work, own, evaluation_id)
        work.session.execute(
            Candidate.__table__.insert().values(
                id=uuid.uuid4(), search_id=own.id, evaluation_id=alone, generation=0, index=1, genome={}, digest="b",
                state="waiting", is_cached=False, is_survivor=False, on_front=False,
            )
        )  # fmt: skip
        work.searches.end(own, SearchState.CANCELLED, "test")
        assert work.evaluations.cancel_unwanted(own.id) == 1
        work.commit()
    assert row(work, alone).state == EvaluationState.CANCELLED
    assert row(work, evaluation_id).state == EvaluationState.PENDING
    assert claim(work, alone) is None


def test_a_cancelled_evaluation_that_is_waited_for_is_revived(work: UnitOfWork, evaluation_id: uuid.UUID) -> None:
    with work:
        add_candidate(work, add_search(work), evaluation_id)
        work.session.execute(update(Evaluation).values(state=EvaluationState.CANCELLED))
        assert work.evaluations.revive_wanted() == 1
        assert work.session.scalar(select(Evaluation.state)) == EvaluationState.PENDING


def test_a_silent_worker_counts_no_slots(work: UnitOfWork) -> None:
    with work:
        work.workers.register("a", device="cpu", n_slots=2, hardware={}, versions={})
        work.workers.register("b", device="cpu", n_slots=4, hardware={}, versions={})
        assert work.workers.slots(timeout_s=30.0) == {"cpu": 6}
        work.session.execute(text("UPDATE workers SET beat_at = now() - interval '1 minute' WHERE name = 'b'"))
        assert work.workers.slots(timeout_s=30.0) == {"cpu": 2}
        work.workers.stop("a")
        assert work.workers.slots(timeout_s=30.0) == {}


def test_a_bundle_is_claimed_without_what_another_has(work: UnitOfWork) -> None:
    with work:
        search = add_search(work)
        ids = [want(work, search, f"{i}") for i in range(3)]
        work.commit()
    must_claim(work, ids[1], worker="other")
    assert [one.evaluation_id for one in claim_all(work, ids)] == [ids[0], ids[2]]
    assert claim_all(work, ids) == []


def test_of_a_bundle_only_the_claims_that_hold_are_renewed(work: UnitOfWork) -> None:
    with work:
        search = add_search(work)
        ids = [want(work, search, f"{i}") for i in range(3)]
        work.commit()
    claims = claim_all(work, ids)
    with work:
        work.evaluations.succeed(claims[0], {})
        assert work.evaluations.renew(claims, lease_s=60) == {one.token for one in claims[1:]}


def test_a_crash_blames_the_whole_bundle_and_only_the_one_that_goes_on_crashing_fails(work: UnitOfWork) -> None:
    with work:
        search = add_search(work)
        poison, *others = [want(work, search, f"{i}") for i in range(3)]
        work.commit()
    with work:
        assert dispatch(work, "cpu", 2, q4=8) == [[poison, *others]]
        work.commit()
    crash(work, [poison, *others])
    with work:
        assert dispatch(work, "cpu", 9, q4=8) == [[poison], [others[0]], [others[1]]]
        work.commit()
    for one in others:
        mine = must_claim(work, one)
        with work:
            work.evaluations.succeed(mine, {})
            work.commit()
    crash(work, [poison])
    crash(work, [poison])
    assert [row(work, one).state for one in (poison, *others)] == ["failed", "succeeded", "succeeded"]


def crash(work: UnitOfWork, ids: list[uuid.UUID], *, how: str = "nobody saw how") -> None:
    claims = claim_all(work, ids)
    with work:
        assert work.evaluations.record_crash(claims, limit=3, how=how) == len(ids)
        work.commit()


def test_rows_are_locked_in_the_order_of_ids_so_that_bundles_cannot_wait_for_each_other(engine: Engine) -> None:
    with UnitOfWork(engine) as work:
        search = add_search(work)
        ids = [want(work, search, f"{i}") for i in range(3)]
        work.commit()
    claims = claim_all(UnitOfWork(engine), ids)
    with UnitOfWork(engine) as work:
        work.evaluations.renew(claims[:1], lease_s=60)  # now the row of the lowest id stands last
        work.commit()
    with UnitOfWork(engine) as one:
        lock = select(Evaluation.id).with_for_update(nowait=True)
        one.session.execute(lock.where(Evaluation.id == ids[0]))
        other = threading.Thread(target=lambda: claims_renewed(engine, claims))
        other.start()
        wait_until(lambda: is_waiting_for_a_lock(engine), "the other to meet the lock")
        one.session.execute(lock.where(Evaluation.id == ids[2]))  # refused, if the other had gone on to it first
        one.commit()
    other.join()


def claims_renewed(engine: Engine, claims: list[Claim]) -> None:
    with UnitOfWork(engine) as work:
        for plan in ("indexscan", "bitmapscan"):
            work.session.execute(text(f"SET LOCAL enable_{plan} = off"))
        work.evaluations.renew(claims, lease_s=60)
        work.commit()


def is_waiting_for_a_lock(engine: Engine) -> bool:
    with engine.connect() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        return bool(connection.scalar(text(query)))
