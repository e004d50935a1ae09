"""The engine on PennyLane's `lightning.qubit` and `lightning.gpu`: one tape a row, adjoint differentiation.

Cost: O(rows · gates · 2^n) time and a fixed number of state vectors, whatever the depth. The backward pass is one
adjoint sweep a row for Σ_k c_k O_k, with c the incoming cotangent, so memory does not grow with the observables
either (Jones and Gacon 2020, arXiv 2009.02823).
"""

from typing import Any, Final

import numpy as np
import pennylane as qml
import torch
from pennylane.devices import ExecutionConfig
from torch import Tensor

from nas.circuits import AMPLITUDE, Circuit
from nas.engines import pauli
from nas.engines.base import Engine, EngineInfo
from nas.engines.binding import BoundCircuit
from nas.engines.pennylane import operators, versions, word_operator
from nas.errors import EngineUnavailable
from nas.spec.search import Precision

MAX_BYTES: Final = 128 * 2**20
_AMPLITUDE_BYTES: Final = 16
_ADJOINT: Final = ExecutionConfig(gradient_method="adjoint")
_PACKAGES: Final = {"lightning.qubit": "pennylane-lightning", "lightning.gpu": "pennylane-lightning-gpu"}


class Lightning(Engine):
    """C++ and CUDA state vectors, for wide circuits; `lightning.gpu` needs an NVIDIA GPU."""

    def __init__(self, name: str, precision: Precision) -> None:
        super().__init__(name, precision)
        self._devices: dict[int, Any] = {}
        self.device(1)

    @property
    def info(self) -> EngineInfo:
        """Name, precision, class of device and library versions."""
        device = "gpu" if self.name == "lightning.gpu" else "cpu"
        return EngineInfo(self.name, "complex128", device, versions(("pennylane", _PACKAGES[self.name], "torch")))

    def rows_at_once(self, circuit: Circuit, *, with_gradient: bool) -> int:  # noqa: ARG002  # adjoint keeps no graph
        """Returns how many rows of states fit 128 MiB."""
        return max(1, MAX_BYTES // (_AMPLITUDE_BYTES << circuit.qubits))

    def device(self, n_qubits: int) -> Any:
        """Returns the PennyLane device of this width, which is kept.

        Raises:
            EngineUnavailable: PennyLane cannot make it on this machine.
        """
        if n_qubits not in self._devices:
            try:
                self._devices[n_qubits] = qml.device(self.name, wires=n_qubits, c_dtype=np.complex128, seed=0)
            except (ImportError, RuntimeError, qml.exceptions.DeviceError) as error:
                raise EngineUnavailable(
                    f"{self.name} cannot run here: {str(error).rstrip('.')}. {self._remedy()}"
                ) from error
        return self._devices[n_qubits]

    def _remedy(self) -> str:
        extra = "gpu" if self.name == "lightning.gpu" else "worker"
        return f"Install 'hqnas[{extra}]'" + (" on a machine with an NVIDIA GPU" if extra == "gpu" else "")

    def _states(self, bound: BoundCircuit) -> Tensor:
        angles, amplitudes = _as_arrays(bound)
        states = np.stack([self.run(bound.circuit, *row) for row in _rows(angles, amplitudes)])
        return torch.from_numpy(states).expand(bound.rows, -1)

    def _expectations(self, bound: BoundCircuit) -> Tensor:
        found: Tensor = _Adjoint.apply(self, bound.circuit, *_as_tensors(bound))  # type: ignore[no-untyped-call]  # torch
        return found.expand(bound.rows, -1)

    def run(self, circuit: Circuit, angles: Any, amplitudes: Any) -> Any:
        """Returns the final state of one row, (2^n,)."""
        tape = qml.tape.QuantumScript(operators(circuit, angles, amplitudes), [qml.state()])
        return self.device(circuit.qubits).execute(tape)

    def measure(self, circuit: Circuit, angles: Any, amplitudes: Any) -> Any:
        """Returns the expectations of one row, (n_observables,)."""
        measurements = [qml.expval(word_operator(word)) for word in circuit.observables]
        tape = qml.tape.QuantumScript(operators(circuit, angles, amplitudes), measurements)
        return np.reshape(self.device(circuit.qubits).execute(tape), -1)

    def angle_gradient(self, circuit: Circuit, angles: Any, amplitudes: Any, cotangent: Any) -> Any:
        """Returns d(Σ_k c_k ⟨O_k⟩)/d angle of one row, (n_angles,)."""
        if not len(angles):
            return np.zeros(0)
        observable = qml.dot(list(cotangent), [word_operator(word) for word in circuit.observables])
        first = 1 if circuit.has_amplitude else 0  # the prepared state is a parameter of the tape too
        tape = qml.tape.QuantumScript(
            operators(circuit, angles, amplitudes),
            [qml.expval(observable)],
            trainable_params=list(range(first, first + len(angles))),
        )
        return np.reshape(self.device(circuit.qubits).compute_derivatives(tape, _ADJOINT), -1)

    def amplitude_gradient(self, circuit: Circuit, angles: Any, amplitudes: Any, cotangent: Any) -> Any:
        """Returns d(Σ_k c_k ⟨O_k⟩)/d amplitude of one row, (2^k,): 2 Re U†(Σ_k c_k O_k)U|ψ₀⟩ on the prepared wires."""
        state = torch.from_numpy(self.run(circuit, angles, amplitudes))[None]
        image = torch.zeros_like(state)
        for factor, word in zip(cotangent, circuit.observables, strict=True):
            image += float(factor) * pauli.apply_word(word, state, circuit.qubits)
        norm = float(torch.linalg.vector_norm(image))
        if norm == 0.0:
            return np.zeros_like(amplitudes)
        gates = operators(circuit, angles, amplitudes)[1:]
        wires = range(circuit.qubits)
        start = qml.StatePrep((image[0] / norm).numpy(), wires=wires, validate_norm=False)
        tape = qml.tape.QuantumScript([start, *(qml.adjoint(gate) for gate in reversed(gates))], [qml.state()])
        pulled_back = self.device(circuit.qubits).execute(tape)
        return 2.0 * norm * pulled_back[_prepared_indices(circuit)].real


class _Adjoint(torch.autograd.Function):
    """Expectations of rows of angles (rows, A) and amplitudes (rows, 2^k), with the adjoint method as backward."""

    @staticmethod
    def forward(ctx: Any, engine: Lightning, circuit: Circuit, angles: Tensor, amplitudes: Tensor) -> Tensor:
        ctx.engine, ctx.circuit = engine, circuit
        ctx.save_for_backward(angles, amplitudes)
        rows = _rows(angles.detach().numpy(), amplitudes.detach().numpy())
        return torch.from_numpy(np.stack([engine.measure(circuit, *row) for row in rows]))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, cotangents: Tensor) -> tuple[None, None, Tensor | None, Tensor | None]:
        angles, amplitudes = (saved.numpy() for saved in ctx.saved_tensors)
        rows = list(zip(_rows(angles, amplitudes), cotangents.numpy(), strict=True))
        engine, circuit = ctx.engine, ctx.circuit
        by_angle = by_amplitude = None
        if ctx.needs_input_grad[2]:
            by_angle = torch.from_numpy(np.stack([engine.angle_gradient(circuit, *row, c) for row, c in rows]))
        if ctx.needs_input_grad[3]:
            by_amplitude = torch.from_numpy(np.stack([engine.amplitude_gradient(circuit, *row, c) for row, c in rows]))
        return None, None, by_angle, by_amplitude


def _as_tensors(bound: BoundCircuit) -> tuple[Tensor, Tensor]:
    """Returns angles (rows, A) and amplitudes (rows, 2^k or 0), with one row where all rows are alike."""
    rows = bound.rows if bound.is_batched else 1
    columns = [torch.as_tensor(angle, dtype=torch.float64).expand(rows) for angle in bound.angles]
    angles = torch.stack(columns, 1) if columns else torch.zeros(rows, 0, dtype=torch.float64)
    amplitudes = torch.zeros(1, 0, dtype=torch.float64) if bound.amplitudes is None else bound.amplitudes
    return angles, amplitudes.expand(rows, -1)


def _as_arrays(bound: BoundCircuit) -> tuple[Any, Any]:
    angles, amplitudes = _as_tensors(bound)
    return angles.detach().numpy(), amplitudes.detach().numpy()


def _rows(angles: Any, amplitudes: Any) -> Any:
    return zip(angles, amplitudes, strict=True)


def _prepared_indices(circuit: Circuit) -> Any:
    """Returns the indices of the basis states in which all wires but the prepared ones are 0, in their order."""
    wires = next(operation.wires for operation in circuit.operations if operation.gate == AMPLITUDE)
    basis = np.arange(1 << len(wires))
    index = np.zeros_like(basis)
    for position, wire in enumerate(wires):
        bit = (basis >> (len(wires) - 1 - position)) & 1
        index |= bit << (circuit.qubits - 1 - wire)
    return index
