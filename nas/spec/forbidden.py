"""Combinations of genes that a search never proposes.

    forbid:
      - {encoding: iqp, reuploading: true}
      - {topology: [ring, full], qubits: {min: 6, max: 8}}

An entry forbids every architecture that matches all of its conditions. A condition is a value, a list of values or a
range, spelled as in the space. It is held against the canonical genome: a gene without effect has no value and matches
nothing, and on few qubits a name stands for all that mean the same wiring. A gene that differs from layer to layer
matches where any layer has it, each such gene for itself.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from pydantic import SerializerFunctionWrapHandler, StrictBool, model_serializer

from nas.spec.base import SpecModel
from nas.spec.genes import (
    NESTED_GENES,
    Choice,
    Encoding,
    Entangler,
    FloatGene,
    FloatRange,
    IntegerGene,
    IntegerRange,
    ListChoice,
    Observable,
    RotationSet,
    Template,
    Topology,
    Widths,
    choices_of,
)

#: Learning rates of genomes are kept at six digits.
_RATE_TOLERANCE: Final = 5e-6


class Forbidden(SpecModel):
    """What an architecture must not have all at once; a gene that is left out may be anything."""

    qubits: IntegerGene | None = None
    layers: IntegerGene | None = None
    encoding: Choice[Encoding] | None = None
    reuploading: Choice[StrictBool] | None = None
    template: Choice[Template] | None = None
    rotations: ListChoice[RotationSet] | None = None
    entangler: Choice[Entangler] | None = None
    topology: Choice[Topology] | None = None
    observable: Choice[Observable] | None = None
    pre_layers: ListChoice[Widths] | None = None
    post_layers: ListChoice[Widths] | None = None
    learning_rate: FloatGene | None = None

    @cached_property
    def conditions(self) -> dict[str, Any]:
        """The conditions by gene, as they were written."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: condition for name, condition in found.items() if condition is not None}

    @cached_property
    def predicates(self) -> dict[str, Callable[[Any], bool]]:
        """Whether a value meets the condition on its gene, by gene."""
        return {name: predicate_of(name, condition) for name, condition in self.conditions.items()}

    def matches(self, genes: Mapping[str, Sequence[Any]]) -> bool:
        """Whether an architecture is forbidden.

        Args:
            genes: the values that it has of each gene: one, or one a layer, or none for a gene without effect.
        """
        return all(any(map(is_met, genes[name])) for name, is_met in self.predicates.items())

    @model_serializer(mode="wrap")
    def _without_gaps(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


def predicate_of(name: str, condition: Any) -> Callable[[Any], bool]:
    """Returns the function that says whether a value of a gene meets a condition on it."""
    if isinstance(condition, IntegerRange | FloatRange):
        return lambda value: bool(condition.min <= value <= condition.max)
    wanted = frozenset(choices_of(condition, is_nested=name in NESTED_GENES))
    if name == "learning_rate":
        return lambda value: any(math.isclose(value, one, rel_tol=_RATE_TOLERANCE) for one in wanted)
    return wanted.__contains__
