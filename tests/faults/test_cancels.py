"""Searches cancelled while queued, running and about to finish."""

import math
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cluster import Cluster
from faults.conftest import Recovery
from faults.scene import N_FREE, spec_of
from processes import wait_until

from models import Evaluation
from models.states import EVALUATION_OPEN, EvaluationState
from worker.fault_points import FaultPoint

pytestmark = pytest.mark.integration

SPEC = spec_of(8)
ENDLESS: dict[str, Any] = {**SPEC, "training": {"epochs": 10_000, "batch_size": 1}}
N_FINISHES = 5


def test_nothing_is_evaluated_for_a_search_cancelled_while_queued(ring: Cluster) -> None:
    ring.empty()
    ring.dismiss(ring.worker("w"))
    search = ring.client.submit(SPEC)
    wait_until(lambda: ring.search(search.id).reason is not None, "the search to be postponed")
    assert ring.client.cancel(search.id).state == "cancelled"
    ring.worker("w").wait_until_up()
    other = {**SPEC, "name": "other"}
    assert ring.client.wait(ring.client.submit({**other, "budget": {"evaluations": 4}}).id).state == "finished"
    assert ring.client.search(search.id).state == "cancelled"
    assert len(ring.evaluations()) == 4
    ring.check()


def test_what_is_computed_for_a_cancelled_search_is_given_up_and_nothing_more_is_claimed(
    ring: Cluster, recovery: Recovery, repeats: int
) -> None:
    worker = ring.worker("w")
    for _ in range(math.ceil(repeats / N_FREE)):
        ring.empty()
        search = ring.client.submit(ENDLESS)
        wait_until(lambda: len(ring.running_on(worker)) == N_FREE, "every slot to be busy")
        children = worker.children()
        assert ring.client.cancel(search.id).state == "cancelled"
        answered_at = time.time()
        for n in range(1, N_FREE + 1):
            wait_until(
                lambda n=n, c=children: sum(not one.is_running() for one in c) >= n, "a computation to be given up"
            )
            recovery.record(time.time() - answered_at)
        assert sum(one.attempt for one in ring.evaluations()) == N_FREE
        assert {one.state for one in ring.evaluations()} == {EvaluationState.CANCELLED}
        ring.check()
    ring.conclude(ring.submit(SPEC), SPEC)


def test_a_search_cancelled_while_it_finishes_has_one_final_state(ring: Cluster) -> None:
    controller, worker, rng = ring.controller("c0"), ring.worker("w"), random.Random(5)
    spec = {**spec_of(4), "budget": {"evaluations": 4}}
    for _ in range(N_FINISHES):
        ring.empty()
        worker.hold("computing")
        search = ring.client.submit(spec)
        wait_until(lambda: bool(ring.running_on(worker)), "a running evaluation")
        controller.hold(FaultPoint.ADVANCE_BEFORE_COMMIT)
        worker.let_go("computing")
        wait_until(lambda: bool(ring.evaluations(Evaluation.state == EvaluationState.SUCCEEDED)), "a result")
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(ring.client.cancel, search.id)
            time.sleep(rng.uniform(0, 1))
            controller.let_go(FaultPoint.ADVANCE_BEFORE_COMMIT)
            final = answer.result().state
        assert final in ("finished", "cancelled")
        wait_until(lambda: not ring.evaluations(Evaluation.state.in_(EVALUATION_OPEN)), "all evaluations to be settled")
        assert ring.client.search(search.id).state == final
        ring.check()
