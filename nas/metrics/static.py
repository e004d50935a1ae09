"""Exact metrics without a simulator, in plain Python: what the controller bounds candidates by.

Those that every evaluation has stand together in `costs`; one on request has a file of its own, like all others.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from nas.circuits import Architecture, Circuit
from nas.metrics.costs import circuit_costs, exact_costs, flops_by_part
from nas.metrics.measurement import Measurement
from nas.spec.metrics import METRICS
from nas.spec.settings import MetricSettings


class Described(Protocol):
    """All that a static metric may read."""

    @property
    def circuit(self) -> Circuit:
        """The circuit of the network, or all that there is."""

    @property
    def architecture(self) -> Architecture | None:
        """The network; None for a bare circuit."""

    @property
    def settings(self) -> MetricSettings:
        """Error rates, and what else a metric holds for."""


@dataclass(frozen=True, slots=True)
class Description:
    """A circuit, or a network with its circuit, and settings."""

    circuit: Circuit
    settings: MetricSettings
    architecture: Architecture | None = None


def static_measurement(name: str, subject: Described) -> Measurement:
    """Returns a static metric of the catalogue.

    Raises:
        UndefinedMetric: the settings, or the circuit, lack what the metric needs.
    """
    if not METRICS[name].is_always_measured:
        found: Measurement = import_module(f"nas.metrics.{name}").measure(subject)
        return found
    whole = subject.architecture
    costs = circuit_costs(subject.circuit) if whole is None else exact_costs(whole)
    details = flops_by_part(subject.circuit, whole) if name == "flops" else {}
    return Measurement(name, costs[name], None, details=details)


def static_values(architecture: Architecture, settings: MetricSettings, names: Iterable[str]) -> dict[str, float]:
    """Returns the values of static metrics, by name; what all evaluations have is counted once."""
    costs, subject = exact_costs(architecture), Description(architecture.circuit, settings, architecture)
    return {name: costs[name] if name in costs else static_measurement(name, subject).value for name in names}
