"""Trains a candidate and its controls on the same seeds and data, and tests each once.

Everything of seed s derives from (genome digest, training seed, s, purpose): the candidate, its frozen and its
entanglement-free twin start from the same parameters, as far as each has them, and all arms meet the training rows in
the same order. The purposes are not those of a search, so that no start which a search was lucky with comes again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from nas.circuits import Architecture, UnbuildableGenome
from nas.confirmation.arms import Arm, Size, classical_twin, frozen, has_entanglers, unentangled
from nas.confirmation.held_out import open_test_split
from nas.confirmation.networks import ClassicalNetworks, StartedNetworks
from nas.engines import Engine, make_engine
from nas.errors import DeviceTooSmall, EvaluationError, TrainingDiverged, UnsupportedMetric
from nas.metrics.costs import classical_parameters, two_qubit_gates
from nas.metrics.performance import Predictions
from nas.space import Genome
from nas.spec.confirmation import CONFIRMATION_VERSION, ConfirmationProtocol
from nas.training.datasets import Data, load, principal_components, side_by_side
from nas.training.fit import Fit, fit, predict
from nas.training.hybrid import HybridNetworks, MemberParameters

#: What a trial scores, by what is learnt.
METRICS: Final[dict[str, dict[str, Any]]] = {
    "classification": {"name": "test_accuracy", "goal": "maximize", "unit": "share", "bounds": [0.0, 1.0]},
    "regression": {"name": "test_r2", "goal": "maximize", "unit": "share", "bounds": [None, 1.0]},
}


@dataclass(frozen=True, slots=True)
class Trial:
    """One training of one arm: where it ended, and what it scored on the test split; or why it did not end."""

    seed: int
    epoch: int | None = None  #: the reported one; 0 where nothing can be trained
    validation_loss: float | None = None
    test_accuracy: float | None = None
    test_r2: float | None = None  #: of a regression, in place of the accuracy
    test_loss: float | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        names = ("seed", "epoch", "validation_loss", "test_accuracy", "test_r2", "test_loss", "error")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class ArmResult:
    """What an arm is and what became of it, seed by seed."""

    size: Size
    trials: tuple[Trial, ...]
    is_void: bool = False  #: the control is the candidate itself

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return {
            **self.size.to_json(),
            "is_void": self.is_void,
            "trials": [trial.to_json() for trial in self.trials],
        }


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A candidate beside its controls."""

    arms: dict[Arm, ArmResult]
    metric: dict[str, Any]
    rows: dict[str, int]  #: of each split
    learning_rate: float | None  #: None where every training tries several
    engine: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Returns the result as JSON values."""
        return {
            "metric": self.metric,
            "rows": self.rows,
            "learning_rate": self.learning_rate,
            "arms": {str(arm): result.to_json() for arm, result in self.arms.items()},
            "engine": self.engine,
        }


def confirm(genome: Genome, protocol: ConfirmationProtocol) -> Confirmed | Exception:
    """Returns what the candidate and its controls score on the test split, or the error that it met.

    Cost: 4 · seeds trainings. The three arms with a circuit are simulated in the same calls of the engine, where the
    training mode trains the same parts of them and memory allows.
    """
    if protocol.version != CONFIRMATION_VERSION:
        return UnsupportedMetric(
            f"version {protocol.version} of the confirmation is not installed here; update this worker"
        )
    try:
        architecture = Architecture.build(genome, protocol)
        return _Subject(architecture, protocol).confirm()
    except (EvaluationError, UnbuildableGenome) as error:
        return error


@dataclass(frozen=True, slots=True)
class _Runner:
    """One training to do."""

    arm: Arm
    seed: int
    architecture: Architecture
    start: MemberParameters
    mode: str  #: what is trained, as in a spec

    @property
    def n_trained(self) -> int:
        classical = 0 if self.mode == "quantum-only" else len(self.start.classical)
        return classical + len(self.start.circuit)

    @property
    def kind(self) -> tuple[str, bool, bool]:
        """Those of one kind are trained together."""
        return self.mode, self.arm is Arm.CLASSICAL_NET, self.n_trained > 0


class _Subject:
    """A candidate with everything that its arms share."""

    def __init__(self, architecture: Architecture, protocol: ConfirmationProtocol) -> None:
        self._architecture = architecture
        self._protocol = protocol
        self._engine: Engine = make_engine(protocol.engine, protocol.precision, protocol.device)
        rate = architecture.genome.learning_rate
        swept = protocol.training.learning_rate
        if rate is None and not swept:
            raise UnbuildableGenome("its genome has no learning rate: the search trained nothing")
        self._rates = tuple(swept or ()) if rate is None else (rate,)

    def confirm(self) -> Confirmed:
        runners = [runner for seed in range(self._protocol.seeds) for runner in self._runners(seed)]
        groups: dict[tuple[str, bool, bool], list[_Runner]] = {}
        for runner in runners:
            if not self._is_void(runner.arm):
                groups.setdefault(runner.kind, []).append(runner)
        trials: dict[Arm, list[Trial]] = {arm: [] for arm in Arm}
        for group in groups.values():
            for runner, trial in zip(group, self._run(group), strict=True):
                trials[runner.arm].append(trial)
        arms = {
            runner.arm: ArmResult(self._size(runner), tuple(trials[runner.arm]), self._is_void(runner.arm))
            for runner in runners[: len(Arm)]
        }
        rows = {
            "train": len(self._data.train_y),
            "validation": len(self._data.validation_y),
            "test": len(self._tested.validation_y),
        }
        metric = METRICS[self._architecture.task]
        return Confirmed(arms, metric, rows, self._architecture.genome.learning_rate, self._engine.info.to_json())

    def _is_void(self, arm: Arm) -> bool:
        circuit = self._architecture.circuit
        return (arm is Arm.FROZEN_CIRCUIT and circuit.n_weights == 0) or (
            arm is Arm.NO_ENTANGLEMENT and not has_entanglers(circuit)
        )

    def _size(self, runner: _Runner) -> Size:
        # A frozen circuit has its weights as constants: they are parameters, and not trained.
        circuit = (self._architecture if runner.arm is Arm.FROZEN_CIRCUIT else runner.architecture).circuit
        return Size(
            parameters=classical_parameters(runner.architecture) + circuit.n_weights,
            trained_parameters=runner.n_trained,
            quantum_parameters=circuit.n_weights,
            two_qubit_gates=two_qubit_gates(circuit),
            hidden=runner.architecture.post_widths[0] if runner.arm is Arm.CLASSICAL_NET else None,
        )

    def _runners(self, seed: int) -> list[_Runner]:
        """Returns the four arms of one seed."""
        mode, candidate = self._protocol.training.mode, self._architecture
        alone = HybridNetworks((candidate,), self._engine)
        (start,) = alone.of_members(alone.draw([self._rng("start", seed)]))
        still = replace(candidate, circuit=frozen(candidate.circuit, start.circuit.tolist()))
        without, kept = unentangled(candidate.circuit)
        n_trained = _Runner(Arm.CANDIDATE, seed, candidate, start, mode).n_trained
        mlp = classical_twin(candidate, n_trained)
        classical = HybridNetworks((mlp,), self._engine)
        (mlp_start,) = classical.of_members(classical.draw([self._rng("classical start", seed)]))
        return [
            _Runner(Arm.CANDIDATE, seed, candidate, start, mode),
            # In `quantum-only` the candidate's classical layers are frozen; those of this control are trained.
            _Runner(
                Arm.FROZEN_CIRCUIT,
                seed,
                still,
                replace(start, circuit=start.circuit[:0]),
                "full-hybrid" if mode == "quantum-only" else mode,
            ),
            _Runner(
                Arm.NO_ENTANGLEMENT,
                seed,
                replace(candidate, circuit=without),
                replace(start, circuit=start.circuit[list(kept)]),
                mode,
            ),
            _Runner(Arm.CLASSICAL_NET, seed, mlp, mlp_start, "full-hybrid"),
        ]

    def _run(self, group: Sequence[_Runner]) -> list[Trial]:
        """Trains and tests together; where memory does not allow it, half of them at a time."""
        try:
            return self._run_together(group)
        except DeviceTooSmall:
            if len(group) == 1:
                raise
            half = len(group) // 2
            return [*self._run(group[:half]), *self._run(group[half:])]

    def _run_together(self, group: Sequence[_Runner]) -> list[Trial]:
        of_arms = ClassicalNetworks if group[0].arm is Arm.CLASSICAL_NET else StartedNetworks
        networks = of_arms(
            tuple(runner.architecture for runner in group),
            self._engine,
            tuple(runner.start for runner in group),
        )
        if group[0].n_trained == 0:
            return self._test(networks, [(0, None, runner.start) for runner in group], group)
        fits = [
            min(
                (one for one in of_rates if isinstance(one, Fit)),
                key=lambda one: one.predictions.loss,
                default=of_rates[0],
            )
            for of_rates in zip(*(self._fits(networks, group, rate) for rate in self._rates), strict=True)
        ]
        ends = [
            one if isinstance(one, TrainingDiverged) else (one.epoch, one.predictions.loss, one.parameters)
            for one in fits
        ]
        return self._test(networks, ends, group)

    def _fits(self, networks: HybridNetworks, group: Sequence[_Runner], rate: float) -> list[Fit | TrainingDiverged]:
        """Returns every fit at one rate; of several, each training keeps that of lowest validation loss."""
        return fit(
            networks,
            side_by_side([self._data] * len(group)),
            self._protocol.training.model_copy(update={"mode": group[0].mode}),
            learning_rates=[rate] * len(group),
            rngs=[self._rng("order", runner.seed) for runner in group],
        )

    def _test(
        self,
        networks: HybridNetworks,
        ends: Sequence[tuple[int, float | None, MemberParameters] | TrainingDiverged],
        group: Sequence[_Runner],
    ) -> list[Trial]:
        """Returns the trials, each with its one look at the test split."""
        final = networks.together(
            [
                runner.start if isinstance(end, TrainingDiverged) else end[2]
                for end, runner in zip(ends, group, strict=True)
            ]
        )
        tested = side_by_side([self._tested] * len(group))
        predictions = predict(networks, final, tested.validation_x, tested.validation_y)
        return [
            Trial(runner.seed, error=str(end))
            if isinstance(end, TrainingDiverged)
            else _scored(runner.seed, end, predicted)
            for runner, end, predicted in zip(group, ends, predictions, strict=True)
        ]

    @cached_property
    def _data(self) -> Data:
        return self._reduced(load(self._protocol.dataset))

    @cached_property
    def _tested(self) -> Data:
        # Reduced with the statistics of the same training split, like the validation split that it stands for.
        return self._reduced(open_test_split(self._protocol.dataset))

    def _reduced(self, data: Data) -> Data:
        architecture = self._architecture
        return data if architecture.is_hybrid else principal_components(data, architecture.n_inputs)

    def _rng(self, purpose: str, seed: int) -> np.random.Generator:
        digest = self._architecture.genome.digest
        text = f"{digest}:{self._protocol.training.seed}:{seed}:confirmation {purpose}"
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()))


def _scored(seed: int, end: tuple[int, float | None, MemberParameters], predicted: Predictions) -> Trial:
    is_regression = predicted.is_regression
    return Trial(
        seed,
        epoch=end[0],
        validation_loss=end[1],
        test_accuracy=None if is_regression else predicted.accuracy,
        test_r2=predicted.r2 if is_regression else None,
        test_loss=predicted.loss,
    )
