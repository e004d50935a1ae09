"""A genome as a list of operations, and its renderings."""

from nas.circuits.architecture import Architecture, UnbuildableGenome, build_circuit
from nas.circuits.circuit import Angle, Circuit, Operation
from nas.circuits.gates import AMPLITUDE, GATES, Gate
from nas.circuits.reader import InvalidCircuit, circuit_from_json

__all__ = [
    "AMPLITUDE",
    "GATES",
    "Angle",
    "Architecture",
    "Circuit",
    "Gate",
    "InvalidCircuit",
    "Operation",
    "UnbuildableGenome",
    "build_circuit",
    "circuit_from_json",
]
