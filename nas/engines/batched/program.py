"""The blocks of a bundle of circuits as tensors: structure is data, and a new circuit costs no compilation.

Shorter circuits of a bundle are padded with what changes nothing to the last bit: identity matrices, phases of angle
0 and permutations that move nothing. C is the number of circuits, B of blocks, N = 2^n.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.circuits import Angle, Circuit
from nas.engines.batched.schedule import Block, Rotation, eigenvalues, permutation

_PADDING: Final = Rotation(np.eye(2, dtype=complex))

#: Widest run of wires that one matrix product rotates.
_WIDEST_RUN: Final = 5

#: Eigenvalues that are brought to floating point at a time.
_MOST_AT_ONCE: Final = 2**20

#: Widest circuits that may stand side by side on a core.
_WIDEST_BUNDLED: Final = 8


@dataclass(frozen=True, slots=True)
class AngleTable:
    """Angles as constants + scales · weights + scales · features; S slots a circuit."""

    constants: Tensor  #: (C, …, S), float64, with 1 for each axis between
    by_weight: "Columns | None"
    by_feature: "Columns | None"

    def angles(self, weights: Tensor, features: Tensor) -> Tensor:
        """Returns (C, …, S) of weights (C, …, W) and features (C, …, F) whose middle axes broadcast."""
        found = self.constants
        if self.by_weight is not None:
            found = self.by_weight.add_to(found, weights)
        if self.by_feature is not None:
            found = self.by_feature.add_to(found, features)
        return found


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of a tensor each slot reads, and times what; 0 where it reads none."""

    index: Tensor  #: (C, …, S), int64; (S,) for one circuit
    scales: Tensor  #: (C, …, S), float64

    def add_to(self, base: Tensor, values: Tensor) -> Tensor:
        """Returns base + scales · columns, (C, …, S), of values (C, …, width)."""
        if self.index.ndim == 1:
            read = values.index_select(-1, self.index)
        else:
            read = values.gather(-1, self.index.expand(*values.shape[:-1], -1))
        return torch.addcmul(base, read, self.scales)

    def pull_back(self, gradient: Tensor, width: int) -> Tensor:
        """Returns the gradient with respect to the values, (C, …, width), of one (C, …, S) with respect to angles."""
        scaled = gradient * self.scales
        if self.index.ndim == 1:
            return gradient.new_zeros((*gradient.shape[:-1], width)).index_add_(-1, self.index, scaled)
        # Circuits side by side, so that each adds in the order that it has alone; scatter_add_ has another.
        n_circuits = len(scaled)
        offsets = torch.arange(n_circuits, device=scaled.device).unsqueeze(1) * width
        index = (self.index.view(n_circuits, -1) + offsets).flatten()
        side_by_side = scaled.movedim(0, -2).flatten(-2)
        total = scaled.new_zeros((*side_by_side.shape[:-1], n_circuits * width)).index_add_(-1, index, side_by_side)
        # Contiguous by circuits: torch adds rows of 16 columns and more in another order than rows of few, and circuits
        # that lie side by side would be columns of one another.
        return total.view(*total.shape[:-1], n_circuits, width).movedim(-2, 0).contiguous()


@dataclass(frozen=True, slots=True)
class RotationTable:
    """Matrices M = A + B cos h + C sin h of `depth` rotations on every wire of every block; dM/dh = G M."""

    angles: AngleTable  #: of h; S = depth · B · n
    coefficients: tuple[Tensor, Tensor, Tensor]  #: A, B, C: (C, …, S, 8), real and imaginary parts in turn
    generators: Tensor  #: (C, …, S, 8): Re tr(Gρ) is its scalar product with the parts of ρ
    depth: int
    n_blocks: int


@dataclass(frozen=True, slots=True)
class PhaseTable:
    """Phases exp(i Σ_m h_m e_m(x)) of every block; the scales of the angles hold the factor −1/2."""

    angles: AngleTable  #: of h; S = B · m
    eigenvalues: Tensor  #: (C, B, m, N), int8: wide circuits have gigabytes of them in double precision
    is_active: NDArray[np.bool_]  #: (B,)

    def sums(self, values: Tensor) -> Tensor:
        """Returns Σ_m h_m e_m(x), (C, B, G, N), of angles (C, B, G, m)."""
        return self._by_block(values, lambda of_block, eigenvalues: of_block @ eigenvalues)

    def projections(self, values: Tensor) -> Tensor:
        """Returns Σ_x e_m(x) v(x), (C, B, G, m), of values (C, B, G, N)."""
        return self._by_block(values, lambda of_block, eigenvalues: of_block @ eigenvalues.mT)

    def _by_block(self, values: Tensor, product: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        if self.eigenvalues.nelement() <= _MOST_AT_ONCE:
            return product(values, self.eigenvalues.to(values.dtype))
        pairs = zip(values.unbind(1), self.eigenvalues.unbind(1), strict=True)
        return torch.stack([product(of_block, some.to(values.dtype)) for of_block, some in pairs], 1)


@dataclass(frozen=True, slots=True)
class Permutations:
    """ψ → signs · ψ[index] for every block, and where each index comes from."""

    index: Tensor  #: (C, B, N), int64
    inverse: Tensor
    signs: Tensor | None  #: (C, B, N), real; None where all are 1
    pairs: Tensor | None  #: (C, B, N²): `inverse` of both indices of a flattened matrix; for dense layouts
    pair_signs: Tensor | None  #: (C, B, N²), signs of both
    is_active: NDArray[np.bool_]  #: (B,), whether anything moves or changes sign


@dataclass(frozen=True, slots=True)
class Stage:
    """Consecutive blocks whose angles belong to the same axes."""

    runs: tuple[int, ...]  #: widths of the runs of wires whose rotations are one matrix, from wire 0
    rotations: RotationTable
    phases: PhaseTable | None
    permutations: Permutations | None
    is_rotated: NDArray[np.bool_]  #: (B, runs)

    @property
    def n_blocks(self) -> int:
        """B."""
        return self.rotations.n_blocks

    @property
    def is_dense(self) -> bool:
        """Whether one matrix a block holds phases and permutation too."""
        return len(self.runs) == 1


@dataclass(frozen=True, slots=True)
class Program:
    """Circuits of one width, ready for numbers. The first block makes a product state unless a state is prepared."""

    n_circuits: int
    qubits: int
    first: Stage  #: angles (C, G, R, S): they belong to rows
    rest: Stage | None  #: angles (C, G, S): they belong to groups
    n_weights: int
    n_features: int
    products: Tensor | None  #: (C, P, factors), feature indices whose products follow the features; F is the number 1
    prepared: Tensor | None  #: (C, N): the amplitude of each basis state, 2^k where it has none

    @property
    def n_blocks(self) -> int:
        """Blocks after the first."""
        return 0 if self.rest is None else self.rest.n_blocks

    @classmethod
    def make(
        cls,
        circuits: Sequence[Circuit],
        blocks: Sequence[list[Block]],
        *,
        has_rows: bool,
        real: torch.dtype,
        device: torch.device,
    ) -> Self:
        """Returns the program of circuits of equal qubits with their schedules; all prepare amplitudes, or none.

        With rows, several share the later blocks, and a dense matrix pays for a narrow circuit.
        """
        qubits = circuits[0].qubits
        columns = _Columns(circuits, device)
        make = _StageMaker(qubits, columns, real, device)
        n_late = max(len(of_one) for of_one in blocks) - 1
        runs = runs_of(qubits, has_rows=has_rows)
        return cls(
            n_circuits=len(circuits),
            qubits=qubits,
            first=make.stage([of_one[:1] for of_one in blocks], 1, runs_of(qubits, has_rows=False), n_axes=2),
            rest=make.stage([of_one[1:] for of_one in blocks], n_late, runs, n_axes=1) if n_late else None,
            n_weights=columns.n_weights,
            n_features=columns.n_features,
            products=columns.products(),
            prepared=_prepared_places(circuits, device),
        )


def runs_of(qubits: int, *, has_rows: bool) -> tuple[int, ...]:
    """Returns the widths of the runs of wires: one where its matrix is not much larger than the states it acts on."""
    widest = _WIDEST_RUN if has_rows or qubits <= 2 else min(_WIDEST_RUN, (qubits + 1) // 2)
    n_runs = -(-qubits // widest)
    return tuple(qubits // n_runs + (i < qubits % n_runs) for i in range(n_runs))


def _prepared_places(circuits: Sequence[Circuit], device: torch.device) -> Tensor | None:
    if not circuits[0].has_amplitude:
        return None
    basis = np.arange(1 << circuits[0].qubits)
    places = []
    for circuit in circuits:
        wires = circuit.operations[0].wires
        shifts = [circuit.qubits - 1 - wire for wire in wires]
        value = sum(((basis >> shift) & 1) << (len(wires) - 1 - i) for i, shift in enumerate(shifts))
        is_reached = (basis & ~sum(1 << shift for shift in shifts)) == 0
        places.append(np.where(is_reached, value, 1 << len(wires)))
    return torch.from_numpy(np.array(places)).to(device)


class _Columns:
    """Numbers the columns that angles read: weights, and features with products of features behind them."""

    def __init__(self, circuits: Sequence[Circuit], device: torch.device) -> None:
        self._device = device
        self.n_weights = max(circuit.n_weights for circuit in circuits)
        self.n_features = max(circuit.n_features for circuit in circuits)
        self._products: list[dict[tuple[int, ...], int]] = [{} for _ in circuits]

    def table(self, angles: list[list[tuple[Angle | None, float]]], n_axes: int) -> AngleTable:
        """Returns the table of each circuit's angles, each times a factor, with axes between circuits and slots."""
        shape = len(angles), len(angles[0])
        constants, scales, index = np.zeros(shape), np.zeros((2, *shape)), np.zeros((2, *shape), dtype=np.int64)
        for number, of_one in enumerate(angles):
            for slot, (angle, factor) in enumerate(of_one):
                if angle is None:
                    continue
                if angle.is_constant:
                    constants[number, slot] = angle.scale * factor
                    continue
                kind = 0 if angle.weight is not None else 1
                index[kind, number, slot] = self._feature(number, angle) if angle.weight is None else angle.weight
                scales[kind, number, slot] = angle.scale * factor
        axes = shape[0], *[1] * n_axes, shape[1]
        columns = [
            Columns(
                self._tensor(index[kind].reshape(axes) if shape[0] > 1 else index[kind, 0]),
                self._tensor(scales[kind].reshape(axes)),
            )
            if scales[kind].any()
            else None
            for kind in (0, 1)
        ]
        return AngleTable(self._tensor(constants.reshape(axes)), *columns)

    def products(self) -> Tensor | None:
        """Returns the products of features that were met, once every angle has been asked for."""
        n_products = max(len(products) for products in self._products)
        if not n_products:
            return None
        n_factors = max(len(factors) for products in self._products for factors in products)
        index = np.full((len(self._products), n_products, n_factors), self.n_features)
        for row, products in zip(index, self._products, strict=True):
            for factors, place in products.items():
                row[place, : len(factors)] = factors
        return self._tensor(index)

    def _feature(self, number: int, angle: Angle) -> int:
        if len(angle.features) == 1:
            return angle.features[0]
        products = self._products[number]
        return self.n_features + products.setdefault(angle.features, len(products))

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self._device)


class _StageMaker:
    def __init__(self, qubits: int, columns: _Columns, real: torch.dtype, device: torch.device) -> None:
        self._qubits, self._columns, self._real, self._device = qubits, columns, real, device

    def stage(self, blocks: list[list[Block]], n_blocks: int, runs: tuple[int, ...], *, n_axes: int) -> Stage:
        """Returns the tables of `n_blocks` blocks a circuit; where a circuit has fewer, nothing happens."""
        padded = [of_one + [Block([[] for _ in range(self._qubits)])] * (n_blocks - len(of_one)) for of_one in blocks]
        rotations, is_active = self._rotations(padded, n_blocks, n_axes)
        starts = np.cumsum([0, *runs[:-1]])
        return Stage(
            runs,
            rotations,
            self._phases(padded, n_blocks, n_axes),
            self._permutations(padded, has_pairs=len(runs) == 1),
            np.logical_or.reduceat(is_active, starts, axis=1),
        )

    def _rotations(
        self, blocks: list[list[Block]], n_blocks: int, n_axes: int
    ) -> tuple[RotationTable, NDArray[np.bool_]]:
        wires = [[block.rotations[wire] for block in of_one for wire in range(self._qubits)] for of_one in blocks]
        depth = max(1, max(len(rotations) for of_one in wires for rotations in of_one))
        slots = [
            [rotations[i] if i < len(rotations) else _PADDING for i in range(depth) for rotations in of_one]
            for of_one in wires
        ]
        angles = self._columns.table([[(one.angle, one.rate) for one in of_one] for of_one in slots], n_axes)
        a, b, c = (np.array([[getattr(one, name) for one in of_one] for of_one in slots]) for name in "abc")
        generators = (c @ (a + b).conj().swapaxes(-1, -2)).swapaxes(-1, -2).conj()
        shape = len(blocks), *[1] * n_axes, -1, 8
        tensors = [
            self._tensor(np.ascontiguousarray(part).view(float).reshape(shape)) for part in (a, b, c, generators)
        ]
        is_active = np.any([[bool(rotations) for rotations in of_one] for of_one in wires], axis=0)
        table = RotationTable(angles, (tensors[0], tensors[1], tensors[2]), tensors[3], depth, n_blocks)
        return table, is_active.reshape(n_blocks, self._qubits)

    def _phases(self, blocks: list[list[Block]], n_blocks: int, n_axes: int) -> PhaseTable | None:
        most = max(len(block.phases) for of_one in blocks for block in of_one)
        if not most:
            return None
        # One for each pair of wires at least: a sum over more terms is rounded otherwise, and what a circuit gives
        # must not depend on the others in its bundle.
        if self._qubits <= _WIDEST_BUNDLED:
            most = max(most, self._qubits * (self._qubits - 1) // 2)
        table = np.zeros((len(blocks), n_blocks, most, 1 << self._qubits), dtype=np.int8)
        angles: list[list[tuple[Angle | None, float]]] = [[(None, 0.0)] * (n_blocks * most) for _ in blocks]
        for number, of_one in enumerate(blocks):
            for i, block in enumerate(of_one):
                for j, phase in enumerate(block.phases):
                    angles[number][i * most + j] = phase.angle, -0.5
                    table[number, i, j] = eigenvalues(phase, self._qubits)
        is_active = np.any([[bool(block.phases) for block in of_one] for of_one in blocks], axis=0)
        values = torch.from_numpy(table).to(self._device)
        return PhaseTable(self._columns.table(angles, n_axes), values, is_active)

    def _permutations(self, blocks: list[list[Block]], *, has_pairs: bool) -> Permutations | None:
        is_active = np.any([[bool(block.permutations) for block in of_one] for of_one in blocks], axis=0)
        if not is_active.any():
            return None
        found = [[permutation(block.permutations, self._qubits) for block in of_one] for of_one in blocks]
        index = np.array([[one for one, _ in of_one] for of_one in found])
        signs = np.array([[one for _, one in of_one] for of_one in found])
        inverse = np.argsort(index, axis=-1)
        is_signed = bool((signs < 0).any())
        pairs = pair_signs = None
        if has_pairs:
            shape = *inverse.shape[:2], -1
            pairs = (inverse[..., :, None] * inverse.shape[-1] + inverse[..., None, :]).reshape(shape)
            moved = np.take_along_axis(signs, inverse, axis=-1)
            pair_signs = (moved[..., :, None] * moved[..., None, :]).reshape(shape)
        return Permutations(
            torch.from_numpy(index).to(self._device),
            torch.from_numpy(inverse).to(self._device),
            self._tensor(signs) if is_signed else None,
            None if pairs is None else torch.from_numpy(pairs).to(self._device),
            self._tensor(pair_signs) if pair_signs is not None and is_signed else None,
            is_active,
        )

    def _tensor(self, values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(values).to(self._device, self._real)
