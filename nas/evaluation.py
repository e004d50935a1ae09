"""Measures one genome under one protocol.

    genome, protocol ──▶ architecture ──▶ subject (gradients, fits: computed once, at their first use) ──▶ measurements

The result is a function of the arguments alone, to the last bit on one machine and number of torch threads: seeds
derive from the genome's digest, the training seed and the replicate, never from a clock, a rank or global state.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nas.circuits import Architecture
from nas.engines import Engine, make_engine
from nas.errors import UnsupportedMetric
from nas.metrics.gradient_variance import GradientDraws, pure_gradients
from nas.metrics.measurement import Measurement
from nas.metrics.performance import Predictions
from nas.metrics.registry import MEASURES
from nas.space import Genome
from nas.spec import METRICS, Protocol
from nas.spec.search import MetricSettings
from nas.training.datasets import Data, load, principal_components
from nas.training.fit import Epoch, Fit, fit
from nas.training.gradients import loss_gradients
from nas.training.hybrid import HybridNetwork


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The measurements of a genome, exactly those that the protocol names, in its order."""

    metrics: dict[str, Measurement]
    curves: tuple[tuple[Epoch, ...], ...]  #: one a replicate; empty if nothing was trained
    engine: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Returns the evaluation as JSON values."""
        return {
            "metrics": {name: measurement.to_json() for name, measurement in self.metrics.items()},
            "curves": [[epoch.to_json() for epoch in curve] for curve in self.curves],
            "engine": self.engine,
        }


def evaluate_bundle(genomes: Sequence[Genome], protocol: Protocol) -> list[Evaluation | Exception]:
    """Returns for each genome its evaluation, or the error that it alone met; genomes have one qubit count."""
    found: list[Evaluation | Exception] = []
    for genome in genomes:
        try:
            found.append(evaluate(genome, protocol))
        except Exception as error:  # whatever one member does, the others are measured
            found.append(error)
    return found


def evaluate(genome: Genome, protocol: Protocol) -> Evaluation:
    """Returns every metric that the protocol names, measured for this genome.

    Raises:
        UnbuildableGenome: no network can be made of the genome on this data set.
        EvaluationError: a metric could not be measured; see the tree in `nas.errors`.
    """
    for name, version in protocol.metrics.items():
        if name not in MEASURES or METRICS[name].version != version:
            raise UnsupportedMetric(f"version {version} of {name!r} is not installed here; update this worker")
    subject = _Subject(Architecture.build(genome, protocol), protocol, make_engine(protocol.engine, protocol.precision))
    metrics = {name: MEASURES[name](subject) for name in protocol.metrics}
    return Evaluation(metrics, subject.curves, subject.engine.info.to_json())


class _Subject:
    """What `nas.metrics.registry` measures: one architecture under one protocol."""

    def __init__(self, architecture: Architecture, protocol: Protocol, engine: Engine) -> None:
        self.architecture = architecture
        self.engine = engine
        self._protocol = protocol
        self._network = HybridNetwork(architecture, engine)

    @property
    def settings(self) -> MetricSettings:
        return self._protocol.settings

    @property
    def training_protocol(self) -> dict[str, Any]:
        return {**self._protocol.training.model_dump(mode="json"), "dataset": self._protocol.dataset.model_dump()}

    @cached_property
    def gradients(self) -> GradientDraws:
        settings, rng = self.settings.gradient_variance, self.rng("gradient_variance")
        mode = self._protocol.training.mode
        if mode == "pure-quantum":
            return pure_gradients(self.architecture.circuit, self.engine, settings.samples, rng)
        return loss_gradients(self._network, self._data, settings, mode=mode, rng=rng)

    @property
    def predictions(self) -> tuple[Predictions, ...]:
        return tuple(fitted.predictions for fitted in self._fits)

    @property
    def curves(self) -> tuple[tuple[Epoch, ...], ...]:
        # Asked for at the end, and not a reason to train.
        return tuple(fitted.curve for fitted in self._fits) if "_fits" in self.__dict__ else ()

    def rng(self, purpose: str) -> np.random.Generator:
        return self._generator(purpose, replicate=0)

    @cached_property
    def _data(self) -> Data:
        data = load(self._protocol.dataset)
        return data if self.architecture.is_hybrid else principal_components(data, self.architecture.n_inputs)

    @cached_property
    def _fits(self) -> tuple[Fit, ...]:
        training, rate = self._protocol.training, self.architecture.genome.learning_rate
        if rate is None:
            raise ValueError("the genome has no learning rate, and the protocol needs training")
        return tuple(
            fit(self._network, self._data, training, learning_rate=rate, rng=self._generator("fit", replicate=i))
            for i in range(training.replicates)
        )

    def _generator(self, purpose: str, *, replicate: int) -> np.random.Generator:
        text = f"{self.architecture.genome.digest}:{self._protocol.training.seed}:{replicate}:{purpose}"
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()))
