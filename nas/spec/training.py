"""How candidates are fitted."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictInt

from nas.spec import limits
from nas.spec.base import SpecModel
from nas.spec.genes import PositiveFloat, Unique

#: Learning rates that one candidate may try.
MAX_RATES = 16

Mode = Literal["full-hybrid", "quantum-only", "pure-quantum"]


class Training(SpecModel):
    """How a candidate is fitted. What is trained: everything, the circuit alone, or a circuit without layers around."""

    LATER: ClassVar[frozenset[str]] = frozenset({"learning_rate", "patience", "class_weights"})

    mode: Mode = "full-hybrid"
    epochs: StrictInt = Field(default=20, ge=1, le=limits.MAX_EPOCHS)
    batch_size: StrictInt = Field(default=32, ge=1, le=limits.MAX_BATCH_SIZE)
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    learning_rate: Annotated[list[PositiveFloat], Field(min_length=1, max_length=MAX_RATES), Unique] | None = Field(
        default=None,
        description="every candidate is fitted with each rate, and the one of lowest validation loss is reported; the "
        "gene space.learning_rate is then absent",
    )
    patience: StrictInt | None = Field(
        default=None,
        ge=1,
        le=limits.MAX_EPOCHS,
        description="epochs without a lower validation loss after which a fit stops; without it, all are run",
    )
    class_weights: Literal["none", "balanced"] = Field(
        default="none", description="balanced: in training, every class weighs the same; validation is not weighted"
    )
    select: Literal["best", "last"] = Field(
        default="best", description="report the epoch of lowest validation loss, or the last"
    )
    seed: StrictInt = Field(default=0, ge=0, le=limits.MAX_SEED)
    replicates: StrictInt = Field(default=1, ge=1, le=limits.MAX_REPLICATES)
