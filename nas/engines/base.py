"""The interface of engines.

Contract, the same for all implementations (tests/contract/test_engines.py runs against each):

- States are those of the circuit description: wire 0 is the most significant bit, the global phase is that of the
  gates' matrices, and amplitudes have the engine's precision. Weights, features and expectations are float64.
- `weights` is (…, n_weights) and `features` (…, n_features), with finite values; a width above what the circuit reads
  is ignored. Their leading axes broadcast as in arithmetic, and every point of the result is a run of its own.
- A bundle is a sequence of circuits of one width with leading axes (C, …) of weights and features, C alone or 1.
  A member's results are those that it has alone, whatever stands beside it.
- `expectations` is differentiable in both by reverse mode, once. `states` carries no gradient.
- Memory is bounded for any number of runs: an engine splits what it cannot hold.
- An engine holds no state that changes a result, and draws no random numbers: the same call gives the same bits on
  the same machine. Engines agree with one another to rounding.
- One engine serves one thread.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any, final

import torch
from torch import Tensor

from nas.circuits import Circuit
from nas.errors import CircuitTooWide
from nas.spec.engines import Precision
from nas.spec.limits import ENGINE_QUBITS


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

    def __init__(self, name: str, precision: Precision, device: str) -> None:
        self.name = name
        self.precision = precision
        self.device_class = device  #: "cpu" or "gpu", for engines that run on both

    @property
    @abstractmethod
    def info(self) -> EngineInfo:
        """Name, precision, class of device and library versions."""

    @abstractmethod
    def rows_at_once(self, circuit: Circuit, *, with_gradient: bool) -> int:
        """Returns how many runs fit the engine's memory together, at least 1. More in a call are allowed."""

    @final
    def states(self, circuit: Circuit, weights: Tensor, features: Tensor) -> Tensor:
        """Returns the final state of every run, (…, 2^qubits), without gradient.

        Raises:
            CircuitTooWide: more qubits than this engine holds.
        """
        return self.bundle_states([circuit], weights[None], features[None]).squeeze(0)

    @final
    def expectations(self, circuit: Circuit, weights: Tensor, features: Tensor) -> Tensor:
        """Returns ⟨O_k⟩ of every run and observable, (…, n_observables), float64, differentiable.

        Raises:
            CircuitTooWide: more qubits than this engine holds.
        """
        return self.bundle_expectations([circuit], weights[None], features[None]).squeeze(0)

    @final
    def bundle_states(self, circuits: Sequence[Circuit], weights: Tensor, features: Tensor) -> Tensor:
        """Returns the final state of every run of every circuit, (C, …, 2^qubits); see `states`."""
        with torch.no_grad():
            inputs = self._inputs(circuits, weights, features)
            return self._states(circuits, inputs).reshape(*inputs.leading, -1)

    @final
    def bundle_expectations(self, circuits: Sequence[Circuit], weights: Tensor, features: Tensor) -> Tensor:
        """Returns (C, …, K) for the largest number K of observables, and 0 where a circuit has fewer."""
        inputs = self._inputs(circuits, weights, features)
        return self._expectations(circuits, inputs).reshape(*inputs.leading, -1)

    @abstractmethod
    def _states(self, circuits: Sequence[Circuit], inputs: "Inputs") -> Tensor:
        """Returns (C, groups, rows, 2^qubits)."""

    @abstractmethod
    def _expectations(self, circuits: Sequence[Circuit], inputs: "Inputs") -> Tensor:
        """Returns (C, groups, rows, K)."""

    def _inputs(self, circuits: Sequence[Circuit], weights: Tensor, features: Tensor) -> "Inputs":
        most = ENGINE_QUBITS[self.name]
        if circuits[0].qubits > most:
            raise CircuitTooWide(f"{self.name} holds at most {most} qubits, and the circuit has {circuits[0].qubits}")
        if len({circuit.qubits for circuit in circuits}) > 1:
            raise ValueError("the circuits of a bundle differ in qubits")
        return Inputs.make(circuits, weights, features)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Weights and features of a call in one shape: `groups` share weights, and `rows` of a group differ in features.

    Each is at its full size or, where all are alike, 1 on the axes of groups and rows.
    """

    weights: Tensor  #: (C, groups or 1, W)
    features: Tensor  #: (C, groups or 1, rows or 1, F)
    groups: int
    rows: int
    leading: tuple[int, ...]  #: (C, …), the shape that the caller sees

    @classmethod
    def make(cls, circuits: Sequence[Circuit], weights: Tensor, features: Tensor) -> "Inputs":
        """Returns the inputs of a call.

        Raises:
            ValueError: shapes that do not fit the circuits or one another.
        """
        n_circuits = len(circuits)
        least = (max(c.n_weights for c in circuits), max(c.n_features for c in circuits))
        for name, values, width in zip(("weights", "features"), (weights, features), least, strict=True):
            if values.ndim < 2 or values.shape[-1] < width or values.dtype != torch.float64:
                raise ValueError(
                    f"{name} must be float64 of shape (…, {width}), not {values.dtype} of {tuple(values.shape[1:])}"
                )
        n_axes = max(weights.ndim, features.ndim) - 2
        weights, features = _with_axes(weights, n_axes), _with_axes(features, n_axes)
        shapes = (n_circuits, *[1] * n_axes), weights.shape[:-1], features.shape[:-1]
        leading = tuple(max(sizes) if min(sizes) else 0 for sizes in zip(*shapes, strict=True))
        if any(size not in (1, full) for shape in shapes for size, full in zip(shape, leading, strict=True)):
            raise ValueError(
                f"runs of weights {tuple(weights.shape[1:-1])} do not fit runs of features "
                f"{tuple(features.shape[1:-1])}, or there are not {n_circuits} of each"
            )
        if 0 in leading:
            raise ValueError("there is nothing to run: an axis of weights or features is empty")
        n_outer = n_axes
        while n_outer and weights.shape[n_outer] == 1:
            n_outer -= 1
        outer, inner = leading[1 : 1 + n_outer], leading[1 + n_outer :]
        return cls(
            weights=_merged(weights, n_circuits, outer, inner).squeeze(2),
            features=_merged(features, n_circuits, outer, inner),
            groups=prod(outer),
            rows=prod(inner),
            leading=leading,
        )

    def of(self, members: list[int]) -> "Inputs":
        """Returns the inputs of some circuits."""
        leading = (len(members), *self.leading[1:])
        return replace(self, weights=self.weights[members], features=self.features[members], leading=leading)

    def to(self, device: torch.device) -> "Inputs":
        """Returns the inputs on a device."""
        return replace(self, weights=self.weights.to(device), features=self.features.to(device))


def _with_axes(values: Tensor, n_axes: int) -> Tensor:
    """Returns values (C, …, width) with axes of length 1 put behind the first, so that there are `n_axes` between."""
    missing = n_axes + 2 - values.ndim
    return values if not missing else values.view(values.shape[0], *[1] * missing, *values.shape[1:])


def _merged(values: Tensor, n_circuits: int, outer: Sequence[int], inner: Sequence[int]) -> Tensor:
    """Returns (C, groups or 1, rows or 1, width): all axes of a kind are merged, unless they are 1 throughout."""
    axes = values.shape[1:-1]
    if values.shape[0] == n_circuits and (len(outer), len(inner)) == (1, 1):
        return values
    outer = outer if prod(axes[: len(outer)]) > 1 else [1] * len(outer)
    inner = inner if prod(axes[len(outer) :]) > 1 else [1] * len(inner)
    full = values.expand(n_circuits, *outer, *inner, values.shape[-1])
    return full.reshape(n_circuits, prod(outer), prod(inner), values.shape[-1])
