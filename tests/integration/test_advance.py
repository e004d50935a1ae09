"""The controller's steps over a real database, with made-up results: what is told, selected, proposed, and ended."""

import dataclasses
import hashlib
import itertools
import threading
import time
import types
import uuid
from typing import Any

import pytest
from calibrations import calibration
from sqlalchemy import Engine, select, text, update

from config.settings import Settings
from models import Candidate, Evaluation, Search, UnitOfWork
from models.states import CandidateState, EvaluationState, SearchState
from models.tables import DEFAULT_TEAM_ID, Generation, Worker
from nas.algorithms import generation, hypervolume, losses_of, non_dominated, std_errors_of
from nas.calibration import Calibration
from nas.spec import METRICS, parse_spec
from worker import controller
from worker.controller import advance_one

SPEC: dict[str, Any] = {
    "name": "test",
    "dataset": {"name": "iris"},
    "space": {
        "qubits": {"min": 2, "max": 5},
        "layers": {"min": 1, "max": 5},
        "topology": ["none", "linear", "ring"],
        "learning_rate": {"min": 1e-3, "max": 0.1, "log": True},
    },
    "objectives": [{"metric": "validation_accuracy"}, {"metric": "expressibility"}],
    "constraints": [{"metric": "gradient_variance", "at_least": -1.5}],
    "algorithm": {"population": 6, "generations": 3},
    "engine": "default.qubit",
}
SETTINGS = Settings()


def submit(engine: Engine, /, **changes: Any) -> Search:
    spec = parse_spec({**SPEC, **changes})
    with UnitOfWork(engine) as work:
        search, _ = work.searches.submit(
            DEFAULT_TEAM_ID, name=spec.name, spec=spec.model_dump(mode="json"), idempotency_key=None
        )
        work.commit()
        return search


def reload(engine: Engine, search: Search) -> Search:
    with UnitOfWork(engine) as work:
        return work.session.get_one(Search, search.id)


def result_of(digest: str) -> dict[str, Any]:
    """Returns made-up metrics that depend on the genome alone; counts are integers, as in real results."""
    a, b, c, d, e = (byte / 255 for byte in hashlib.sha256(digest.encode()).digest()[:5])
    values: dict[str, float] = {"validation_accuracy": a, "expressibility": b, "gradient_variance": -2 * c}
    values["two_qubit_gates"] = round(10 * a)
    errors = {"validation_accuracy": d / 4, "expressibility": e / 4, "gradient_variance": 0.1}
    return {
        "metrics": {
            name: {"value": value, "std_error": errors.get(name, "exact"), "unit": "", "version": 1}
            for name, value in values.items()
        }
    }


def work_off(engine: Engine, *, fail_from: int = 256, limit: int | None = None) -> int:
    """Plays the workers: settles pending evaluations, those with a high first byte as failures; returns how many."""
    with UnitOfWork(engine) as work:
        pending = select(Evaluation).where(Evaluation.state == EvaluationState.PENDING).order_by(Evaluation.sequence)
        evaluations = list(work.session.scalars(pending.limit(limit)))
        for evaluation in evaluations:
            (claim,) = work.evaluations.claim([evaluation.id], worker="w", lease_s=60)
            if bytes.fromhex(evaluation.genome_digest)[0] >= fail_from:
                work.evaluations.fail(claim, {"class": "Broken", "message": "it broke", "traceback": "…"})
            else:
                work.evaluations.succeed(claim, result_of(evaluation.genome_digest))
        work.commit()
    return len(evaluations)


def advance_all(engine: Engine) -> None:
    while advance_one(engine, SETTINGS):
        pass


def run(engine: Engine, search: Search, **options: Any) -> Search:
    advance_all(engine)
    while work_off(engine, **options):
        advance_all(engine)
    return reload(engine, search)


def candidates(engine: Engine, search: Search) -> list[Candidate]:
    with UnitOfWork(engine) as work:
        statement = select(Candidate).where(Candidate.search_id == search.id)
        return list(work.session.scalars(statement.order_by(Candidate.generation, Candidate.index)))


def test_a_search_goes_through_all_generations_and_finishes(engine: Engine) -> None:
    search = run(engine, submit(engine))
    assert (search.state, search.reason) == (SearchState.FINISHED, "all 3 generations are done")
    assert (search.n_candidates, search.n_settled, search.generation) == (18, 18, 2)


def test_an_exact_count_beside_a_measured_objective_is_told(engine: Engine) -> None:
    objectives = [{"metric": "validation_accuracy"}, {"metric": "two_qubit_gates"}]
    assert run(engine, submit(engine, objectives=objectives)).state == SearchState.FINISHED


def expected_front(engine: Engine, search: Search, *, has_noise: bool) -> set[uuid.UUID]:
    """Returns the ids of the non-dominated candidates, recomputed from all rows."""
    spec = parse_spec(SPEC)
    feasible = [one for one in candidates(engine, search) if one.violation == 0 and one.objectives is not None]
    losses = [losses_of(spec, one.objectives or []) for one in feasible]
    errors = [std_errors_of(spec, one.metrics or {}) for one in feasible] if has_noise else None
    return {one.id for one, is_kept in zip(feasible, non_dominated(losses, errors), strict=True) if is_kept}


def front_ids(engine: Engine, search: Search) -> set[uuid.UUID]:
    return {one.id for one in candidates(engine, search) if one.on_front}


def test_hypervolume_is_that_of_the_best_values(engine: Engine) -> None:
    search = run(engine, submit(engine))
    spec = parse_spec(SPEC)
    feasible = [one for one in candidates(engine, search) if one.violation == 0 and one.objectives is not None]
    reference = [(search.reference_point or {})[objective.metric] for objective in spec.objectives]
    losses = [losses_of(spec, one.objectives or []) for one in feasible]
    assert search.hypervolume == pytest.approx(hypervolume(losses, losses_of(spec, reference)))


@pytest.mark.parametrize("limit", [None, 1])
def test_the_front_is_the_non_dominated_set_of_all_feasible_candidates(engine: Engine, limit: int | None) -> None:
    search = run(engine, submit(engine), limit=limit)
    expected = expected_front(engine, search, has_noise=True)
    assert front_ids(engine, search) == expected
    assert search.n_front == len(expected) > 1
    assert expected != expected_front(engine, search, has_noise=False)


def test_noise_can_be_ignored(engine: Engine) -> None:
    search = run(engine, submit(engine, algorithm={"population": 6, "generations": 3, "noise": "ignore"}))
    expected = expected_front(engine, search, has_noise=False)
    assert front_ids(engine, search) == expected != expected_front(engine, search, has_noise=True)


def test_a_search_stored_before_noise_counted_ignores_it(engine: Engine) -> None:
    search = submit(engine)
    with UnitOfWork(engine) as work:
        work.session.execute(update(Search).values(spec=Search.spec.op("#-")(text("'{algorithm,noise}'"))))
        work.commit()
    search = run(engine, search)
    assert search.state == SearchState.FINISHED
    assert front_ids(engine, search) == expected_front(engine, search, has_noise=False)


def test_the_front_and_its_revision_move_while_a_generation_is_under_way(engine: Engine) -> None:
    search = submit(engine)
    advance_all(engine)
    before = reload(engine, search)
    work_off(engine, limit=3)
    advance_all(engine)
    after = reload(engine, search)
    assert (after.n_settled, after.generation) == (3, 0)
    assert after.revision > before.revision


def test_the_order_of_results_does_not_change_the_candidates(engine: Engine) -> None:
    in_one_go = candidates(engine, run(engine, submit(engine)))
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE candidates, generations, evaluations, searches CASCADE"))
    one_by_one = candidates(engine, run(engine, submit(engine), limit=1))
    assert [one.digest for one in in_one_go] == [one.digest for one in one_by_one]
    assert [one.on_front for one in in_one_go] == [one.on_front for one in one_by_one]


def test_a_failed_evaluation_makes_its_candidate_infeasible_and_says_why(engine: Engine) -> None:
    search = run(engine, submit(engine), fail_from=128)
    failed = [one for one in candidates(engine, search) if one.state == CandidateState.FAILED]
    assert len(failed) == search.n_failed > 0
    assert all(one.objectives is None and not one.on_front for one in failed)
    assert failed[0].error == {"class": "Broken", "message": "it broke"}


def test_a_search_of_which_nothing_can_be_evaluated_fails_with_the_reason(engine: Engine) -> None:
    search = run(engine, submit(engine), fail_from=0)
    assert search.state == SearchState.FAILED
    assert search.reason == "none of its 6 candidates could be evaluated; the last said: it broke"


def test_a_broken_measured_constraint_keeps_a_candidate_off_the_front(engine: Engine) -> None:
    search = run(engine, submit(engine))
    broken = [one for one in candidates(engine, search) if one.violation]
    assert broken
    assert not any(one.on_front for one in broken)


def test_the_budget_is_exact(engine: Engine) -> None:
    search = run(engine, submit(engine, budget={"evaluations": 8}))
    assert (search.n_candidates, search.reason) == (8, "its budget of 8 evaluations is used up")


def test_wall_time_ends_a_search_and_cancels_what_waits(engine: Engine) -> None:
    search = submit(engine, budget={"wall_time": "1h"})
    advance_all(engine)
    with UnitOfWork(engine) as work:
        work.session.execute(update(Search).values(deadline_at=text("now() - interval '1 second'")))
        work.commit()
    advance_all(engine)
    assert reload(engine, search).state == SearchState.FINISHED
    assert {one.state for one in candidates(engine, search)} == {CandidateState.CANCELLED}
    assert work_off(engine) == 0


def test_a_space_that_is_used_up_ends_the_search(engine: Engine) -> None:
    search = run(engine, submit(engine, space={"qubits": [2, 3], "layers": [1, 2]}))
    assert (search.n_candidates, search.reason) == (4, "its space is used up: all 4 architectures were proposed")


GRID: dict[str, Any] = {
    "space": {"qubits": [2, 3, 4], "layers": [1, 2, 3]},
    "algorithm": {"name": "grid", "population": 4},
}


@pytest.mark.parametrize("limit", [None, 1])
def test_a_grid_is_gone_through_and_has_a_front_like_any_search(engine: Engine, limit: int | None) -> None:
    search = run(engine, submit(engine, **GRID), limit=limit)
    assert (search.state, search.reason) == (
        SearchState.FINISHED,
        "its grid is used up: all 9 architectures were proposed",
    )
    rows = candidates(engine, search)
    assert [(one.genome["qubits"], one.genome["layers"]) for one in rows] == [
        (q, n) for q in (2, 3, 4) for n in (1, 2, 3)
    ]
    assert [one.generation for one in rows] == [0] * 4 + [1] * 4 + [2]
    assert front_ids(engine, search) == expected_front(engine, search, has_noise=True)


def test_the_reference_of_a_grid_is_worse_than_all_of_it(engine: Engine) -> None:
    search = run(engine, submit(engine, **GRID))
    point = search.reference_point
    assert point is not None
    assert search.hypervolume
    feasible = [one.objectives for one in candidates(engine, search) if one.objectives and one.violation == 0]
    assert all(point["validation_accuracy"] < accuracy for accuracy, _ in feasible)
    assert all(point["expressibility"] > expressibility for _, expressibility in feasible)


def test_a_grid_that_runs_out_of_time_has_a_hypervolume_of_what_it_went_through(engine: Engine) -> None:
    search = submit(engine, **GRID, budget={"wall_time": "1h"})
    advance_all(engine)
    work_off(engine)
    advance_all(engine)
    with UnitOfWork(engine) as work:
        work.session.execute(update(Search).values(deadline_at=text("now() - interval '1 second'")))
        work.commit()
    advance_all(engine)
    search = reload(engine, search)
    assert search.reason == "the wall time of its budget is used up"
    assert search.hypervolume


def test_replicates_are_told_with_their_candidate(engine: Engine) -> None:
    search = submit(engine, **GRID)
    advance_all(engine)
    with UnitOfWork(engine) as work:
        (first, second) = work.session.scalars(select(Evaluation).order_by(Evaluation.sequence).limit(2))
        for evaluation, values in ((first, [0.1, 0.3]), (second, [0.2])):
            (claim,) = work.evaluations.claim([evaluation.id], worker="w", lease_s=60)
            result = result_of(evaluation.genome_digest)
            result["metrics"]["expressibility"] |= {"per_replicate": values}
            work.evaluations.succeed(claim, result)
        work.commit()
    advance_all(engine)
    told = [one.metrics or {} for one in candidates(engine, search)[:2]]
    assert told[0]["expressibility"]["per_replicate"] == [0.1, 0.3]
    assert "per_replicate" not in told[0]["validation_accuracy"]
    assert "per_replicate" not in told[1]["expressibility"]


def test_a_budget_cuts_a_grid(engine: Engine) -> None:
    search = run(engine, submit(engine, **GRID, budget={"evaluations": 5}))
    assert (search.n_candidates, search.reason) == (5, "its budget of 5 evaluations is used up")
    assert search.hypervolume


def test_a_space_that_no_architecture_satisfies_fails_with_the_reason(engine: Engine) -> None:
    search = run(engine, submit(engine, constraints=[{"metric": "gates", "at_most": 1}]))
    assert (search.state, search.n_candidates) == (SearchState.FAILED, 0)
    assert "constraints on exact costs" in (search.reason or "")


def test_the_same_search_again_is_answered_from_the_cache(engine: Engine) -> None:
    run(engine, submit(engine))
    again = submit(engine)
    advance_all(engine)
    again = reload(engine, again)
    assert (again.state, again.n_cached) == (SearchState.FINISHED, 18)


def test_hypervolume_never_falls_and_is_kept_for_each_generation(engine: Engine) -> None:
    search = run(engine, submit(engine))
    with UnitOfWork(engine) as work:
        history = work.searches.generations(search.id)
    volumes = [generation.hypervolume or 0.0 for generation in history]
    assert [generation.n_evaluations for generation in history] == [6, 12, 18]
    assert volumes == sorted(volumes)
    assert volumes[-1] == search.hypervolume


def test_a_step_rolled_back_and_repeated_gives_the_same_candidates(engine: Engine) -> None:
    search = submit(engine)
    with UnitOfWork(engine) as work:
        taken = work.searches.take_movable(worker_timeout_s=30.0)
        assert taken is not None
        controller.advance(work, taken, worker_timeout_s=30.0)
        first = list(work.session.scalars(select(Candidate.digest).order_by(Candidate.index)))
    advance_one(engine, SETTINGS)
    assert [one.digest for one in candidates(engine, search)] == first


def test_a_search_that_another_controller_advances_is_skipped(engine: Engine) -> None:
    submit(engine)
    with UnitOfWork(engine) as one, UnitOfWork(engine) as other:
        assert one.searches.take_movable(worker_timeout_s=30.0) is not None
        assert other.searches.take_movable(worker_timeout_s=30.0) is None


def go_on_under(engine: Engine, monkeypatch: pytest.MonkeyPatch, **installed: str) -> Search:
    """A search that began under what is installed, after a step under what is said."""
    search = submit(engine)
    advance_all(engine)
    genuine = generation.version
    if operators := installed.pop("operators", None):
        monkeypatch.setattr(generation, "OPERATORS_VERSION", int(operators))
    monkeypatch.setattr(generation, "version", lambda name: installed.get(name) or genuine(name))
    work_off(engine)
    advance_all(engine)
    return reload(engine, search)


def versions_here() -> str:
    versions = generation.proposal_versions(parse_spec(SPEC))
    return ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))


@pytest.mark.parametrize("installed", [{"pymoo": "0.7.0"}, {"pymoo": "1.0"}, {"numpy": "3.0.0"}, {"operators": "99"}])
def test_a_search_under_way_is_refused_by_other_operators_and_says_what_to_do(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, installed: dict[str, str]
) -> None:
    began = ", ".join(
        f"{name} {number}" for name, number in sorted(generation.proposal_versions(parse_spec(SPEC)).items())
    )
    search = go_on_under(engine, monkeypatch, **installed)
    assert search.state == SearchState.FAILED
    here = ", ".join(
        f"{name} {number}" for name, number in sorted(generation.proposal_versions(parse_spec(SPEC)).items())
    )
    assert began != here
    assert f"it began under {began}, and this controller has {here}" in (search.reason or "")
    assert "submit it again: what was evaluated is reused" in (search.reason or "")


@pytest.mark.parametrize("installed", [{"pymoo": "0.6.99"}, {"numpy": "2.99.1"}, {"numpy": "2.0.0rc1"}])
def test_a_search_under_way_goes_on_after_a_smaller_upgrade(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, installed: dict[str, str]
) -> None:
    assert go_on_under(engine, monkeypatch, **installed).generation == 1


def test_a_second_number_counts_only_before_the_first_release(monkeypatch: pytest.MonkeyPatch) -> None:
    def versions(pymoo: str) -> str:
        monkeypatch.setattr(generation, "version", lambda _: pymoo)
        return generation.proposal_versions(parse_spec(SPEC))["pymoo"]

    assert [versions(one) for one in ("0.6.2", "0.6", "1.0.1", "1.9", "2")] == ["0.6", "0.6", "1", "1", "2"]


def test_a_search_does_not_go_on_under_another_definition_of_what_it_measures(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = submit(engine)
    advance_all(engine)
    (metric, *_) = [objective.metric for objective in parse_spec(search.spec).objectives]
    monkeypatch.setitem(METRICS, metric, dataclasses.replace(METRICS[metric], version=2))
    work_off(engine)
    advance_all(engine)
    search = reload(engine, search)
    assert search.state == SearchState.FAILED
    assert f"and this controller has numpy 2, operators 2, pymoo 0.6, {metric} 2" in (search.reason or "")


def test_a_search_that_cannot_be_advanced_fails_and_the_others_go_on(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = submit(engine), submit(engine)
    genuine = controller.advance

    def advance(work: UnitOfWork, search: Search, **options: Any) -> None:
        if search.id == broken.id:
            raise ZeroDivisionError
        genuine(work, search, **options)

    monkeypatch.setattr(controller, "advance", advance)
    advance_all(engine)
    assert reload(engine, broken).state == SearchState.FAILED
    assert reload(engine, sound).state == SearchState.RUNNING


DEADLOCK = "DO $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '40P01'; END $$"


@pytest.mark.parametrize("statement", ["SELECT pg_sleep(100)", DEADLOCK])
def test_a_step_that_the_database_cuts_off_lets_the_others_go_first(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    slow, other = submit(engine), submit(engine)
    genuine = controller.advance

    def advance(work: UnitOfWork, search: Search, **options: Any) -> None:
        if search.id == slow.id:
            work.session.execute(text("SET LOCAL statement_timeout = '10ms'"))
            work.session.execute(text(statement))
        genuine(work, search, **options)

    monkeypatch.setattr(controller, "advance", advance)
    assert not advance_one(engine, SETTINGS)
    assert reload(engine, slow).state == SearchState.QUEUED
    assert advance_one(engine, SETTINGS)
    assert reload(engine, other).state == SearchState.RUNNING
    monkeypatch.undo()
    advance_all(engine)
    assert reload(engine, slow).state == SearchState.RUNNING


def test_a_step_that_was_cut_off_while_it_computed_has_more_time_the_next_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = submit(engine)
    genuine = controller.advance
    allowed: list[str] = []

    def advance(work: UnitOfWork, search: Search, **options: Any) -> None:
        allowed.append(work.session.scalar(text("SHOW idle_in_transaction_session_timeout")) or "")
        if len(allowed) == 1:
            work.allow_idle(0.01)
            time.sleep(0.5)
        genuine(work, search, **options)

    monkeypatch.setattr(controller, "advance", advance)
    slow: set[uuid.UUID] = set()
    assert not advance_one(engine, SETTINGS, slow=slow)
    assert slow == {search.id}
    assert advance_one(engine, SETTINGS, slow=slow)
    assert allowed == ["30s", "10min"]
    assert slow == set()
    assert reload(engine, search).state == SearchState.RUNNING


def test_a_step_that_was_cut_off_and_then_meets_an_error_fails_its_search(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = submit(engine)

    def advance(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(controller, "advance", advance)
    assert advance_one(engine, SETTINGS, slow={search.id})
    assert reload(engine, search).state == SearchState.FAILED


def test_evaluations_go_out_while_each_step_allows_the_next_one(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, seconds, n_steps = threading.Event(), itertools.count(step=0.1), itertools.count(1)

    class Dispatching:
        def run(self) -> None:
            stop.set()

    def advance_one(*_: Any, **__: Any) -> bool:
        assert next(n_steps) < 100, "nothing goes out"
        return True

    monkeypatch.setattr(controller, "advance_one", advance_one)
    presence: Any = types.SimpleNamespace(beat=lambda: None)
    bell: Any = types.SimpleNamespace(wait=lambda _: pytest.fail("it slept although there was something to do"))
    dispatching: Any = Dispatching()
    controller.control(engine, bell, dispatching, presence, settings, stop, monotonic=lambda: next(seconds))
    assert 1 < next(n_steps) < 100


def test_a_told_candidate_is_not_told_again(engine: Engine) -> None:
    search = run(engine, submit(engine))
    with UnitOfWork(engine) as work:
        work.session.execute(update(Evaluation).values(result=result_of("00")))
        work.commit()
    before = [one.objectives for one in candidates(engine, search)]
    advance_all(engine)
    assert [one.objectives for one in candidates(engine, search)] == before


def test_generations_are_recorded_once(engine: Engine) -> None:
    search = run(engine, submit(engine))
    with UnitOfWork(engine) as work:
        numbers = list(work.session.scalars(select(Generation.number).where(Generation.search_id == search.id)))
    assert sorted(numbers) == [0, 1, 2]


def add_worker(engine: Engine, name: str = "w", *, measured: Calibration | None = None, **about: Any) -> None:
    document = None if measured is None else measured.to_json()
    fields = {"device": "cpu", "n_slots": 1, "hardware": {}, "versions": {}, **about}
    with UnitOfWork(engine) as work:
        work.workers.register(name, calibration=document, **fields)
        work.commit()


def let_time_pass(engine: Engine) -> None:
    """Makes the searches that were looked at a moment ago due again."""
    with UnitOfWork(engine) as work:
        work.session.execute(update(Search).values(advanced_at=text("advanced_at - interval '1 minute'")))
        work.commit()


def engines_used(engine: Engine) -> dict[int, str]:
    with UnitOfWork(engine) as work:
        return {one.qubits or 0: one.protocol["engine"] for one in work.session.scalars(select(Evaluation))}


WIDE: dict[str, Any] = {"engine": "auto", "space": {"qubits": [2, 20], "layers": {"min": 1, "max": 5}}}


def test_auto_waits_for_a_worker_that_can_tell_and_says_so(engine: Engine) -> None:
    add_worker(engine, "uncalibrated")
    add_worker(engine, "of another class", device="gpu", measured=calibration(device="gpu"))
    search = submit(engine, engine="auto")
    advance_all(engine)
    found = reload(engine, search)
    assert (found.state, found.n_candidates) == (SearchState.QUEUED, 0)
    assert "start one: `hqnas worker --device cpu`" in (found.reason or "")


def test_a_search_that_waits_keeps_no_controller_busy_and_no_other_search_waiting(engine: Engine) -> None:
    waiting = submit(engine, engine="auto")
    assert advance_one(engine, SETTINGS)
    assert not advance_one(engine, SETTINGS)
    let_time_pass(engine)
    assert not advance_one(engine, SETTINGS)
    other = submit(engine)
    advance_all(engine)
    assert (reload(engine, waiting).revision, reload(engine, other).state) == (2, SearchState.RUNNING)


def test_auto_begins_once_a_calibrated_worker_is_there(engine: Engine) -> None:
    search = submit(engine, **WIDE)
    advance_all(engine)
    add_worker(engine, measured=calibration())
    let_time_pass(engine)
    advance_all(engine)
    found = reload(engine, search)
    assert (found.state, found.reason) == (SearchState.RUNNING, None)
    assert found.engines == {"2": "batched", "20": "lightning.qubit"}
    assert engines_used(engine) == {2: "batched", 20: "lightning.qubit"}


def test_a_width_that_no_worker_holds_waits_for_a_larger_worker(engine: Engine) -> None:
    add_worker(engine, measured=calibration(memory_bytes=2**24))
    search = submit(engine, **WIDE)
    advance_all(engine)
    assert "no live cpu worker has the memory for 20 qubits" in (reload(engine, search).reason or "")
    add_worker(engine, "larger", measured=calibration())
    let_time_pass(engine)
    advance_all(engine)
    assert reload(engine, search).state == SearchState.RUNNING


def test_the_choice_holds_for_the_whole_search_whatever_workers_come(engine: Engine) -> None:
    add_worker(engine, measured=calibration())
    search = submit(engine, **WIDE)
    advance_all(engine)
    add_worker(engine, measured=calibration(curves={"lightning.qubit": (1e-9, 1.0)}))
    assert run(engine, search).state == SearchState.FINISHED
    assert engines_used(engine) == {2: "batched", 20: "lightning.qubit"}


def test_two_searches_under_one_choice_share_evaluations_and_under_another_they_do_not(engine: Engine) -> None:
    add_worker(engine, measured=calibration())
    run(engine, submit(engine, engine="auto"))
    assert run(engine, submit(engine, engine="auto")).n_cached == 18
    add_worker(engine, measured=calibration(curves={"lightning.qubit": (1e-9, 1.0)}))  # the same, started anew
    assert run(engine, submit(engine, engine="auto")).n_cached == 0


def test_a_named_engine_is_kept_in_the_row_like_a_chosen_one(engine: Engine) -> None:
    search = submit(engine, engine="lightning.qubit")
    advance_all(engine)
    assert reload(engine, search).engines == {str(q): "lightning.qubit" for q in range(2, 6)}


def test_a_search_that_began_before_engines_were_kept_goes_on_with_the_named_one(engine: Engine) -> None:
    search = submit(engine)
    advance_all(engine)
    with UnitOfWork(engine) as work:
        work.session.execute(update(Search).values(engines=None))
        work.commit()
    assert run(engine, search).state == SearchState.FINISHED
    assert set(engines_used(engine).values()) == {"default.qubit"}


def test_a_calibration_that_this_version_cannot_read_is_as_good_as_none(engine: Engine) -> None:
    add_worker(engine)
    with UnitOfWork(engine) as work:
        work.session.execute(update(Worker).values(calibration={"layout": 99}))
        work.commit()
    search = submit(engine, engine="auto")
    advance_all(engine)
    assert reload(engine, search).state == SearchState.QUEUED
    assert not advance_one(engine, SETTINGS)
