"""What an algorithm knows of a candidate: its genome and how it did."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.space import Genome
from nas.spec import SearchSpec


@dataclass(frozen=True, slots=True)
class Member:
    """A settled candidate. `losses` are the objectives with every goal turned to minimise.

    They are None for a failure, and for a candidate that was stopped at an early stage.
    """

    genome: Genome
    losses: tuple[float, ...] | None
    violation: float  #: of the constraints, 0 where all that were measured hold
    std_errors: tuple[float, ...] | None = None  #: of the losses, 0 where exact; None where all are, or none is known

    @property
    def is_feasible(self) -> bool:
        """Whether it was measured and breaks no constraint."""
        return self.losses is not None and self.violation == 0.0


def objectives_of(spec: SearchSpec, values: dict[str, float]) -> list[float]:
    """Returns the objectives in the spec's order, each in its metric's own direction."""
    return [float(values[objective.metric]) for objective in spec.objectives]


def losses_of(spec: SearchSpec, objectives: list[float]) -> tuple[float, ...]:
    """Returns objectives with every goal turned to minimise; its own inverse."""
    return tuple(
        -value if objective.is_maximized else value
        for objective, value in zip(spec.objectives, objectives, strict=True)
    )


def std_errors_of(spec: SearchSpec, metrics: Mapping[str, Mapping[str, Any]]) -> tuple[float, ...]:
    """Returns the standard errors of the objectives, 0 where exact, from measurements as they are stored."""
    errors = (metrics[objective.metric]["std_error"] for objective in spec.objectives)
    return tuple(0.0 if error == "exact" else float(error) for error in errors)


def violation_of(spec: SearchSpec, values: dict[str, float]) -> float:
    """Returns the sum of all constraint violations, each relative to the size of its bound where that exceeds 1."""
    total = 0.0
    for constraint in spec.constraints:
        bounds = [abs(bound) for bound in (constraint.at_most, constraint.at_least) if bound is not None]
        total += constraint.violation(values[constraint.metric]) / max(1.0, *bounds)
    return total
