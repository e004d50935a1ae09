"""Early stages over a real database: who is stopped, that nothing depends on timing, and that nothing is lost."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from made_up import (
    EPOCHS,
    SETTINGS,
    SPEC,
    Finished,
    advance_all,
    candidates,
    finished,
    outcome,
    pending,
    reload,
    run,
    settle,
    stages,
    submit,
)
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import IntegrityError

from models import Candidate, Evaluation, Search, Stage, UnitOfWork
from models.base import new_id
from models.stages import Opened
from models.states import CandidateState, EvaluationState, SearchState, StageState
from models.tables import DEFAULT_TEAM_ID
from worker.controller import advance_one
from worker.sweep import sweep

UNSTAGED = {"training": {"epochs": EPOCHS}}
RANDOM = {"algorithm": {**SPEC["algorithm"], "name": "random"}}
#: Beyond any clearance that the made-up errors allow: nothing is stopped for being dominated.
NEVER_CLEAR = {"training": {"epochs": EPOCHS, "stages": {"epochs": [0, 5], "margin": 100}}}
BOUND = {"constraints": [{"metric": "gradient_variance", "at_least": -1.5}]}


@pytest.fixture(scope="module")
def staged(_shared_engine: Engine) -> Finished:
    return finished(_shared_engine, **RANDOM)


@pytest.fixture(scope="module")
def plain(_shared_engine: Engine) -> Finished:
    """The same without stages. Random search proposes the same candidates whatever is found."""
    return finished(_shared_engine, **RANDOM, **UNSTAGED)


@pytest.fixture(scope="module")
def bound(_shared_engine: Engine) -> Finished:
    return finished(_shared_engine, **BOUND)


def test_each_candidate_ends_evaluated_or_stopped_and_counts_once(staged: Finished) -> None:
    search = staged.search
    assert (search.state, search.n_candidates, search.n_settled, search.n_failed) == (SearchState.FINISHED, 18, 18, 0)
    assert {one.state for one in staged.candidates} == {CandidateState.EVALUATED, CandidateState.STOPPED}
    assert search.n_stopped == len(staged.in_state(CandidateState.STOPPED)) > 3


def test_the_budget_counts_stopped_candidates(engine: Engine) -> None:
    search = run(engine, submit(engine, budget={"evaluations": 14}, **RANDOM))
    assert search.n_stopped > 0
    assert (search.n_candidates, search.n_settled) == (14, 14)


def test_a_stopped_candidate_was_not_trained_to_the_end_and_keeps_what_was_measured(staged: Finished) -> None:
    for one in staged.in_state(CandidateState.STOPPED):
        told = staged.stages[one.id]
        assert [(s.number, s.kind, s.epochs) for s in told] == [(0, "early", 0), (1, "early", 5)][: len(told)]
        assert [s.state for s in told] == [StageState.PASSED] * (len(told) - 1) + [StageState.STOPPED]
        assert (one.objectives, one.on_front, one.is_survivor) == (None, False, False)
        assert one.metrics == {name: value for s in told for name, value in (s.metrics or {}).items()}
        assert one.stopped is not None
        assert one.stopped["reason"].startswith("dominated by ")


def test_an_evaluated_candidate_has_all_stages_on_record(staged: Finished) -> None:
    for one in staged.in_state(CandidateState.EVALUATED):
        told = [(s.kind, s.epochs, s.state) for s in staged.stages[one.id]]
        assert told == [("early", 0, "passed"), ("early", 5, "passed"), ("full", EPOCHS, "passed")]
        assert staged.stages[one.id][-1].metrics == one.metrics


def test_the_first_generation_is_dominated_by_nobody(staged: Finished) -> None:
    assert {one.state for one in staged.candidates if one.generation == 0} == {CandidateState.EVALUATED}


def test_whoever_stops_a_candidate_was_on_the_front_before_its_generation(staged: Finished) -> None:
    for one in staged.in_state(CandidateState.STOPPED):
        assert one.stopped is not None
        assert one.stopped["by"][0] < one.generation


def test_the_front_is_that_of_the_search_without_stages(staged: Finished, plain: Finished) -> None:
    assert [one.digest for one in staged.candidates] == [one.digest for one in plain.candidates]
    assert [one.on_front for one in staged.candidates] == [one.on_front for one in plain.candidates]
    assert staged.search.hypervolume == plain.search.hypervolume


def test_fewer_epochs_are_trained_than_without_stages(staged: Finished, plain: Finished) -> None:
    n_epochs = sum(stage.epochs for many in staged.stages.values() for stage in many)
    assert n_epochs < EPOCHS * len(plain.candidates)


def test_who_goes_through_has_the_numbers_of_the_search_without_stages(staged: Finished, plain: Finished) -> None:
    expected = {one.digest: (one.objectives, one.metrics) for one in plain.candidates}
    through = staged.in_state(CandidateState.EVALUATED)
    assert through
    assert all((one.objectives, one.metrics) == expected[one.digest] for one in through)
    assert plain.stages == {}


def test_the_full_evaluation_is_shared_with_a_search_without_stages(engine: Engine) -> None:
    staged, plain = run(engine, submit(engine, **RANDOM)), run(engine, submit(engine, **RANDOM, **UNSTAGED))
    through = [one.evaluation_id for one in candidates(engine, staged) if one.state == CandidateState.EVALUATED]
    assert set(through) <= {one.evaluation_id for one in candidates(engine, plain)}
    assert plain.n_cached == len(through)


@pytest.mark.parametrize("order", [{"limit": 2}, {"limit": 3, "newest": True}])
def test_the_order_of_results_changes_no_verdict(engine: Engine, bound: Finished, order: dict[str, Any]) -> None:
    assert outcome(engine, run(engine, submit(engine, **BOUND), **order)) == bound.outcome


def test_who_is_through_before_the_others_begin_stops_none_of_its_generation(engine: Engine) -> None:
    one_large = {"algorithm": {**SPEC["algorithm"], "population": 12, "generations": 1}}
    search = run(engine, submit(engine, **one_large), limit=2, newest=True)
    assert (search.n_candidates, search.n_stopped) == (12, 0)


def test_two_controllers_at_once_give_what_one_does(engine: Engine, bound: Finished) -> None:
    search = submit(engine, **BOUND)
    advance_all(engine)
    while waiting := pending(engine):
        settle(engine, waiting[::-1][:5])
        racers = [threading.Thread(target=advance_all, args=(engine,)) for _ in range(2)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        advance_all(engine)
    assert outcome(engine, search) == bound.outcome


def test_a_step_between_stages_that_is_lost_is_repeated_alike(
    engine: Engine, bound: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = submit(engine, **BOUND)
    advance_all(engine)
    commit = UnitOfWork.commit
    while waiting := pending(engine):
        settle(engine, waiting[:5])
        with monkeypatch.context() as killed:
            # All of the step is done, and nothing of it stays: as of a controller killed before its commit.
            killed.setattr(UnitOfWork, "commit", lambda work: work.session.rollback())
            advance_one(engine, SETTINGS)
        assert UnitOfWork.commit is commit
        advance_all(engine)
    assert outcome(engine, search) == bound.outcome


def test_a_broken_bound_on_a_cheap_metric_stops_before_training_also_in_the_first_generation(bound: Finished) -> None:
    broken = [one for one in bound.candidates if one.violation]
    assert {one.generation for one in broken} >= {0}
    for one in broken:
        assert (one.state, len(bound.stages[one.id])) == (CandidateState.STOPPED, 1)
        assert one.stopped is not None
        assert "at least -1.5 is asked" in one.stopped["reason"]


def test_stopping_at_broken_bounds_changes_nothing_that_is_proposed_or_found(engine: Engine) -> None:
    staged, plain = (
        run(engine, submit(engine, **BOUND, **NEVER_CLEAR)),
        run(engine, submit(engine, **BOUND, **UNSTAGED)),
    )
    assert staged.n_stopped > 0

    def seen(search: Search) -> list[Any]:
        return [(one.digest, one.violation, one.on_front, one.is_survivor) for one in candidates(engine, search)]

    assert seen(staged) == seen(plain)


def test_a_failure_at_an_early_stage_fails_the_candidate_and_the_others_go_on(engine: Engine) -> None:
    def fails(evaluation: Evaluation) -> bool:
        return evaluation.protocol["training"]["epochs"] == 5 and evaluation.genome_digest[0] < "4"

    search = run(engine, submit(engine), fails=fails)
    failed = [one for one in candidates(engine, search) if one.state == CandidateState.FAILED]
    assert len(failed) == search.n_failed > 0
    for one in failed:
        assert [s.state for s in stages(engine, search)[one.id]] == [StageState.PASSED, StageState.FAILED]
        assert one.error == {"class": "Broken", "message": "it broke"}
    assert search.state == SearchState.FINISHED


def test_a_quarantined_stage_fails_its_candidate(engine: Engine) -> None:
    search = submit(engine, budget={"evaluations": 4})
    advance_all(engine)
    poison, *others = pending(engine)
    for _ in range(3):
        with UnitOfWork(engine) as work:
            claims = work.evaluations.claim([poison.id], worker="w", lease_s=60)
            work.evaluations.record_crash(claims, limit=3, how="it was killed by SIGSEGV")
            work.commit()
    settle(engine, others)
    search = run(engine, search)
    (failed,) = [one for one in candidates(engine, search) if one.state == CandidateState.FAILED]
    message = "its process died 3 times; the last time it was killed by SIGSEGV"
    assert failed.error == {"class": "crashed", "message": message}
    assert (search.state, search.n_settled) == (SearchState.FINISHED, 4)


def test_the_same_search_again_is_answered_from_the_cache_with_the_same_verdicts(
    engine: Engine, bound: Finished
) -> None:
    run(engine, submit(engine, **BOUND))
    again = submit(engine, **BOUND)
    advance_all(engine)
    again = reload(engine, again)
    assert (again.state, again.n_cached, bound.search.n_cached) == (SearchState.FINISHED, 18, 0)
    assert outcome(engine, again) == bound.outcome


def test_full_results_that_are_known_already_change_no_verdict(engine: Engine, staged: Finished) -> None:
    run(engine, submit(engine, **RANDOM, **UNSTAGED))
    search = run(engine, submit(engine, **RANDOM))
    assert outcome(engine, search) == staged.outcome
    assert search.n_cached == 0  # their early stages were computed


def test_a_cancelled_search_leaves_nothing_open_between_stages(engine: Engine) -> None:
    search = submit(engine)
    advance_all(engine)
    settle(engine, pending(engine)[:4])
    advance_all(engine)
    with UnitOfWork(engine) as work:
        locked = work.searches.lock(DEFAULT_TEAM_ID, search.id)
        assert locked is not None
        work.searches.end(locked, SearchState.CANCELLED, "cancelled on request")
        work.evaluations.cancel_unwanted(search.id)
        work.commit()
    assert pending(engine) == []
    told = [s for many in stages(engine, search).values() for s in many]
    assert {s.state for s in told} == {StageState.PASSED, StageState.CANCELLED}
    assert {one.state for one in candidates(engine, search)} == {CandidateState.CANCELLED}
    sweep(engine, SETTINGS)
    assert pending(engine) == []


def test_what_another_search_waits_for_at_a_later_stage_is_not_cancelled_with_this_one(engine: Engine) -> None:
    search, other = submit(engine, **RANDOM), submit(engine, **RANDOM)
    advance_all(engine)
    settle(engine, pending(engine))
    advance_all(engine)
    with UnitOfWork(engine) as work:
        locked = work.searches.lock(DEFAULT_TEAM_ID, search.id)
        assert locked is not None
        work.searches.end(locked, SearchState.CANCELLED, "cancelled on request")
        assert work.evaluations.cancel_unwanted(search.id) == 0
        work.commit()
    assert run(engine, other).state == SearchState.FINISHED


def test_no_candidate_waits_for_two_stages_at_once(engine: Engine) -> None:
    search = submit(engine)
    advance_all(engine)
    with UnitOfWork(engine) as work:
        stage = work.session.scalars(select(Stage)).first()
        assert stage is not None
        with pytest.raises(IntegrityError, match="uq_stages_waiting"):
            work.session.execute(
                text(
                    "INSERT INTO stages (candidate_id, number, search_id, evaluation_id, kind, epochs, state, "
                    "is_cached) VALUES (:candidate, 1, :search, :evaluation, 'early', 5, 'waiting', false)"
                ),
                {"candidate": stage.candidate_id, "search": search.id, "evaluation": stage.evaluation_id},
            )


def test_no_more_is_computed_than_the_stages_on_record(engine: Engine) -> None:
    search = run(engine, submit(engine))
    with UnitOfWork(engine) as work:
        n_evaluations = work.session.scalar(select(func.count()).select_from(Evaluation))
        n_open = work.session.scalar(
            select(func.count()).select_from(Evaluation).where(Evaluation.state != EvaluationState.SUCCEEDED)
        )
    assert n_evaluations == sum(map(len, stages(engine, search).values()))
    assert n_open == 0


def test_as_many_stages_as_a_search_may_have_are_recorded(engine: Engine) -> None:
    search = submit(engine)
    n = 9_000  # of eight values each: more than one statement may have
    about = {"protocol": {}, "protocol_digest": "p", "device": "cpu", "engine": "batched", "qubits": 1, "priority": 0}
    with UnitOfWork(engine) as work:
        evaluation_id, _ = work.evaluations.want(search, genome={}, genome_digest="g", **about)
        told = {"search_id": search.id, "evaluation_id": evaluation_id, "state": CandidateState.EVALUATED}
        values = {"objectives": [1.0], "violation": 0.0, "metrics": {}, "settled_at": datetime.now(UTC)}
        candidates = [
            Candidate(id=new_id(), generation=0, index=i, genome={}, digest=str(i), is_cached=False, **told, **values)
            for i in range(n)
        ]
        work.session.add_all(candidates)
        work.session.flush()
        work.stages.record_full(candidates, kind="full", epochs=5)
        work.stages.open(search.id, [Opened(one.id, 1, evaluation_id, "again", 5, False) for one in candidates])
        stages = work.stages.of_candidates(one.id for one in candidates)
    assert [len(one) for one in stages.values()] == [2] * n
