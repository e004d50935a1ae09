"""The front and its hypervolume. Pareto dominance of plain values and hypervolumes are moocore's.

References:
    Fonseca, Paquete, López-Ibáñez 2006, "An improved dimension-sweep algorithm for the hypervolume indicator".
"""

from collections.abc import Sequence

import moocore
import numpy as np

from nas.algorithms.dominance import bars, is_contender, is_on_front

#: How far beyond the worst value of the first front the reference point lies, relative to the span of values.
REFERENCE_MARGIN = 0.1

Losses = Sequence[tuple[float, ...]]


def non_dominated(losses: Losses, std_errors: Losses | None = None) -> list[bool]:
    """Returns which points are on the front (all minimised); equal points stand together.

    With standard errors, as in `nas.algorithms.dominance`; without, the values alone decide.
    """
    if not losses:
        return []
    if std_errors is not None:
        return [bool(kept) for kept in is_on_front(bars(losses, std_errors))]
    return [bool(kept) for kept in moocore.is_nondominated(np.array(losses, dtype=float), keep_weakly=True)]


def contenders(losses: Losses, std_errors: Losses | None = None) -> list[bool]:
    """Returns which points a front of these and any others may have on it; without errors, those on the front."""
    if not losses or std_errors is None:
        return non_dominated(losses)
    return [bool(kept) for kept in is_contender(bars(losses, std_errors))]


def hypervolume(losses: Losses, reference: tuple[float, ...]) -> float:
    """Returns the volume that the points dominate up to the reference point, in the product of the objectives' units.

    Points that do not dominate the reference add nothing. Exact, up to rounding.
    """
    if not losses:
        return 0.0
    return float(moocore.hypervolume(np.array(losses, dtype=float), ref=np.array(reference, dtype=float)))


def reference_point(losses: Losses) -> tuple[float, ...]:
    """Returns a point worse than all given ones in each objective, by a tenth of their span (1 where it is zero).

    Taken once from a search's first feasible generation and then kept, so that hypervolumes compare over its life.
    """
    points = np.array(losses, dtype=float)
    worst, span = points.max(axis=0), np.ptp(points, axis=0)
    return tuple(float(value) for value in worst + REFERENCE_MARGIN * np.where(span > 0, span, 1.0))
