"""All metrics under their names, measured on one `Subject`.

A new metric is one file, `nas/metrics/<name>.py` with a function `measure` of a subject, and one line in the catalogue,
`nas.spec.metrics`. Those below share a file with others. What a metric draws at random, it draws for a whole bundle of
circuits at once, in a function of a `Drawing` that its `measure` hands to `Subject.drawn`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Final, Protocol, TypeVar

import numpy as np

from nas.circuits import Circuit
from nas.engines import Engine
from nas.errors import EvaluationError
from nas.metrics.entangling_capability import entangling_capability_of, random_entanglements
from nas.metrics.expressibility import expressibility_of, random_fidelities
from nas.metrics.gradient_variance import Definition, GradientDraws, dead_parameters, gradient_variance
from nas.metrics.measurement import Measurement
from nas.metrics.performance import Predictions, validation_accuracy, validation_loss
from nas.metrics.robustness import RobustAccuracy, noisy_accuracy, shot_accuracy
from nas.metrics.scores import validation_auc, validation_f1, validation_r2
from nas.metrics.static import Described, static_measurement
from nas.spec import METRICS
from nas.spec.engines import Precision
from nas.spec.settings import MetricSettings

T = TypeVar("T")


class Drawing(Protocol):
    """Circuits of one width that are simulated together, and what random draws of them need."""

    @property
    def circuits(self) -> Sequence[Circuit]:
        """The members."""

    @property
    def engine(self) -> Engine:
        """What simulates them."""

    @property
    def settings(self) -> MetricSettings:
        """Estimators and sample sizes."""

    def rngs(self, purpose: str) -> Sequence[np.random.Generator]:
        """Returns a new generator for each circuit; it depends on the circuit and the purpose alone."""


#: Returns, for each circuit, what was drawn of it or why there is nothing.
Sampler = Callable[[Drawing], Sequence[T | EvaluationError]]


class Subject(Described, Protocol):
    """What is measured. Properties compute at their first use and keep the result, so metrics share what they need."""

    @property
    def precision(self) -> Precision:
        """Of simulated amplitudes."""

    def drawn(self, sampler: Sampler[T]) -> T:
        """Returns what the sampler draws of this circuit.

        Raises:
            EvaluationError: the sampler says why there is nothing.
        """

    @property
    def gradients(self) -> GradientDraws:
        """Draws of the gradient of the cost that belongs to the training mode; of a bare circuit, `pure`."""

    def gradients_of(self, definition: Definition) -> GradientDraws:
        """Returns draws of the gradient under a definition that the training mode has."""

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


def _gradient_variance(definition: Definition, subject: Subject) -> Measurement:
    return gradient_variance(subject.gradients_of(definition), name=f"gradient_variance_{definition}")


_TOGETHER: Final[dict[str, Measure]] = {
    "validation_accuracy": lambda s: validation_accuracy(s.predictions, s.training_protocol),
    "validation_loss": lambda s: validation_loss(s.predictions, s.training_protocol),
    "validation_f1": lambda s: validation_f1(s.predictions, s.training_protocol, s.rng("validation_f1")),
    "validation_auc": lambda s: validation_auc(s.predictions, s.training_protocol, s.rng("validation_auc")),
    "validation_r2": lambda s: validation_r2(s.predictions, s.training_protocol, s.rng("validation_r2")),
    "noisy_accuracy": lambda s: noisy_accuracy(s.noisy, s.settings.noise, s.training_protocol),
    "shot_accuracy": lambda s: shot_accuracy(s.under_shots, s.settings.shots, s.training_protocol),
    "expressibility": lambda s: expressibility_of(
        s.drawn(random_fidelities),
        s.circuit.qubits,
        estimator=s.settings.expressibility.estimator,
        n_bins=s.settings.expressibility.bins,
    ),
    "entangling_capability": lambda s: entangling_capability_of(s.drawn(random_entanglements), s.circuit, s.precision),
    "gradient_variance": lambda s: gradient_variance(s.gradients),
    "gradient_variance_pure": partial(_gradient_variance, "pure"),
    "gradient_variance_quantum": partial(_gradient_variance, "quantum"),
    "gradient_variance_hybrid": partial(_gradient_variance, "hybrid"),
    "dead_parameters": lambda s: dead_parameters(s.gradients),
    **{name: partial(static_measurement, name) for name, info in METRICS.items() if info.is_static},
}


def _of_its_own_file(name: str) -> Measure:
    found: Measure = import_module(f"nas.metrics.{name}").measure
    return found


#: Every metric of the catalogue.
MEASURES: Final[dict[str, Measure]] = {name: _TOGETHER.get(name) or _of_its_own_file(name) for name in METRICS}
