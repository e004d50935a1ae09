"""Expected success: the probability that no gate and no readout of a circuit fails, Π(1 − e), 0 to 1.

Plain Python, and exact for independent failures at the given rates. Gates are those of `nas.circuits.elementary`, on
the circuit as described: what routing adds, and idling, is not in it. Read are the wires that some observable names.
Gates of a constant, phase-only kind fail like all others.

Source:
    [Tannu19] Tannu, Qureshi 2019, ASPLOS (arXiv 1805.10224): probability of successful trial.
"""

from typing import TYPE_CHECKING

from nas.circuits import Circuit
from nas.circuits.elementary import elementary_operations
from nas.errors import UndefinedMetric
from nas.metrics.measurement import Measurement
from nas.spec.settings import ErrorRates

if TYPE_CHECKING:
    from nas.metrics.static import Described


def measure(subject: "Described") -> Measurement:
    """Returns the expected success at the error rates of the settings.

    Raises:
        UndefinedMetric: no error rates are given.
    """
    rates = subject.settings.error_rates
    if rates is None:
        raise UndefinedMetric("expected_success needs error rates of gates and readout, and none are given")
    return expected_success(subject.circuit, rates)


def expected_success(circuit: Circuit, rates: ErrorRates) -> Measurement:
    """Returns (1 − e₁)^(one-qubit gates) (1 − e₂)^(two-qubit gates) (1 − e_r)^(wires read)."""
    widths = [len(operation.wires) for operation in elementary_operations(circuit)]
    counts = {
        "one_qubit": widths.count(1),
        "two_qubit": widths.count(2),
        "readout": len({wire for word in circuit.observables for _, wire in word}),
    }
    value = 1.0
    for kind, count in counts.items():
        value *= (1.0 - getattr(rates, kind)) ** count
    return Measurement("expected_success", value, None, {"error_rates": rates.model_dump()}, {"failing": counts})
