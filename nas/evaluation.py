"""Measures genomes under one protocol, one or a bundle.

    genomes, protocol ──▶ architectures ──▶ samples and fits, computed together at their first use ──▶ measurements

A member's result is a function of its genome and the protocol alone, to rounding whatever stands beside it: seeds
derive from the genome's digest, the training seed and the replicate, never from a clock, a rank or global state.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from nas.circuits import Architecture, UnbuildableGenome
from nas.engines import make_engine
from nas.errors import EvaluationError, TrainingDiverged, UndefinedMetric, UnsupportedMetric
from nas.metrics.gradient_variance import Definition, GradientDraws, bundle_pure_gradients
from nas.metrics.measurement import Measurement
from nas.metrics.performance import Predictions
from nas.metrics.registry import MEASURES, Sampler
from nas.metrics.replicates import mean_of_replicates
from nas.space import Genome
from nas.spec import METRICS, Needs, Protocol
from nas.spec.engines import Precision
from nas.spec.settings import MetricSettings
from nas.training.datasets import Data, load, principal_components, side_by_side
from nas.training.fit import Epoch, Fit, fit
from nas.training.gradients import DEFINITIONS, loss_gradients
from nas.training.hybrid import HybridNetworks

_T = TypeVar("_T")


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


def evaluate(genome: Genome, protocol: Protocol) -> Evaluation:
    """Returns every metric that the protocol names, measured for this genome.

    Raises:
        UnbuildableGenome: no network can be made of the genome on this data set.
        EvaluationError: a metric could not be measured; see the tree in `nas.errors`.
    """
    (found,) = evaluate_bundle([genome], protocol)
    if isinstance(found, Exception):
        raise found
    return found


def evaluate_bundle(genomes: Sequence[Genome], protocol: Protocol) -> list[Evaluation | Exception]:
    """Returns for each genome its evaluation, or the error that it met; the genomes have one qubit count.

    Where the members cannot be computed together, for want of memory above all, each is computed alone.
    """
    built = [_architecture(genome, protocol) for genome in genomes]
    architectures = [one for one in built if isinstance(one, Architecture)]
    try:
        measured = iter(_Bundle(architectures, protocol).measure() if architectures else ())
    except Exception as error:
        if len(architectures) <= 1:
            return [error if isinstance(one, Architecture) else one for one in built]
        return [evaluate_bundle([genome], protocol)[0] for genome in genomes]
    return [next(measured) if isinstance(one, Architecture) else one for one in built]


def _architecture(genome: Genome, protocol: Protocol) -> Architecture | EvaluationError:
    for name, version in protocol.metrics.items():
        if name not in MEASURES or METRICS[name].version != version:
            return UnsupportedMetric(f"version {version} of {name!r} is not installed here; update this worker")
    try:
        return Architecture.build(genome, protocol)
    except UnbuildableGenome as error:
        return error


class _Bundle:
    """Architectures of one qubit count, with what is drawn and fitted for all of them."""

    def __init__(self, architectures: list[Architecture], protocol: Protocol, *, replicate: int = 0) -> None:
        self.architectures = architectures
        self.protocol = protocol
        self._replicate = replicate  #: of the draws; all replicates of fits are made in the first
        self.engine = make_engine(protocol.engine, protocol.precision, protocol.device)
        self.circuits = [each.circuit for each in architectures]
        self._drawn: dict[Sampler[Any], Any] = {}
        self._gradients: dict[Definition, Sequence[GradientDraws | UndefinedMetric]] = {}
        self._networks = HybridNetworks(tuple(architectures), self.engine)

    def measure(self) -> list[Evaluation | Exception]:
        """Returns each member's evaluation, or the error that it alone met."""
        n_replicates = self.protocol.settings.replicates
        again = [_Bundle(self.architectures, self.protocol, replicate=i) for i in range(1, n_replicates)]
        return [self._measure(member, again) for member in range(len(self.architectures))]

    def _measure(self, member: int, again: "list[_Bundle]") -> Evaluation | Exception:
        subject, others = _Subject(self, member), [_Subject(bundle, member) for bundle in again]
        try:
            metrics = {name: _measurement(name, subject, others) for name in self.protocol.metrics}
        except EvaluationError as error:
            return error
        return Evaluation(metrics, subject.curves, self._engine_info)

    @cached_property
    def _engine_info(self) -> dict[str, Any]:
        # Once for the bundle: it reads the versions of libraries from their files.
        return self.engine.info.to_json()

    @property
    def settings(self) -> MetricSettings:
        """Estimators and sample sizes."""
        return self.protocol.settings

    def drawn(self, sampler: Sampler[_T]) -> Sequence[_T | EvaluationError]:
        """Returns what the sampler draws of the members; once, whoever asks."""
        if sampler not in self._drawn:
            self._drawn[sampler] = sampler(self)
        found: Sequence[_T | EvaluationError] = self._drawn[sampler]
        return found

    def gradients(self, definition: Definition) -> Sequence[GradientDraws | UndefinedMetric]:
        """Returns draws of the gradient; with the same generators whatever the mode, which then changes no value."""
        if definition not in self._gradients:
            self._gradients[definition] = self._gradient_draws(definition)
        return self._gradients[definition]

    def _gradient_draws(self, definition: Definition) -> Sequence[GradientDraws | UndefinedMetric]:
        settings, rngs = self.settings.gradient_variance, self.rngs("gradient_variance")
        if definition == "pure":
            return bundle_pure_gradients(self.circuits, self.engine, settings.samples, rngs)
        if self.protocol.training.mode == "pure-quantum":
            raise UndefinedMetric(f"gradient_variance_{definition} has no value: pure-quantum has no loss")
        mode = next(mode for mode, found in DEFINITIONS.items() if found == definition)
        return loss_gradients(self._networks, self._data, settings, mode=mode, rngs=rngs)

    @cached_property
    def fits(self) -> list[list[Fit | TrainingDiverged]]:
        """Every member's replicates; all are trained side by side."""
        training = self.protocol.training
        n_replicates = training.replicates
        rates = [self._rate(each) for each in self.architectures for _ in range(n_replicates)]
        everyone = tuple(each for each in self.architectures for _ in range(n_replicates))
        rngs = [rng for member in range(len(rates) // n_replicates) for rng in self._fit_rngs(member, n_replicates)]
        networks = HybridNetworks(everyone, self.engine)
        found = fit(networks, self._replicated(n_replicates), training, learning_rates=rates, rngs=rngs)
        return [found[start : start + n_replicates] for start in range(0, len(found), n_replicates)]

    @cached_property
    def _of_members(self) -> list[Data]:
        data = load(self.protocol.dataset)
        return [data if each.is_hybrid else principal_components(data, each.n_inputs) for each in self.architectures]

    @property
    def _data(self) -> Data:
        return side_by_side(self._of_members)

    def _replicated(self, n_replicates: int) -> Data:
        return side_by_side([data for data in self._of_members for _ in range(n_replicates)])

    def _rate(self, architecture: Architecture) -> float:
        rate = architecture.genome.learning_rate
        if rate is None:
            raise ValueError("the genome has no learning rate, and the protocol needs training")
        return rate

    def _fit_rngs(self, member: int, n_replicates: int) -> list[np.random.Generator]:
        return [self._rng(member, "fit", replicate=i) for i in range(n_replicates)]

    def rngs(self, purpose: str) -> list[np.random.Generator]:
        """Returns a new generator of each member, from its genome's digest, the training seed and the purpose."""
        return [self._rng(member, purpose, replicate=self._replicate) for member in range(len(self.architectures))]

    def _rng(self, member: int, purpose: str, *, replicate: int = 0) -> np.random.Generator:
        digest = self.architectures[member].genome.digest
        text = f"{digest}:{self.protocol.training.seed}:{replicate}:{purpose}"
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()))


def _measurement(name: str, subject: "_Subject", others: "list[_Subject]") -> Measurement:
    """Returns a metric of a member: of a sampled one, the mean over all replicates of its draws."""
    everyone = [subject, *others] if METRICS[name].needs is Needs.SIMULATION else [subject]
    return mean_of_replicates([MEASURES[name](one) for one in everyone])


class _Subject:
    """One member of a bundle, as `nas.metrics.registry` measures it."""

    def __init__(self, bundle: _Bundle, member: int) -> None:
        self.architecture = bundle.architectures[member]
        self.circuit = self.architecture.circuit
        self._bundle = bundle
        self._member = member

    @property
    def settings(self) -> MetricSettings:
        return self._bundle.protocol.settings

    @property
    def training_protocol(self) -> dict[str, Any]:
        protocol = self._bundle.protocol
        return {**protocol.training.model_dump(mode="json"), "dataset": protocol.dataset.model_dump()}

    @property
    def precision(self) -> Precision:
        return self._bundle.protocol.precision

    def drawn(self, sampler: Sampler[_T]) -> _T:
        return _or_raise(self._bundle.drawn(sampler)[self._member])

    @property
    def gradients(self) -> GradientDraws:
        return self.gradients_of(DEFINITIONS[self._bundle.protocol.training.mode])

    def gradients_of(self, definition: Definition) -> GradientDraws:
        return _or_raise(self._bundle.gradients(definition)[self._member])

    @property
    def predictions(self) -> tuple[Predictions, ...]:
        return tuple(_or_raise(one).predictions for one in self._bundle.fits[self._member])

    @property
    def curves(self) -> tuple[tuple[Epoch, ...], ...]:
        # Asked for at the end, and not a reason to train.
        if "fits" not in self._bundle.__dict__:
            return ()
        return tuple(_or_raise(one).curve for one in self._bundle.fits[self._member])


def _or_raise(outcome: _T | EvaluationError) -> _T:
    if isinstance(outcome, EvaluationError):
        raise outcome
    return outcome
