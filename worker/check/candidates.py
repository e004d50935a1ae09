"""One candidate and its stages: settled as its search is, on evaluations of its own genome and team (I1, I3, I6)."""

from models import Candidate, Search
from models.audit import Source, StagesOfOne
from models.states import SEARCH_OPEN, CandidateState, StageState
from nas.spec import SearchSpec
from nas.spec.fidelity import StageKind
from worker.check.findings import Findings, listed

#: How the last stage of a candidate stands, second looks aside.
_LAST_STAGE = {
    CandidateState.WAITING: StageState.WAITING,
    CandidateState.EVALUATED: StageState.PASSED,
    CandidateState.STOPPED: StageState.STOPPED,
    CandidateState.FAILED: StageState.FAILED,
    CandidateState.CANCELLED: StageState.CANCELLED,
}

_UNSETTLED = (CandidateState.WAITING, CandidateState.CANCELLED)


def check_candidate(
    search: Search, candidate: Candidate, source: Source, stages: StagesOfOne, findings: Findings
) -> None:
    """Holds a candidate to the state of its search, and its evaluations to its genome and team."""
    place, ids = f"{candidate.generation}.{candidate.index}", (search.id, candidate.id)
    if candidate.state == CandidateState.WAITING and search.state not in SEARCH_OPEN:
        findings.violation(
            "I1", "candidate {place} waits although the search is {state}", *ids, place=place, state=search.state
        )
    if candidate.state == CandidateState.WAITING and (
        candidate.generation != search.generation or search.reevaluation is not None
    ):
        claim = "candidate {place} waits although the search is beyond its generation"
        findings.violation("I1", claim, *ids, place=place)
    if candidate.state == CandidateState.CANCELLED and search.state in SEARCH_OPEN:
        claim = "candidate {place} is cancelled although the search is {state}"
        findings.violation("I1", claim, *ids, place=place, state=search.state)
    if (candidate.state in _UNSETTLED) != (candidate.settled_at is None):
        claim = "candidate {place} is {state} and has {time} time at which it was settled"
        time = "no" if candidate.settled_at is None else "a"
        findings.violation("I1", claim, *ids, place=place, state=candidate.state, time=time)
    if source.genome_digest != candidate.digest:
        claim = "candidate {place} refers to an evaluation of another genome"
        findings.violation("I3", claim, *ids, source.id, place=place)
    for evaluation in (source, *(of_stage for _, of_stage in stages)):
        if evaluation.team_id != search.team_id:
            claim = "candidate {place} uses an evaluation of another team"
            findings.violation("I6", claim, *ids, evaluation.id, place=place)


def check_stages(
    search: Search, spec: SearchSpec | None, candidate: Candidate, stages: StagesOfOne, findings: Findings
) -> None:
    """Holds the stages of a candidate to its state, and to what the spec asks for."""
    place, ids = f"{candidate.generation}.{candidate.index}", (search.id, candidate.id)
    rows = [stage for stage, _ in stages]
    for stage, source in stages:
        if source.genome_digest != candidate.digest or stage.search_id != search.id:
            claim = "stage {number} of candidate {place} belongs to another genome or search"
            findings.violation("I3", claim, *ids, source.id, number=stage.number, place=place)
    looks = [stage for stage in rows if stage.kind == StageKind.AGAIN]
    first = [stage for stage in rows if stage.kind != StageKind.AGAIN]
    if [stage.number for stage in [*first, *looks]] != list(range(len(rows))) or len(looks) > 1:
        claim = "the stages of candidate {place} are numbered {found}, with {n} second looks"
        findings.violation("I1", claim, *ids, place=place, found=listed(s.number for s in rows), n=len(looks))
    if spec is not None and spec.training.stages is not None and not first:
        findings.violation("I1", "candidate {place} has no stages, and its search has", *ids, place=place)
    states = [stage.state for stage in first]
    expected = [StageState.PASSED] * (len(first) - 1) + [_LAST_STAGE[CandidateState(candidate.state)]]
    if first and states != expected:
        claim = "candidate {place} is {state}, and its stages are {found}"
        findings.violation("I1", claim, *ids, place=place, state=candidate.state, found=listed(states))
    if looks and (candidate.state != CandidateState.EVALUATED or search.reevaluation is None):
        claim = "candidate {place} was looked at again before its search came to that"
        findings.violation("I1", claim, *ids, place=place)
    for stage in looks:
        is_open = search.state in SEARCH_OPEN
        if (stage.state == StageState.WAITING and not is_open) or (stage.state == StageState.CANCELLED and is_open):
            claim = "the second look at candidate {place} is {found} although the search is {state}"
            findings.violation("I1", claim, *ids, place=place, found=stage.state, state=search.state)
    told_by = {
        stage.evaluation_id for stage in [*first[-1:], *looks] if stage.state != StageState.FAILED or stage in first
    }
    if first and candidate.evaluation_id not in told_by:
        claim = "candidate {place} refers to an evaluation that none of its last stages has"
        findings.violation("I3", claim, *ids, candidate.evaluation_id, place=place)
