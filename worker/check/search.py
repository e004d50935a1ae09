"""One search: that its rows are whole and in order (I1), its counters exact (I3, I5), and all of it its team's (I6)."""

from collections import Counter
from collections.abc import Sequence

from models import Candidate, Generation, Search, UnitOfWork
from models.audit import Extent, Source
from models.states import SEARCH_OPEN, CandidateState, SearchState, StageState
from nas.spec import InvalidSpec, SearchSpec, parse_stored
from nas.spec.fidelity import StageKind
from worker.check.confirmations import check_confirmations
from worker.check.findings import Findings
from worker.check.outcomes import Stages, check_objectives, check_outcome

#: How the last stage of a candidate stands, second looks aside.
_LAST_STAGE = {
    CandidateState.WAITING: StageState.WAITING,
    CandidateState.EVALUATED: StageState.PASSED,
    CandidateState.STOPPED: StageState.STOPPED,
    CandidateState.FAILED: StageState.FAILED,
    CandidateState.CANCELLED: StageState.CANCELLED,
}

_UNSETTLED = (CandidateState.WAITING, CandidateState.CANCELLED)


def check_search(work: UnitOfWork, search: Search, findings: Findings) -> int:
    """Holds a search to its rows, a generation at a time, and returns how many candidates it has."""
    spec = _read_spec(search, findings)
    extents = work.audit.extents(search.id)
    generations = work.searches.generations(search.id)
    _check_generations(search, extents, generations, findings)
    counts: Counter[str] = Counter()
    for extent in extents:
        _check_indices(search, extent, spec, findings)
        stages = work.audit.stages(search.id, extent.generation)
        for candidate, source in work.audit.candidates(search.id, extent.generation):
            own = stages.get(candidate.id, [])
            _check_candidate(search, candidate, source, own, findings)
            _check_stages(search, spec, candidate, own, findings)
            check_outcome(candidate, source, own, findings)
            if spec is not None and candidate.state == CandidateState.EVALUATED:
                check_objectives(candidate, spec, findings)
            counts.update(_traits(candidate))
    _check_counters(search, counts, findings)
    _check_budget(search, spec, counts, findings)
    check_confirmations(work, search, findings)
    return counts["all"]


def _read_spec(search: Search, findings: Findings) -> SearchSpec | None:
    try:
        return parse_stored(search.spec)
    except InvalidSpec as problem:
        findings.note(
            f"search {search.id} has a spec that this version cannot read, so its values and its front were not "
            f"checked: {problem}"
        )
        return None


def _traits(candidate: Candidate) -> list[str]:
    """Returns what a candidate counts as."""
    marks = {"cached": candidate.is_cached, "front": candidate.on_front}
    return ["all", candidate.state, *(name for name, has_it in marks.items() if has_it)]


def _check_generations(
    search: Search, extents: Sequence[Extent], generations: Sequence[Generation], findings: Findings
) -> None:
    last = extents[-1].generation if extents else None
    if [one.generation for one in extents] != list(range(len(extents))):
        claim = "its candidates are of generations {found}, and each from 0 on has some"
        findings.violation("I1", claim, search.id, found=_shown(one.generation for one in extents))
    if search.generation != last:
        claim = "the search is in generation {found}, and its last candidates are of generation {last}"
        findings.violation("I1", claim, search.id, found=search.generation, last=last)
    numbers = [one.number for one in generations]
    if numbers != list(range(len(numbers))) or len(numbers) > len(extents):
        claim = "generations {found} are recorded as completed, and candidates are there of {n}"
        findings.violation("I1", claim, search.id, found=_shown(numbers), n=len(extents))
    if (search.state in SEARCH_OPEN) != (search.finished_at is None):
        claim = "the search is {state} and has {end} time of its end"
        findings.violation("I1", claim, search.id, state=search.state, end="no" if search.finished_at is None else "a")


def _check_indices(search: Search, extent: Extent, spec: SearchSpec | None, findings: Findings) -> None:
    if (extent.first, extent.last) != (0, extent.n - 1):
        claim = "generation {generation} has {n} candidates with indices from {first} to {last}"
        findings.violation(
            "I1", claim, search.id, generation=extent.generation, n=extent.n, first=extent.first, last=extent.last
        )
    if spec is not None and extent.n > spec.algorithm.population:
        claim = "generation {generation} has {n} candidates, and the population is {population}"
        findings.violation(
            "I5", claim, search.id, generation=extent.generation, n=extent.n, population=spec.algorithm.population
        )


def _check_candidate(search: Search, candidate: Candidate, source: Source, stages: Stages, findings: Findings) -> None:
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


def _check_stages(
    search: Search, spec: SearchSpec | None, candidate: Candidate, stages: Stages, findings: Findings
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
        findings.violation("I1", claim, *ids, place=place, found=_shown(s.number for s in rows), n=len(looks))
    if spec is not None and spec.training.stages is not None and not first:
        findings.violation("I1", "candidate {place} has no stages, and its search has", *ids, place=place)
    states = [stage.state for stage in first]
    expected = [StageState.PASSED] * (len(first) - 1) + [_LAST_STAGE[CandidateState(candidate.state)]]
    if first and states != expected:
        claim = "candidate {place} is {state}, and its stages are {found}"
        findings.violation("I1", claim, *ids, place=place, state=candidate.state, found=_shown(states))
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


def _check_counters(search: Search, counts: Counter[str], findings: Findings) -> None:
    settled = counts[CandidateState.EVALUATED] + counts[CandidateState.STOPPED] + counts[CandidateState.FAILED]
    expected = {
        "n_settled": settled,
        "n_failed": counts[CandidateState.FAILED],
        "n_stopped": counts[CandidateState.STOPPED],
        "n_cached": counts["cached"],
        "n_front": counts["front"],
    }
    for name, n in expected.items():
        if getattr(search, name) != n:
            claim = f"{name} is {{found}}, and the rows say {{n}}"
            findings.violation("I3", claim, search.id, found=getattr(search, name), n=n)
    if search.state == SearchState.QUEUED and counts["all"]:
        findings.violation("I1", "the search is queued and has {n} candidates already", search.id, n=counts["all"])


def _check_budget(search: Search, spec: SearchSpec | None, counts: Counter[str], findings: Findings) -> None:
    if search.n_candidates != counts["all"]:
        claim = "n_candidates is {found}, and there are {n}"
        findings.violation("I5", claim, search.id, found=search.n_candidates, n=counts["all"])
    if spec is not None and counts["all"] > spec.n_planned:
        claim = "there are {n} candidates, and the budget allows {most}"
        findings.violation("I5", claim, search.id, n=counts["all"], most=spec.n_planned)


def _shown(values: object) -> str:
    assert hasattr(values, "__iter__")
    return ", ".join(str(value) for value in values) or "none"
