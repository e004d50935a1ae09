"""The circuit description: a plain list of operations with references to weights and features.

Everything reads this one description: engines, costs, the drawing, PennyLane source. Wire 0 is the most significant
bit. An angle is a constant, a weight, a feature, or a product of features, times a scale; a weight or feature may
serve several operations. `reader` makes circuits of JSON.
"""

from dataclasses import dataclass, field
from typing import Any

from nas.circuits.gates import AMPLITUDE
from nas.space.layout import PauliWord


@dataclass(frozen=True, slots=True)
class Angle:
    """An angle in radians: scale × (1 | weight | product of features)."""

    scale: float = 1.0
    weight: int | None = None
    features: tuple[int, ...] = ()

    @property
    def is_constant(self) -> bool:
        """Whether the angle depends on neither weights nor features."""
        return self.weight is None and not self.features

    def to_json(self) -> float | dict[str, Any]:
        """Returns the JSON form of science.md."""
        if self.is_constant:
            return self.scale
        reference: dict[str, Any] = (
            {"weight": self.weight}
            if self.weight is not None
            else {"feature": self.features[0]}
            if len(self.features) == 1
            else {"features": list(self.features)}
        )
        return reference if self.scale == 1.0 else {**reference, "scale": self.scale}


@dataclass(frozen=True, slots=True)
class Operation:
    """A gate on wires, controls first; or amplitude encoding of a run of features, its only use of `features`."""

    gate: str
    wires: tuple[int, ...]
    angle: Angle | None = None
    features: tuple[int, int] | None = None  #: first and last feature index

    def to_json(self) -> dict[str, Any]:
        """Returns the JSON form of science.md."""
        document: dict[str, Any] = {"gate": self.gate, "wires": list(self.wires)}
        if self.angle is not None:
            document["angle"] = self.angle.to_json()
        if self.features is not None:
            document["features"] = list(self.features)
        return document


@dataclass(frozen=True, slots=True)
class Circuit:
    """Operations on |0…0⟩ in order, and the Pauli words whose expectations come out.

    Weights are numbered 0 … n_weights − 1 and features 0 … n_features − 1; a gap is a weight without effect. Amplitude
    encoding of a zero vector, which has no direction, leaves |0…0⟩.
    """

    qubits: int
    operations: tuple[Operation, ...]
    observables: tuple[PauliWord, ...]
    n_weights: int = field(init=False)
    n_features: int = field(init=False)

    def __post_init__(self) -> None:
        angles = [operation.angle for operation in self.operations if operation.angle is not None]
        runs = [operation.features[1] for operation in self.operations if operation.features is not None]
        features = [*runs, *(index for angle in angles for index in angle.features)]
        weights = [angle.weight for angle in angles if angle.weight is not None]
        object.__setattr__(self, "n_weights", max(weights, default=-1) + 1)
        object.__setattr__(self, "n_features", max(features, default=-1) + 1)

    @property
    def has_amplitude(self) -> bool:
        """Whether the circuit starts by preparing a state from features."""
        return any(operation.gate == AMPLITUDE for operation in self.operations)

    def to_json(self) -> dict[str, Any]:
        """Returns the JSON form of science.md."""
        return {
            "qubits": self.qubits,
            "operations": [operation.to_json() for operation in self.operations],
            "observables": [_word_to_json(word) for word in self.observables],
        }


def _word_to_json(word: PauliWord) -> dict[str, list[int]]:
    document: dict[str, list[int]] = {}
    for axis, wire in word:
        document.setdefault(axis, []).append(wire)
    return document
