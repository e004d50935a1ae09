"""Circuits as PennyLane tapes, shared by the engines that run on PennyLane devices."""

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

import pennylane as qml

from nas.circuits import AMPLITUDE, GATES, Circuit
from nas.space.layout import PauliWord


def operators(circuit: Circuit, angles: Iterable[Any], amplitudes: Any) -> list[Any]:
    """Returns PennyLane operators; angles and amplitudes may be any arrays that PennyLane takes, batched or not.

    The identity on all wires makes the device simulate also those that no gate touches.
    """
    rest = iter(angles)
    found: list[Any] = []
    for operation in circuit.operations:
        if operation.gate == AMPLITUDE:
            found.append(qml.StatePrep(amplitudes, wires=operation.wires, validate_norm=False))
            continue
        gate = getattr(qml, GATES[operation.gate].pennylane)
        found.append(gate(wires=operation.wires) if operation.angle is None else gate(next(rest), operation.wires))
    found.insert(1 if circuit.has_amplitude else 0, qml.Identity(wires=range(circuit.qubits)))
    return found


def word_operator(word: PauliWord) -> Any:
    """Returns the PennyLane observable of a Pauli word."""
    return qml.prod(*(getattr(qml, axis.upper())(wire) for axis, wire in word))


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Returns the installed versions of distributions."""
    return {name: version(name) for name in packages}
