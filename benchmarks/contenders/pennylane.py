"""A bare PennyLane script: a QNode with torch's interface, as its documentation writes it."""

from collections.abc import Callable
from typing import Any

import pennylane as qml
import torch
from torch import Tensor

from benchmarks.contenders.base import Contender, Step, torch_step
from benchmarks.problems import Problem
from nas.circuits import Circuit

_GATES = {"ry": qml.RY, "rz": qml.RZ}


class BroadcastScript(Contender):
    """`default.qubit` with backprop: one broadcast call for all rows."""

    packages = ("pennylane", "torch")

    def step(self, problem: Problem) -> Step:
        """Returns a step through one QNode call."""
        circuit = problem.circuit
        node = _node("default.qubit", circuit, "backprop", lambda: _expectations(circuit))

        def expectations(weights: Tensor, features: Tensor) -> Tensor:
            return torch.stack(node(_columns(weights), _columns(features)), 1)

        return torch_step(expectations, problem)

    def sampler(self, circuit: Circuit, n_rows: int) -> Callable[[Tensor], Any]:  # noqa: ARG002  # broadcast
        """Returns a broadcast call."""
        node = _node("default.qubit", circuit, "backprop", qml.state)
        zeros = torch.zeros(circuit.n_features, dtype=torch.float64)
        return lambda weights: node(_columns(weights), zeros)


class RowScript(Contender):
    """`lightning.qubit` with the adjoint method: sample by sample, since it does not broadcast."""

    packages = ("pennylane", "pennylane-lightning", "torch")

    def __init__(self, name: str, precision: str, *, device: str = "lightning.qubit") -> None:
        super().__init__(name, precision)
        self.device = device

    def step(self, problem: Problem) -> Step:
        """Returns a step of one QNode call a row."""
        circuit = problem.circuit
        node = _node(self.device, circuit, "adjoint", lambda: _expectations(circuit))

        def expectations(weights: Tensor, features: Tensor) -> Tensor:
            rows = zip(weights.expand(problem.rows, -1), features.expand(problem.rows, -1), strict=True)
            return torch.stack([torch.stack(node(*row)) for row in rows])

        return torch_step(expectations, problem)

    def sampler(self, circuit: Circuit, n_rows: int) -> Callable[[Tensor], Any]:  # noqa: ARG002  # row by row
        """Returns a loop over rows."""
        node = _node(self.device, circuit, None, qml.state)
        zeros = torch.zeros(circuit.n_features, dtype=torch.float64)
        return lambda weights: torch.stack([torch.as_tensor(node(row, zeros)) for row in weights])


def _node(device: str, circuit: Circuit, diff_method: str | None, measure: Callable[[], Any]) -> Any:
    def function(weights: Any, features: Any) -> Any:
        for operation in circuit.operations:
            angle = operation.angle
            if angle is None:
                qml.CNOT(wires=operation.wires)
            else:
                value = features[angle.features[0]] if angle.weight is None else weights[angle.weight]
                _GATES[operation.gate](value, wires=operation.wires)
        return measure()

    return qml.QNode(function, qml.device(device, wires=circuit.qubits), interface="torch", diff_method=diff_method)


def _expectations(circuit: Circuit) -> list[Any]:
    return [qml.expval(qml.PauliZ(word[0][1])) for word in circuit.observables]


def _columns(values: Tensor) -> Tensor:
    """Returns (columns, rows), or (columns,) where one row stands for all."""
    return values[0] if values.shape[0] == 1 else values.T
