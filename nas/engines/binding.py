"""Puts numbers into a circuit: one angle for every parametrised gate and row, and the amplitudes to start from.

All of it is torch arithmetic on whole columns, so autograd sums over the gates that share a weight, applies scales
and takes products of features apart.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nas.circuits import AMPLITUDE, Angle, Circuit


@dataclass(frozen=True, slots=True)
class BoundCircuit:
    """A circuit with its numbers. Angles stand in the order of the operations that have one."""

    circuit: Circuit
    rows: int
    angles: tuple[Tensor | float, ...]  #: a number, a scalar for all rows, or (rows,)
    amplitudes: Tensor | None  #: (1 or rows, 2^k) unit vectors, with amplitude encoding

    @property
    def is_batched(self) -> bool:
        """Whether anything differs between rows."""
        return any(isinstance(angle, Tensor) and angle.ndim for angle in self.angles) or (
            self.amplitudes is not None and self.amplitudes.shape[0] > 1
        )

    def slice(self, start: int, stop: int) -> "BoundCircuit":
        """Returns rows `start` to `stop`."""
        amplitudes = self.amplitudes
        if amplitudes is not None and amplitudes.shape[0] > 1:
            amplitudes = amplitudes[start:stop]
        return replace(
            self,
            rows=stop - start,
            angles=tuple(
                angle[start:stop] if isinstance(angle, Tensor) and angle.ndim else angle for angle in self.angles
            ),
            amplitudes=amplitudes,
        )


def bind(circuit: Circuit, weights: Tensor, features: Tensor, n_rows: int) -> BoundCircuit:
    """Returns the circuit with its angles, differentiable in both arguments.

    Args:
        circuit: what to run.
        weights: (rows or 1, at least n_weights), radians.
        features: (rows or 1, at least n_features), radians where they are angles.
        n_rows: how many rows there are; one row of a tensor stands for all.
    """
    angles = [operation.angle for operation in circuit.operations if operation.angle is not None]
    bound: list[Tensor | float] = [angle.scale for angle in angles]
    by_weight = [i for i, angle in enumerate(angles) if angle.weight is not None]
    _fill(bound, angles, by_weight, weights, [[angles[i].weight] for i in by_weight])
    for n_factors in sorted({len(angle.features) for angle in angles} - {0}):
        chosen = [i for i, angle in enumerate(angles) if len(angle.features) == n_factors]
        _fill(bound, angles, chosen, features, [list(angles[i].features) for i in chosen])
    return BoundCircuit(circuit, n_rows, tuple(bound), amplitudes_of(circuit, features))


def _fill(
    bound: list[Tensor | float], angles: list[Angle], chosen: list[int], source: Tensor, indices: list[list[int | None]]
) -> None:
    """Sets bound[i], for each chosen i, to its scale times the product of its columns of `source`."""
    if not chosen:
        return
    scales = source.new_tensor([angles[i].scale for i in chosen])
    factors = source[:, torch.tensor(indices, device=source.device)]
    columns = (factors[..., 0] if factors.shape[-1] == 1 else factors.prod(-1)) * scales
    for i, column in zip(chosen, columns[0] if source.shape[0] == 1 else columns.unbind(1), strict=True):
        bound[i] = column


def amplitudes_of(circuit: Circuit, features: Tensor) -> Tensor | None:
    """Returns what amplitude encoding prepares, (…, 2^k) unit vectors of features (…, F); None without it."""
    for operation in circuit.operations:
        if operation.gate == AMPLITUDE and operation.features is not None:
            first, last = operation.features
            return _unit_vectors(features[..., first : last + 1], 1 << len(operation.wires))
    return None


def _unit_vectors(values: Tensor, size: int) -> Tensor:
    """Returns zero-padded, normalised rows; a zero vector, which has no direction, becomes |0…0⟩."""
    padded = torch.nn.functional.pad(values, (0, size - values.shape[-1]))
    # Dividing by the largest entry first keeps the squares of very large and very small features finite.
    largest = padded.detach().abs().amax(-1, keepdim=True)
    zero_state = torch.zeros_like(padded)
    zero_state[..., 0] = 1.0
    safe = torch.where(largest > 0, padded / torch.where(largest > 0, largest, 1.0), zero_state)
    norms: Tensor = torch.linalg.vector_norm(safe, dim=-1, keepdim=True)
    return safe / norms
