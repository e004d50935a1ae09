"""Workers and their processes killed, frozen and stopped while they compute.

`victims` hold an evaluation in every slot, and the worker `w` takes over. Times are of the database's clock, which is
this machine's.
"""

import contextlib
import math
import uuid
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from cluster import Cluster, Member
from faults.conftest import Recovery
from processes import wait_until

from models import Evaluation
from models.states import EvaluationState

pytestmark = pytest.mark.integration

N_FREE = 2  #: slots of the worker that takes over
SLOTS = 5  #: of each victim, at most


def spec_of(population: int) -> dict[str, Any]:
    return {
        "name": "workers",
        "dataset": {"name": "iris"},
        "space": {"qubits": [1, 2], "layers": [1, 2, 3], "learning_rate": {"min": 0.01, "max": 0.2, "log": True}},
        "training": {"epochs": 2, "batch_size": 128},
        "metrics": {"expressibility": {"samples": 200}},
        "objectives": [{"metric": "validation_accuracy"}, {"metric": "expressibility"}],
        "algorithm": {"population": population, "generations": 2, "seed": 3},
    }


@pytest.fixture(scope="module")
def ring(cluster: Cluster) -> Cluster:
    """The cluster with a controller and the worker that takes over."""
    for member in (cluster.controller("c"), cluster.worker("w", slots=N_FREE)):
        member.wait_until_up()
    return cluster


class Scene:
    """A search under way, in which victims compute one evaluation in every slot, and do not get on with it."""

    def __init__(self, cluster: Cluster, victims: list[Member], spec: dict[str, Any], search_id: str) -> None:
        self.cluster = cluster
        self.victims = victims
        self.held = cluster.running_on(*victims)
        self._spec = spec
        self._search_id = search_id

    def held_by(self, victim: Member) -> list[uuid.UUID]:
        name = victim.name + "@"
        return [one.id for one in self.held if one.worker is not None and one.worker.startswith(name)]

    def rows(self, ids: list[uuid.UUID]) -> list[Evaluation]:
        return self.cluster.evaluations(Evaluation.id.in_(ids))

    def wait_for_next_attempt(self, ids: list[uuid.UUID], *, attempt: int = 2) -> list[float]:
        """Returns when each was claimed again, by the database's clock."""
        wait_until(
            lambda: all(one.attempt == attempt for one in self.rows(ids)),
            f"attempt {attempt} of {len(ids)} evaluations",
        )
        return [one.started_at.timestamp() for one in self.rows(ids) if one.started_at is not None]

    def let_go(self) -> None:
        for victim in self.victims:
            victim.let_go("computing")

    def conclude(self) -> None:
        self.cluster.conclude(self._search_id, self._spec)


@contextlib.contextmanager
def scene(cluster: Cluster, *, n_held: int) -> Iterator[Scene]:
    """Starts victims with so many slots together, and a search that fills them; ends the victims."""
    n_victims = math.ceil(n_held / SLOTS)
    spec = spec_of(n_held + N_FREE)
    cluster.undisturbed(spec)
    w = cluster.worker("w")
    victims = [
        cluster.worker(f"v{i}", slots=min(SLOTS, n_held - i * SLOTS), holds="computing") for i in range(n_victims)
    ]
    for victim in victims:
        victim.wait_until_up()
    w.hold("computing")
    search_id = cluster.submit(spec)
    wait_until(lambda: len(cluster.running_on(*victims)) == n_held, f"{n_held} evaluations to be held")
    w.let_go("computing")
    yield Scene(cluster, victims, spec, search_id)
    cluster.dismiss(*victims)
    for victim in victims:
        victim.forget_orders()


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
                (again_at,) = at.wait_for_next_attempt([one])
                recovery.record(again_at - killed_at)
            assert blamed == set(held)
        at.let_go()
        at.conclude()
        assert {(one.crash_count, one.lost_count) for one in at.rows([one.id for one in at.held])} == {(1, 0)}


def kill(process: psutil.Process) -> float:
    import time

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
            for again_at in at.wait_for_next_attempt(at.held_by(victim)):
                recovery.record(again_at - killed_at[victim.name])
        at.conclude()
        assert {(one.crash_count, one.lost_count) for one in at.rows([one.id for one in at.held])} == {(0, 1)}


@pytest.mark.chaos
def test_the_late_result_of_a_frozen_worker_changes_nothing(ring: Cluster, recovery: Recovery, repeats: int) -> None:
    with scene(ring, n_held=repeats) as at:
        frozen_at = {victim.name: victim.freeze() for victim in at.victims}
        for victim in at.victims:
            for again_at in at.wait_for_next_attempt(at.held_by(victim)):
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
            for again_at in at.wait_for_next_attempt(at.held_by(victim)):
                recovery.record(again_at - asked_at[victim.name])
        at.conclude()
        assert {(one.crash_count, one.lost_count) for one in at.rows([one.id for one in at.held])} == {(0, 0)}
