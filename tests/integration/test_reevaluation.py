"""The second look at a front over a real database: better numbers, the old ones kept, and nothing left to timing."""

from typing import Any

import made_up
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
    result_of,
    run,
    settle,
    stages,
    submit,
)
from sqlalchemy import Engine, select, text, update

from models import Evaluation, Search, UnitOfWork
from models.states import CandidateState, EvaluationState, SearchState, StageState
from models.tables import DEFAULT_TEAM_ID
from nas.algorithms import contenders, hypervolume, losses_of, non_dominated, reference_point, std_errors_of
from nas.spec import parse_spec
from worker.controller import advance_one
from worker.sweep import sweep


def again(**changes: Any) -> dict[str, Any]:
    return {
        "training": {"epochs": EPOCHS},
        "algorithm": {**SPEC["algorithm"], "name": "random", "reevaluate": {"within": 1.0, **changes}},
    }


@pytest.fixture(scope="module")
def plain(_shared_engine: Engine) -> Finished:
    changes = again()
    del changes["algorithm"]["reevaluate"]
    return finished(_shared_engine, **changes)


@pytest.fixture(scope="module")
def twice(_shared_engine: Engine) -> Finished:
    return finished(_shared_engine, **again())


def looked_at(found: Finished) -> set[str]:
    return {one.digest for one in found.candidates if one.id in found.stages}


def test_the_front_is_measured_with_more_samples_from_another_seed(engine: Engine) -> None:
    run(engine, submit(engine, **again(factor=3)))
    with UnitOfWork(engine) as work:
        protocols = [one.protocol for one in work.session.scalars(select(Evaluation))]
    seeds = {(p["training"]["seed"], p["training"]["replicates"]) for p in protocols}
    samples = {(p["training"]["seed"], p["settings"]["expressibility"]["samples"]) for p in protocols}
    assert (seeds, samples) == ({(0, 1), (1, 3)}, {(0, 5_000), (1, 15_000)})


def test_objectives_are_replaced_by_the_better_estimate_and_the_old_ones_are_kept(
    twice: Finished, plain: Finished
) -> None:
    before = {one.digest: one for one in plain.candidates}
    for one in twice.candidates:
        if one.id not in twice.stages:
            assert one.metrics == before[one.digest].metrics
            continue
        first, second = twice.stages[one.id]
        assert ([first.kind, second.kind], first.metrics) == (["full", "again"], before[one.digest].metrics)
        assert second.metrics == one.metrics
        assert one.metrics is not None
        expected = result_of(one.digest, {**PROTOCOL, "metrics": dict.fromkeys(one.metrics, 1)})["metrics"]
        assert one.metrics == expected
        assert one.objectives == [expected[name]["value"] for name in ("validation_accuracy", "expressibility")]


PROTOCOL = {"training": {"epochs": EPOCHS, "seed": 1}}


def test_all_of_the_first_front_is_looked_at_and_some_that_noise_may_have_kept_off_it(
    twice: Finished, plain: Finished
) -> None:
    front = {one.digest for one in plain.candidates if one.on_front}
    assert front < looked_at(twice) < {one.digest for one in plain.candidates}
    assert twice.search.reevaluation is not None
    assert twice.search.reevaluation["rounds"][0]["candidates"] > len(front)


def test_within_nothing_the_front_alone_is_looked_at(engine: Engine, plain: Finished) -> None:
    run(engine, submit(engine, **again(within=0.0, rounds=1)))
    with UnitOfWork(engine) as work:
        seeds = [
            one.genome_digest for one in work.session.scalars(select(Evaluation)) if one.protocol["training"]["seed"]
        ]
    assert set(seeds) == {one.digest for one in plain.candidates if one.on_front}


@pytest.mark.parametrize("noise", ["epsilon", "ignore"])
def test_the_front_is_non_dominated_among_all_candidates_as_they_stand_now(engine: Engine, noise: str) -> None:
    changes = again()
    changes["algorithm"]["noise"] = noise
    found = finished(engine, **changes)
    spec = parse_spec({**SPEC, **changes})
    losses = [losses_of(spec, one.objectives or []) for one in found.candidates]
    errors = [std_errors_of(spec, one.metrics or {}) for one in found.candidates] if noise == "epsilon" else None
    assert [one.on_front for one in found.candidates] == non_dominated(losses, errors)
    assert [one.is_contender for one in found.candidates] == contenders(losses, errors)
    assert found.search.n_front == sum(one.on_front for one in found.candidates)
    reference = [(found.search.reference_point or {})[objective.metric] for objective in spec.objectives]
    assert found.search.hypervolume == pytest.approx(hypervolume(losses, losses_of(spec, reference)))


def test_every_member_of_a_stable_front_was_looked_at(twice: Finished) -> None:
    assert "the front is stable after" in (twice.search.reason or "")
    assert {one.digest for one in twice.candidates if one.on_front} <= looked_at(twice)


def test_rounds_are_on_record_and_end_when_the_front_does_not_move(twice: Finished) -> None:
    assert twice.search.reevaluation is not None
    rounds = twice.search.reevaluation["rounds"]
    assert twice.search.reevaluation["reason"] == "all 3 generations are done"
    assert sum(one["candidates"] for one in rounds) == len(twice.stages)
    assert all(one["entered"] + one["left"] > 0 for one in rounds[:-1])
    assert rounds[-1]["hypervolume"] == twice.search.hypervolume


def test_no_more_rounds_than_allowed(engine: Engine) -> None:
    search = run(engine, submit(engine, **again(rounds=1, within=0.0)))
    assert search.reevaluation is not None
    assert len(search.reevaluation["rounds"]) == 1
    assert "1 round of re-evaluation" in (search.reason or "")


def test_the_budget_counts_candidates_and_no_second_look(twice: Finished) -> None:
    assert (twice.search.n_candidates, twice.search.n_settled) == (18, 18)


@pytest.mark.parametrize("order", [{"limit": 2}, {"limit": 3, "newest": True}])
def test_the_order_of_results_changes_nothing(engine: Engine, twice: Finished, order: dict[str, Any]) -> None:
    assert outcome(engine, run(engine, submit(engine, **again()), **order)) == twice.outcome


def test_a_lost_step_is_repeated_alike(engine: Engine, twice: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    search = submit(engine, **again())
    advance_all(engine)
    while waiting := pending(engine):
        settle(engine, waiting[:6])
        with monkeypatch.context() as killed:
            killed.setattr(UnitOfWork, "commit", lambda work: work.session.rollback())
            advance_one(engine, SETTINGS)
        advance_all(engine)
    assert outcome(engine, search) == twice.outcome


def begun(engine: Engine, **changes: Any) -> Search:
    """Returns a search whose generations are done, and whose second look has begun."""
    search = submit(engine, **again(**changes))
    advance_all(engine)
    while reload(engine, search).reevaluation is None:
        settle(engine, pending(engine))
        advance_all(engine)
    return search


def test_meanwhile_the_front_stands_as_it_was(engine: Engine, plain: Finished) -> None:
    search = begun(engine)
    settle(engine, pending(engine)[:1])
    advance_all(engine)
    assert [(one.state, one.objectives, one.on_front) for one in candidates(engine, search)] == [
        (one.state, one.objectives, one.on_front) for one in plain.candidates
    ]
    assert reload(engine, search).state == SearchState.RUNNING


def test_a_second_look_that_fails_leaves_what_was_there(engine: Engine, plain: Finished) -> None:
    search = run(engine, submit(engine, **again()), fails=lambda one: one.protocol["training"]["seed"] == 1)
    assert [(one.state, one.metrics) for one in candidates(engine, search)] == [
        (one.state, one.metrics) for one in plain.candidates
    ]
    assert {many[-1].state for many in stages(engine, search).values()} == {StageState.FAILED}
    assert search.state == SearchState.FINISHED


def cancel(engine: Engine, search: Search) -> None:
    with UnitOfWork(engine) as work:
        locked = work.searches.lock(DEFAULT_TEAM_ID, search.id)
        assert locked is not None
        work.searches.end(locked, SearchState.CANCELLED, "cancelled on request")
        work.evaluations.cancel_unwanted(search.id)
        work.commit()


def test_cancelling_a_second_look_keeps_the_front_and_computes_nothing_more(engine: Engine, plain: Finished) -> None:
    search = begun(engine)
    cancel(engine, search)
    assert pending(engine) == []
    assert [(one.state, one.metrics, one.on_front) for one in candidates(engine, search)] == [
        (one.state, one.metrics, one.on_front) for one in plain.candidates
    ]
    assert {many[-1].state for many in stages(engine, search).values()} == {StageState.CANCELLED}


def test_what_another_search_looks_at_again_is_not_cancelled_with_this_one(engine: Engine) -> None:
    search, other = submit(engine, **again()), submit(engine, **again())
    advance_all(engine)
    while reload(engine, search).reevaluation is None or reload(engine, other).reevaluation is None:
        settle(engine, pending(engine))
        advance_all(engine)
    n_pending = len(pending(engine))
    cancel(engine, search)
    assert len(pending(engine)) == n_pending > 0


def test_a_second_look_that_was_given_up_too_soon_is_revived(engine: Engine) -> None:
    search = begun(engine)
    with UnitOfWork(engine) as work:
        waiting = update(Evaluation).where(Evaluation.state == EvaluationState.PENDING)
        work.session.execute(waiting.values(state=EvaluationState.CANCELLED))
        work.commit()
    sweep(engine, SETTINGS)
    assert run(engine, search).state == SearchState.FINISHED


def test_wall_time_ends_a_second_look_with_the_front_as_it_was(engine: Engine) -> None:
    search = begun(engine)
    with UnitOfWork(engine) as work:
        work.session.execute(update(Search).values(deadline_at=text("now() - interval '1 second'")))
        work.commit()
    advance_all(engine)
    found = reload(engine, search)
    assert (found.state, found.reason) == (SearchState.FINISHED, "the wall time of its budget is used up")
    assert {one.state for one in candidates(engine, search)} == {CandidateState.EVALUATED}
    assert pending(engine) == []


def test_a_staged_search_is_looked_at_again_too(engine: Engine) -> None:
    search = run(engine, submit(engine, algorithm={**SPEC["algorithm"], "reevaluate": {}}))
    of_candidates = stages(engine, search)
    members = [one for one in candidates(engine, search) if one.on_front]
    assert members
    for one in members:
        assert [s.kind for s in of_candidates[one.id]] == ["early", "early", "full", "again"]
    assert {one.state for one in candidates(engine, search)} == {CandidateState.EVALUATED, CandidateState.STOPPED}


GRID: dict[str, Any] = {
    "space": {"qubits": [3, 4], "layers": [1, 2, 3], "topology": ["none", "linear", "star"]},
    "algorithm": {"name": "grid", "population": 6, "reevaluate": {"factor": 2}},
}


@pytest.mark.parametrize("training", [{"epochs": EPOCHS}, SPEC["training"]], ids=["at once", "in stages"])
def test_a_grid_is_gone_through_to_its_end_before_its_front_is_looked_at_again(
    engine: Engine, training: dict[str, Any]
) -> None:
    found = finished(engine, training=training, **GRID)
    assert (found.search.n_settled, found.search.generation) == (18, 2)
    assert (found.search.reason or "").startswith("its grid is used up: all 18 architectures were proposed; the front ")
    assert found.search.reevaluation is not None
    assert found.search.reevaluation["rounds"][-1]["hypervolume"] == found.search.hypervolume > 0
    for one in found.candidates:
        assert not one.on_front or found.stages[one.id][-1].kind == "again"


def test_the_reference_point_of_a_grid_is_taken_from_all_of_it_before_the_second_look(engine: Engine) -> None:
    found = finished(engine, training={"epochs": EPOCHS}, **GRID)
    firsts = [found.stages[one.id][0] if one.id in found.stages else one for one in found.candidates]
    losses = [tuple(sign * (one.metrics or {})[name]["value"] for name, sign in SIGNS.items()) for one in firsts]
    expected = dict(zip(SIGNS, reference_point(losses), strict=True))
    assert found.search.reference_point == {name: SIGNS[name] * value for name, value in expected.items()}


SIGNS = {"validation_accuracy": -1, "expressibility": 1}


def test_better_estimates_come_with_their_replicates(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_replicates(digest: str, protocol: dict[str, Any]) -> dict[str, Any]:
        result = result_of(digest, protocol)
        n = protocol["training"]["replicates"]
        result["metrics"]["validation_accuracy"]["per_replicate"] = [0.5] * n
        return result

    monkeypatch.setattr(made_up, "result_of", with_replicates)
    found = finished(engine, **again(factor=3))
    for one in found.candidates:
        shown = (one.metrics or {})["validation_accuracy"]
        assert shown.get("per_replicate") == ([0.5] * 3 if one.id in found.stages else None)
