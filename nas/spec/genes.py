"""What a gene may take: one value, a list of choices, or a range. Every gene accepts all that its type allows.

    layers: 3                                  fixed
    layers: [1, 2, 4]                          choices
    layers: {min: 1, max: 6}                   whole numbers from 1 to 6
    learning_rate: {min: 1e-3, max: 0.1, log: true}
    rotations: [ry, rz]                        fixed: a list of names is one value of this gene
    rotations: [[ry], [ry, rz]]                choices

The models keep what was written; `choices_of` gives the values.
"""

from collections.abc import Hashable
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from nas.spec import limits

T = TypeVar("T")

#: Tags of the unions below; they are not part of the path that a person wrote.
TAGS = frozenset({"fixed", "choices", "range"})


class IntegerRange(BaseModel):
    """Whole numbers from `min` to `max`, both included."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: StrictInt
    max: StrictInt

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        _require_order(self.min, self.max)
        if self.max - self.min >= limits.MAX_CHOICES:
            raise PydanticCustomError(
                "range_size", "a range holds at most {n} whole numbers; narrow it", {"n": limits.MAX_CHOICES}
            )
        return self


class FloatRange(BaseModel):
    """Real numbers from `min` to `max`; `log: true` spreads them evenly over orders of magnitude."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: float = Field(allow_inf_nan=False)
    max: float = Field(allow_inf_nan=False)
    log: StrictBool = False

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        _require_order(self.min, self.max)
        if self.log and self.min <= 0:
            raise PydanticCustomError("range_log", "a log range needs min above 0, not {min}", {"min": self.min})
        return self


def _require_order(low: float, high: float) -> None:
    if low > high:
        raise PydanticCustomError("range_order", "min {low} is above max {high}; swap them", {"low": low, "high": high})


def _distinct(values: list[T]) -> list[T]:
    seen: set[Hashable] = set()
    for value in values:
        key: Hashable = tuple(value) if isinstance(value, list) else value
        if key in seen:
            raise PydanticCustomError("duplicate", "{value} stands twice; name each choice once", {"value": value})
        seen.add(key)
    return values


def _kind(value: Any) -> str:
    if isinstance(value, dict | BaseModel):
        return "range"
    return "choices" if isinstance(value, list | tuple) else "fixed"


def _kind_of_lists(value: Any) -> str:
    # [] is no choice at all; "no hidden layer" is the choice [[]].
    return (
        "fixed" if isinstance(value, list | tuple) and value and not isinstance(value[0], list | tuple) else "choices"
    )


_Distinct = AfterValidator(_distinct)
#: A list whose values are all different.
Unique = _Distinct
_Some = Field(min_length=1, max_length=limits.MAX_CHOICES)

PositiveInt = Annotated[StrictInt, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]

Choice = Annotated[
    Annotated[T, Tag("fixed")] | Annotated[list[T], _Some, _Distinct, Tag("choices")], Discriminator(_kind)
]
ListChoice = Annotated[
    Annotated[T, Tag("fixed")] | Annotated[list[T], _Some, _Distinct, Tag("choices")], Discriminator(_kind_of_lists)
]
IntegerGene = Annotated[
    Annotated[PositiveInt, Tag("fixed")]
    | Annotated[list[PositiveInt], _Some, _Distinct, Tag("choices")]
    | Annotated[IntegerRange, Tag("range")],
    Discriminator(_kind),
]
FloatGene = Annotated[
    Annotated[PositiveFloat, Tag("fixed")]
    | Annotated[list[PositiveFloat], _Some, _Distinct, Tag("choices")]
    | Annotated[FloatRange, Tag("range")],
    Discriminator(_kind),
]

Encoding = Literal["angle-x", "angle-y", "angle-z", "amplitude", "iqp"]
Rotation = Literal["rx", "ry", "rz"]
Entangler = Literal["cnot", "cz", "crx", "crz"]
Topology = Literal["none", "linear", "ring", "star", "full", "pairwise"]
Observable = Literal["z-all", "z-first", "zz-pairs", "xyz-all"]

RotationSet = Annotated[list[Rotation], Field(min_length=1, max_length=limits.MAX_ROTATIONS)]
Width = Annotated[StrictInt, Field(ge=1, le=limits.MAX_WIDTH)]
Widths = Annotated[list[Width], Field(max_length=limits.MAX_HIDDEN_LAYERS)]


def choices_of(gene: Any, *, is_nested: bool = False) -> tuple[Any, ...]:
    """Returns the values that a gene may take, in the order written; lists become tuples.

    Raises:
        TypeError: the gene is a range of real numbers, which has no list of values.
    """
    if isinstance(gene, FloatRange):
        raise TypeError("a FloatRange has no list of values")
    if isinstance(gene, IntegerRange):
        return tuple(range(gene.min, gene.max + 1))
    if is_nested:
        return (tuple(gene),) if _kind_of_lists(gene) == "fixed" else tuple(tuple(value) for value in gene)
    return tuple(gene) if isinstance(gene, list) else (gene,)
