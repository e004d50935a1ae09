"""A search whose candidates keep killing their processes ends; one without crashes is never touched."""

import random
from collections.abc import Collection, Sequence

import pytest
from made_up import advance_all, candidates, pending, reload, result_of, submit
from sqlalchemy import Engine

from models import Evaluation, Search, UnitOfWork
from models.states import SearchState

UNSTAGED = {"training": {"epochs": 5}, "space": {"qubits": {"min": 2, "max": 12}, "layers": {"min": 1, "max": 30}}}
WHY = "its process died 3 times; the last time it was killed by SIGSEGV"


def submitted(engine: Engine, *, population: int, n_generations: int = 1) -> Search:
    search = submit(engine, **UNSTAGED, algorithm={"population": population, "generations": n_generations})
    advance_all(engine)
    return search


def crash(engine: Engine, evaluation: Evaluation, *, times: int = 1) -> None:
    """Plays a worker whose process dies of it."""
    with UnitOfWork(engine) as work:
        for _ in range(times):
            claims = work.evaluations.claim([evaluation.id], worker="w", lease_s=60)
            work.evaluations.record_crash(claims, limit=3, how="it was killed by SIGSEGV")
        work.commit()


def settle(engine: Engine, evaluation: Evaluation, *, fails: bool = False) -> None:
    with UnitOfWork(engine) as work:
        (claim,) = work.evaluations.claim([evaluation.id], worker="w", lease_s=60)
        if fails:
            work.evaluations.fail(claim, {"class": "Broken", "message": "it broke", "traceback": "…"})
        else:
            work.evaluations.succeed(claim, result_of(evaluation.genome_digest, evaluation.protocol))
        work.commit()


def play(engine: Engine, search: Search, order: Sequence[int], *, crashing: Collection[int]) -> Search:
    """Settles the first generation's evaluations in this order, by their places, and tells three at a time."""
    by_id = {one.id: one for one in pending(engine)}
    ordered = [by_id[one.evaluation_id] for one in candidates(engine, search)]
    for n_settled, place in enumerate(order, start=1):
        if place in crashing:
            crash(engine, ordered[place], times=3)
        else:
            settle(engine, ordered[place])
        if n_settled % 3 == 0 or n_settled == len(order):
            advance_all(engine)
            if reload(engine, search).state != SearchState.RUNNING:
                break
    return reload(engine, search)


@pytest.mark.parametrize("population", [40, 8])
def test_a_search_of_which_every_candidate_crashes_fails_within_24_attempts(engine: Engine, population: int) -> None:
    search = submitted(engine, population=population, n_generations=3)
    n_attempts = 0
    while waiting := pending(engine):
        for evaluation in waiting[:2]:  # the doorbells of one slot
            crash(engine, evaluation)
            n_attempts += 1
        advance_all(engine)
    search = reload(engine, search)
    assert n_attempts <= 3 * 7 + 3
    assert (search.state, search.n_failed) == (SearchState.FAILED, 8)
    place = "candidate 6 of generation 0"
    killed = "more than 30% of 20 candidates in a row kept killing the processes that evaluated them"
    assert search.reason == f"{killed}; the last, {place}, said: {WHY}"
    assert {one.state for one in candidates(engine, search)} == (
        {"failed", "cancelled"} if population > 8 else {"failed"}
    )


def test_a_search_with_a_small_generation_of_which_every_candidate_crashes_fails_with_it(engine: Engine) -> None:
    search = submitted(engine, population=4, n_generations=3)
    for _ in range(3):
        for evaluation in pending(engine):
            crash(engine, evaluation)
        advance_all(engine)
    search = reload(engine, search)
    assert search.state == SearchState.FAILED
    assert search.reason == f"none of its 4 candidates could be evaluated; the last said: {WHY}"


@pytest.mark.parametrize("seed", range(2))
def test_seven_of_twenty_in_a_row_end_a_search_in_whichever_order_they_are_told(engine: Engine, seed: int) -> None:
    order = list(range(30))
    random.Random(seed).shuffle(order)
    search = submitted(engine, population=30)
    assert play(engine, search, order, crashing=[5, 7, 9, 11, 13, 23, 24]).state == SearchState.FAILED


def test_six_of_twenty_end_no_search(engine: Engine) -> None:
    order = list(range(30))
    random.Random(0).shuffle(order)
    search = submitted(engine, population=30)
    search = play(engine, search, order, crashing=[0, 1, 2, 3, 4, 5, 20, 21, 22, 23, 24, 25])
    assert (search.state, search.n_failed) == (SearchState.FINISHED, 12)


def test_ordinary_failures_end_no_search(engine: Engine) -> None:
    search = submitted(engine, population=20)
    for evaluation in pending(engine)[1:]:
        settle(engine, evaluation, fails=True)
    advance_all(engine)
    assert reload(engine, search).state == SearchState.RUNNING
    settle(engine, pending(engine)[0])
    advance_all(engine)
    search = reload(engine, search)
    assert (search.state, search.n_failed) == (SearchState.FINISHED, 19)


def test_crashes_are_counted_over_the_end_of_a_generation(engine: Engine) -> None:
    search = submitted(engine, population=10, n_generations=2)
    search = play(engine, search, range(10), crashing=range(4, 10))
    assert (search.state, search.generation) == (SearchState.RUNNING, 1)
    crash(engine, pending(engine)[0], times=3)
    advance_all(engine)
    search = reload(engine, search)
    assert search.state == SearchState.FAILED
    assert "candidate 0 of generation 1" in (search.reason or "")


def test_an_innocent_evaluation_that_loses_its_worker_five_times_still_finishes(engine: Engine) -> None:
    search = submitted(engine, population=4)
    victim, *others = pending(engine)
    for _ in range(5):
        with UnitOfWork(engine) as work:
            work.evaluations.claim([victim.id], worker="w", lease_s=-1)
            work.commit()
        with UnitOfWork(engine) as work:
            assert work.evaluations.sweep_lost(limit=10) == 1
            work.commit()
        advance_all(engine)
    for one in (victim, *others):
        settle(engine, one)
    advance_all(engine)
    search = reload(engine, search)
    assert (search.state, search.n_failed) == (SearchState.FINISHED, 0)
