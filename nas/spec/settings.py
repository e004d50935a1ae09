"""How metrics are estimated."""

from typing import Annotated, ClassVar, Literal, Self

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


ErrorRate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class NoiseSettings(SpecModel):
    """The device that `noisy_accuracy` supposes, and how many trajectories stand for it."""

    one_qubit: ErrorRate = Field(
        default=0.001, description="probability that one of X, Y, Z follows a gate on one qubit"
    )
    two_qubit: ErrorRate = Field(
        default=0.01, description="probability that one of the 15 Pauli pairs follows a gate on two qubits"
    )
    readout: Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)] = Field(
        default=0.02, description="probability that a measured bit is flipped"
    )
    trajectories: StrictInt = Field(default=100, ge=2, le=limits.MAX_TRAJECTORIES)


class MetricSettings(SpecModel):
    """How each metric is estimated, and which are measured beside objectives and constraints."""

    LATER: ClassVar[frozenset[str]] = frozenset({"noise", "shots"})

    expressibility: ExpressibilitySettings = ExpressibilitySettings()
    entangling_capability: EntanglementSettings = EntanglementSettings()
    gradient_variance: GradientSettings = GradientSettings()
    noise: NoiseSettings = NoiseSettings()
    shots: StrictInt = Field(
        default=1_000, ge=1, le=limits.MAX_SAMPLES, description="of `shot_accuracy`, for each sample and basis"
    )
    also: list[MetricName] = Field(default=[], max_length=32, description="measured, but neither objective nor bound")
