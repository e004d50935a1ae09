"""The value of a metric with its error and the conditions that it holds under."""

import math
from dataclasses import dataclass, field
from typing import Any

from nas.errors import UndefinedMetric
from nas.spec.datasets import Task
from nas.spec.metrics import METRICS


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured metric.

    Raises:
        UndefinedMetric: value or error is infinite or not a number; such a figure is never stored.
    """

    metric: str  #: name in the catalogue
    value: float
    std_error: float | None  #: in the unit of the value; None means exact
    protocol: dict[str, Any] = field(default_factory=dict)  #: estimator, samples, distributions
    details: dict[str, Any] = field(default_factory=dict)  #: what else was learnt on the way
    task: Task = "classification"  #: of the data set, where the unit depends on it

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or not math.isfinite(self.std_error or 0.0):
            raise UndefinedMetric(f"{self.metric} came out as {self.value} ± {self.std_error}")

    def to_json(self) -> dict[str, Any]:
        """Returns value, std_error (a number or "exact"), unit, version, protocol, and the details beside them."""
        info = METRICS[self.metric]
        return {
            "value": self.value,
            "std_error": "exact" if self.std_error is None else self.std_error,
            "unit": info.unit_of(self.task),
            "version": info.version,
            "protocol": self.protocol,
            **self.details,
        }
