"""What proposes candidates, and when it stops."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, StrictInt, model_serializer
from pydantic_core import PydanticCustomError

from nas.spec import limits
from nas.spec.base import SpecModel
from nas.spec.stages import Reevaluation


class Algorithm(SpecModel):
    """What proposes candidates. `random` draws each generation anew, as a baseline.

    `grid` goes through all points of a finite space in the order of its genes, values of the last one side by
    side, a population at a time; it draws nothing, and so has neither generations nor use for a seed.
    """

    name: Literal["nsga2", "random", "grid"] = "nsga2"
    population: StrictInt = Field(default=40, ge=4, le=limits.MAX_POPULATION)
    generations: StrictInt = Field(default=25, ge=1, le=limits.MAX_GENERATIONS)
    mode: Literal["generational"] = "generational"
    seed: StrictInt = Field(default=1, ge=0, le=limits.MAX_SEED)
    noise: Literal["epsilon", "ignore"] = Field(
        default="epsilon",
        description="epsilon: objectives closer than their standard errors count as equal; ignore: values alone decide",
    )
    reevaluate: Reevaluation | None = Field(
        default=None,
        description="after the generations: the front measured again with more samples, until it is stable",
    )

    @model_serializer(mode="wrap")
    def _of_use(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = serialize(self)
        if self.name == "grid":
            fields.pop("generations", None)
        return fields


_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(s|m|h|d)", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _to_seconds(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("duration", "is a number of seconds or a text such as 90m, not true or false")
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise PydanticCustomError(
            "duration",
            "'{value}' is no duration; write seconds, or a number and s, m, h or d: 90m",
            {"value": value[:40]},
        )
    return float(match[1]) * _UNIT_S[match[2]]


WallTime = Annotated[float, BeforeValidator(_to_seconds), Field(gt=0, le=limits.MAX_WALL_TIME_S, allow_inf_nan=False)]


class Budget(SpecModel):
    """Where the search stops, whichever comes first: candidates proposed, or time since its start."""

    evaluations: StrictInt | None = Field(default=None, ge=1, le=limits.MAX_EVALUATIONS)
    wall_time: WallTime | None = Field(default=None, description="seconds, or a text such as 90s, 30m, 2h, 1d")
