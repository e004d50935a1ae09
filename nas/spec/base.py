"""What all parts of a spec have in common."""

from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError


class SpecModel(BaseModel):
    """Refuses unknown keys, and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def known(what: str, catalogue: Collection[str]) -> BeforeValidator:
    """Returns a validator that refuses a name that the catalogue lacks, and tells those that it has."""

    def check(name: Any) -> Any:
        if isinstance(name, str) and name not in catalogue:
            raise PydanticCustomError(
                "unknown_name",
                "there is no {what} '{name}'; choose from {known}",
                {"what": what, "name": name, "known": ", ".join(catalogue)},
            )
        return name

    return BeforeValidator(check)
