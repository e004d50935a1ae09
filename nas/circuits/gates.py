"""The gates that a circuit may use: wires, parameters, and their names elsewhere.

Rotations are exp(-i angle P / 2) for a Pauli word P; `p` is diag(1, e^{i angle}). Controlled gates name the control
first. A gate that is missing here is missing everywhere: engines, drawing and sources read this one table.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate's shape and its names in PennyLane and OpenQASM 3 (stdgates.inc)."""

    name: str
    n_wires: int
    has_angle: bool
    pennylane: str
    symbol: str  #: in drawings, on the last wire; controls are dots
    n_controls: int = 0


_TABLE = (
    Gate("h", 1, False, "Hadamard", "H"),
    Gate("x", 1, False, "PauliX", "X"),
    Gate("y", 1, False, "PauliY", "Y"),
    Gate("z", 1, False, "PauliZ", "Z"),
    Gate("s", 1, False, "S", "S"),
    Gate("t", 1, False, "T", "T"),
    Gate("sx", 1, False, "SX", "SX"),
    Gate("rx", 1, True, "RX", "RX"),
    Gate("ry", 1, True, "RY", "RY"),
    Gate("rz", 1, True, "RZ", "RZ"),
    Gate("p", 1, True, "PhaseShift", "P"),
    Gate("cx", 2, False, "CNOT", "X", n_controls=1),
    Gate("cz", 2, False, "CZ", "Z", n_controls=1),
    Gate("swap", 2, False, "SWAP", "x"),
    Gate("crx", 2, True, "CRX", "RX", n_controls=1),
    Gate("cry", 2, True, "CRY", "RY", n_controls=1),
    Gate("crz", 2, True, "CRZ", "RZ", n_controls=1),
    Gate("rxx", 2, True, "IsingXX", "XX"),
    Gate("ryy", 2, True, "IsingYY", "YY"),
    Gate("rzz", 2, True, "IsingZZ", "ZZ"),
    Gate("ccx", 3, False, "Toffoli", "X", n_controls=2),
)

GATES: Final[dict[str, Gate]] = {gate.name: gate for gate in _TABLE}

#: State preparation from features; it has wires and features, but no angle.
AMPLITUDE: Final = "amplitude"
