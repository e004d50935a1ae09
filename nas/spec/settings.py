"""How metrics are estimated."""

from typing import Annotated, Literal, Self

from pydantic import Field, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from nas.spec import limits
from nas.spec.base import SpecModel
from nas.spec.coupling import CouplingMap
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


class FramePotentialSettings(SpecModel):
    """What `frame_potential` is; its pairs are those of `expressibility`."""

    order: StrictInt = Field(default=2, ge=1, le=limits.MAX_FRAME_ORDER, description="t of the t-design")


class FisherSettings(SpecModel):
    """Sampling of `quantum_fisher_rank`."""

    samples: StrictInt = Field(default=10, ge=2, le=limits.MAX_FISHER_DRAWS, description="draws of the weights")


Rate = Annotated[float, Field(ge=0.0, lt=1.0, allow_inf_nan=False)]


class ErrorRates(SpecModel):
    """How often a gate or a readout of one wire fails, for `expected_success`."""

    one_qubit: Rate
    two_qubit: Rate
    readout: Rate = 0.0


class ShotSettings(SpecModel):
    """What `shots_for_gradient` has to reach."""

    error: float = Field(
        default=0.1, ge=limits.MIN_GRADIENT_ERROR, le=1.0, allow_inf_nan=False, description="standard error, one weight"
    )


class RoutingSettings(SpecModel):
    """The device that `routed_two_qubit_gates` and `routed_depth` are for, and how hard the router tries."""

    coupling_map: CouplingMap = Field(
        default="line", description="line, ring, grid, heavy-hex, or pairs of coupled wires: [[0, 1], [1, 2]]"
    )
    seed: StrictInt = Field(default=0, ge=0, le=limits.MAX_SEED, description="of the placements that are tried")
    trials: StrictInt = Field(default=4, ge=1, le=limits.MAX_ROUTING_TRIALS, description="placements; the best counts")


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

    expressibility: ExpressibilitySettings = ExpressibilitySettings()
    entangling_capability: EntanglementSettings = EntanglementSettings()
    gradient_variance: GradientSettings = GradientSettings()
    frame_potential: FramePotentialSettings = FramePotentialSettings()
    quantum_fisher_rank: FisherSettings = FisherSettings()
    routing: RoutingSettings = RoutingSettings()
    error_rates: ErrorRates | None = Field(default=None, description="required by expected_success")
    shots_for_gradient: ShotSettings = ShotSettings()
    replicates: StrictInt = Field(
        default=1,
        ge=1,
        le=limits.MAX_REPLICATES,
        description="independent measurements of each sampled metric: the value is their mean, and each is kept; "
        "training.replicates does the same for fits",
    )
    noise: NoiseSettings = NoiseSettings()
    shots: StrictInt = Field(
        default=1_000, ge=1, le=limits.MAX_SAMPLES, description="of `shot_accuracy`, for each sample and basis"
    )
    also: list[MetricName] = Field(default=[], max_length=32, description="measured, but neither objective nor bound")

    def with_samples(self, factor: int) -> Self:
        """Returns settings with `factor` times the samples wherever something is sampled; bounds are not checked.

        Settings with replicates get more of those instead: they average over what one holds fixed, which more samples
        of it would not. Trajectories, shots, and the trials of a router stay: they are part of what is measured.
        """
        if self.replicates > 1:
            return self.model_copy(update={"replicates": factor * self.replicates})
        sampled = {name: getattr(self, name) for name in type(self).model_fields if name != "also"}
        return self.model_copy(
            update={
                name: one.model_copy(update={"samples": factor * one.samples})
                for name, one in sampled.items()
                if hasattr(one, "samples")
            }
        )
