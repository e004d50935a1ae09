"""Shots for a gradient: how many runs of a circuit tell the gradient of all its expectations to a standard error ε.

    N = G Σ_k (Σ_u |s_ku|)² / ε²

with G groups of observables that are read together, and s_ku the scale of the u-th gate that reads weight k. Plain
Python; an upper bound, reached where every shifted expectation is 0.

A rotation has the parameter-shift rule ∂f = [f(+π/2) − f(−π/2)]/2, and a controlled rotation the one with four terms
and coefficients (√2 ± 1)/(4√2): in both, the absolute coefficients sum to 1. A mean of n runs of a ±1 outcome has
variance ≤ 1/n, so sharing N runs in proportion to the coefficients gives ≤ 1/N. Gates that share a weight add up, and
the best split over them is in proportion to their scales. Groups are found by first fit, in order: words that agree on
every wire they have in common are read together.

Sources:
    [Schuld19] Schuld, Bergholm, Gogolin, Izaac, Killoran 2019, Phys. Rev. A 99, 032331 (arXiv 1811.11184).
    [Wierichs22] Wierichs, Izaac, Wang, Lin 2022, Quantum 6, 677 (arXiv 2107.12390): four terms, shot budgets.
"""

from collections import defaultdict
from math import ceil
from typing import TYPE_CHECKING

from nas.circuits import Circuit
from nas.errors import UndefinedMetric
from nas.metrics.measurement import Measurement

if TYPE_CHECKING:
    from nas.metrics.static import Described


def measure(subject: "Described") -> Measurement:
    """Returns the shots for the error that the settings ask for."""
    return shots_for_gradient(subject.circuit, subject.settings.shots_for_gradient.error)


def shots_for_gradient(circuit: Circuit, error: float) -> Measurement:
    """Returns the bound N, rounded up, for the gradient by the circuit's weights; 0 without weights.

    Args:
        circuit: with at least one observable.
        error: standard error ε of every ∂⟨O⟩/∂θ.

    Raises:
        UndefinedMetric: the circuit has no observable, or a scale is so large that the number is not finite.
    """
    if not circuit.observables:
        raise UndefinedMetric("shots_for_gradient needs an observable, and the circuit has none")
    scales: defaultdict[int, float] = defaultdict(float)
    for operation in circuit.operations:
        if operation.angle is not None and operation.angle.weight is not None:
            scales[operation.angle.weight] += abs(operation.angle.scale)
    n_groups = len(reading_groups(circuit))
    # Rounded first: 10 / 0.1² is 1000, and not one more for what 0.1 cannot hold.
    try:
        value = ceil(round(n_groups * sum(scale * scale for scale in scales.values()) / error**2, 6))
    except OverflowError as cause:
        raise UndefinedMetric("shots_for_gradient has no value: a scale of an angle is too large") from cause
    return Measurement("shots_for_gradient", value, None, {"error": error}, {"reading_groups": n_groups})


def reading_groups(circuit: Circuit) -> list[dict[int, str]]:
    """Returns the groups of observables that are read together, each as the axis of every wire that it reads."""
    groups: list[dict[int, str]] = []
    for word in circuit.observables:
        axes = {wire: axis for axis, wire in word}
        for group in groups:
            if all(group.get(wire, axis) == axis for wire, axis in axes.items()):
                group.update(axes)
                break
        else:
            groups.append(axes)
    return groups
