"""A circuit and nothing more, as a `Subject` of the metrics: what `hqnas measure` measures."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NoReturn, TypeVar

import numpy as np

from nas.circuits import Circuit
from nas.engines import Engine
from nas.errors import EvaluationError, UndefinedMetric
from nas.metrics.gradient_variance import Definition, GradientDraws, pure_gradients
from nas.metrics.registry import Sampler
from nas.spec.engines import Precision
from nas.spec.settings import MetricSettings

T = TypeVar("T")

_NO_NETWORK: Final = "needs data and a network, and there is a circuit alone"


@dataclass(frozen=True)
class BareCircuit:
    """A circuit on an engine. What is drawn once is kept, so metrics share it; a value depends on no other metric."""

    circuit: Circuit
    engine: Engine
    settings: MetricSettings
    seed: int
    architecture: None = None
    _drawn: dict[Callable[..., Any], Any] = field(default_factory=dict)

    @property
    def circuits(self) -> list[Circuit]:
        """The bundle that it is, alone."""
        return [self.circuit]

    @property
    def precision(self) -> Precision:
        """Of the engine."""
        return self.engine.precision

    def rngs(self, purpose: str) -> list[np.random.Generator]:
        """Returns its generator for a purpose, the same at every call."""
        return [np.random.default_rng([self.seed, *purpose.encode()])]

    def drawn(self, sampler: Sampler[T]) -> T:
        """Returns what the sampler draws, at the first call."""
        if sampler not in self._drawn:
            (self._drawn[sampler],) = sampler(self)
        found: T | EvaluationError = self._drawn[sampler]
        if isinstance(found, EvaluationError):
            raise found
        return found

    @cached_property
    def gradients(self) -> GradientDraws:
        """Draws of the gradient of the first observable."""
        (rng,) = self.rngs("gradient_variance")
        return pure_gradients(self.circuit, self.engine, self.settings.gradient_variance.samples, rng)

    def gradients_of(self, definition: Definition) -> GradientDraws:
        """Returns those draws; a circuit has no other definition."""
        if definition != "pure":
            raise UndefinedMetric(f"gradient_variance_{definition} {_NO_NETWORK}")
        return self.gradients

    @property
    def predictions(self) -> NoReturn:
        """None: a circuit is not fitted."""
        raise UndefinedMetric(f"task performance {_NO_NETWORK}")

    @property
    def noisy(self) -> NoReturn:
        """None: a circuit is not fitted."""
        raise UndefinedMetric(f"accuracy {_NO_NETWORK}")

    @property
    def under_shots(self) -> NoReturn:
        """None: a circuit is not fitted."""
        raise UndefinedMetric(f"accuracy {_NO_NETWORK}")

    def rng(self, purpose: str) -> np.random.Generator:
        """Returns its generator for a purpose, as `rngs` does."""
        return self.rngs(purpose)[0]

    @property
    def training_protocol(self) -> NoReturn:
        """None: a circuit is not fitted."""
        raise UndefinedMetric(f"task performance {_NO_NETWORK}")
