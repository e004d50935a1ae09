"""Workers and their processes killed, frozen and stopped while they compute."""

import math
import time
import uuid

import psutil
import pytest
from cluster import Cluster, Member
from faults.conftest import Recovery
from faults.scene import scene, spec_of
from processes import wait_until

from models import Evaluation
from models.states import EvaluationState

pytestmark = pytest.mark.integration

N_LOSSES = 5


def test_a_killed_evaluating_process_is_blamed_and_its_evaluation_runs_again(
    ring: Cluster, recovery: Recovery, repeats: int
) -> None:
    with scene(ring, n_held=max(repeats, 2)) as at:
        for victim in at.victims:
            held, blamed = at.held_by(victim), set[uuid.UUID]()
            for child in victim.children():
                killed_at = kill(child)
                wait_until(lambda h=held, b=blamed: len(crashed(at.rows(h)) - b) == 1, "an evaluation to be blamed")
                (one,) = crashed(at.rows(held)) - blamed
                blamed.add(one)
                (again_at,) = ring.wait_for_attempt(2, [one])
                recovery.record(again_at - killed_at)
            assert blamed == set(held)
        at.let_go()
        at.conclude()
        assert {(one.crash_count, one.lost_count) for one in at.rows([one.id for one in at.held])} == {(1, 0)}


def kill(process: psutil.Process) -> float:
    killed_at = time.time()
    process.kill()
    return killed_at


def crashed(rows: list[Evaluation]) -> set[uuid.UUID]:
    return {one.id for one in rows if one.crash_count}


@pytest.mark.chaos
def test_what_a_killed_worker_held_runs_again(ring: Cluster, recovery: Recovery, repeats: int) -> None:
    with scene(ring, n_held=repeats) as at:
        killed_at = {victim.name: victim.kill() for victim in at.victims}
        for victim in at.victims:
            for again_at in ring.wait_for_attempt(2, at.held_by(victim)):
                recovery.record(again_at - killed_at[victim.name])
        at.conclude()
        assert {(one.crash_count, one.lost_count) for one in at.rows([one.id for one in at.held])} == {(0, 1)}


@pytest.mark.chaos
def test_the_late_result_of_a_frozen_worker_changes_nothing(ring: Cluster, recovery: Recovery, repeats: int) -> None:
    with scene(ring, n_held=repeats) as at:
        frozen_at = {victim.name: victim.freeze() for victim in at.victims}
        for victim in at.victims:
            for again_at in ring.wait_for_attempt(2, at.held_by(victim)):
                recovery.record(again_at - frozen_at[victim.name])
        ids = [one.id for one in at.held]
        wait_until(
            lambda: all(one.state == EvaluationState.SUCCEEDED for one in at.rows(ids)), "the second attempts' results"
        )
        before = [(one.id, one.attempt, one.worker, one.result, one.finished_at) for one in at.rows(ids)]
        at.let_go()
        for victim in at.victims:
            # The children alone: their parent could tell them that they have lost their leases before they record.
            for child in victim.children():
                child.resume()
            n_held = len(at.held_by(victim))
            wait_until(lambda v=victim, n=n_held: ended_late(v) == n, "late results")
            victim.thaw()
        after = [(one.id, one.attempt, one.worker, one.result, one.finished_at) for one in at.rows(ids)]
        assert before == after
        at.conclude()
        assert {(one.crash_count, one.lost_count) for one in at.rows(ids)} == {(0, 1)}


def ended_late(victim: Member) -> int:
    """How many of its evaluations a worker says somebody else has by now."""
    return victim.log.count("evaluation_superseded") + victim.log.count("evaluation_abandoned")


def test_a_stopped_worker_gives_back_what_it_holds(ring: Cluster, recovery: Recovery, repeats: int) -> None:
    with scene(ring, n_held=max(repeats, 2)) as at:
        asked_at = {victim.name: victim.terminate() for victim in at.victims}
        for victim in at.victims:
            assert victim.wait() == 0
            for again_at in ring.wait_for_attempt(2, at.held_by(victim)):
                recovery.record(again_at - asked_at[victim.name])
        at.conclude()
        assert {(one.crash_count, one.lost_count) for one in at.rows([one.id for one in at.held])} == {(0, 0)}


@pytest.mark.chaos
def test_an_evaluation_that_loses_its_worker_five_times_still_finishes(
    ring: Cluster, recovery: Recovery, repeats: int
) -> None:
    n_held = math.ceil(repeats / N_LOSSES)
    spec = spec_of(max(n_held, 4))
    ring.undisturbed(spec)
    ring.dismiss(ring.worker("w"))
    victim = ring.worker("lost-0", slots=n_held, holds="computing").wait_until_up()
    search_id = ring.submit(spec)
    wait_until(lambda: len(ring.running_on(victim)) == n_held, f"{n_held} evaluations to be held")
    ids = [one.id for one in ring.running_on(victim)]
    for i in range(1, N_LOSSES + 1):
        killed_at = victim.kill()
        # Of another name: a worker that starts again by its own takes no blame for what it held.
        victim = ring.worker(f"lost-{i}", slots=n_held, holds="computing")
        for again_at in ring.wait_for_attempt(i + 1, ids):
            recovery.record(again_at - killed_at)
    victim.let_go("computing")
    ring.worker("w").wait_until_up()
    ring.conclude(search_id, spec)
    assert {(one.crash_count, one.lost_count) for one in ring.evaluations(Evaluation.id.in_(ids))} == {(0, N_LOSSES)}
    ring.dismiss(victim)
