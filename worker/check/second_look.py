"""The second look at a front, retold round by round: who was looked at, and what the rows have of it (I3, I4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from models import Candidate, Search, Stage
from models.states import SearchState, StageState
from nas.algorithms import nearly_non_dominated
from nas.algorithms.clearance import Estimate
from nas.spec import SearchSpec
from nas.spec.fidelity import StageKind
from worker.check.findings import Findings
from worker.check.points import Point, agrees, contenders_of, front_of, hypervolume_of


@dataclass(frozen=True, slots=True)
class Look:
    """An evaluated candidate before its second look, and what that one said."""

    place: str
    point: Point
    told_by: UUID  #: the evaluation that its row refers to
    state: str | None  #: of the second look; None where there is none
    again_by: UUID | None
    again: Point | None  #: None unless it passed

    @classmethod
    def of(cls, candidate: Candidate, stages: Sequence[Stage], point: Point, spec: SearchSpec) -> Self:
        """Returns what the rows say of an evaluated candidate."""
        stage = next((stage for stage in stages if stage.kind == StageKind.AGAIN), None)
        again = None
        if stage is not None and stage.metrics is not None:
            again = Point.of(candidate.id, stage.metrics, spec)
        return cls(
            f"{candidate.generation}.{candidate.index}",
            point,
            candidate.evaluation_id,
            None if stage is None else stage.state,
            None if stage is None else stage.evaluation_id,
            again,
        )


class SecondLooks:
    """Collects the evaluated candidates of a search that came to a second look, then retells its rounds."""

    def __init__(self, search: Search, spec: SearchSpec, findings: Findings) -> None:
        self._search = search
        self._spec = spec
        self._findings = findings
        self._looks: dict[UUID, Look] = {}
        self._looked_at: set[UUID] = set()
        self._current: dict[UUID, Point] = {}

    def add(self, look: Look) -> None:
        """Takes note of a candidate, in the order of places."""
        if self._search.reevaluation is not None:
            self._looks[look.point.candidate_id] = look

    def retell(self, contenders: Sequence[Point], reference: tuple[float, ...] | None) -> list[Point]:
        """Holds the rounds on record to the rows; returns the contenders as they stand after them."""
        if self._search.reevaluation is None or self._spec.algorithm.reevaluate is None:
            return list(contenders)
        self._current = {candidate_id: look.point for candidate_id, look in self._looks.items()}
        front = {point.candidate_id for point in front_of(contenders, self._spec)}
        rounds: list[dict[str, Any]] = self._search.reevaluation["rounds"]
        chosen = self._to_look_at(front)
        for number, recorded in enumerate(rounds):
            self._looked_at |= chosen
            for candidate_id in chosen:
                self._current[candidate_id] = self._looks[candidate_id].again or self._current[candidate_id]
            contenders = contenders_of(self._current.values(), self._spec)
            after = {point.candidate_id for point in front_of(contenders, self._spec)}
            told = {
                "candidates": len(chosen),
                "entered": len(after - front),
                "left": len(front - after),
                "front_size": len(after),
                "hypervolume": hypervolume_of(contenders, reference),
            }
            self._check_round(number, recorded, told)
            is_last = number + 1 == self._spec.algorithm.reevaluate.rounds
            chosen = set() if after == front or is_last else self._to_look_at(after)
            front = after
        self._check_open_round(chosen)
        self._check_told()
        return list(contenders)

    def _to_look_at(self, front: set[UUID]) -> set[UUID]:
        assert self._spec.algorithm.reevaluate is not None
        feasible = [point for point in self._current.values() if point.violation == 0]
        estimates = [
            [Estimate(loss, error) for loss, error in zip(point.losses, point.std_errors, strict=True)]
            for point in feasible
        ]
        on_front = [point.candidate_id in front for point in feasible]
        are_near = nearly_non_dominated(estimates, on_front, within=self._spec.algorithm.reevaluate.within)
        near = {point.candidate_id for point, is_near in zip(feasible, are_near, strict=True) if is_near}
        return near - self._looked_at

    def _check_round(self, number: int, recorded: dict[str, Any], told: dict[str, Any]) -> None:
        for name, expected in told.items():
            if not agrees(recorded.get(name), expected):
                claim = "round {number} of re-evaluation is recorded with {name} {found}, and its rows give {expected}"
                self._findings.violation(
                    "I3", claim, self._search.id, number=number, name=name, found=recorded.get(name), expected=expected
                )

    def _check_open_round(self, chosen: set[UUID]) -> None:
        """Holds the round that is not on record, if one is due, to what waits or was cut short."""
        looked_at = {candidate_id for candidate_id, look in self._looks.items() if look.state is not None}
        wrong = looked_at ^ (self._looked_at | chosen)
        if wrong:
            claim = "{n} candidates are looked at again and should not be, or the other way round"
            self._findings.violation("I4", claim, self._search.id, *sorted(wrong), n=len(wrong))
        unfinished = {one for one in self._looked_at & looked_at if self._looks[one].state not in _TOLD}
        if unfinished:
            claim = "the second looks of a completed round are not all told, {n} of them"
            self._findings.violation("I1", claim, self._search.id, *sorted(unfinished), n=len(unfinished))
        deadline, end = self._search.deadline_at, self._search.finished_at
        is_cut_short = deadline is not None and end is not None and end >= deadline
        if chosen and self._search.state == SearchState.FINISHED and not is_cut_short:
            claim = "the search is finished, and a round of re-evaluation was due for {n} candidates"
            self._findings.violation("I4", claim, self._search.id, *sorted(chosen), n=len(chosen))

    def _check_told(self) -> None:
        """Holds each candidate to the better estimate, once its round was completed."""
        for candidate_id, look in self._looks.items():
            is_replaced = candidate_id in self._looked_at and look.again is not None
            if look.state is not None and (look.told_by == look.again_by) != is_replaced:
                claim = "candidate {place} {has} the values of its second look, whose round {is_over} over"
                self._findings.violation(
                    "I3",
                    claim,
                    self._search.id,
                    candidate_id,
                    place=look.place,
                    has="lacks" if is_replaced else "has",
                    is_over="is" if candidate_id in self._looked_at else "is not",
                )


_TOLD = (StageState.PASSED, StageState.FAILED)
