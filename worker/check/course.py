"""A search retold from its rows, a generation at a time: its front and its growth (I3), and what it tried (I4).

Nothing is taken over from the marks that the rows bear. Where the last generation stands, and with it what the next
would descend from, is computed from generation 0 on, as a controller that was never disturbed would have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from models import Candidate, Generation, Search, Stage
from models.audit import Source, StagesOfOne
from models.states import CandidateState, SearchState
from nas.algorithms import losses_of, reference_point
from nas.spec import SearchSpec
from nas.spec.fidelity import StageKind
from worker.check.findings import Findings
from worker.check.points import Point, agrees, contenders_of, front_of, hypervolume_of
from worker.check.proposals import Proposals
from worker.check.second_look import Look, SecondLooks
from worker.check.verdicts import FrontMember, Verdicts


@dataclass(frozen=True, slots=True)
class Tried:
    """A candidate with its stages, and as it was told first, before any second look."""

    candidate: Candidate
    stages: Sequence[Stage]
    point: Point | None  #: None unless it is evaluated

    def as_rival(self) -> FrontMember:
        """Returns what a verdict knows of it."""
        one = self.candidate
        at_stages = tuple(stage.metrics or {} for stage in self.stages)
        return FrontMember(one.id, (one.generation, one.index), first_metrics(one, self.stages), at_stages)


class Course:
    """One search; `follow` its generations in order, then `end`."""

    def __init__(
        self,
        search: Search,
        spec: SearchSpec,
        generations: Sequence[Generation],
        findings: Findings,
        *,
        is_repeated: bool,
    ) -> None:
        """Begins before generation 0; `is_repeated` makes proposals, survivors and verdicts again."""
        self._search = search
        self._spec = spec
        self._recorded = {one.number: one for one in generations}
        self._findings = findings
        self._proposals = Proposals(search, spec, findings) if is_repeated else None
        self._verdicts = Verdicts(search, spec, findings) if is_repeated else None
        self._contenders: dict[UUID, Tried] = {}
        self._looks = SecondLooks(search, spec, findings)
        self._reference: tuple[float, ...] | None = None
        self._rivals: frozenset[UUID] = frozenset()
        self._marked: dict[str, set[UUID]] = {name: set() for name in _MARKS}
        self._n_tried = 0
        self._firsts: list[Point] = []  #: feasible, of a grid: its reference is taken from all of it

    def follow(self, number: int, rows: Sequence[tuple[Candidate, Source, StagesOfOne]]) -> None:
        """Goes through a generation."""
        if self._proposals is not None:
            self._proposals.check(number, [candidate for candidate, _, _ in rows])
        # Early stages alone are judged against rivals.
        rivals = [] if self._spec.training.stages is None else self._front()
        self._rivals = frozenset(one.candidate_id for one in rivals)
        tried = [self._tried(candidate, source, stages, rivals) for candidate, source, stages in rows]
        self._n_tried += len(tried)
        self._compete(tried)
        recorded = self._recorded.get(number)
        if recorded is not None:
            self._complete(tried, recorded)

    def end(self) -> None:
        """Holds the search's marks and figures to where its generations led."""
        before = [one.point for one in self._contenders.values() if one.point is not None]
        if self._spec.algorithm.name == "grid" and self._search.reference_point is not None:
            self._take_reference(self._firsts)
        points = self._looks.retell(before, self._reference)
        front = front_of(points, self._spec)
        expected = {
            "on_front": {point.candidate_id for point in front},
            "is_contender": {point.candidate_id for point in points},
            "is_rival": set(self._rivals),
        }
        if self._proposals is not None:
            expected["is_survivor"] = self._proposals.survivors
            self._proposals.end()
        for mark, ids in expected.items():
            self._compare(mark, ids)
        self._check_reference()
        self._check_figure("its hypervolume is", self._search.hypervolume, hypervolume_of(points, self._reference))

    def _tried(self, candidate: Candidate, source: Source, stages: StagesOfOne, rivals: Sequence[FrontMember]) -> Tried:
        for mark, ids in self._marked.items():
            if getattr(candidate, mark):
                ids.add(candidate.id)
        rows = [stage for stage, _ in stages]
        metrics = first_metrics(candidate, rows)
        if self._verdicts is not None:
            self._verdicts.check(candidate, source, stages, rivals)
        point = None
        if candidate.state == CandidateState.EVALUATED:
            point = Point.of(candidate.id, metrics, self._spec)
            self._looks.add(Look.of(candidate, rows, point, self._spec))
        return Tried(candidate, rows, point)

    def _front(self) -> list[FrontMember]:
        points = [one.point for one in self._contenders.values() if one.point is not None]
        return [self._contenders[point.candidate_id].as_rival() for point in front_of(points, self._spec)]

    def _compete(self, tried: Sequence[Tried]) -> None:
        # The contenders of contenders and news are those of all: `nas.algorithms.dominance`.
        everyone = {**self._contenders, **{one.candidate.id: one for one in tried}}
        points = [one.point for one in everyone.values() if one.point is not None]
        self._contenders = {
            point.candidate_id: everyone[point.candidate_id] for point in contenders_of(points, self._spec)
        }
        if self._spec.algorithm.name == "grid":
            self._firsts += [one.point for one in tried if one.point is not None and one.point.violation == 0]

    def _complete(self, tried: Sequence[Tried], recorded: Generation) -> None:
        if self._spec.algorithm.name != "grid":
            self._take_reference([one.point for one in tried if one.point is not None and one.point.violation == 0])
        if recorded.n_evaluations != self._n_tried:
            claim = "generation {number} is recorded with {found} evaluations, and there were {n}"
            self._findings.violation(
                "I3", claim, self._search.id, number=recorded.number, found=recorded.n_evaluations, n=self._n_tried
            )
        points = [one.point for one in self._contenders.values() if one.point is not None]
        what = f"the hypervolume of generation {recorded.number} is recorded as"
        self._check_figure(what, recorded.hypervolume, hypervolume_of(points, self._reference))
        if self._proposals is not None:
            self._proposals.complete(recorded.number, [(one.candidate, one.point) for one in tried])

    def _take_reference(self, feasible: Sequence[Point]) -> None:
        # Taken once, from the first generation that has anything feasible.
        if self._reference is None and feasible:
            self._reference = reference_point([point.losses for point in feasible])

    def _check_reference(self) -> None:
        names = [objective.metric for objective in self._spec.objectives]
        found = self._search.reference_point
        expected = None
        if self._reference is not None:
            expected = dict(zip(names, losses_of(self._spec, list(self._reference)), strict=True))
        is_due = self._spec.algorithm.name != "grid" or self._search.state == SearchState.FINISHED
        if found != expected and (found is not None or is_due):
            claim = "its reference point is {found}, and its first feasible generation gives {expected}"
            self._findings.violation("I3", claim, self._search.id, found=found, expected=expected)

    def _check_figure(self, what: str, found: float | None, expected: float | None) -> None:
        if not agrees(found, expected):
            claim = "{what} {found}, and its candidates have {expected}"
            self._findings.violation("I3", claim, self._search.id, what=what, found=found, expected=expected)

    def _compare(self, mark: str, expected: set[UUID]) -> None:
        found = self._marked[mark]
        for wrong, claim in (
            (found - expected, "{n} that should not be {are} {what}, computed from all rows"),
            (expected - found, "{n} that should be {are} not {what}, computed from all rows"),
        ):
            if wrong:
                n, are = (f"{len(wrong)} candidates", "are") if len(wrong) > 1 else ("a candidate", "is")
                invariant = "I4" if mark == "is_survivor" else "I3"
                self._findings.violation(
                    invariant, claim, self._search.id, *sorted(wrong), n=n, are=are, what=_MARKS[mark]
                )


#: What the rows of candidates are marked as, in words.
_MARKS = {
    "on_front": "on the front",
    "is_contender": "among the contenders",
    "is_rival": "among the rivals of the last generation",
    "is_survivor": "among the survivors",
}


def first_metrics(candidate: Candidate, stages: Sequence[Stage]) -> Mapping[str, Any]:
    """Returns what a candidate was told before a second look replaced it."""
    full = [stage.metrics for stage in stages if stage.kind == StageKind.FULL and stage.metrics is not None]
    return (full[-1] if full else candidate.metrics) or {}
