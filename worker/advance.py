"""One step of a search, in one transaction on its locked row. A step that is repeated finds nothing left to do.

begin      the engine of each qubit count is chosen, for all attempts alike
tell       results of evaluations → candidates, and the front moves
select     once no candidate of the generation waits: the survivors
propose    the next generation; or the search ends
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import structlog

from models import Candidate, Evaluation, Search, UnitOfWork
from models.candidates import Front, Told
from models.states import CandidateState, EvaluationState, SearchState
from nas.algorithms import (
    Member,
    contenders,
    hypervolume,
    losses_of,
    non_dominated,
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
from nas.spec import InvalidSpec, Protocol, SearchSpec, parse_stored
from worker.fleet import calibrated_workers

log = structlog.get_logger()

_SHOWN = ("value", "std_error", "unit", "version")


def advance(work: UnitOfWork, search: Search, *, worker_timeout_s: float) -> None:
    """Takes a locked, open search as far as what is known allows. The caller commits."""
    try:
        spec = parse_stored(search.spec)
    except InvalidSpec as problem:
        return _end(work, search, SearchState.FAILED, f"this version of hqnas cannot read its spec: {problem}")
    versions = proposal_versions()
    if search.state == SearchState.QUEUED:
        try:
            workers = calibrated_workers(work, spec.device, timeout_s=worker_timeout_s)
            engines = {str(qubits): engine for qubits, engine in choose_engines(spec, workers).items()}
        except NothingHolds as problem:
            return work.searches.postpone(search, str(problem))
        work.searches.begin(search, wall_time_s=spec.budget.wall_time, versions=versions, engines=engines)
        log.info("search_started", search_id=str(search.id), name=search.name, engines=engines)
    elif search.versions != versions:
        return _end(
            work,
            search,
            SearchState.FAILED,
            f"it began under {_shown(search.versions)}, and this controller has {_shown(versions)}, which would "
            "propose other candidates; submit it again: what was evaluated is reused",
        )
    _tell(work, search, spec)
    if work.candidates.count_waiting(search.id) == 0:
        _complete_generation(work, search, spec)
    if search.state == SearchState.RUNNING and work.searches.is_overdue(search):
        _end(work, search, SearchState.FINISHED, "the wall time of its budget is used up")
    work.searches.touch(search)
    return None


def _tell(work: UnitOfWork, search: Search, spec: SearchSpec) -> None:
    outcomes = [_outcome(candidate, evaluation, spec) for candidate, evaluation in work.candidates.untold(search.id)]
    if not outcomes:
        return
    work.candidates.tell(search, outcomes)
    # The contenders and the news are all that a front can consist of, in whichever order results land.
    rows = work.candidates.contenders(search.id)
    news = [
        _Point(told.candidate_id, losses_of(spec, told.objectives), std_errors_of(spec, told.metrics or {}))
        for told in outcomes
        if told.objectives is not None and told.violation == 0
    ]
    points = _chosen([*(_Point.of(row, spec) for row in rows), *news], spec, contenders)
    front = _chosen(points, spec, non_dominated)
    work.candidates.move_front(
        search.id,
        before=Front(frozenset(row.id for row in rows if row.on_front), frozenset(row.id for row in rows)),
        after=Front(frozenset(one.candidate_id for one in front), frozenset(one.candidate_id for one in points)),
    )
    search.n_front = len(front)
    ids = {point.candidate_id for point in front}
    told = [outcome.candidate_id for outcome in outcomes]
    work.evaluations.drop_weights([one for one in (*(row.id for row in rows), *told) if one not in ids])
    _measure_front(search, spec, [point.losses for point in points])


@dataclass(frozen=True, slots=True)
class _Point:
    """A feasible candidate among the others."""

    candidate_id: uuid.UUID
    losses: tuple[float, ...]
    std_errors: tuple[float, ...]

    @classmethod
    def of(cls, candidate: Candidate, spec: SearchSpec) -> Self:
        return cls(candidate.id, _losses(candidate, spec), std_errors_of(spec, candidate.metrics or {}))


def _chosen(points: list[_Point], spec: SearchSpec, which: Callable[..., list[bool]]) -> list[_Point]:
    std_errors = None if spec.algorithm.noise == "ignore" else [point.std_errors for point in points]
    are_chosen = which([point.losses for point in points], std_errors)
    return [point for point, is_chosen in zip(points, are_chosen, strict=True) if is_chosen]


def _outcome(candidate: Candidate, evaluation: Evaluation, spec: SearchSpec) -> Told:
    if evaluation.state == EvaluationState.FAILED or evaluation.result is None:
        error = {key: (evaluation.error or {}).get(key) for key in ("class", "message")}
        return Told(candidate.id, objectives=None, violation=None, metrics=None, error=error)
    metrics: dict[str, dict[str, Any]] = evaluation.result["metrics"]
    values = {name: measured["value"] for name, measured in metrics.items()}
    return Told(
        candidate.id,
        objectives=objectives_of(spec, values),
        violation=violation_of(spec, values),
        metrics={name: _shown_of(measured) for name, measured in metrics.items()},
        error=None,
    )


def _shown_of(measured: dict[str, Any]) -> dict[str, Any]:
    # With its replicates, so that an analysis of a whole search reads them without asking for each candidate.
    replicates = measured.get("per_replicate", [])
    return {key: measured[key] for key in _SHOWN} | ({"per_replicate": replicates} if len(replicates) > 1 else {})


def _complete_generation(work: UnitOfWork, search: Search, spec: SearchSpec) -> None:
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
        log.info("generation_completed", search_id=str(search.id), generation=search.generation)
        if search.n_failed == search.n_settled:
            errors = [candidate.error for candidate in candidates if candidate.error]
            reason = f"none of its {search.n_settled} candidates could be evaluated; the last said: "
            return _end(work, search, SearchState.FAILED, reason + str(errors[-1].get("message") if errors else ""))
    generation = 0 if search.generation is None else search.generation + 1
    return _propose(work, search, spec, generation=generation, survivors=survivors)


def _propose(work: UnitOfWork, search: Search, spec: SearchSpec, *, generation: int, survivors: list[Member]) -> None:
    is_grid = spec.algorithm.name == "grid"
    if not is_grid and generation == spec.n_generations:
        return _end(work, search, SearchState.FINISHED, f"all {generation} generations are done")
    if search.n_candidates == spec.budget.evaluations:
        if is_grid:
            _set_reference_of_grid(work, search, spec)
        return _end(work, search, SearchState.FINISHED, f"its budget of {spec.n_planned} evaluations is used up")
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
        if is_grid:
            _set_reference_of_grid(work, search, spec)
        reason = (
            f"its {'grid' if is_grid else 'space'} is used up: all {search.n_candidates} architectures were proposed"
        )
        return _end(work, search, SearchState.FINISHED, reason)
    work.candidates.propose(search, generation, [_row(work, search, spec, genome) for genome in genomes])
    log.info("generation_proposed", search_id=str(search.id), generation=generation, n_candidates=len(genomes))
    # Results that were there before are told in the next step, which follows at once.
    work.ring()
    return None


def _row(work: UnitOfWork, search: Search, spec: SearchSpec, genome: Genome) -> dict[str, Any]:
    # A search that began under a version without `auto` has no engines in its row, and names one in its spec.
    protocol = Protocol.from_spec(spec, engine=(search.engines or {}).get(str(genome.qubits)))
    evaluation_id, is_cached = work.evaluations.want(
        search,
        genome=genome.to_json(),
        genome_digest=genome.digest,
        protocol=protocol.to_json(),
        protocol_digest=protocol.digest,
        device=spec.device,
        engine=protocol.engine,
        qubits=genome.qubits,
        priority=spec.priority,
    )
    return {
        "genome": genome.to_json(),
        "digest": genome.digest,
        "evaluation_id": evaluation_id,
        "is_cached": is_cached,
    }


def _set_reference(work: UnitOfWork, search: Search, spec: SearchSpec, members: list[Member]) -> None:
    feasible = [member.losses for member in members if member.is_feasible and member.losses is not None]
    if search.reference_point is not None or not feasible:
        return
    point = losses_of(spec, list(reference_point(feasible)))
    search.reference_point = {objective.metric: value for objective, value in zip(spec.objectives, point, strict=True)}
    _measure_front(search, spec, [_losses(candidate, spec) for candidate in work.candidates.contenders(search.id)])


def _set_reference_of_grid(work: UnitOfWork, search: Search, spec: SearchSpec) -> None:
    # Its first generation is a corner of the space, which says nothing of how bad the rest may be.
    _set_reference(work, search, spec, [_member(candidate, spec) for candidate in work.candidates.measured(search.id)])


def _measure_front(search: Search, spec: SearchSpec, losses: list[tuple[float, ...]]) -> None:
    # Of the values, which the contenders have the best of: the front leaves out what is better by noise alone, and its
    # hypervolume could fall.
    if search.reference_point is not None:
        reference = [search.reference_point[objective.metric] for objective in spec.objectives]
        search.hypervolume = hypervolume(losses, losses_of(spec, reference))


def _member(candidate: Candidate, spec: SearchSpec) -> Member:
    is_measured = candidate.state == CandidateState.EVALUATED
    return Member(
        genome=Genome.from_json(candidate.genome),
        losses=_losses(candidate, spec) if is_measured else None,
        violation=candidate.violation or 0.0,
        std_errors=std_errors_of(spec, candidate.metrics or {}) if is_measured else None,
    )


def _losses(candidate: Candidate, spec: SearchSpec) -> tuple[float, ...]:
    assert candidate.objectives is not None
    return losses_of(spec, candidate.objectives)


def _end(work: UnitOfWork, search: Search, state: SearchState, reason: str) -> None:
    work.searches.end(search, state, reason)
    work.evaluations.cancel_unwanted(search.id)
    work.evaluations.drop_weights_of(search.id)
    log.info("search_ended", search_id=str(search.id), state=str(state), reason=reason)


def _shown(versions: dict[str, Any] | None) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted((versions or {}).items()))
