"""The genes of a search, and what each may take."""

from typing import Literal

from pydantic import Field, StrictBool

from nas.spec.base import SpecModel
from nas.spec.genes import (
    Choice,
    Encoding,
    Entangler,
    FloatGene,
    IntegerGene,
    ListChoice,
    Observable,
    RotationSet,
    Topology,
    Widths,
)

LayerGene = Literal["rotations", "entangler", "topology"]

_DEFAULT_ROTATIONS: RotationSet = ["ry", "rz"]


def _no_layers() -> list[Widths]:
    return [[]]


class Space(SpecModel):
    """The genes and what each may take. A gene that is left out has its default, a single value."""

    qubits: IntegerGene
    layers: IntegerGene
    encoding: Choice[Encoding] = "angle-y"
    reuploading: Choice[StrictBool] = False
    rotations: ListChoice[RotationSet] = Field(default=_DEFAULT_ROTATIONS)
    entangler: Choice[Entangler] = "cnot"
    topology: Choice[Topology] = "linear"
    observable: Choice[Observable] = "z-all"
    pre_layers: ListChoice[Widths] = Field(default_factory=_no_layers, description="hidden widths before the circuit")
    post_layers: ListChoice[Widths] = Field(default_factory=_no_layers, description="hidden widths after the circuit")
    learning_rate: FloatGene | None = Field(
        default=0.01, description="null, and absent, where training.learning_rate is a list that every candidate tries"
    )
    per_layer: list[LayerGene] = Field(default=[], description="genes that may differ from layer to layer")
