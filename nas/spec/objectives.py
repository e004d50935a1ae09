"""What counts: objectives to improve, and constraints to keep."""

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from nas.spec.base import SpecModel, known
from nas.spec.metrics import METRICS, Goal, MetricInfo

MetricName = Annotated[str, known("metric", METRICS)]


class Objective(SpecModel):
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


class Constraint(SpecModel):
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
