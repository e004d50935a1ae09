"""The interface of engines.

Contract, the same for all implementations (tests/contract/test_engines.py runs against each):

- States are those of the circuit description: wire 0 is the most significant bit, the global phase is that of the
  gates' matrices, and amplitudes are complex128.
- `weights` is (R, n_weights) and `features` (R', n_features), float64, with finite values; a width above what the
  circuit reads is ignored. R and R' are equal, or one of them is 1 and stands for all rows. Rows are independent.
- `expectations` is differentiable in both by reverse mode, once. `states` carries no gradient.
- Memory is bounded for any number of rows: an engine splits what it cannot hold.
- An engine holds no state that changes a result, and draws no random numbers: the same call gives the same bits on
  the same machine. Engines agree with one another to rounding.
- One engine serves one thread.
"""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, final

import torch
from torch import Tensor

from nas.circuits import Circuit
from nas.engines.binding import BoundCircuit, bind
from nas.errors import CircuitTooWide
from nas.spec.limits import ENGINE_QUBITS
from nas.spec.search import Precision


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What is recorded with every result."""

    name: str
    precision: str
    device: str  #: class of device, "cpu" or "gpu"
    versions: dict[str, str]  #: of the libraries that computed

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return asdict(self)


class Engine(ABC):
    """Simulates circuits with dense state vectors; see the module's contract."""

    def __init__(self, name: str, precision: Precision) -> None:
        self.name = name
        self.precision = precision

    @property
    @abstractmethod
    def info(self) -> EngineInfo:
        """Name, precision, class of device and library versions."""

    @abstractmethod
    def rows_at_once(self, circuit: Circuit, *, with_gradient: bool) -> int:
        """Returns how many rows fit the engine's memory together, at least 1. More rows in a call are allowed."""

    @final
    def states(self, circuit: Circuit, weights: Tensor, features: Tensor) -> Tensor:
        """Returns the final state of every row, (rows, 2^qubits), complex128, without gradient.

        Raises:
            CircuitTooWide: more qubits than this engine holds.
        """
        with torch.no_grad():
            return self._states(self._bind(circuit, weights, features))

    @final
    def expectations(self, circuit: Circuit, weights: Tensor, features: Tensor) -> Tensor:
        """Returns ⟨O_k⟩ of every row and observable, (rows, n_observables), float64, differentiable.

        Raises:
            CircuitTooWide: more qubits than this engine holds.
        """
        return self._expectations(self._bind(circuit, weights, features))

    @abstractmethod
    def _states(self, bound: BoundCircuit) -> Tensor: ...

    @abstractmethod
    def _expectations(self, bound: BoundCircuit) -> Tensor: ...

    def _bind(self, circuit: Circuit, weights: Tensor, features: Tensor) -> BoundCircuit:
        most = ENGINE_QUBITS[self.name]
        if circuit.qubits > most:
            raise CircuitTooWide(f"{self.name} holds at most {most} qubits, and the circuit has {circuit.qubits}")
        return bind(circuit, weights, features)
