"""The broker loses, hangs, comes back empty, goes silent or fills up with what is no message: nothing is lost."""

import base64
import json
import math
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import HOST
from faults.conftest import Recovery
from faults.garbage import garbage
from faults.servers import CHEAP, Servers, serving
from processes import wait_until

from models import Evaluation
from models.states import EVALUATION_IN_FLIGHT, EvaluationState
from worker.broker import queue_of
from worker.fault_points import FaultPoint

pytestmark = pytest.mark.integration

#: A hundred cheap evaluations at once.
WIDE: dict[str, Any] = {
    **CHEAP,
    "name": "wide",
    "algorithm": {"name": "random", "population": 110, "generations": 1, "seed": 5},
}
SMALL: dict[str, Any] = {**WIDE, "name": "small", "algorithm": {"population": 4, "generations": 3, "seed": 5}}
#: Submitted again and again: after the first, all of it is known.
TINY: dict[str, Any] = {**WIDE, "name": "tiny", "algorithm": {"population": 4, "generations": 1, "seed": 5}}

_N_SUBMITTED = 100
_P99_LIMIT_S = 0.1
_FROZEN_S = 120


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, repeats: int) -> Iterator[Servers]:
    """One controller, up to ten workers, and a broker that may hold a hundred doorbells for them."""
    n_workers = min(10, repeats)
    with serving(tmp_path_factory.mktemp("broker"), n_workers=n_workers, HQNAS_DISPATCH_PER_SLOT="120") as servers:
        yield servers
        # Whatever the broker went through, no evaluation is still said to be on its way.
        wait_until(
            lambda: not servers.cluster.evaluations(Evaluation.state.in_(EVALUATION_IN_FLIGHT)),
            "the last of them to end",
        )


def submit_and_hold(servers: Servers) -> str:
    """Submits a hundred evaluations; one is held on each worker, and all others wait in the broker."""
    servers.cluster.undisturbed(WIDE)
    for worker in servers.workers:
        worker.hold(FaultPoint.CLAIM_COMMITTED)
    search = servers.cluster.submit(WIDE)
    wait_until(lambda: len(running(servers)) == len(servers.workers), "an evaluation on each worker")
    wait_until(lambda: servers.redis.n_waiting() >= 100, "a hundred doorbells in the broker")
    return search


def running(servers: Servers) -> list[Evaluation]:
    return servers.cluster.running_on(*servers.workers)


def let_go(servers: Servers) -> None:
    for worker in servers.workers:
        worker.let_go(FaultPoint.CLAIM_COMMITTED)


def waiting_doorbells(servers: Servers) -> list[uuid.UUID]:
    return [one.id for one in servers.cluster.evaluations(Evaluation.state == EvaluationState.DISPATCHED)]


def record_runs(servers: Servers, ids: list[uuid.UUID], lost_at: float, recovery: Recovery, n: int) -> None:
    """Waits until all have been claimed since, and notes how long the first n took."""
    wait_until(
        lambda: all(one.attempt > 0 for one in servers.cluster.evaluations(Evaluation.id.in_(ids))), "all to run again"
    )
    found = servers.cluster.evaluations(Evaluation.id.in_(ids))
    for started_at in sorted(one.started_at.timestamp() for one in found if one.started_at is not None)[:n]:
        recovery.record(started_at - lost_at)


@pytest.mark.chaos
def test_a_lost_doorbell_is_rung_again(servers: Servers, recovery: Recovery, repeats: int) -> None:
    search = submit_and_hold(servers)
    lost: list[uuid.UUID] = []
    lost_at = time.time()
    for _ in range(repeats):
        taken = json.loads(servers.redis.client.lpop("hqnas.cpu"))  # type: ignore[arg-type]  # there are a hundred
        lost += [uuid.UUID(one) for one in json.loads(base64.b64decode(taken["body"]))[1]["ids"]]
    let_go(servers)
    record_runs(servers, lost, lost_at, recovery, repeats)
    servers.cluster.conclude(search, WIDE)


@pytest.mark.chaos
def test_an_emptied_broker_with_a_hundred_waiting_loses_nothing(
    servers: Servers, recovery: Recovery, repeats: int
) -> None:
    search = submit_and_hold(servers)
    held = [one.id for one in running(servers)]
    ids = waiting_doorbells(servers)
    servers.redis.client.flushall()
    lost_at = time.time()
    let_go(servers)
    record_runs(servers, ids, lost_at, recovery, repeats)
    servers.cluster.conclude(search, WIDE)
    assert {one.attempt for one in servers.cluster.evaluations(Evaluation.id.in_(held))} == {1}


@pytest.mark.chaos
def test_a_broker_that_was_killed_and_comes_back_empty_loses_nothing(
    servers: Servers, recovery: Recovery, repeats: int
) -> None:
    search = submit_and_hold(servers)
    held = [one.id for one in running(servers)]
    ids = waiting_doorbells(servers)
    servers.redis.kill()
    lost_at = time.time()
    servers.wait_for_readiness("degraded")
    servers.redis.start()
    let_go(servers)
    record_runs(servers, ids, lost_at, recovery, repeats)
    servers.cluster.conclude(search, WIDE)
    # What was being computed while the connection was lost went on, and counts.
    assert {one.attempt for one in servers.cluster.evaluations(Evaluation.id.in_(held))} == {1}


def submissions(servers: Servers, n: int) -> tuple[list[str], list[float]]:
    """Submits so many searches; returns their ids, and how long each answer took."""
    ids, seconds = [], []
    for _ in range(n):
        began = time.perf_counter()
        ids.append(servers.cluster.client.submit(TINY).id)
        seconds.append(time.perf_counter() - began)
    return ids, seconds


def record_workers(servers: Servers, since: float, recovery: Recovery) -> None:
    """Waits until each worker has claimed something since, and notes how long that took."""
    for worker in servers.workers:
        worker.hold(FaultPoint.COMPUTED)  # so that something is left for the last of them
    for worker in servers.workers:
        name = f"{worker.name}@{HOST}"

        def claims(name: str = name) -> list[float]:
            times = (one.started_at.timestamp() for one in claimed(servers, name) if one.started_at is not None)
            return sorted(at for at in times if at > since)

        wait_until(lambda claims=claims: bool(claims()), f"{name} to take something again")
        recovery.record(claims()[0] - since)
    for worker in servers.workers:
        worker.let_go(FaultPoint.COMPUTED)


def claimed(servers: Servers, worker: str) -> list[Evaluation]:
    return servers.cluster.evaluations(Evaluation.worker == worker)


def finish(servers: Servers, ids: list[str]) -> None:
    for search in ids:
        assert servers.cluster.client.wait(search, interval_s=0.1).state == "finished"


def test_a_frozen_broker_holds_up_no_submission_and_is_told(servers: Servers) -> None:
    servers.cluster.undisturbed(SMALL)
    servers.cluster.empty()
    servers.redis.freeze()
    ids = [servers.cluster.client.submit(SMALL).id]
    servers.wait_for_readiness("degraded")
    ids += submissions(servers, 5)[0]
    assert "no controller reaches the broker since" in servers.readiness()["problems"][0]
    servers.redis.thaw()
    servers.wait_for_readiness("ready")
    finish(servers, ids[1:])
    servers.cluster.conclude(ids[0], SMALL)


@pytest.mark.chaos
@pytest.mark.parametrize("fault", ["freeze", "swallow"])
def test_dispatch_catches_up_after_two_minutes_without_a_broker(
    servers: Servers, recovery: Recovery, fault: str
) -> None:
    servers.cluster.undisturbed(WIDE)
    servers.cluster.empty()
    (servers.redis.freeze if fault == "freeze" else servers.to_redis.swallow)()
    began = time.time()
    wide = servers.cluster.client.submit(WIDE).id
    ids, seconds = submissions(servers, _N_SUBMITTED)
    servers.wait_for_readiness("degraded")
    time.sleep(max(0.0, began + _FROZEN_S - time.time()))
    assert servers.readiness()["status"] == "degraded"
    back_at = time.time()
    (servers.redis.thaw if fault == "freeze" else servers.to_redis.restore)()
    record_workers(servers, back_at, recovery)
    servers.wait_for_readiness("ready")
    finish(servers, ids)
    servers.cluster.conclude(wide, WIDE)
    assert sorted(seconds)[math.ceil(0.99 * len(seconds)) - 1] <= _P99_LIMIT_S, sorted(seconds)[-5:]


@pytest.mark.chaos
def test_connections_to_the_broker_that_die_silently_are_replaced(
    servers: Servers, recovery: Recovery, repeats: int
) -> None:
    servers.cluster.undisturbed(WIDE)
    for _ in range(math.ceil(repeats / len(servers.workers))):
        servers.cluster.empty()
        forgotten_at = time.time()
        servers.to_redis.forget()
        search = servers.cluster.client.submit(WIDE).id
        record_workers(servers, forgotten_at, recovery)
        servers.cluster.conclude(search, WIDE)


@pytest.mark.chaos
def test_a_broker_that_is_down_when_all_starts_is_waited_for(
    tmp_path: Path, servers: Servers, recovery: Recovery, repeats: int
) -> None:
    n_workers = len(servers.workers)
    for i in range(math.ceil(repeats / n_workers)):
        with Servers(tmp_path / str(i)) as away:
            away.to_redis.refuse()
            away.start(n_controllers=1, n_workers=n_workers)
            away.wait_for_readiness("degraded")
            ids = [away.cluster.client.submit(WIDE).id, *submissions(away, 5)[0]]
            back_at = time.time()
            away.to_redis.restore()
            record_workers(away, back_at, recovery)
            finish(away, ids)
            away.wait_for_readiness("ready")
            away.cluster.check()
            assert away.cluster.front_of(ids[0]) == servers.cluster.undisturbed(WIDE)


@pytest.mark.chaos
def test_workers_outlive_a_broker_that_refuses_commands(servers: Servers) -> None:
    servers.cluster.undisturbed(SMALL)
    pids = [worker.pid for worker in servers.workers]
    servers.redis.client.config_set("min-replicas-to-write", 1)
    search = servers.cluster.submit(SMALL)
    servers.wait_for_readiness("degraded")
    time.sleep(10)
    servers.redis.client.config_set("min-replicas-to-write", 0)
    servers.cluster.conclude(search, SMALL)
    assert [worker.pid for worker in servers.workers if worker.is_running] == pids


def test_workers_go_on_after_all_that_is_no_doorbell(servers: Servers) -> None:
    servers.cluster.undisturbed(SMALL)
    pids = [worker.pid for worker in servers.workers]
    servers.cluster.empty()
    servers.redis.client.lpush(queue_of("cpu"), *garbage(servers), *garbage(servers))
    search = servers.cluster.client.submit(SMALL).id
    servers.cluster.conclude(search, SMALL)
    wait_until(lambda: servers.redis.n_waiting() == 0, "all of it to be taken")
    assert [worker.pid for worker in servers.workers if worker.is_running] == pids
    told = "".join(worker.log for worker in servers.workers)
    assert "message_unreadable" in told
    assert "message_refused" in told
    assert "is 2, and this worker knows 1" in told


@pytest.mark.chaos
def test_a_doorbell_that_only_a_newer_worker_understands_is_rung_again(
    servers: Servers, recovery: Recovery, repeats: int
) -> None:
    search = submit_and_hold(servers)
    ids = waiting_doorbells(servers)
    n_waiting = servers.redis.n_waiting()
    newer = [one for one in garbage(servers) if b'"body"' in one][-1]
    servers.redis.client.delete(queue_of("cpu"))
    servers.redis.client.lpush(queue_of("cpu"), *[newer] * n_waiting)
    replaced_at = time.time()
    let_go(servers)
    record_runs(servers, ids, replaced_at, recovery, repeats)
    servers.cluster.conclude(search, WIDE)
