"""How candidates are fitted."""

from typing import Literal

from pydantic import Field, StrictInt

from nas.spec import limits
from nas.spec.base import SpecModel

Mode = Literal["full-hybrid", "quantum-only", "pure-quantum"]


class Training(SpecModel):
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
