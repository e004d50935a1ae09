"""What all parts of a spec have in common."""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError


class SpecModel(BaseModel):
    """Refuses unknown keys, and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: Fields that came after evaluations were first stored. Their defaults mean what happened before.
    LATER: ClassVar[frozenset[str]] = frozenset()

    def to_identity(self) -> dict[str, Any]:
        """Returns the JSON values without later fields that have their default, so that older digests still hold."""
        document = self.model_dump(mode="json")
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name in self.LATER and value == field.get_default(call_default_factory=True):
                del document[name]
            elif isinstance(value, SpecModel):
                document[name] = value.to_identity()
        return document


def known(what: str, catalogue: Collection[str]) -> BeforeValidator:
    """Returns a validator that refuses a name that the catalogue lacks, and tells those that it has."""

    def check(name: Any) -> Any:
        if isinstance(name, str) and name not in catalogue:
            close = get_close_matches(name, catalogue, n=1)
            raise PydanticCustomError(
                "unknown_name",
                "there is no {what} '{name}'; {hint}choose from {known}",
                {
                    "what": what,
                    "name": name,
                    "hint": f"did you mean '{close[0]}'? Or " if close else "",
                    "known": ", ".join(catalogue),
                },
            )
        return name

    return BeforeValidator(check)
