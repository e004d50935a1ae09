"""Doorbells that come again, late or in vain: a result counts once."""

import uuid

import pytest
from cluster import Cluster
from faults.scene import N_FREE, spec_of
from processes import wait_until
from redis import Redis

from config import Settings
from worker.broker import TASK, make_app, message, queue_of
from worker.fault_points import FaultPoint

pytestmark = pytest.mark.integration

SPEC = spec_of(4)
N_DEATHS = 3
N_DOORBELLS = 5


def test_a_process_killed_between_its_results_commit_and_the_answer_to_the_broker_counts_once(ring: Cluster) -> None:
    search_id = ring.submit(SPEC)
    worker = ring.worker("w")
    worker.kill_at(FaultPoint.RECORD_COMMITTED, times=N_DEATHS)
    ring.conclude(search_id, SPEC)
    assert len(worker.deaths()) == N_DEATHS
    assert {(one.attempt, one.crash_count, one.lost_count) for one in ring.evaluations()} == {(1, 0, 0)}


def test_the_same_doorbell_five_times_counts_once(ring: Cluster) -> None:
    worker = ring.worker("w")
    with broker_of(ring) as broker:
        broker.delete("unacked", "unacked_index")  # what the dead of earlier tests have not answered
    search_id = ring.submit(SPEC)
    worker.hold("computing")
    wait_until(lambda: len(ring.running_on(worker)) == N_FREE, "every slot to be busy")
    ring_bells(ring, [one.id for one in ring.evaluations()])
    worker.let_go("computing")
    ring.conclude(search_id, SPEC)
    before = [(one.id, one.attempt, one.finished_at) for one in ring.evaluations()]
    assert {attempt for _, attempt, _ in before} == {1}
    ring_bells(ring, [one.id for one in ring.evaluations()])
    wait_until(lambda: is_answered(ring), "all doorbells to be answered")
    assert before == [(one.id, one.attempt, one.finished_at) for one in ring.evaluations()]


def ring_bells(cluster: Cluster, ids: list[uuid.UUID]) -> None:
    with make_app(settings_of(cluster)) as app:
        for _ in range(N_DOORBELLS):
            for one in ids:
                app.send_task(TASK, kwargs=message([str(one)]), queue=queue_of("cpu"))


def broker_of(cluster: Cluster) -> Redis:
    return Redis.from_url(settings_of(cluster).resolved_broker_url)


def is_answered(cluster: Cluster) -> bool:
    with broker_of(cluster) as broker:
        return broker.llen(queue_of("cpu")) == 0 and broker.hlen("unacked") == 0


def settings_of(cluster: Cluster) -> Settings:
    return Settings(broker_url=cluster.environment["HQNAS_BROKER_URL"])
