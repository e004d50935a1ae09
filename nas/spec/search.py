"""What a team submits: the space, the objectives and constraints, the training, the algorithm and the budget.

Every model refuses unknown keys. Checks that need more than one field name the field to change in their path.
"""

import re
from collections.abc import Collection
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from nas.spec import limits
from nas.spec.checks import find_problems
from nas.spec.datasets import DATASETS, DatasetInfo
from nas.spec.genes import (
    Choice,
    Encoding,
    Entangler,
    FloatGene,
    IntegerGene,
    ListChoice,
    Observable,
    RotationSet,
    Topology,
    Widths,
)
from nas.spec.metrics import METRICS, Goal, MetricInfo, Needs

EngineName = Literal["batched", "default.qubit", "lightning.qubit", "lightning.gpu"]
Precision = Literal["complex64", "complex128"]
Mode = Literal["full-hybrid", "quantum-only", "pure-quantum"]
LayerGene = Literal["rotations", "entangler", "topology"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _known(what: str, catalogue: Collection[str]) -> BeforeValidator:
    """Returns a validator that refuses a name that the catalogue lacks, and tells those that it has."""

    def check(name: Any) -> Any:
        if isinstance(name, str) and name not in catalogue:
            raise PydanticCustomError(
                "unknown_name",
                "there is no {what} '{name}'; choose from {known}",
                {"what": what, "name": name, "known": ", ".join(catalogue)},
            )
        return name

    return BeforeValidator(check)


MetricName = Annotated[str, _known("metric", METRICS)]


class Dataset(_Model):
    """A built-in data set by name; `samples` and `features` only where the set is generated."""

    name: Annotated[str, _known("data set", DATASETS)]
    samples: StrictInt | None = Field(default=None, ge=40, le=limits.MAX_DATASET_SAMPLES)
    features: StrictInt | None = Field(default=None, ge=2, le=limits.MAX_FEATURES)

    @property
    def info(self) -> DatasetInfo:
        """The catalogue's entry of this data set."""
        return DATASETS[self.name]

    @property
    def n_features(self) -> int:
        """Number of columns that a model sees."""
        return self.features or self.info.n_features

    @property
    def n_classes(self) -> int:
        """Number of classes to tell apart."""
        return self.info.n_classes

    @model_validator(mode="after")
    def _has_only_its_options(self) -> Self:
        for option, is_allowed in (("samples", self.info.has_size), ("features", self.info.has_features)):
            if getattr(self, option) is not None and not is_allowed:
                raise PydanticCustomError(
                    "dataset_option",
                    "'{name}' has a fixed number of {option}; remove '{option}'",
                    {"name": self.name, "option": option},
                )
        return self


_DEFAULT_ROTATIONS: RotationSet = ["ry", "rz"]


def _no_layers() -> list[Widths]:
    return [[]]


class Space(_Model):
    """The genes and what each may take. A gene that is left out has its default, a single value."""

    qubits: IntegerGene
    layers: IntegerGene
    encoding: Choice[Encoding] = "angle-y"
    reuploading: Choice[StrictBool] = False
    rotations: ListChoice[RotationSet] = Field(default=_DEFAULT_ROTATIONS)
    entangler: Choice[Entangler] = "cnot"
    topology: Choice[Topology] = "linear"
    observable: Choice[Observable] = "z-all"
    pre_layers: ListChoice[Widths] = Field(default_factory=_no_layers, description="hidden widths before the circuit")
    post_layers: ListChoice[Widths] = Field(default_factory=_no_layers, description="hidden widths after the circuit")
    learning_rate: FloatGene = 0.01
    per_layer: list[LayerGene] = Field(default=[], description="genes that may differ from layer to layer")


class Training(_Model):
    """How a candidate is fitted. What is trained: everything, the circuit alone, or a circuit without layers around."""

    mode: Mode = "full-hybrid"
    epochs: StrictInt = Field(default=20, ge=1, le=limits.MAX_EPOCHS)
    batch_size: StrictInt = Field(default=32, ge=1, le=limits.MAX_BATCH_SIZE)
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    select: Literal["best", "last"] = Field(
        default="best", description="report the epoch of lowest validation loss, or the last"
    )
    seed: StrictInt = Field(default=0, ge=0, le=limits.MAX_SEED)
    replicates: StrictInt = Field(default=1, ge=1, le=limits.MAX_REPLICATES)


class Objective(_Model):
    """A metric to improve; without a goal, in the direction that the metric is good."""

    metric: MetricName
    goal: Goal | None = None

    @property
    def info(self) -> MetricInfo:
        """The catalogue's entry of the metric."""
        return METRICS[self.metric]

    @property
    def is_maximized(self) -> bool:
        """Whether larger values are better."""
        return (self.goal or self.info.goal) == "maximize"


class Constraint(_Model):
    """A bound on a metric. Bounds on exact costs are met before anything is simulated."""

    metric: MetricName
    at_most: float | None = Field(default=None, allow_inf_nan=False)
    at_least: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.at_most is None and self.at_least is None:
            raise PydanticCustomError("no_bound", "give at_most, at_least or both")
        if self.at_most is not None and self.at_least is not None and self.at_least > self.at_most:
            raise PydanticCustomError("bounds_order", "at_least is above at_most; nothing can satisfy both")
        return self

    def violation(self, value: float) -> float:
        """Returns by how much `value` breaks the bound, in the metric's unit; 0 where it holds."""
        above = value - self.at_most if self.at_most is not None else 0.0
        below = self.at_least - value if self.at_least is not None else 0.0
        return max(above, below, 0.0)


class ExpressibilitySettings(_Model):
    """Sampling of `expressibility`."""

    estimator: Literal["haar_quantile", "sim75"] = "haar_quantile"
    samples: StrictInt = Field(default=5_000, ge=100, le=limits.MAX_SAMPLES, description="pairs of states")
    bins: StrictInt = Field(default=75, ge=2, le=limits.MAX_BINS)

    @model_validator(mode="after")
    def _sim75_has_75_bins(self) -> Self:
        if self.estimator == "sim75" and self.bins != 75:
            raise PydanticCustomError("sim75_bins", "sim75 has 75 bins by definition; remove 'bins'")
        return self


class EntanglementSettings(_Model):
    """Sampling of `entangling_capability`."""

    samples: StrictInt = Field(default=1_000, ge=10, le=limits.MAX_SAMPLES, description="states")


class GradientSettings(_Model):
    """Sampling of `gradient_variance` and `dead_parameters`."""

    samples: StrictInt = Field(default=200, ge=200, le=limits.MAX_SAMPLES, description="draws of the weights")
    batch_size: StrictInt = Field(
        default=16, ge=1, le=1_024, description="data in the fixed batch of the loss (hybrid modes)"
    )


class MetricSettings(_Model):
    """How each metric is estimated, and which are measured beside objectives and constraints."""

    expressibility: ExpressibilitySettings = ExpressibilitySettings()
    entangling_capability: EntanglementSettings = EntanglementSettings()
    gradient_variance: GradientSettings = GradientSettings()
    also: list[MetricName] = Field(default=[], max_length=32, description="measured, but neither objective nor bound")


class Algorithm(_Model):
    """What proposes candidates. `random` draws each generation anew, as a baseline."""

    name: Literal["nsga2", "random"] = "nsga2"
    population: StrictInt = Field(default=40, ge=4, le=limits.MAX_POPULATION)
    generations: StrictInt = Field(default=25, ge=1, le=limits.MAX_GENERATIONS)
    mode: Literal["generational"] = "generational"
    seed: StrictInt = Field(default=1, ge=0, le=limits.MAX_SEED)


_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(s|m|h|d)", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _to_seconds(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("duration", "is a number of seconds or a text such as 90m, not true or false")
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise PydanticCustomError(
            "duration",
            "'{value}' is no duration; write seconds, or a number and s, m, h or d: 90m",
            {"value": value[:40]},
        )
    return float(match[1]) * _UNIT_S[match[2]]


WallTime = Annotated[float, BeforeValidator(_to_seconds), Field(gt=0, le=limits.MAX_WALL_TIME_S, allow_inf_nan=False)]


class Budget(_Model):
    """Where the search stops, whichever comes first: candidates proposed, or time since its start."""

    evaluations: StrictInt | None = Field(default=None, ge=1, le=limits.MAX_EVALUATIONS)
    wall_time: WallTime | None = Field(default=None, description="seconds, or a text such as 90s, 30m, 2h, 1d")


def _plain_text(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise PydanticCustomError("name", "is one line of text without control characters or spaces around it")
    return text


class SearchSpec(_Model):
    """A search: what may be built, what counts, on which data, how it is searched, and when it stops."""

    name: Annotated[str, Field(min_length=1, max_length=limits.MAX_NAME), AfterValidator(_plain_text)]
    dataset: Dataset
    space: Space
    training: Training = Training()
    objectives: list[Objective] = Field(min_length=1, max_length=limits.MAX_OBJECTIVES)
    constraints: list[Constraint] = Field(default=[], max_length=limits.MAX_CONSTRAINTS)
    metrics: MetricSettings = MetricSettings()
    algorithm: Algorithm = Algorithm()
    budget: Budget = Budget()
    engine: Literal["auto", EngineName] = Field(
        default="auto", description="auto: the fastest for each qubit count, chosen once, when the search begins"
    )
    precision: Precision = Field(default="complex128", description="of the simulated amplitudes")
    device: Literal["cpu", "gpu"] = Field(default="cpu", description="class of worker that may evaluate")
    priority: StrictInt = Field(default=0, ge=-100, le=100, description="within the team; higher goes first")

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of all metrics that this search measures, in the catalogue's order."""
        wanted = {o.metric for o in self.objectives} | {c.metric for c in self.constraints} | set(self.metrics.also)
        return tuple(name for name, info in METRICS.items() if name in wanted or info.is_static)

    @property
    def n_planned(self) -> int:
        """Most candidates that the search may propose."""
        most = self.algorithm.population * self.algorithm.generations
        return most if self.budget.evaluations is None else min(most, self.budget.evaluations)

    @property
    def has_training(self) -> bool:
        """Whether any wanted metric needs a fitted model."""
        return any(METRICS[name].needs is Needs.TRAINING for name in self.measured)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = find_problems(self)
        if problems:
            raise ValidationError.from_exception_data(
                "SearchSpec",
                [
                    InitErrorDetails(
                        type=PydanticCustomError("spec", "{reason}", {"reason": text}), loc=path, input=value
                    )
                    for path, text, value in problems
                ],
            )
        return self
