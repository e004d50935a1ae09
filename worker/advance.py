"""One step of a search, in one transaction on its locked row. A step that is repeated finds nothing left to do.

begin        the engine of each qubit count is chosen, for all attempts alike
tell         results of evaluations → candidates, and the front moves; with early stages, some go on to the next;
             a search too many of whose candidates kill their processes ends here
select       once no candidate of the generation waits: the survivors
propose      the next generation; or the search ends
re-evaluate  at the end, if the spec asks for it: the front is measured again until it is stable
"""

from typing import Any

import structlog

from models import Candidate, Evaluation, Search, UnitOfWork
from models.base import new_id
from models.candidates import Told
from models.evaluations import CRASHED
from models.states import CandidateState, EvaluationState, SearchState
from nas.algorithms import (
    Member,
    losses_of,
    objectives_of,
    proposal_versions,
    propose,
    reference_point,
    select,
    std_errors_of,
    violation_of,
)
from nas.calibration import NothingHolds, choose_engines
from nas.space import Genome
from nas.spec import InvalidSpec, SearchSpec, parse_stored
from nas.spec.fidelity import stage_plans
from worker.circuit_breaker import broken_circuit
from worker.fault_points import FaultPoint, Reach, unharmed
from worker.fleet import calibrated_workers
from worker.front import losses_of_row, measure_front, move_front, redraw_front
from worker.reevaluation import begin_reevaluation, go_on_reevaluating
from worker.stages import engine_of, open_first_stages, open_next_stages, shown, shown_error, tell_stages, want

log = structlog.get_logger()


def advance(work: UnitOfWork, search: Search, *, worker_timeout_s: float, reach: Reach = unharmed) -> None:
    """Takes a locked, open search as far as what is known allows. The caller commits."""
    try:
        spec = parse_stored(search.spec)
    except InvalidSpec as problem:
        return _end(work, search, SearchState.FAILED, f"this version of hqnas cannot read its spec: {problem}")
    versions = proposal_versions(spec)
    if search.state == SearchState.QUEUED:
        try:
            workers = calibrated_workers(work, spec.device, timeout_s=worker_timeout_s)
            engines = {str(qubits): engine for qubits, engine in choose_engines(spec, workers).items()}
        except NothingHolds as problem:
            return work.searches.postpone(search, str(problem))
        work.searches.begin(search, wall_time_s=spec.budget.wall_time, versions=versions, engines=engines)
        reach(FaultPoint.ADVANCE_BEGUN)
        log.info("search_started", search_id=str(search.id), name=search.name, engines=engines)
    elif search.versions != versions:
        return _end(
            work,
            search,
            SearchState.FAILED,
            f"it began under {_shown(search.versions)}, and this controller has {_shown(versions)}, which would "
            "propose other candidates; submit it again: what was evaluated is reused",
        )
    has_crashed = _tell(work, search, spec)
    reach(FaultPoint.ADVANCE_TOLD)
    if has_crashed and (reason := broken_circuit(work, search.id)) is not None:
        _end(work, search, SearchState.FAILED, reason)
    elif search.reevaluation is not None:
        _reevaluate(work, search, spec)
    elif work.candidates.count_waiting(search.id) == 0:
        _complete_generation(work, search, spec, reach)
    if search.state == SearchState.RUNNING and work.searches.is_overdue(search):
        if spec.algorithm.name == "grid":
            _set_reference_of_grid(work, search, spec)
        _end(work, search, SearchState.FINISHED, "the wall time of its budget is used up")
    work.searches.touch(search)
    return None


def _tell(work: UnitOfWork, search: Search, spec: SearchSpec) -> bool:
    """Tells what has been measured, and returns whether some of it had kept killing its process."""
    untold = work.candidates.untold(search.id)
    settled, onward = tell_stages(work, search, spec, untold)
    outcomes = [_outcome(candidate, evaluation, spec) for candidate, evaluation in settled]
    behind = []
    if outcomes:
        work.candidates.tell(search, outcomes)
        behind = move_front(work, search, spec, outcomes)
    open_next_stages(work, search, spec, onward)
    # Also of those on the front: what their early stages fitted serves nobody any more.
    work.weights.drop([*behind, *(candidate.id for candidate, _ in untold)])
    return any(told.error is not None and told.error["class"] == CRASHED for told in outcomes)


def _outcome(candidate: Candidate, evaluation: Evaluation, spec: SearchSpec) -> Told:
    if evaluation.state == EvaluationState.FAILED or evaluation.result is None:
        return Told(candidate.id, objectives=None, violation=None, metrics=None, error=shown_error(evaluation))
    metrics = shown(evaluation)
    values = {name: measured["value"] for name, measured in metrics.items()}
    return Told(
        candidate.id,
        objectives=objectives_of(spec, values),
        violation=violation_of(spec, values),
        metrics=metrics,
        error=None,
    )


def _complete_generation(work: UnitOfWork, search: Search, spec: SearchSpec, reach: Reach) -> None:
    survivors: list[Member] = []
    if search.generation is not None:
        work.session.flush()
        candidates = work.candidates.parents_and_offspring(search)
        members = [_member(candidate, spec) for candidate in candidates]
        if spec.algorithm.name != "grid":
            _set_reference(work, search, spec, members)
        chosen = select(spec, generation=search.generation, members=members)
        work.candidates.set_survivors(search.id, [candidates[i].id for i in chosen])
        survivors = [members[i] for i in chosen]
        work.searches.add_generation(search, search.generation)
        reach(FaultPoint.ADVANCE_SELECTED)
        log.info("generation_completed", search_id=str(search.id), generation=search.generation)
        if search.n_failed == search.n_settled:
            errors = [candidate.error for candidate in candidates if candidate.error]
            reason = f"none of its {search.n_settled} candidates could be evaluated; the last said: "
            return _end(work, search, SearchState.FAILED, reason + str(errors[-1].get("message") if errors else ""))
    generation = 0 if search.generation is None else search.generation + 1
    _propose(work, search, spec, generation=generation, survivors=survivors)
    return reach(FaultPoint.ADVANCE_PROPOSED)


def _propose(work: UnitOfWork, search: Search, spec: SearchSpec, *, generation: int, survivors: list[Member]) -> None:
    is_grid = spec.algorithm.name == "grid"
    if not is_grid and generation == spec.n_generations:
        return _finish(work, search, spec, f"all {generation} generations are done")
    if search.n_candidates == spec.budget.evaluations:
        return _finish(work, search, spec, f"its budget of {spec.n_planned} evaluations is used up")
    genomes = propose(
        spec,
        generation=generation,
        survivors=survivors,
        seen=work.candidates.digests(search.id),
        n_proposed=search.n_candidates,
    )
    if not genomes and generation == 0:
        reason = "no architecture of its space can be built and satisfies the constraints on exact costs"
        return _end(work, search, SearchState.FAILED, reason)
    if not genomes:
        reason = (
            f"its {'grid' if is_grid else 'space'} is used up: all {search.n_candidates} architectures were proposed"
        )
        return _finish(work, search, spec, reason)
    rows = [_row(work, search, spec, genome) for genome in genomes]
    work.candidates.propose(search, generation, [row for row, _ in rows])
    open_first_stages(work, search, spec, [{**row, "has_result": has_result} for row, has_result in rows])
    log.info("generation_proposed", search_id=str(search.id), generation=generation, n_candidates=len(genomes))
    # Results that were there before are told in the next step, which follows at once.
    work.ring()
    return None


def _row(work: UnitOfWork, search: Search, spec: SearchSpec, genome: Genome) -> tuple[dict[str, Any], bool]:
    """Returns the values of a candidate, and whether its first result is there already."""
    first = stage_plans(spec, engine=engine_of(search, genome))[0]
    evaluation_id, has_result = want(work, search, spec, genome, first.protocol)
    return {
        "id": new_id(),
        "genome": genome.to_json(),
        "digest": genome.digest,
        "evaluation_id": evaluation_id,
        # With stages, it is only known at the end whether all results had been there.
        "is_cached": has_result and spec.training.stages is None,
    }, has_result


def _finish(work: UnitOfWork, search: Search, spec: SearchSpec, reason: str) -> None:
    """Ends a search that has nothing left to propose, or lets it measure its front again first."""
    if spec.algorithm.name == "grid":
        _set_reference_of_grid(work, search, spec)
    if not begin_reevaluation(work, search, spec, reason):
        _end(work, search, SearchState.FINISHED, reason)


def _reevaluate(work: UnitOfWork, search: Search, spec: SearchSpec) -> None:
    ended = go_on_reevaluating(work, search, spec, outcome=_outcome, redraw=redraw_front)
    if ended is not None:
        _end(work, search, SearchState.FINISHED, ended)


def _set_reference(work: UnitOfWork, search: Search, spec: SearchSpec, members: list[Member]) -> None:
    feasible = [member.losses for member in members if member.is_feasible and member.losses is not None]
    if search.reference_point is not None or not feasible:
        return
    point = losses_of(spec, list(reference_point(feasible)))
    search.reference_point = {objective.metric: value for objective, value in zip(spec.objectives, point, strict=True)}
    measure_front(search, spec, [losses_of_row(candidate, spec) for candidate in work.candidates.contenders(search.id)])


def _set_reference_of_grid(work: UnitOfWork, search: Search, spec: SearchSpec) -> None:
    # Its first generation is a corner of the space, which says nothing of how bad the rest may be.
    _set_reference(work, search, spec, [_member(candidate, spec) for candidate in work.candidates.measured(search.id)])


def _member(candidate: Candidate, spec: SearchSpec) -> Member:
    is_measured = candidate.state == CandidateState.EVALUATED
    return Member(
        genome=Genome.from_json(candidate.genome),
        losses=losses_of_row(candidate, spec) if is_measured else None,
        violation=candidate.violation or 0.0,
        std_errors=std_errors_of(spec, candidate.metrics or {}) if is_measured else None,
    )


def _end(work: UnitOfWork, search: Search, state: SearchState, reason: str) -> None:
    work.searches.end(search, state, reason)
    work.evaluations.cancel_unwanted(search.id)
    work.weights.drop_of(search.id)
    log.info("search_ended", search_id=str(search.id), state=str(state), reason=reason)


def _shown(versions: dict[str, Any] | None) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted((versions or {}).items()))
