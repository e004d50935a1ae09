"""Controllers that die at each step of a generation, and several at once."""

import math
import random
import time
from typing import Any

import pytest
from cluster import Cluster
from faults.conftest import Recovery
from faults.scene import spec_of
from processes import wait_until
from sqlalchemy import func, select

from models import Evaluation, Stage, UnitOfWork
from models.states import EVALUATION_CLAIMABLE, SEARCH_OPEN, StageState
from worker.fault_points import FaultPoint

pytestmark = pytest.mark.integration

SPEC = spec_of(4, generations=4)
STAGED: dict[str, Any] = {
    **SPEC,
    "training": {"epochs": 4, "batch_size": 128, "stages": {"epochs": [0, 1], "margin": 0.5}},
    "objectives": [{"metric": "validation_loss"}, {"metric": "expressibility"}],
    "algorithm": {"population": 5, "generations": 3, "seed": 3, "reevaluate": {"factor": 2, "rounds": 1}},
}
POINTS = [point for point in FaultPoint if point.startswith(("advance", "dispatch", "sweep"))]
#: Those that `make test` tries.
SHORT = (FaultPoint.ADVANCE_TOLD, FaultPoint.ADVANCE_BEFORE_COMMIT, FaultPoint.DISPATCH_BEFORE_COMMIT)


@pytest.mark.parametrize(
    "point", [pytest.param(point, marks=() if point in SHORT else pytest.mark.chaos) for point in POINTS]
)
def test_another_controller_goes_on_where_one_was_killed(
    point: FaultPoint, ring: Cluster, recovery: Recovery, repeats: int
) -> None:
    controllers, worker = [ring.controller("c0"), ring.controller("c1")], ring.worker("w")
    rng = random.Random(point)
    for _ in range(math.ceil(repeats / len(POINTS))):
        ring.undisturbed(SPEC)
        if point.startswith("sweep"):
            worker.hold(FaultPoint.CLAIM_COMMITTED)  # a search is under way whenever the next sweep comes
        n_settled = rng.randrange(8) if point.startswith(("advance", "dispatch")) else 0
        if point == FaultPoint.ADVANCE_BEGUN:
            n_settled = 0
            controllers[0].kill_at(point)
        search = ring.submit(SPEC)
        if point != FaultPoint.ADVANCE_BEGUN:
            wait_until(lambda n=n_settled, s=search: ring.search(s).n_settled >= n, f"{n_settled} candidates")
            controllers[0].kill_at(point)
        wait_until(lambda: not all(one.is_running for one in controllers), f"the death of a controller at {point}")
        killed_at = controllers[0].deaths()[-1]
        waiting = {one.id: one.attempt for one in ring.evaluations(Evaluation.state.in_(EVALUATION_CLAIMABLE))}
        if point.startswith("sweep"):
            worker.let_go(FaultPoint.CLAIM_COMMITTED)
        wait_until(lambda s=search, at=killed_at, w=waiting: goes_on(ring, s, at, w), "another controller")
        recovery.record(time.time() - killed_at)
        for one in controllers:
            one.start()
        ring.conclude(search, SPEC)
        for one in controllers:
            one.wait_until_up()


def goes_on(ring: Cluster, search_id: str, killed_at: float, waiting: dict[Any, int]) -> bool:
    """Whether the search was taken further since, and all that waited then has been claimed."""
    search = ring.search(search_id)
    if search.state not in SEARCH_OPEN:
        return True
    is_told = search.advanced_at is not None and search.advanced_at.timestamp() > killed_at
    found = ring.evaluations(Evaluation.id.in_(waiting))
    return is_told and all(one.attempt > waiting[one.id] for one in found)


def test_two_controllers_at_once_tell_what_one_tells(ring: Cluster) -> None:
    controllers = [ring.controller("c0"), ring.controller("c1")]
    ring.dismiss(controllers[1])
    ring.empty()
    search = ring.client.wait(ring.client.submit(STAGED).id)
    undisturbed, front = told_of(ring, search.id), ring.front_of(search.id)
    assert {"evaluated", "stopped"} == {state for _, state, *_ in undisturbed}
    assert {"early", "full", "again"} == {stage.kind for *_, stages in undisturbed for stage in stages}
    controllers[1].start().wait_until_up()
    ring.empty()
    search = ring.client.submit(STAGED)
    for one, n_passed in zip(controllers, (1, 18), strict=True):
        wait_until(lambda n=n_passed: n_stages_passed(ring) >= n, f"{n_passed} stages")
        one.kill()
        one.start()
    assert ring.client.wait(search.id).state == "finished"
    assert told_of(ring, search.id) == undisturbed
    assert ring.front_of(search.id) == front
    ring.check()


def told_of(cluster: Cluster, search_id: str) -> list[Any]:
    """Returns all that candidates and their stages were told, without ids, counts of attempts and times."""
    found = [cluster.client.candidate(one.id) for one in cluster.client.candidates(search_id)]
    return [(one.digest, one.state, one.objectives, one.stopped, one.is_on_front, one.stages) for one in found]


def n_stages_passed(cluster: Cluster) -> int:
    with UnitOfWork(cluster.engine) as work:
        passed = select(func.count()).select_from(Stage).where(Stage.state == StageState.PASSED)
        return work.session.scalar(passed) or 0
