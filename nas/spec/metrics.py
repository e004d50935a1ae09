"""The catalogue of metrics: name, direction, unit, version and what measuring it takes.

Only facts live here, so that a spec can be validated without loading a simulator; the definitions are in
`nas.metrics`, one file a metric, under the same names. A changed definition is a new version.

    static      exact, from the description alone, in plain Python: bounds on it are met before anything is measured
    on request  measured only where an objective, a constraint or `metrics.also` names it; every metric that is not
                static is, and so are static ones that hold for settings (error rates, say) which a search must choose
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from nas.spec.datasets import Task

Goal = Literal["minimize", "maximize"]


class Needs(StrEnum):
    """What has to happen before a metric is known, cheapest first."""

    NOTHING = "nothing"  #: exact, from the circuit description alone
    LIBRARY = "library"  #: exact, but by a library that only workers have
    SIMULATION = "simulation"  #: states or gradients at random weights
    TRAINING = "training"  #: a fitted model


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """What is known of a metric before it is measured."""

    name: str
    goal: Goal
    unit: str
    needs: Needs
    summary: str
    version: int = 1
    settings: str | None = None  #: its block of `metrics` in a spec, where that has another name
    needs_network: bool = False  #: a bare circuit does not have it
    is_on_request: bool = False  #: of a static metric: see above
    tasks: tuple[Task, ...] = ("classification", "regression")  #: of data sets that it is defined for
    regression_unit: str | None = None  #: where that differs

    @property
    def is_static(self) -> bool:
        """Whether the metric is exact and known before any simulation."""
        return self.needs is Needs.NOTHING

    @property
    def is_always_measured(self) -> bool:
        """Whether every evaluation has it, also where no spec names it."""
        return self.is_static and not self.is_on_request

    @property
    def is_of_circuit(self) -> bool:
        """Whether a bare circuit has it, without data and classical layers around."""
        return not self.needs_network and self.needs is not Needs.TRAINING

    def unit_of(self, task: Task) -> str:
        """The unit on data sets of a task."""
        return self.regression_unit or self.unit if task == "regression" else self.unit


_OF_CLASSES: Final[tuple[Task, ...]] = ("classification",)
_OF_NUMBERS: Final[tuple[Task, ...]] = ("regression",)

_CATALOGUE = (
    MetricInfo(
        "validation_accuracy", "maximize", "share", Needs.TRAINING, "correct on the validation split", tasks=_OF_CLASSES
    ),
    MetricInfo(
        "validation_loss",
        "minimize",
        "nats",
        Needs.TRAINING,
        "cross-entropy on the validation split, or mean squared error of a standardised target",
        regression_unit="variance of the training target",
    ),
    MetricInfo(
        "validation_f1", "maximize", "share", Needs.TRAINING, "macro F1 on the validation split", tasks=_OF_CLASSES
    ),
    MetricInfo(
        "validation_auc",
        "maximize",
        "share",
        Needs.TRAINING,
        "area under the ROC curve, each class against the rest, on the validation split",
        tasks=_OF_CLASSES,
    ),
    MetricInfo(
        "validation_r2",
        "maximize",
        "share",
        Needs.TRAINING,
        "coefficient of determination on the validation split",
        tasks=_OF_NUMBERS,
    ),
    MetricInfo(
        "noisy_accuracy",
        "maximize",
        "share",
        Needs.TRAINING,
        "validation accuracy under depolarising and readout error",
        settings="noise",
        tasks=_OF_CLASSES,
    ),
    MetricInfo(
        "shot_accuracy",
        "maximize",
        "share",
        Needs.TRAINING,
        "validation accuracy under a finite number of shots",
        settings="shots",
        tasks=_OF_CLASSES,
    ),
    MetricInfo("expressibility", "minimize", "nats", Needs.SIMULATION, "KL divergence of fidelities to Haar"),
    MetricInfo("entangling_capability", "maximize", "Meyer-Wallach Q", Needs.SIMULATION, "mean Q at random weights"),
    MetricInfo("gradient_variance", "maximize", "log10", Needs.SIMULATION, "mean gradient variance, live parameters"),
    MetricInfo("dead_parameters", "minimize", "share", Needs.SIMULATION, "parameters that cannot change the cost"),
    MetricInfo("qubits", "minimize", "count", Needs.NOTHING, "width of the circuit"),
    MetricInfo("layers", "minimize", "count", Needs.NOTHING, "variational layers", needs_network=True),
    MetricInfo("circuit_depth", "minimize", "moments", Needs.NOTHING, "longest chain of operations"),
    MetricInfo("gates", "minimize", "count", Needs.NOTHING, "operations, state preparation included"),
    MetricInfo("two_qubit_gates", "minimize", "count", Needs.NOTHING, "gates on two wires"),
    MetricInfo("quantum_parameters", "minimize", "count", Needs.NOTHING, "trainable circuit weights"),
    MetricInfo(
        "classical_parameters",
        "minimize",
        "count",
        Needs.NOTHING,
        "weights of the classical layers",
        needs_network=True,
    ),
    MetricInfo("flops", "minimize", "FLOP", Needs.NOTHING, "one training step of one sample, simulated"),
    MetricInfo(
        "frame_potential",
        "minimize",
        "ratio to Haar",
        Needs.SIMULATION,
        "mean power of the fidelities of expressibility; 1 for a t-design",
    ),
    MetricInfo(
        "quantum_fisher_rank",
        "maximize",
        "count",
        Needs.SIMULATION,
        "directions in which weights move the state; small circuits only",
    ),
    MetricInfo(
        "gradient_variance_pure",
        "maximize",
        "log10",
        Needs.SIMULATION,
        "gradient_variance of the first observable, in any mode",
        settings="gradient_variance",
    ),
    MetricInfo(
        "gradient_variance_quantum",
        "maximize",
        "log10",
        Needs.SIMULATION,
        "of the loss over circuit weights, classical layers frozen",
        settings="gradient_variance",
        needs_network=True,
    ),
    MetricInfo(
        "gradient_variance_hybrid",
        "maximize",
        "log10",
        Needs.SIMULATION,
        "of the loss over all parameters",
        settings="gradient_variance",
        needs_network=True,
    ),
    MetricInfo(
        "routed_two_qubit_gates",
        "minimize",
        "count",
        Needs.LIBRARY,
        "gates on two wires, once routed on a coupling map",
        settings="routing",
    ),
    MetricInfo(
        "routed_depth",
        "minimize",
        "moments",
        Needs.LIBRARY,
        "depth, once routed on a coupling map",
        settings="routing",
    ),
    MetricInfo(
        "expected_success",
        "maximize",
        "probability",
        Needs.NOTHING,
        "no gate and no readout fails, at given error rates",
        settings="error_rates",
        is_on_request=True,
    ),
    MetricInfo(
        "shots_for_gradient",
        "minimize",
        "shots",
        Needs.NOTHING,
        "bound on the shots that tell every gradient to a given error",
        is_on_request=True,
    ),
)

METRICS: Final[dict[str, MetricInfo]] = {info.name: info for info in _CATALOGUE}
