"""More than one evaluation for a candidate: early stages that may stop it, and a second look at the front."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictInt
from pydantic_core import PydanticCustomError

from nas.spec import limits
from nas.spec.base import SpecModel
from nas.spec.training import Training


def _growing(epochs: list[int]) -> list[int]:
    if any(later <= earlier for earlier, later in pairwise(epochs)):
        raise PydanticCustomError(
            "stage_order", "each stage has more epochs than the one before, not {epochs}", {"epochs": str(epochs)}
        )
    return epochs


class Stages(SpecModel):
    """The stages before the last, which is always the full evaluation: what a search without stages does at once."""

    epochs: Annotated[list[Annotated[StrictInt, Field(ge=0, le=limits.MAX_EPOCHS)]], AfterValidator(_growing)] = Field(
        min_length=1,
        max_length=limits.MAX_STAGES,
        description="of each early stage, growing, and below training.epochs; 0 measures what needs no training",
    )
    margin: float = Field(
        default=1.0,
        ge=0,
        le=limits.MAX_STANDARD_ERRORS,
        description="a candidate is stopped if a member of the front is better in every objective by so many standard "
        "errors of the difference, and in one beyond the noise unless algorithm.noise is ignore",
    )
    unmeasured: Literal["best", "ignore"] = Field(
        default="best",
        description="what an objective that an early stage has not measured is taken for. best: the best value there "
        "can be, so nothing is stopped that could still reach the front; ignore: the others decide",
    )


class StagedTraining(Training):
    """The training of a search: how a candidate is fitted, and in which stages. A protocol has the first part alone."""

    stages: Stages | None = Field(
        default=None, description="cheap evaluations first; what is clearly dominated there is not trained to the end"
    )

    @property
    def fitting(self) -> Training:
        """How a candidate is fitted in the end, without the stages on the way there."""
        return Training(**{name: getattr(self, name) for name in Training.model_fields})


class Reevaluation(SpecModel):
    """A second look, once the generations are done, at the front and at what noise alone may have kept off it."""

    factor: StrictInt = Field(
        default=4, ge=2, le=limits.MAX_FACTOR, description="times the samples and replicates, from another seed"
    )
    rounds: StrictInt = Field(
        default=3, ge=1, le=limits.MAX_ROUNDS, description="at most; it ends as soon as one leaves the front as it was"
    )
    within: float = Field(
        default=1.0,
        ge=0,
        le=limits.MAX_STANDARD_ERRORS,
        description="standard errors of the difference by which a candidate may be dominated and still be looked at "
        "again; 0: the front alone",
    )
