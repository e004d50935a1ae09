"""Circuits whose states and gradients are known in closed form."""

import math

from nas.circuits import Angle, Circuit, Operation


def rotation(gate: str, wire: int, weight: int) -> Operation:
    return Operation(gate, (wire,), Angle(weight=weight))


def z_word(*wires: int):
    return tuple(("z", wire) for wire in wires)


def layers(n_qubits, gates, depth, entangler=None):
    """Rotations on all wires, then a ladder of entanglers, `depth` times; every rotation has its own weight."""
    operations = []
    weights = iter(range(len(gates) * n_qubits * depth))
    for _ in range(depth):
        operations += [rotation(gate, wire, next(weights)) for gate in gates for wire in range(n_qubits)]
        if entangler:
            operations += [Operation(entangler, (wire, wire + 1)) for wire in range(n_qubits - 1)]
    return Circuit(n_qubits, tuple(operations), ())


def ghz(n_qubits):
    ladder = (Operation("cx", (wire, wire + 1)) for wire in range(n_qubits - 1))
    return Circuit(n_qubits, (Operation("h", (0,)), *ladder), ())


def w_state(n_qubits):
    """An excitation that is handed on, from wire to wire, with the amplitude that leaves all alike."""
    operations = [Operation("x", (0,))]
    for wire in range(1, n_qubits):
        angle = 2.0 * math.acos(math.sqrt(1.0 / (n_qubits - wire + 1)))
        operations += [Operation("cry", (wire - 1, wire), Angle(angle)), Operation("cx", (wire, wire - 1))]
    return Circuit(n_qubits, tuple(operations), ())


def mcclean(n_qubits, gates, word):
    """RY(π/4) on all, then layers of chosen rotations, each followed by a ladder of CZ; gates is (depth, n_qubits)."""
    operations = [Operation("ry", (wire,), Angle(math.pi / 4)) for wire in range(n_qubits)]
    for layer, names in enumerate(gates):
        operations += [rotation(gate, wire, layer * n_qubits + wire) for wire, gate in enumerate(names)]
        operations += [Operation("cz", (wire, wire + 1)) for wire in range(n_qubits - 1)]
    return Circuit(n_qubits, tuple(operations), (word,))
