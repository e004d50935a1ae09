"""The front of a search, as its rows say it: moved by what was told, and drawn anew where values have changed."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from models import Candidate, Search, UnitOfWork
from models.candidates import Front, Told
from nas.algorithms import contenders, hypervolume, losses_of, non_dominated, std_errors_of
from nas.spec import SearchSpec


def move_front(work: UnitOfWork, search: Search, spec: SearchSpec, outcomes: Sequence[Told]) -> list[uuid.UUID]:
    """Lets what was told on the front, and returns those contenders so far that are not on it now."""
    # The contenders and the news are all that a front can consist of, in whichever order results land.
    rows = work.candidates.contenders(search.id)
    news = [
        _Point(told.candidate_id, losses_of(spec, told.objectives), std_errors_of(spec, told.metrics or {}))
        for told in outcomes
        if told.objectives is not None and told.violation == 0
    ]
    front = _draw(work, search, spec, rows, [*(_Point.of(row, spec) for row in rows), *news])
    return [row.id for row in rows if row.id not in front]


def redraw_front(work: UnitOfWork, search: Search, spec: SearchSpec) -> None:
    """Draws the front anew from all candidates, whose values may have changed since they were told."""
    rows = work.candidates.measured(search.id)
    _draw(work, search, spec, rows, [_Point.of(row, spec) for row in rows if row.violation == 0])
    work.weights.drop_of(search.id)


def measure_front(search: Search, spec: SearchSpec, losses: list[tuple[float, ...]]) -> None:
    """Sets the hypervolume of a search that has a reference point, from the losses of its contenders."""
    # Of the values, which the contenders have the best of: the front leaves out what is better by noise alone, and its
    # hypervolume could fall.
    if search.reference_point is not None:
        reference = [search.reference_point[objective.metric] for objective in spec.objectives]
        search.hypervolume = hypervolume(losses, losses_of(spec, reference))


def losses_of_row(candidate: Candidate, spec: SearchSpec) -> tuple[float, ...]:
    """Returns the objectives of an evaluated candidate, every goal turned to minimise."""
    assert candidate.objectives is not None
    return losses_of(spec, candidate.objectives)


@dataclass(frozen=True, slots=True)
class _Point:
    """A feasible candidate among the others."""

    candidate_id: uuid.UUID
    losses: tuple[float, ...]
    std_errors: tuple[float, ...]

    @classmethod
    def of(cls, candidate: Candidate, spec: SearchSpec) -> Self:
        losses = losses_of_row(candidate, spec)
        return cls(candidate.id, losses, std_errors_of(spec, candidate.metrics or {}))


def _draw(
    work: UnitOfWork, search: Search, spec: SearchSpec, rows: list[Candidate], points: list[_Point]
) -> frozenset[uuid.UUID]:
    """Marks the front of the points in the place of what the rows are marked as, and returns who is on it."""
    points = _chosen(points, spec, contenders)
    after = Front(
        members=frozenset(one.candidate_id for one in _chosen(points, spec, non_dominated)),
        contenders=frozenset(one.candidate_id for one in points),
    )
    before = Front(
        members=frozenset(row.id for row in rows if row.on_front),
        contenders=frozenset(row.id for row in rows if row.is_contender),
    )
    work.candidates.move_front(search.id, before=before, after=after)
    search.n_front = len(after.members)
    measure_front(search, spec, [point.losses for point in points])
    return after.members


def _chosen(points: list[_Point], spec: SearchSpec, which: Callable[..., list[bool]]) -> list[_Point]:
    std_errors = None if spec.algorithm.noise == "ignore" else [point.std_errors for point in points]
    are_chosen = which([point.losses for point in points], std_errors)
    return [point for point, is_chosen in zip(points, are_chosen, strict=True) if is_chosen]
