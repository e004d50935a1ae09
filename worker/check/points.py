"""Evaluated candidates as points among others, made anew from the metrics that were measured."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from nas.algorithms import (
    contenders,
    hypervolume,
    losses_of,
    non_dominated,
    objectives_of,
    std_errors_of,
    violation_of,
)
from nas.spec import SearchSpec

Metrics = Mapping[str, Mapping[str, Any]]

#: Of a hypervolume: the order of its sums differs.
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Point:
    """What a front knows of an evaluated candidate."""

    candidate_id: UUID
    losses: tuple[float, ...]
    std_errors: tuple[float, ...]
    violation: float

    @classmethod
    def of(cls, candidate_id: UUID, metrics: Metrics, spec: SearchSpec) -> Self:
        """Returns the point of these measurements.

        Raises:
            KeyError, TypeError, ValueError: the measurements are not those of the spec.
        """
        values = {name: float(measured["value"]) for name, measured in metrics.items()}
        losses = losses_of(spec, objectives_of(spec, values))
        return cls(candidate_id, losses, std_errors_of(spec, metrics), violation_of(spec, values))


def contenders_of(points: Iterable[Point], spec: SearchSpec) -> list[Point]:
    """Returns those of feasible points that a front of these and others may have on it."""
    return _chosen([point for point in points if point.violation == 0], spec, contenders)


def front_of(points: Iterable[Point], spec: SearchSpec) -> list[Point]:
    """Returns the front of the points."""
    return _chosen(contenders_of(points, spec), spec, non_dominated)


def hypervolume_of(points: Sequence[Point], reference: tuple[float, ...] | None) -> float | None:
    """Returns the hypervolume of contenders; None without a reference."""
    return None if reference is None else hypervolume([point.losses for point in points], reference)


def agrees(found: Any, expected: float | None) -> bool:
    """Whether a figure that a row keeps is the one that was computed, to rounding."""
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)


def _chosen(points: list[Point], spec: SearchSpec, which: Callable[..., list[bool]]) -> list[Point]:
    std_errors = None if spec.algorithm.noise == "ignore" else [point.std_errors for point in points]
    are_chosen = which([point.losses for point in points], std_errors)
    return [point for point, is_chosen in zip(points, are_chosen, strict=True) if is_chosen]
