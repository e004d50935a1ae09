"""All metrics under their names, measured on one `Subject`. A new metric is one file and one line here."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from nas.circuits import Architecture
from nas.metrics.costs import exact_costs
from nas.metrics.entangling_capability import entangling_capability_of
from nas.metrics.expressibility import expressibility_of
from nas.metrics.gradient_variance import GradientDraws, dead_parameters, gradient_variance
from nas.metrics.measurement import Measurement
from nas.metrics.performance import Predictions, validation_accuracy, validation_loss
from nas.metrics.robustness import RobustAccuracy, noisy_accuracy, shot_accuracy
from nas.metrics.scores import validation_auc, validation_f1, validation_r2
from nas.spec.settings import MetricSettings


class Subject(Protocol):
    """What is measured. Properties compute at their first use and keep the result, so metrics share what they need."""

    @property
    def architecture(self) -> Architecture:
        """The network."""

    @property
    def settings(self) -> MetricSettings:
        """Estimators and sample sizes."""

    @property
    def fidelities(self) -> NDArray[np.float64]:
        """Of pairs of states at random weights."""

    @property
    def entanglements(self) -> NDArray[np.float64]:
        """Meyer-Wallach Q of states at random weights."""

    @property
    def gradients(self) -> GradientDraws:
        """Draws of the gradient of the cost that belongs to the training mode."""

    @property
    def predictions(self) -> Sequence[Predictions]:
        """Of the fitted models on the validation split, one a replicate."""

    @property
    def noisy(self) -> Sequence[RobustAccuracy]:
        """Of the fitted models with gate and readout errors, one a replicate."""

    @property
    def under_shots(self) -> Sequence[RobustAccuracy]:
        """Of the fitted models with finite shots, one a replicate."""

    def rng(self, purpose: str) -> np.random.Generator:
        """A generator of its own for each purpose, seeded by the genome and the training seed."""

    @property
    def training_protocol(self) -> dict[str, Any]:
        """The conditions of the fits."""


Measure = Callable[[Subject], Measurement]


def _static(name: str, subject: Subject) -> Measurement:
    return Measurement(name, exact_costs(subject.architecture)[name], None)


_STATIC: Final = (
    "qubits",
    "layers",
    "circuit_depth",
    "gates",
    "two_qubit_gates",
    "quantum_parameters",
    "classical_parameters",
    "flops",
)

MEASURES: Final[dict[str, Measure]] = {
    "validation_accuracy": lambda s: validation_accuracy(s.predictions, s.training_protocol),
    "validation_loss": lambda s: validation_loss(s.predictions, s.training_protocol),
    "validation_f1": lambda s: validation_f1(s.predictions, s.training_protocol, s.rng("validation_f1")),
    "validation_auc": lambda s: validation_auc(s.predictions, s.training_protocol, s.rng("validation_auc")),
    "validation_r2": lambda s: validation_r2(s.predictions, s.training_protocol, s.rng("validation_r2")),
    "noisy_accuracy": lambda s: noisy_accuracy(s.noisy, s.settings.noise, s.training_protocol),
    "shot_accuracy": lambda s: shot_accuracy(s.under_shots, s.settings.shots, s.training_protocol),
    "expressibility": lambda s: expressibility_of(
        s.fidelities,
        s.architecture.circuit.qubits,
        estimator=s.settings.expressibility.estimator,
        n_bins=s.settings.expressibility.bins,
    ),
    "entangling_capability": lambda s: entangling_capability_of(s.entanglements, s.architecture.circuit.qubits),
    "gradient_variance": lambda s: gradient_variance(s.gradients),
    "dead_parameters": lambda s: dead_parameters(s.gradients),
    **{name: partial(_static, name) for name in _STATIC},
}
