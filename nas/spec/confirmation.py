"""What a confirmation asks for, and how its members are measured.

Only a confirmation opens the test split. Its protocol has a kind of its own, so that no evaluation of a search can be
taken for one of a confirmation, nor the other way round.
"""

import hashlib
import json
from typing import Any, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictInt, field_validator
from pydantic_core import PydanticCustomError

from nas.spec import limits
from nas.spec.base import SpecModel
from nas.spec.datasets import Dataset
from nas.spec.engines import EngineName, Precision
from nas.spec.search import SearchSpec
from nas.spec.training import Training

CONFIRMATION: Final = "confirmation"

#: Of what is measured and how; a changed definition is a new version, and results of different ones never mix.
CONFIRMATION_VERSION: Final = 1

MIN_SEEDS: Final = 3
MAX_MEMBERS: Final = 500


class ConfirmationRequest(SpecModel):
    """Which candidates of a search to train anew beside their controls, and how often."""

    seeds: StrictInt = Field(
        default=5,
        ge=MIN_SEEDS,
        le=limits.MAX_REPLICATES,
        description="trainings of each network; the first n seeds are the same in every confirmation",
    )
    members: list[UUID] | None = Field(
        default=None, min_length=1, max_length=MAX_MEMBERS, description="ids of candidates; null is the whole front"
    )
    epochs: StrictInt | None = Field(
        default=None, ge=1, le=limits.MAX_EPOCHS, description="at least those of the search, which are the default"
    )

    @field_validator("members")
    @classmethod
    def _names_each_once(cls, members: list[UUID] | None) -> list[UUID] | None:
        for member in members or ():
            if (members or []).count(member) > 1:
                raise PydanticCustomError("twice", "candidate {member} stands twice", {"member": str(member)})
        return members


class ConfirmationProtocol(BaseModel):
    """The conditions under which a candidate and its controls are trained and tested."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["confirmation"] = CONFIRMATION
    version: int = CONFIRMATION_VERSION
    dataset: Dataset
    training: Training
    seeds: int
    engine: EngineName
    precision: Precision
    device: Literal["cpu", "gpu"]

    @classmethod
    def from_spec(cls, spec: SearchSpec, *, seeds: int, epochs: int, engine: EngineName) -> Self:
        """Returns the protocol for candidates of a search: its data and training, with these epochs, `seeds` times."""
        return cls(
            dataset=spec.dataset,
            training=spec.training.fitting.model_copy(update={"epochs": epochs, "replicates": 1}),
            seeds=seeds,
            engine=engine,
            precision=spec.precision,
            device=spec.device,
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the protocol as JSON values."""
        return self.model_dump(mode="json")

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
