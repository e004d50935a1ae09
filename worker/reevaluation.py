"""A second look at the front once the generations are done, in rounds (`algorithm.reevaluate`).

    round     the front, and what noise alone may have kept off it, less what was looked at before, is measured again
    its end   all better estimates replace the first ones at once, and the front is drawn anew from all candidates

It ends with the first round that leaves the membership as it was, that finds nothing new to look at, or that is the
last allowed. All that is looked at is measured under one protocol, with samples independent of the first ones: members
are compared on equal terms, and the luck that put one on the front does not count again. Candidates stay evaluated
meanwhile, and one whose second look fails keeps what it had.
"""

from collections.abc import Callable

import structlog

from models import Candidate, Evaluation, Search, UnitOfWork
from models.candidates import Told
from models.stages import Opened
from models.states import EvaluationState, StageState
from nas.algorithms import estimates_of, nearly_non_dominated
from nas.space import Genome
from nas.spec import SearchSpec
from nas.spec.fidelity import StageKind, again_plan, full_epochs
from worker.stages import engine_of, shown, shown_error, want

log = structlog.get_logger()

#: What an evaluation makes of a candidate, as the search sees it.
Outcome = Callable[[Candidate, Evaluation, SearchSpec], Told]

#: Draws the front anew from all rows.
Redraw = Callable[[UnitOfWork, Search, SearchSpec], None]


def begin_reevaluation(work: UnitOfWork, search: Search, spec: SearchSpec, reason: str) -> bool:
    """Starts the first round of a search that has nothing left to propose, and returns whether there is one."""
    if spec.algorithm.reevaluate is None or not search.n_front:
        return False
    search.reevaluation = {"reason": reason, "rounds": []}
    return _begin_round(work, search, spec)


def go_on_reevaluating(
    work: UnitOfWork, search: Search, spec: SearchSpec, *, outcome: Outcome, redraw: Redraw
) -> str | None:
    """Tells the results of the round under way; returns why the search has ended, or None while it has not."""
    assert search.reevaluation is not None
    assert spec.algorithm.reevaluate is not None
    for stage, evaluation in work.stages.untold(search.id):
        if evaluation.state == EvaluationState.SUCCEEDED:
            work.stages.settle(stage, StageState.PASSED, metrics=shown(evaluation))
        else:
            work.stages.settle(stage, StageState.FAILED, error=shown_error(evaluation))
    if work.stages.has_waiting(search.id):
        return None
    has_moved = _end_round(work, search, spec, outcome, redraw)
    n_rounds = len(search.reevaluation["rounds"])
    if has_moved and n_rounds < spec.algorithm.reevaluate.rounds and _begin_round(work, search, spec):
        return None
    n_looked_at = len(work.stages.looked_at(search.id, kind=StageKind.AGAIN))
    end = (
        "still moved in the last of"
        if has_moved and n_rounds == spec.algorithm.reevaluate.rounds
        else "is stable after"
    )
    rounds = f"{n_rounds} round{'s' if n_rounds > 1 else ''}"
    return f"{search.reevaluation['reason']}; the front {end} {rounds} of re-evaluation, of {n_looked_at} candidates"


def _begin_round(work: UnitOfWork, search: Search, spec: SearchSpec) -> bool:
    chosen = _to_look_at(work, search, spec)
    if not chosen:
        return False
    stages = work.stages.of_candidates(one.id for one in chosen)
    without = [one for one in chosen if one.id not in stages]
    work.stages.record_full(without, kind=StageKind.FULL, epochs=full_epochs(spec))
    opened = []
    for candidate in chosen:
        genome = Genome.from_json(candidate.genome)
        plan = again_plan(spec, engine=engine_of(search, genome))
        evaluation_id, is_cached = want(work, search, spec, genome, plan.protocol)
        number = len(stages.get(candidate.id, [candidate]))
        opened.append(Opened(candidate.id, number, evaluation_id, plan.kind, plan.epochs, is_cached))
    work.stages.open(search.id, opened)
    # Wakes the dispatcher; results that are there already are told in the next step.
    work.ring()
    log.info("reevaluation_round_began", search_id=str(search.id), n_candidates=len(chosen))
    return True


def _to_look_at(work: UnitOfWork, search: Search, spec: SearchSpec) -> list[Candidate]:
    assert spec.algorithm.reevaluate is not None
    feasible = [one for one in work.candidates.measured(search.id) if one.violation == 0]
    is_near = nearly_non_dominated(
        [estimates_of(spec, one.metrics or {}) for one in feasible],
        [one.on_front for one in feasible],
        within=spec.algorithm.reevaluate.within,
    )
    looked_at = work.stages.looked_at(search.id, kind=StageKind.AGAIN)
    return [one for one, near in zip(feasible, is_near, strict=True) if near and one.id not in looked_at]


def _end_round(work: UnitOfWork, search: Search, spec: SearchSpec, outcome: Outcome, redraw: Redraw) -> bool:
    """Replaces what was measured again, and returns whether that moved the front."""
    assert search.reevaluation is not None
    before = {one.id for one in work.candidates.front(search.id)}
    for stage, evaluation, candidate in work.stages.improvements(search.id, kind=StageKind.AGAIN):
        work.candidates.improve(outcome(candidate, evaluation, spec), stage.evaluation_id)
    redraw(work, search, spec)
    after = {one.id for one in work.candidates.front(search.id)}
    rounds = search.reevaluation["rounds"]
    n_earlier = sum(one["candidates"] for one in rounds)
    told = {
        "candidates": len(work.stages.looked_at(search.id, kind=StageKind.AGAIN)) - n_earlier,
        "entered": len(after - before),
        "left": len(before - after),
        "front_size": len(after),
        "hypervolume": search.hypervolume,
    }
    # A new value, for the column does not see what changes inside it.
    search.reevaluation = {**search.reevaluation, "rounds": [*rounds, told]}
    log.info("reevaluation_round_completed", search_id=str(search.id), **told)
    return after != before
