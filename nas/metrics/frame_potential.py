"""Frame potential: how far the states of a circuit at random weights are from a t-design, as a ratio to Haar.

    F^(t) = E |⟨ψ|φ⟩|^(2t) over independent pairs,   Haar: t! (N − 1)! / (N + t − 1)!,   N = 2ⁿ

The value is F^(t) over that of Haar: 1 for a t-design and nothing else, never below (Welch), lower is more expressive.
The ratio is comparable across qubit counts, which F^(t) and its difference to Haar, both about N^(−t), are not. The
pairs are those that `expressibility` draws, so beside it this costs nothing.

Sources:
    [Gross07] Gross, Audenaert, Eisert 2007, J. Math. Phys. 48, 052104 (arXiv quant-ph/0611002).
    [Sim19] Sim, Johnson, Aspuru-Guzik 2019 (arXiv 1905.10876), eqs. 5 to 8.
"""

from math import comb
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from nas.errors import UndefinedMetric
from nas.metrics.expressibility import random_fidelities
from nas.metrics.measurement import Measurement
from nas.metrics.sampling import UNIFORM_WEIGHTS, rounding_of

if TYPE_CHECKING:
    from nas.metrics.registry import Subject

Floats = NDArray[np.float64]

#: Orders that are always told beside the one that is asked for.
_TOLD: Final = 3


def measure(subject: "Subject") -> Measurement:
    """Returns the frame potential of the order that the settings name, from the pairs of `expressibility`."""
    return frame_potential_of(
        subject.drawn(random_fidelities),
        subject.circuit.qubits,
        order=subject.settings.frame_potential.order,
        rounding=rounding_of(subject.circuit, subject.precision),
    )


def frame_potential_of(fidelities: Floats, n_qubits: int, *, order: int, rounding: float = 1e-14) -> Measurement:
    """Returns F^(t) over its Haar value for the order t, from fidelities of independent pairs.

    An unbiased mean, with the standard error sd/√S of it, and at least `rounding`, that of one fidelity; of a t-design
    at order 2 it is √(5/S). The details have F^(t), Haar's, their ratio and its error for t up to 3 or to the order.

    Raises:
        UndefinedMetric: a state was not finite.
    """
    if not np.isfinite(fidelities).all():
        raise UndefinedMetric("frame_potential has no value: some states are not finite")
    orders = [_of_order(fidelities, n_qubits, t, rounding) for t in range(1, max(order, _TOLD) + 1)]
    asked = orders[order - 1]
    protocol = {"order": order, "samples": len(fidelities), "weights": UNIFORM_WEIGHTS, "features": "zero"}
    return Measurement("frame_potential", asked["ratio"], asked["ratio_std_error"], protocol, {"orders": orders})


def haar_frame_potential(n_qubits: int, t: int) -> float:
    """Returns t! (N − 1)! / (N + t − 1)!, the least that F^(t) can be."""
    return 1.0 / comb((1 << n_qubits) + t - 1, t)


def _of_order(fidelities: Floats, n_qubits: int, t: int, rounding: float) -> dict[str, Any]:
    powers, haar = fidelities**t, haar_frame_potential(n_qubits, t)
    mean = float(powers.mean())
    std_error = float(np.hypot(powers.std(ddof=1) / len(powers) ** 0.5, t * rounding * mean))
    return {"t": t, "potential": mean, "haar": haar, "ratio": mean / haar, "ratio_std_error": std_error / haar}
