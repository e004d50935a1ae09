"""How metrics are estimated."""

from typing import Literal, Self

from pydantic import Field, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from nas.spec import limits
from nas.spec.base import SpecModel
from nas.spec.objectives import MetricName


class ExpressibilitySettings(SpecModel):
    """Sampling of `expressibility`."""

    estimator: Literal["haar_quantile", "sim75"] = "haar_quantile"
    samples: StrictInt = Field(default=5_000, ge=100, le=limits.MAX_SAMPLES, description="pairs of states")
    bins: StrictInt = Field(default=75, ge=2, le=limits.MAX_BINS)

    @model_validator(mode="after")
    def _sim75_has_75_bins(self) -> Self:
        if self.estimator == "sim75" and self.bins != 75:
            raise PydanticCustomError("sim75_bins", "sim75 has 75 bins by definition; remove 'bins'")
        return self


class EntanglementSettings(SpecModel):
    """Sampling of `entangling_capability`."""

    samples: StrictInt = Field(default=1_000, ge=10, le=limits.MAX_SAMPLES, description="states")


class GradientSettings(SpecModel):
    """Sampling of `gradient_variance` and `dead_parameters`."""

    samples: StrictInt = Field(default=200, ge=200, le=limits.MAX_SAMPLES, description="draws of the weights")
    batch_size: StrictInt = Field(
        default=16, ge=1, le=1_024, description="data in the fixed batch of the loss (hybrid modes)"
    )


class MetricSettings(SpecModel):
    """How each metric is estimated, and which are measured beside objectives and constraints."""

    expressibility: ExpressibilitySettings = ExpressibilitySettings()
    entangling_capability: EntanglementSettings = EntanglementSettings()
    gradient_variance: GradientSettings = GradientSettings()
    also: list[MetricName] = Field(default=[], max_length=32, description="measured, but neither objective nor bound")

    def with_samples(self, factor: int) -> Self:
        """Returns settings with `factor` times the samples wherever something is sampled; bounds are not checked."""
        sampled = {name: getattr(self, name) for name in type(self).model_fields if name != "also"}
        return self.model_copy(
            update={
                name: one.model_copy(update={"samples": factor * one.samples})
                for name, one in sampled.items()
                if hasattr(one, "samples")
            }
        )
