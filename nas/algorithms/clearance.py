"""How clearly one candidate dominates another, in standard errors.

    clearance(a, b) = min over objectives j of (b_j − a_j) / √(se(a_j)² + se(b_j)²),   all objectives minimised

In its weakest objective, a is better than b by so many standard errors of the difference. An exact objective in which a
is no worse bounds nothing (+∞), and one in which it is worse excludes dominance (−∞). Two candidates that are equal in
every objective do not dominate each other (−∞).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.spec import SearchSpec
from nas.spec.objectives import Objective

Floats = NDArray[np.float64]

#: Measurements by metric: `value`, and `std_error` as a number or "exact".
Metrics = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A loss, an objective turned so that smaller is better, with its standard error; 0 where it is exact."""

    loss: float
    std_error: float = 0.0


def estimates_of(spec: SearchSpec, metrics: Metrics) -> tuple[Estimate, ...]:
    """Returns the objectives of a candidate with all of its metrics measured, in the spec's order."""
    return tuple(estimate(objective, metrics[objective.metric]) for objective in spec.objectives)


def estimate(objective: Objective, measured: Mapping[str, Any]) -> Estimate:
    """Returns a measurement as a loss with its error."""
    error = measured["std_error"]
    return Estimate(loss_of(objective, measured), 0.0 if isinstance(error, str) else float(error))


def loss_of(objective: Objective, measured: Mapping[str, Any]) -> float:
    """Returns the measured value turned so that smaller is better."""
    value = float(measured["value"])
    return -value if objective.is_maximized else value


def clearance(one: Sequence[Estimate], other: Sequence[Estimate]) -> float:
    """Returns how clearly `one` dominates `other`: positive if it does beyond its error, −∞ if it does not at all."""
    if not any(a.loss < b.loss for a, b in zip(one, other, strict=True)):
        return -math.inf
    return min(
        _in_errors(b.loss - a.loss, math.hypot(a.std_error, b.std_error)) for a, b in zip(one, other, strict=True)
    )


def nearly_non_dominated(points: Sequence[Sequence[Estimate]], front: Sequence[bool], *, within: float) -> list[bool]:
    """Returns which points no member of the front dominates by `within` standard errors or more; the front is in it.

    Those are the points that noise alone may have kept off the front; within 0, the front alone. On a front that makes
    allowance for noise not every point of the best values need be; those are in it otherwise, for nothing is better.
    Cost: points × members of the front.
    """
    if not points or within == 0.0:
        return list(front)
    losses = np.array([[one.loss for one in point] for point in points])
    variances = np.array([[one.std_error**2 for one in point] for point in points])
    is_near = np.ones(len(points), dtype=bool)
    for loss, variance in zip(losses[list(front)], variances[list(front)], strict=True):
        is_near &= _clearances(loss, variance, losses, variances) < within
    return [bool(near or member) for near, member in zip(is_near, front, strict=True)]


def _clearances(loss: Floats, variance: Floats, losses: Floats, variances: Floats) -> Floats:
    """Returns the clearance of one point over each of many, (n,)."""
    gaps, errors = losses - loss, np.sqrt(variance + variances)
    exact = np.where(gaps >= 0.0, np.inf, -np.inf)
    found: Floats = np.divide(gaps, errors, out=exact, where=errors > 0.0).min(1)
    found[~(gaps > 0.0).any(1)] = -np.inf
    return found


def _in_errors(gap: float, error: float) -> float:
    if error > 0.0:
        return gap / error
    return math.inf if gap >= 0.0 else -math.inf
