"""pyqtorch: state vectors in torch, batched, differentiated by torch."""

from collections.abc import Callable
from typing import Any

import pyqtorch
import torch
from torch import Tensor

from benchmarks.contenders.base import Contender, Step, torch_step
from benchmarks.problems import Problem
from nas.circuits import Circuit
from nas.engines import pauli


class PyQTorch(Contender):
    """One run of the circuit for all rows; ⟨Z_i⟩ are read off its state, where `expectation` runs it for each."""

    packages = ("pyqtorch", "torch")

    def step(self, problem: Problem) -> Step:
        """Returns a step with `DiffMode.AD`."""
        circuit = problem.circuit
        run = _states(circuit)
        return torch_step(lambda w, x: pauli.expectations(circuit.observables, run(w, x), circuit.qubits), problem)

    def sampler(self, circuit: Circuit, n_rows: int) -> Callable[[Tensor], Any]:  # noqa: ARG002  # batched
        """Returns one batched run."""
        run, zeros = _states(circuit), torch.zeros(1, circuit.n_features, dtype=torch.float64)

        def sample(weights: Tensor) -> Tensor:
            with torch.no_grad():
                return run(weights, zeros)

        return sample


def _states(circuit: Circuit) -> Callable[[Tensor, Tensor], Tensor]:
    """Returns a function from weights and features to states, (rows, 2^n)."""
    gates = []
    for operation in circuit.operations:
        angle = operation.angle
        if angle is None:
            gates.append(pyqtorch.CNOT(*operation.wires))
        else:
            name = f"x{angle.features[0]}" if angle.weight is None else f"w{angle.weight}"
            gates.append(getattr(pyqtorch, operation.gate.upper())(operation.wires[0], name))
    module = pyqtorch.QuantumCircuit(circuit.qubits, gates)

    def run(weights: Tensor, features: Tensor) -> Tensor:
        values = {f"w{i}": column for i, column in enumerate(_columns(weights))}
        values |= {f"x{i}": column for i, column in enumerate(_columns(features))}
        state = pyqtorch.run(module, None, values)
        return state.reshape(1 << circuit.qubits, -1).T

    return run


def _columns(values: Tensor) -> tuple[Tensor, ...]:
    return values[0].unbind() if values.shape[0] == 1 else values.unbind(1)
