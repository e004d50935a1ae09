"""The engine on PennyLane's `lightning.qubit` and `lightning.gpu`: one row at a time, adjoint differentiation.

Cost: O(rows · gates · 2^n) time and a handful of state vectors, whatever the depth. A row's backward pass is one
adjoint sweep for Σ_k c_k O_k, with c the incoming cotangent, so neither time nor memory grows with the observables
(Jones and Gacon 2020, arXiv 2009.02823). It starts from the final state of the forward pass:

    one observable        the sweep follows the forward pass at once, and the cotangent scales what it found
    several observables   the state is kept for the backward pass, as many as `KEPT_BYTES` hold; else it is made again

In complex64, lightning.qubit is exact to 1e-6 in expectations, and to 1e-4 in gradients from 14 qubits on where
amplitudes are in phase, because the sums of its sweep are in single precision (1e-5 below and otherwise).

Rows are not spread over threads or streams: Lightning's bindings hold Python's lock through every call and put all
work on one stream (PennyLane-Lightning 0.45), so two threads take as long as one. More rows at once need more
processes, which share a card.
"""

import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pennylane as qml
import torch
from torch import Tensor

from nas.circuits import AMPLITUDE, Circuit
from nas.engines import memory, pauli
from nas.engines.base import EngineInfo
from nas.engines.binding import BoundCircuit
from nas.engines.pennylane import operators, versions, word_operator
from nas.engines.rowwise import RowEngine
from nas.errors import DeviceTooSmall, EngineUnavailable
from nas.spec.engines import Precision

MAX_BYTES: Final = 128 * 2**20
#: Final states that wait for a backward pass, with their gates.
KEPT_BYTES: Final = {"lightning.qubit": 128 * 2**20, "lightning.gpu": 2**30}
_GATE_BYTES: Final = 1024  # of an operator in Python
_PACKAGES: Final = {"lightning.qubit": "pennylane-lightning", "lightning.gpu": "pennylane-lightning-gpu"}
_REMEDIES: Final = {
    "lightning.qubit": "It needs 'hqnas[worker]'",
    "lightning.gpu": "It needs 'hqnas[gpu]', an NVIDIA GPU and its driver",
}
#: What Lightning puts before the reason: the file and line of its own source.
_REASON_AFTER: Final = "Error in PennyLane Lightning: "


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the rows of one call have in common."""

    circuit: Circuit
    wanted: tuple[int, ...]  #: the angles to differentiate by
    measurements: Any  #: a tape with nothing but the observables
    n_kept: int = 0  #: final states that may wait for the backward pass

    @classmethod
    def of(cls, circuit: Circuit, wanted: tuple[int, ...] = ()) -> "_Plan":
        """Returns a plan by which no state is kept."""
        measured = [qml.expval(word_operator(word)) for word in circuit.observables]
        return cls(circuit, wanted, qml.tape.QuantumScript([], measured))

    @property
    def is_swept_at_once(self) -> bool:
        """Whether the adjoint sweep follows the forward pass."""
        return bool(self.wanted) and len(self.circuit.observables) == 1


@dataclass(slots=True, eq=False)
class _Row:
    """The numbers of one run and, for a time, the state that they lead to."""

    plan: _Plan
    angles: list[float]
    amplitudes: Any
    gates: list[Any] | None = None
    state: Any = None
    slopes: Any = None  #: d⟨O⟩/d angle of the only observable

    def give_up_state(self) -> Any:
        """Returns the state, which the row then no longer has."""
        state, self.state, self.gates = self.state, None, None
        return state


class Lightning(RowEngine):
    """C++ and CUDA state vectors, for wide circuits; `lightning.gpu` needs an NVIDIA GPU."""

    def __init__(self, name: str, precision: Precision, device: str = "cpu") -> None:
        super().__init__(name, precision, device)
        self.dtype = np.dtype(precision)
        self._device = self._open()
        self._kept: deque[_Row] = deque()  # those that have a state, all of one width, the oldest first

    @property
    def info(self) -> EngineInfo:
        """Name, precision, class of device and library versions."""
        device = "gpu" if self.name == "lightning.gpu" else "cpu"
        return EngineInfo(self.name, self.precision, device, versions(("pennylane", _PACKAGES[self.name], "torch")))

    def rows_at_once(self, circuit: Circuit, *, with_gradient: bool) -> int:  # noqa: ARG002  # adjoint keeps no graph
        """Returns how many rows of states fit 128 MiB."""
        return max(1, MAX_BYTES // self._state_bytes(circuit))

    def _open(self) -> Any:
        """Returns the PennyLane device, which lends its classes of states, measurements and adjoint sweeps.

        Raises:
            EngineUnavailable: PennyLane cannot make it on this machine.
        """
        try:
            return qml.device(self.name, wires=1, c_dtype=self.dtype.type, seed=0)
        except (ImportError, RuntimeError, ValueError, qml.exceptions.DeviceError) as error:
            reason = str(error).rpartition(_REASON_AFTER)[2].rstrip(".")
            raise EngineUnavailable(f"{self.name} cannot run here: {reason}. {_REMEDIES[self.name]}.") from error

    def _row_states(self, bound: BoundCircuit) -> Tensor:
        self._require_memory(bound.circuit, n_states=1)
        rows = _rows(_Plan.of(bound.circuit), *_as_tensors(bound), self.dtype)
        found = np.empty((len(rows), 1 << bound.circuit.qubits), self.dtype)
        with _memory_errors_named(bound.circuit):
            for i, row in enumerate(rows):
                found[i] = self._final_state(row).state
        return torch.from_numpy(found).expand(bound.rows, -1)

    def _row_expectations(self, bound: BoundCircuit) -> Tensor:
        wanted = tuple(i for i, angle in enumerate(bound.angles) if isinstance(angle, Tensor) and angle.requires_grad)
        angles, amplitudes = _as_tensors(bound)
        with_gradient = bool(wanted) or amplitudes.requires_grad
        spare = self._require_memory(bound.circuit, self._n_states(bound.circuit, with_gradient=with_gradient))
        plan = _Plan.of(bound.circuit, wanted)
        if with_gradient and not (plan.is_swept_at_once and not amplitudes.requires_grad):
            row_bytes = self._state_bytes(bound.circuit) + _GATE_BYTES * len(bound.circuit.operations)
            plan = replace(plan, n_kept=max(1, min(KEPT_BYTES[self.name], spare) // row_bytes))
        found: Tensor = _Adjoint.apply(self, plan, angles, amplitudes)  # type: ignore[no-untyped-call]  # torch
        return found.expand(bound.rows, -1)

    def measure(self, row: _Row) -> Any:
        """Returns the expectations of one row, (n_observables,)."""
        state = self._final_state(row)
        if self._is_measured_in_double:
            state = self._in_double(state, row.plan.circuit.qubits)
        measured = self._device.LightningMeasurements(state)
        return np.reshape(measured.measure_final_state(row.plan.measurements), -1)

    @property
    def _is_measured_in_double(self) -> bool:
        """Whether expectations are taken of a copy in complex128.

        lightning.qubit adds 2^n terms one by one in the precision of the state: where amplitudes are in phase, that
        loses 1e-4 of an expectation at 14 qubits and 2e-2 at 22. A GPU adds in a tree.
        """
        return self.name == "lightning.qubit" and self.precision == "complex64"

    def _in_double(self, state: Any, n_qubits: int) -> Any:
        wider = self._device.LightningStateVector(num_wires=n_qubits, dtype=np.complex128)
        amplitudes = state.state.astype(np.complex128)
        wider.apply_operations([qml.StatePrep(amplitudes, wires=range(n_qubits), validate_norm=False)])
        return wider

    def angle_gradient(self, row: _Row, cotangent: Any) -> Any:
        """Returns d(Σ_k c_k ⟨O_k⟩)/d angle of one row for the angles that are wanted."""
        words = row.plan.circuit.observables
        if not cotangent.any():
            return np.zeros(len(row.plan.wanted))
        if len(words) > 1:
            return self._swept(row, qml.dot(cotangent.tolist(), [word_operator(word) for word in words]))
        if row.slopes is None:
            row.slopes = self._swept(row, word_operator(words[0]))
        return cotangent[0] * row.slopes

    def _swept(self, row: _Row, observable: Any) -> Any:
        state = self._final_state(row)
        first = 1 if row.plan.circuit.has_amplitude else 0  # the prepared state is a parameter of the tape too
        tape = qml.tape.QuantumScript(
            row.gates, [qml.expval(observable)], trainable_params=[first + i for i in row.plan.wanted]
        )
        return np.reshape(self._device.LightningAdjointJacobian(state).calculate_jacobian(tape), -1)

    def amplitude_gradient(self, row: _Row, cotangent: Any) -> Any:
        """Returns d(Σ_k c_k ⟨O_k⟩)/d amplitude of one row, (2^k,): 2 Re U†(Σ_k c_k O_k)U|ψ₀⟩ on the prepared wires."""
        circuit = row.plan.circuit
        state = torch.from_numpy(self._final_state(row).state)[None]
        image = torch.zeros_like(state)
        for factor, word in zip(cotangent.tolist(), circuit.observables, strict=True):
            image += factor * pauli.apply_word(word, state, circuit.qubits)
        norm = float(torch.linalg.vector_norm(image))
        if norm == 0.0:
            return np.zeros(row.amplitudes.shape)
        assert row.gates is not None
        start = qml.StatePrep((image[0] / norm).numpy(), wires=range(circuit.qubits), validate_norm=False)
        pulled_back = self._new_state(circuit.qubits)
        pulled_back.apply_operations([start, *(qml.adjoint(gate) for gate in reversed(row.gates[1:]))])
        return 2.0 * norm * pulled_back.state[_prepared_indices(circuit)].real

    def _final_state(self, row: _Row) -> Any:
        """Returns Lightning's state vector after the gates, simulated unless the row still has it."""
        if row.state is None:
            state, gates = self._zero_state(row.plan), operators(row.plan.circuit, row.angles, row.amplitudes)
            state.apply_operations(gates)
            row.state, row.gates = state, gates
            self._kept.append(row)
        return row.state

    def _zero_state(self, plan: _Plan) -> Any:
        """Returns |0…0⟩, in the memory of another row where as many are kept as may be."""
        self._free_other_widths(plan.circuit)
        if len(self._kept) < max(1, plan.n_kept):
            return self._new_state(plan.circuit.qubits)
        # Rows that nobody keeps use the same memory over and over, which stays in the processor's cache.
        state = (self._kept.popleft() if plan.n_kept else self._kept.pop()).give_up_state()
        state.reset_state()
        return state

    def _free_other_widths(self, circuit: Circuit) -> None:
        while self._kept and self._kept[-1].plan.circuit.qubits != circuit.qubits:
            self._kept.pop().give_up_state()

    def _new_state(self, n_qubits: int) -> Any:
        return self._device.LightningStateVector(num_wires=n_qubits, dtype=self.dtype.type)

    def _state_bytes(self, circuit: Circuit) -> int:
        return self.dtype.itemsize << circuit.qubits

    def _n_states(self, circuit: Circuit, *, with_gradient: bool) -> int:
        """Returns how many state vectors Lightning 0.45 holds at most, by its sources (AdjointJacobian*, Observables*).

        Forward: the state, and a copy with a word of several axes applied; or the copies in complex128, of double size.
        Backward: the state, λ, Oλ and the derivative; with a sum of observables, the sum and its terms, which
        lightning.qubit has once a thread of OpenMP. Those are torch's: the library that it loaded serves Lightning too.
        """
        forward = 6 if self._is_measured_in_double else 2
        if not with_gradient:
            return forward
        if len(circuit.observables) == 1:
            return max(forward, 4)
        return 5 if self.name == "lightning.gpu" else 5 + 2 * torch.get_num_threads()

    def _require_memory(self, circuit: Circuit, n_states: int) -> int:
        """Returns the free bytes beyond these states, those included that kept states take.

        Raises:
            DeviceTooSmall: there are fewer.
        """
        self._free_other_widths(circuit)
        free = memory.gpu_memory() if self.name == "lightning.gpu" else memory.host_memory()
        kept_bytes = len(self._kept) * self._state_bytes(circuit)
        purpose = f"{self.name} with {n_states} state vectors of {circuit.qubits} qubits in {self.precision}"
        return kept_bytes + memory.require(n_states * self._state_bytes(circuit) - kept_bytes, free, purpose=purpose)


class _Adjoint(torch.autograd.Function):
    """Expectations of rows of angles (rows, A) and amplitudes (rows, 2^k), with the adjoint method as backward."""

    @staticmethod
    def forward(ctx: Any, engine: Lightning, plan: _Plan, angles: Tensor, amplitudes: Tensor) -> Tensor:
        ctx.engine, ctx.plan, ctx.shapes = engine, plan, (angles.shape, amplitudes.shape)
        ctx.rows = _rows(plan, angles, amplitudes, engine.dtype)
        found = np.empty((len(ctx.rows), len(plan.circuit.observables)))
        with _memory_errors_named(plan.circuit):
            for i, row in enumerate(ctx.rows):
                found[i] = engine.measure(row)
                if plan.is_swept_at_once:
                    engine.angle_gradient(row, np.ones(1))
        return torch.from_numpy(found)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, cotangents: Tensor) -> tuple[None, None, Tensor | None, Tensor | None]:
        engine, wanted = ctx.engine, list(ctx.plan.wanted)
        by_angle, by_amplitude = (torch.zeros(shape, dtype=torch.float64) for shape in ctx.shapes)
        with _memory_errors_named(ctx.plan.circuit):
            # From the last row, because that is where states are kept.
            for i in reversed(range(len(ctx.rows))):
                row, factors = ctx.rows[i], cotangents[i].numpy()
                if wanted:
                    by_angle[i, wanted] = torch.from_numpy(engine.angle_gradient(row, factors))
                if ctx.needs_input_grad[3]:
                    by_amplitude[i] = torch.from_numpy(engine.amplitude_gradient(row, factors))
        return None, None, by_angle, by_amplitude


@contextmanager
def _memory_errors_named(circuit: Circuit) -> Iterator[None]:
    """Turns what Lightning says when an allocation fails, because another process was faster, into our error."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        reason = str(error).rpartition(_REASON_AFTER)[2]
        raise DeviceTooSmall(f"memory ran out in a circuit of {circuit.qubits} qubits: {reason}") from error


def _as_tensors(bound: BoundCircuit) -> tuple[Tensor, Tensor]:
    """Returns angles (rows, A) and amplitudes (rows, 2^k or 0), with one row where all rows are alike."""
    rows = bound.rows if bound.is_batched else 1
    columns = [torch.as_tensor(angle, dtype=torch.float64).expand(rows) for angle in bound.angles]
    angles = torch.stack(columns, 1) if columns else torch.zeros(rows, 0, dtype=torch.float64)
    amplitudes = torch.zeros(1, 0, dtype=torch.float64) if bound.amplitudes is None else bound.amplitudes
    return angles, amplitudes.expand(rows, -1)


def _rows(plan: _Plan, angles: Tensor, amplitudes: Tensor, dtype: Any) -> list[_Row]:
    turns = angles.detach()
    if dtype == np.complex64:
        # Lightning rounds angles to the precision of its states, and small ones lose least; gates repeat after 4π.
        turns = turns - 4.0 * math.pi * torch.round(turns / (4.0 * math.pi))
    starts = amplitudes.detach().numpy().astype(dtype)
    return [_Row(plan, *row) for row in zip(turns.tolist(), starts, strict=True)]


def _prepared_indices(circuit: Circuit) -> Any:
    """Returns the indices of the basis states in which all wires but the prepared ones are 0, in their order."""
    wires = next(operation.wires for operation in circuit.operations if operation.gate == AMPLITUDE)
    basis = np.arange(1 << len(wires))
    index = np.zeros_like(basis)
    for position, wire in enumerate(wires):
        bit = (basis >> (len(wires) - 1 - position)) & 1
        index |= bit << (circuit.qubits - 1 - wire)
    return index
