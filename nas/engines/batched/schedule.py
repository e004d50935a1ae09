"""Where each gate of a circuit goes.

A block is, in this order: one fused 2 × 2 on every wire, phases exp(−i θ e(x)/2) with e(x) from {−1, 0, 1}, and a
permutation of basis states with signs. Every gate is one of the three, or becomes it between constant rotations:
X = V Z V† with V = RY(π/2), and Y = V Z V† with V = RX(−π/2), turn crx, cry, rxx and ryy into crz and rzz.

A gate goes into the earliest block that its wires allow, so neighbouring rotations meet and a whole entangler is one
permutation or one vector of phases.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nas.circuits import AMPLITUDE, Angle, Circuit, Operation

Matrix = NDArray[np.complex128]  #: (2, 2)

_I: Final[Matrix] = np.eye(2, dtype=complex)
_X: Final[Matrix] = np.array([[0, 1], [1, 0]], dtype=complex)
_Y: Final[Matrix] = np.array([[0, -1j], [1j, 0]])
_Z: Final[Matrix] = np.diag([1 + 0j, -1])
_NOTHING: Final[Matrix] = np.zeros((2, 2), dtype=complex)

_FIXED: Final[dict[str, Any]] = {
    "h": (_X + _Z) / math.sqrt(2),
    "x": _X,
    "y": _Y,
    "z": _Z,
    "s": np.diag([1 + 0j, 1j]),
    "t": np.diag([1 + 0j, complex(math.sqrt(0.5), math.sqrt(0.5))]),
    "sx": np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2,
}
_TO_X: Final[Matrix] = (_I - 1j * _Y) / math.sqrt(2)
_TO_Y: Final[Matrix] = (_I + 1j * _X) / math.sqrt(2)

#: Two-qubit rotations: the basis changes of their wires, and the diagonal rotation between them.
_CONJUGATED: Final[dict[str, tuple[tuple[Matrix | None, Matrix | None], str]]] = {
    "crx": ((None, _TO_X), "crz"),
    "cry": ((None, _TO_Y), "crz"),
    "rxx": ((_TO_X, _TO_X), "rzz"),
    "ryy": ((_TO_Y, _TO_Y), "rzz"),
}
_PHASES: Final = frozenset({"crz", "rzz"})

_ROTATE, _PHASE, _PERMUTE = range(3)


@dataclass(frozen=True, slots=True)
class Rotation:
    """A 2 × 2 matrix A + B cos(hθ) + C sin(hθ), with h the `rate`; B and C are zero where there is no angle."""

    a: Matrix
    b: Matrix = field(default_factory=lambda: _NOTHING)
    c: Matrix = field(default_factory=lambda: _NOTHING)
    angle: Angle | None = None
    rate: float = 0.5

    def after(self, fixed: Matrix) -> "Rotation":
        """Returns this rotation behind a fixed gate."""
        return replace(self, a=self.a @ fixed, b=self.b @ fixed, c=self.c @ fixed)

    def before(self, fixed: Matrix) -> "Rotation":
        """Returns this rotation in front of a fixed gate."""
        return replace(self, a=fixed @ self.a, b=fixed @ self.b, c=fixed @ self.c)


@dataclass(frozen=True, slots=True)
class Phase:
    """exp(−i θ/2 · e(x)), with e = Z⊗Z on two wires, or Z on the second where the first, a control, is 1."""

    wires: tuple[int, int]
    angle: Angle
    is_controlled: bool


@dataclass(slots=True)
class Block:
    """Rotations on each wire, in order; then phases; then permuting and signing gates, in order."""

    rotations: list[list[Rotation]]
    phases: list[Phase] = field(default_factory=list)
    permutations: list[Operation] = field(default_factory=list)

    def reads_features(self) -> bool:
        """Whether an angle in the block depends on features."""
        angles = [rotation.angle for wire in self.rotations for rotation in wire] + [p.angle for p in self.phases]
        return any(angle is not None and angle.features for angle in angles)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The blocks of a circuit, and whether one after the first reads features."""

    blocks: list[Block]
    reads_features_late: bool


def schedule(circuit: Circuit, *, sets_encoding_apart: bool) -> Schedule:
    """Returns the blocks of a circuit, at least one.

    The first is applied to |0…0⟩, where it makes a product state; after amplitude encoding its rotations are empty.
    With the encoding set apart, nothing behind the last gate that reads features is in the first block.
    """
    blocks = _Scheduler(circuit, sets_encoding_apart=sets_encoding_apart).blocks
    return Schedule(blocks, any(block.reads_features() for block in blocks[1:]))


class _Scheduler:
    def __init__(self, circuit: Circuit, *, sets_encoding_apart: bool) -> None:
        self._qubits = circuit.qubits
        self.blocks: list[Block] = []
        # Block and stage of the last gate on each wire.
        self._last = [(0, _PERMUTE if circuit.has_amplitude else _ROTATE)] * circuit.qubits
        self._block(0)
        readers = [i for i, op in enumerate(circuit.operations) if op.angle is not None and op.angle.features]
        last_reader = max(readers, default=-1) if sets_encoding_apart else len(circuit.operations)
        for i, operation in enumerate(circuit.operations):
            if i == last_reader + 1:
                self._last = [max(last, (0, _PERMUTE)) for last in self._last]
            if operation.gate != AMPLITUDE:
                self._add(operation)

    def _add(self, operation: Operation) -> None:
        gate, wires, angle = operation.gate, operation.wires, operation.angle
        if gate in _FIXED:
            self._fix(_FIXED[gate], wires[0])
        elif angle is None:
            self._block(self._place(wires, _PERMUTE)).permutations.append(operation)
        elif gate in _PHASES:
            self._block(self._place(wires, _PHASE)).phases.append(Phase(_pair(wires), angle, gate == "crz"))
        elif gate in _CONJUGATED:
            changes, diagonal = _CONJUGATED[gate]
            self._change(wires, [None if v is None else v.conj().T for v in changes])
            self._add(replace(operation, gate=diagonal))
            self._change(wires, list(changes))
        else:
            self._rotate(_rotation(gate, angle), wires[0])

    def _change(self, wires: tuple[int, ...], changes: list[Matrix | None]) -> None:
        for wire, matrix in zip(wires, changes, strict=True):
            if matrix is not None:
                self._fix(matrix, wire)

    def _fix(self, matrix: Matrix, wire: int) -> None:
        rotations = self._rotations(wire)
        if rotations:
            rotations[-1] = rotations[-1].before(matrix)
        else:
            rotations.append(Rotation(matrix))

    def _rotate(self, rotation: Rotation, wire: int) -> None:
        rotations = self._rotations(wire)
        if rotations and rotations[-1].angle is None:
            rotation = rotation.after(rotations.pop().a)
        rotations.append(rotation)

    def _rotations(self, wire: int) -> list[Rotation]:
        return self._block(self._place((wire,), _ROTATE)).rotations[wire]

    def _place(self, wires: tuple[int, ...], stage: int) -> int:
        """Returns the earliest block that may take a gate of this stage on these wires, and remembers it."""
        earliest = max(block + (last > stage) for block, last in (self._last[wire] for wire in wires))
        for wire in wires:
            self._last[wire] = (earliest, stage)
        return earliest

    def _block(self, number: int) -> Block:
        while len(self.blocks) <= number:
            self.blocks.append(Block([[] for _ in range(self._qubits)]))
        return self.blocks[number]


def _rotation(gate: str, angle: Angle) -> Rotation:
    if gate == "p":
        return Rotation(np.diag([1 + 0j, 0]), np.diag([0, 1 + 0j]), np.diag([0, 1j]), angle, 1.0)
    axis = {"rx": _X, "ry": _Y, "rz": _Z}[gate]
    return Rotation(_NOTHING, _I, -1j * axis, angle)


def _pair(wires: tuple[int, ...]) -> tuple[int, int]:
    first, second = wires
    return first, second


def permutation(operations: list[Operation], n_qubits: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Returns index and signs, both (2^n,), such that the gates map ψ to signs · ψ[index]."""
    basis = np.arange(1 << n_qubits)
    index, signs = basis, np.ones(1 << n_qubits)
    for operation in operations:
        bits = [(basis >> (n_qubits - 1 - wire)) & 1 for wire in operation.wires]
        flips = [1 << (n_qubits - 1 - wire) for wire in operation.wires]
        if operation.gate == "cz":
            signs = signs * (1 - 2 * bits[0] * bits[1])
            continue
        if operation.gate == "swap":
            source = basis ^ ((bits[0] ^ bits[1]) * (flips[0] | flips[1]))
        else:  # cx, ccx
            source = basis ^ (np.prod(bits[:-1], axis=0) * flips[-1])
        index, signs = index[source], signs[source]
    return index, signs


def eigenvalues(phase: Phase, n_qubits: int) -> NDArray[np.float64]:
    """Returns e(x) of a phase, (2^n,)."""
    basis = np.arange(1 << n_qubits)
    first, second = ((basis >> (n_qubits - 1 - wire)) & 1 for wire in phase.wires)
    left = first if phase.is_controlled else 1 - 2 * first
    product: NDArray[np.float64] = (left * (1 - 2 * second)).astype(float)
    return product
