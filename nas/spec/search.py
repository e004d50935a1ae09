"""What a team submits: the space, the objectives and constraints, the training, the algorithm and the budget.

Every model refuses unknown keys. Checks that need more than one field name the field to change in their path.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StrictInt, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from nas.spec import limits
from nas.spec.algorithm import Algorithm, Budget
from nas.spec.base import SpecModel
from nas.spec.checks import find_problems
from nas.spec.datasets import Dataset
from nas.spec.engines import EngineName, Precision
from nas.spec.grid import n_points
from nas.spec.metrics import METRICS, Needs
from nas.spec.objectives import Constraint, Objective
from nas.spec.settings import MetricSettings
from nas.spec.space import Space
from nas.spec.stages import StagedTraining


def _plain_text(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise PydanticCustomError("name", "is one line of text without control characters or spaces around it")
    return text


class SearchSpec(SpecModel):
    """A search: what may be built, what counts, on which data, how it is searched, and when it stops."""

    name: Annotated[str, Field(min_length=1, max_length=limits.MAX_NAME), AfterValidator(_plain_text)]
    dataset: Dataset
    space: Space
    training: StagedTraining = StagedTraining()
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
        return tuple(name for name, info in METRICS.items() if name in wanted or info.is_always_measured)

    @property
    def n_planned(self) -> int:
        """Most candidates that the search may propose."""
        if self.algorithm.name == "grid":
            most = n_points(self.space, has_training=self.has_training)
        else:
            most = self.algorithm.population * self.algorithm.generations
        return most if self.budget.evaluations is None else min(most, self.budget.evaluations)

    @property
    def n_generations(self) -> int:
        """Most generations that the search may go through."""
        if self.algorithm.name == "grid":
            return -(-self.n_planned // self.algorithm.population)
        return self.algorithm.generations

    @property
    def has_training(self) -> bool:
        """Whether any wanted metric needs a fitted model."""
        return any(METRICS[name].needs is Needs.TRAINING for name in self.measured)

    @model_validator(mode="before")
    @classmethod
    def _a_sweep_leaves_no_gene(cls, document: Any) -> Any:
        # What is not written has no default either: a sweep and the default of 0.01 would contradict one another.
        if not isinstance(document, dict):
            return document
        space, training = document.get("space"), document.get("training")
        if isinstance(space, dict) and isinstance(training, dict) and training.get("learning_rate") is not None:
            return {**document, "space": {"learning_rate": None, **space}}
        return document

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
