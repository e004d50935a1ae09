"""Measures genomes under one protocol, one or a bundle.

    genomes, protocol ──▶ architectures ──▶ samples and fits, computed together at their first use ──▶ measurements

A member's result is a function of its genome and the protocol alone, to rounding whatever stands beside it: seeds
derive from the genome's digest, the training seed and the replicate, never from a clock, a rank or global state.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
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
from nas.metrics.robustness import RobustAccuracy
from nas.space import Genome
from nas.spec import METRICS, Needs, Protocol
from nas.spec.engines import Precision
from nas.spec.settings import MetricSettings
from nas.training.datasets import Data, description_of, load, principal_components, side_by_side
from nas.training.fit import Epoch, fit
from nas.training.gradients import DEFINITIONS, loss_gradients
from nas.training.hybrid import HybridNetworks
from nas.training.loss import TrainingLoss
from nas.training.robustness import FittedNetwork
from nas.training.sweep import Fitted, Trial, best_of
from nas.training.weights import Weights, to_safetensors

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The measurements of a genome, exactly those that the protocol names, in its order."""

    metrics: dict[str, Measurement]
    curves: tuple[tuple[Epoch, ...], ...]  #: one a replicate; empty if nothing was trained
    engine: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)  #: rows, and how features were made inputs
    training: dict[str, Any] | None = None  #: learning rate, epochs run and reported; None if nothing was trained
    weights: bytes | None = None  #: of `nas.training.weights`; None if nothing was trained, or what was is too large

    def to_json(self) -> dict[str, Any]:
        """Returns the evaluation, without weights, as JSON values."""
        return {
            "metrics": {name: measurement.to_json() for name, measurement in self.metrics.items()},
            "curves": [[epoch.to_json() for epoch in curve] for curve in self.curves],
            "engine": self.engine,
            "data": self.data,
            "training": self.training,
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
        return Evaluation(metrics, subject.curves, self._engine_info, subject.data, subject.training, subject.weights)

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
        data = side_by_side(self.data)
        loss = TrainingLoss.of(self.protocol.training, data.train_y)
        return loss_gradients(self._networks, data, settings, mode=mode, rngs=rngs, loss=loss)

    @cached_property
    def fitted(self) -> list[Fitted | TrainingDiverged]:
        """Every member's replicates; all, at all learning rates that a member tries, are trained side by side."""
        training = self.protocol.training
        runs = [
            (member, rate, replicate)
            for member, each in enumerate(self.architectures)
            for rate in self._rates(each)
            for replicate in range(training.replicates)
        ]
        networks = HybridNetworks(tuple(self.architectures[member] for member, _, _ in runs), self.engine)
        found = fit(
            networks,
            side_by_side([self.data[member] for member, _, _ in runs]),
            training,
            learning_rates=[rate for _, rate, _ in runs],
            rngs=[self.rng(member, "fit", replicate=replicate) for member, _, replicate in runs],
        )
        rest = iter(found)
        return [
            best_of([Trial.of(rate, list(islice(rest, training.replicates))) for rate in self._rates(each)])
            for each in self.architectures
        ]

    @cached_property
    def data(self) -> list[Data]:
        """What each member sees."""
        data = load(self.protocol.dataset)
        return [data if each.is_hybrid else principal_components(data, each.n_inputs) for each in self.architectures]

    def _rates(self, architecture: Architecture) -> Sequence[float]:
        swept, rate = self.protocol.training.learning_rate, architecture.genome.learning_rate
        if swept is not None:
            return swept
        if rate is None:
            raise ValueError("the genome has no learning rate, and the protocol needs training")
        return (rate,)

    def rngs(self, purpose: str) -> list[np.random.Generator]:
        """Returns a new generator of each member, from its genome's digest, the training seed and the purpose."""
        return [self.rng(member, purpose, replicate=self._replicate) for member in range(len(self.architectures))]

    def rng(self, member: int, purpose: str, *, replicate: int = 0) -> np.random.Generator:
        """Returns a generator of a member's own for each purpose and replicate."""
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
        protocol, fitted = self._bundle.protocol, _or_raise(self._bundle.fitted[self._member])
        chosen = {"chosen_learning_rate": fitted.learning_rate} if fitted.sweep else {}
        return {**protocol.training.to_identity(), **chosen, "dataset": protocol.dataset.to_identity()}

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
        return tuple(fit.predictions for fit in _or_raise(self._bundle.fitted[self._member]).fits)

    @property
    def noisy(self) -> tuple[RobustAccuracy, ...]:
        return tuple(
            network.noisy_accuracy(self._data, self.settings.noise, rng)
            for network, rng in self._fitted_networks("noisy_accuracy")
        )

    @property
    def under_shots(self) -> tuple[RobustAccuracy, ...]:
        return tuple(
            network.shot_accuracy(self._data, self.settings.shots, rng)
            for network, rng in self._fitted_networks("shot_accuracy")
        )

    def rng(self, purpose: str) -> np.random.Generator:
        return self._bundle.rng(self._member, purpose)

    @property
    def curves(self) -> tuple[tuple[Epoch, ...], ...]:
        return tuple(fit.curve for fit in self._fitted.fits) if self._fitted else ()

    @property
    def training(self) -> dict[str, Any] | None:
        return self._fitted.to_json() if self._fitted else None

    @property
    def weights(self) -> bytes | None:
        if self._fitted is None:
            return None
        replicates = tuple(fit.parameters for fit in self._fitted.fits)
        genome, protocol = self.architecture.genome, self._bundle.protocol
        return to_safetensors(Weights(genome, protocol, replicates, self._fitted.to_json(), self.data))

    @property
    def data(self) -> dict[str, Any]:
        return description_of(self._data, self.architecture)

    @property
    def _data(self) -> Data:
        return self._bundle.data[self._member]

    @property
    def _fitted(self) -> Fitted | None:
        # Asked for at the end, and not a reason to train.
        if "fitted" not in self._bundle.__dict__:
            return None
        return _or_raise(self._bundle.fitted[self._member])

    def _fitted_networks(self, purpose: str) -> Iterator[tuple[FittedNetwork, np.random.Generator]]:
        """Yields the network of each replicate with a generator of its own."""
        for replicate, one in enumerate(_or_raise(self._bundle.fitted[self._member]).fits):
            network = FittedNetwork.of(self.architecture, self._bundle.engine, one)
            yield network, self._bundle.rng(self._member, purpose, replicate=replicate)


def _or_raise(outcome: _T | EvaluationError) -> _T:
    if isinstance(outcome, EvaluationError):
        raise outcome
    return outcome
