"""The engine on PennyLane's `default.qubit`: all rows in one broadcast tape, differentiated by torch.

Cost: O(rows · gates · 2^n) time. One tape is executed on the device directly, because a QNode's checks and transforms
cost more than the simulation of a small circuit.
"""

from collections.abc import Iterator
from typing import Final

import pennylane as qml
import torch
from pennylane.devices import ExecutionConfig
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nas.circuits import Circuit
from nas.engines import pauli
from nas.engines.base import EngineInfo
from nas.engines.binding import BoundCircuit
from nas.engines.pennylane import operators, versions
from nas.engines.rowwise import RowEngine
from nas.spec.engines import Precision

MAX_BYTES: Final = 128 * 2**20
_AMPLITUDE_BYTES: Final = 16
_BACKPROP: Final = ExecutionConfig(gradient_method="backprop", interface="torch")


class DefaultQubit(RowEngine):
    """Reference engine in Python; fastest of PennyLane's below about ten qubits."""

    def __init__(self, name: str, precision: Precision, device: str = "cpu") -> None:
        if precision != "complex128":
            raise ValueError(f"{name} computes in complex128, not in {precision}; take another engine")
        super().__init__(name, precision, device)
        # Nothing is sampled here; without a seed, the device would take one from NumPy's global generator.
        self._device = qml.device("default.qubit", seed=0)

    @property
    def info(self) -> EngineInfo:
        """Name, precision, class of device and library versions."""
        return EngineInfo(self.name, "complex128", "cpu", versions(("pennylane", "torch")))

    def rows_at_once(self, circuit: Circuit, *, with_gradient: bool) -> int:
        """Returns how many rows fit 128 MiB; with a gradient, torch keeps the state after every gate."""
        n_states = 2 * len(circuit.operations) + 4 if with_gradient else 4
        return max(1, MAX_BYTES // (n_states * _AMPLITUDE_BYTES << circuit.qubits))

    def _row_states(self, bound: BoundCircuit) -> Tensor:
        parts = self._parts(bound, with_gradient=False)
        return torch.cat([self._run(part) for part in parts]).expand(bound.rows, -1)

    def _row_expectations(self, bound: BoundCircuit) -> Tensor:
        with_gradient = torch.is_grad_enabled()
        parts = list(self._parts(bound, with_gradient=with_gradient))
        if len(parts) == 1:
            found = [self._measure(parts[0])]
        elif with_gradient:
            # Each part is simulated again when its gradient is due, so that one graph is held at a time.
            found = [checkpoint(self._measure, part, use_reentrant=False, preserve_rng_state=False) for part in parts]
        else:
            found = [self._measure(part) for part in parts]
        return torch.cat(found).expand(bound.rows, -1)

    def _parts(self, bound: BoundCircuit, *, with_gradient: bool) -> Iterator[BoundCircuit]:
        if not bound.is_batched:
            yield bound
            return
        step = self.rows_at_once(bound.circuit, with_gradient=with_gradient)
        for start in range(0, bound.rows, step):
            yield bound.slice(start, min(start + step, bound.rows))

    def _measure(self, bound: BoundCircuit) -> Tensor:
        return pauli.expectations(bound.circuit.observables, self._run(bound), bound.circuit.qubits)

    def _run(self, bound: BoundCircuit) -> Tensor:
        """Returns (rows, 2^n), or (1, 2^n) where all rows are alike."""
        amplitudes = bound.amplitudes
        if amplitudes is not None and amplitudes.shape[0] == 1:
            amplitudes = amplitudes[0]
        tape = qml.tape.QuantumScript(operators(bound.circuit, bound.angles, amplitudes), [qml.state()])
        state = torch.as_tensor(self._device.execute(tape, _BACKPROP), dtype=torch.complex128)
        return state.reshape(-1, 1 << bound.circuit.qubits)
