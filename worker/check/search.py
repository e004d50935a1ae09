"""One search: that its rows are whole and in order (I1), its counters exact (I3, I5), and all of it its team's (I6)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from models import Candidate, Generation, Search, UnitOfWork
from models.audit import Entry, Extent
from models.states import SEARCH_OPEN, CandidateState, SearchState
from nas.algorithms import proposal_versions
from nas.spec import InvalidSpec, SearchSpec, parse_stored
from worker.check.candidates import check_candidate, check_stages
from worker.check.confirmations import check_confirmations
from worker.check.course import Course
from worker.check.findings import Findings, listed
from worker.check.outcomes import check_objectives, check_outcome


def check_search(work: UnitOfWork, search: Search, findings: Findings, *, replays: bool) -> int:
    """Holds a search to its rows, a generation at a time, and returns how many candidates it has."""
    spec = _read_spec(search, findings)
    extents = work.audit.extents(search.id)
    generations = work.searches.generations(search.id)
    _check_generations(search, extents, generations, findings)
    counts: Counter[str] = Counter()
    course = None if spec is None else _course_of(search, spec, generations, findings, replays=replays)
    for extent in extents:
        _check_indices(search, extent, spec, findings)
        rows = work.audit.candidates(search.id, extent.generation)
        for candidate, source, own in rows:
            check_candidate(search, candidate, source, own, findings)
            check_stages(search, spec, candidate, own, findings)
            check_outcome(candidate, source, own, findings)
            if spec is not None and candidate.state == CandidateState.EVALUATED:
                check_objectives(candidate, spec, findings)
            counts.update(_traits(candidate))
        course = course and _followed(course, extent.generation, rows, findings)
    if course is not None:
        course.end()
    _check_counters(search, counts, findings)
    _check_budget(search, spec, counts, findings)
    check_confirmations(work, search, findings)
    return counts["all"]


def _read_spec(search: Search, findings: Findings) -> SearchSpec | None:
    try:
        return parse_stored(search.spec)
    except InvalidSpec as problem:
        findings.note(
            "values and front were not checked of {searches} with a spec that this version cannot read: "
            + str(problem),
            search.id,
        )
        return None


def _course_of(
    search: Search, spec: SearchSpec, generations: Sequence[Generation], findings: Findings, *, replays: bool
) -> Course | None:
    """Returns what retells the search as far as this version can, and notes what it cannot."""
    here, there = proposal_versions(), search.versions
    if there is None:
        return None  # it has not begun
    if there.get("operators") != here["operators"]:
        text = "front and proposals were not checked of {searches} begun under other rules"
        findings.note(text, search.id)
        return None
    if there != here:
        text = "proposals were not made again of {searches} begun under "
        findings.note(f"{text}{_versions(there)}; here is {_versions(here)}", search.id)
    return Course(search, spec, generations, findings, is_repeated=replays and there == here)


def _versions(versions: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))


def _followed(course: Course, number: int, rows: Sequence[Entry], findings: Findings) -> Course | None:
    """Follows a generation; returns None once rows cannot be read, which ends the course."""
    try:
        course.follow(number, rows)
    except (KeyError, TypeError, ValueError) as problem:
        search_id = rows[0][0].search_id
        claim = "generation {number} cannot be retold, nor what follows it: {kind} {problem}"
        kind = type(problem).__name__
        findings.violation("I4", claim, search_id, number=number, kind=kind, problem=problem)
        return None
    return course


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
        findings.violation("I1", claim, search.id, found=listed(one.generation for one in extents))
    if search.generation != last:
        claim = "the search is in generation {found}, and its last candidates are of generation {last}"
        findings.violation("I1", claim, search.id, found=search.generation, last=last)
    numbers = [one.number for one in generations]
    if numbers != list(range(len(numbers))) or len(numbers) > len(extents):
        claim = "generations {found} are recorded as completed, and candidates are there of {n}"
        findings.violation("I1", claim, search.id, found=listed(numbers), n=len(extents))
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
