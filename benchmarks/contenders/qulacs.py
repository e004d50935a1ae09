"""qulacs: C++ state vectors, for states alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import qulacs
from torch import Tensor

from benchmarks.contenders.base import Contender, Step
from benchmarks.problems import Problem
from nas.circuits import Circuit


class Qulacs(Contender):
    """One parametric circuit whose parameters are set for each row."""

    packages = ("qulacs",)
    has_gradient = False

    def step(self, problem: Problem) -> Step:
        """Refuses: qulacs takes part for its states."""
        raise NotImplementedError

    def sampler(self, circuit: Circuit, n_rows: int) -> Callable[[Tensor], Any]:
        """Returns a loop over rows. qulacs counts qubits from the least significant bit, and its angles are −θ."""
        simulated, weights_of = _circuit(circuit)
        state = qulacs.QuantumState(circuit.qubits)
        found = np.empty((n_rows, 1 << circuit.qubits), dtype=np.complex128)

        def sample(weights: Tensor) -> Any:
            for row, values in enumerate(-weights.numpy()[:, weights_of]):
                for index, value in enumerate(values.tolist()):
                    simulated.set_parameter(index, value)
                state.set_zero_state()
                simulated.update_quantum_state(state)
                found[row] = state.get_vector()
            return found

        return sample


def _circuit(circuit: Circuit) -> tuple[Any, list[int]]:
    """Returns the circuit at features of zero, whose encoding does nothing, and the weight of each parameter."""
    simulated = qulacs.ParametricQuantumCircuit(circuit.qubits)
    weights_of = []
    for operation in circuit.operations:
        wires = [circuit.qubits - 1 - wire for wire in operation.wires]
        if operation.angle is None:
            simulated.add_CNOT_gate(*wires)
        elif operation.angle.weight is not None:
            add = {"ry": simulated.add_parametric_RY_gate, "rz": simulated.add_parametric_RZ_gate}[operation.gate]
            add(wires[0], 0.0)
            weights_of.append(operation.angle.weight)
    return simulated, weights_of
