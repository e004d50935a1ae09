"""One autograd function from weights and features to expectations, with its backward pass by hand.

Autograd would record some fifty small operations between angles and matrices, and its pass over them would cost more
than the simulation of a small circuit.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from nas.engines.batched.chain import Chain, permute, permute_back, reduced
from nas.engines.batched.measurement import Measurement
from nas.engines.batched.program import AngleTable, Program
from nas.engines.batched.rotations import (
    angle_gradient,
    fused,
    kronecker,
    matrices_of,
    phase_gradient,
    phases_of,
    product_states,
)


@dataclass(frozen=True, slots=True)
class Simulation:
    """A program on groups and rows of numbers.

    Rows differ in features only, and only the first block reads them, unless there is one row a group.
    """

    program: Program
    complex_dtype: torch.dtype
    keeps_states: bool

    def states(self, weights: Tensor, features: Tensor, prepared: Tensor | None) -> Tensor:
        """Returns the final states, (C, G, R, N), without gradient; see `expectations`."""
        columns = _Columns(weights, features)
        first, rest = _First(self, columns, prepared), _Rest.of(self, columns)
        states = first.run()
        return (states if rest is None else rest.chain.run(states)).view(*columns.shape, -1)

    def expectations(
        self, measurement: Measurement, weights: Tensor, features: Tensor, prepared: Tensor | None
    ) -> Tensor:
        """Returns (C, G, R, K) of the engine's precision, differentiable.

        Args:
            measurement: the observables.
            weights: (C, G, W).
            features: (C, G or 1, R, F), with products of features behind them.
            prepared: (C, G, R, N) complex, where amplitudes are encoded.
        """
        return _Expectations.apply(self, measurement, weights, features, prepared)  # type: ignore[no-any-return,no-untyped-call]  # torch


class _Columns:
    """Weights (W, C, G) and features (F, C, G or 1, R), and the sums of the gradients with respect to them."""

    def __init__(self, weights: Tensor, features: Tensor) -> None:
        self.shape = (*weights.shape[:2], features.shape[2])
        self.weights = weights.permute(2, 0, 1).contiguous()
        self.features = features.permute(3, 0, 1, 2).contiguous()
        self._by_weight: Tensor | None = None
        self._by_feature: Tensor | None = None

    def angles_of_rows(self, table: AngleTable) -> Tensor:
        """Returns (S, C, G, R)."""
        found = table.angles(self.weights.unsqueeze(-1), self.features)
        return found if found.shape[1:] == self.shape else found.expand(-1, *self.shape)

    def angles_of_groups(self, table: AngleTable) -> Tensor:
        """Returns (S, C, G). With several rows a group, no such angle reads features."""
        found = table.angles(self.weights, self.features[..., 0])
        return found if found.shape[1:] == self.shape[:2] else found.expand(-1, *self.shape[:2])

    def add(self, table: AngleTable, gradient: Tensor) -> None:
        """Adds the gradient of angles, (S, C, G, R) or (S, C, G), to those of weights and features."""
        has_rows = gradient.ndim == self.features.ndim
        if table.by_weight is not None:
            summed = gradient.sum(-1, keepdim=True) if has_rows else gradient
            found = table.by_weight.pull_back(summed, len(self.weights)).view(self.weights.shape)
            self._by_weight = found if self._by_weight is None else self._by_weight + found
        if table.by_feature is not None:
            found = table.by_feature.pull_back(gradient, len(self.features))
            found = found if has_rows else found.unsqueeze(-1)
            if self.features.shape[2] < found.shape[2]:
                found = found.sum(2, keepdim=True)
            self._by_feature = found if self._by_feature is None else self._by_feature + found

    def gradients(self) -> tuple[Tensor, Tensor]:
        """Returns those of weights (C, G, W) and features (C, G or 1, R, F)."""
        by_weight = torch.zeros_like(self.weights) if self._by_weight is None else self._by_weight
        by_feature = torch.zeros_like(self.features) if self._by_feature is None else self._by_feature
        return by_weight.permute(1, 2, 0), by_feature.permute(1, 2, 3, 0)


class _Expectations(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        simulation: Simulation,
        measurement: Measurement,
        weights: Tensor,
        features: Tensor,
        prepared: Tensor | None,
    ) -> Tensor:
        columns = _Columns(weights, features)
        first, rest = _First(simulation, columns, prepared), _Rest.of(simulation, columns)
        needs_gradient = any(ctx.needs_input_grad)
        kept: list[Tensor] | None = [] if simulation.keeps_states and needs_gradient else None
        states = first.run()
        if rest is not None:
            states = rest.chain.run(states, keep=kept)
        if needs_gradient:
            ctx.parts = simulation, measurement, columns, first, rest, kept, states
        n_circuits = simulation.program.n_circuits
        return measurement.expectations(states.view(n_circuits, -1, states.shape[-1])).view(*columns.shape, -1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_value: Tensor) -> tuple[Tensor | None, ...]:
        simulation, measurement, columns, first, rest, kept, states = ctx.parts
        ctx.parts = None
        n_circuits = simulation.program.n_circuits
        by_circuit = states.view(n_circuits, -1, states.shape[-1]), by_value.reshape(n_circuits, -1, by_value.shape[-1])
        cotangent = measurement.cotangents(*by_circuit).view(states.shape)
        if rest is not None:
            cotangent = rest.pull_back(states, cotangent, kept)
        cotangent = first.pull_back(cotangent)
        by_prepared = cotangent.conj().view(*columns.shape, -1) if ctx.needs_input_grad[4] else None
        return None, None, *columns.gradients(), by_prepared


class _First:
    """The first block: it makes the states, and its angles belong to rows."""

    def __init__(self, simulation: Simulation, columns: _Columns, prepared: Tensor | None) -> None:
        self._columns, self._prepared = columns, prepared
        self._stage = simulation.program.first
        self._n_circuits = simulation.program.n_circuits
        self._matrices: tuple[Tensor, ...] = ()
        if prepared is None:
            angles = columns.angles_of_rows(self._stage.rotations.angles)
            self._matrices = matrices_of(self._stage.rotations, angles)
        self._phases: Tensor | None = None
        if self._stage.phases is not None:
            angles = columns.angles_of_rows(self._stage.phases.angles)
            self._phases = self._by_group(phases_of(self._stage.phases, angles, simulation.complex_dtype))

    def _by_group(self, values: Tensor) -> Tensor:
        """Returns values (C, …, N) of all groups and rows as (X, R, N)."""
        return values.reshape(-1, self._columns.shape[2], values.shape[-1])

    def run(self) -> Tensor:
        """Returns the states behind the block, (X, R, N)."""
        if self._prepared is None:
            product = product_states(self._matrices)
            states = self._by_group(product.flatten(1).T.contiguous())
        else:
            states = self._by_group(self._prepared)
        self._states = states
        if self._phases is not None:
            states = states * self._phases
        if self._stage.permutations is not None:
            states = permute(self._stage.permutations, 0, states, self._n_circuits)
        return states

    def pull_back(self, cotangent: Tensor) -> Tensor:
        """Adds the gradients of the block, and returns μ before it."""
        if self._stage.permutations is not None:
            cotangent = permute_back(self._stage.permutations, 0, cotangent, self._n_circuits)
        if self._phases is not None and self._stage.phases is not None:
            cotangent = cotangent * self._phases
            overlaps = (self._states * cotangent).view(self._n_circuits, 1, *self._columns.shape[1:], -1)
            self._columns.add(self._stage.phases.angles, phase_gradient(self._stage.phases, overlaps))
        if self._prepared is None:
            runs = self._stage.runs
            pair = [side.view(1, -1, 1, side.shape[-1]) for side in (self._states, cotangent)]
            found = [reduced(runs, pair[0], pair[1], number) for number in range(len(runs))]
            rho = _by_wire(runs, found).view(2, 2, -1, 1, *self._columns.shape)
            by_angle = angle_gradient(self._stage.rotations, self._matrices, rho)
            self._columns.add(self._stage.rotations.angles, by_angle)
        return cotangent


class _Rest:
    """The blocks behind the first: their angles belong to groups."""

    def __init__(self, simulation: Simulation, columns: _Columns) -> None:
        assert simulation.program.rest is not None
        self._columns, self._stage = columns, simulation.program.rest
        self._matrices = matrices_of(self._stage.rotations, columns.angles_of_groups(self._stage.rotations.angles))
        wires = fused(self._matrices)
        runs = [kronecker(run) for run in torch.split(wires, list(self._stage.runs), 2)]
        turns: Tensor | None = None
        if self._stage.phases is not None:
            angles = columns.angles_of_groups(self._stage.phases.angles)
            found = phases_of(self._stage.phases, angles, simulation.complex_dtype)
            turns = found.transpose(0, 1).flatten(1, 2)
        self.chain = Chain(self._stage, simulation.program.n_circuits, runs, turns)

    @classmethod
    def of(cls, simulation: Simulation, columns: _Columns) -> "_Rest | None":
        """Returns the blocks, or None where there are none."""
        return None if simulation.program.rest is None else cls(simulation, columns)

    def pull_back(self, states: Tensor, cotangent: Tensor, kept: list[Tensor] | None) -> Tensor:
        """Adds the gradients of the blocks, and returns μ before them."""
        shape = self._columns.shape[:2]
        cotangent, by_run, overlaps, _ = self.chain.pull_back(states, cotangent, kept)
        rho = _by_wire(self._stage.runs, by_run).unflatten(-1, shape)  # type: ignore[no-untyped-call]  # torch
        self._columns.add(self._stage.rotations.angles, angle_gradient(self._stage.rotations, self._matrices, rho))
        if overlaps is not None and self._stage.phases is not None:
            by_circuit = overlaps.view(-1, *shape, overlaps.shape[-1]).transpose(0, 1)
            self._columns.add(self._stage.phases.angles, phase_gradient(self._stage.phases, by_circuit))
        return cotangent


def _by_wire(runs: tuple[int, ...], by_run: list[Tensor]) -> Tensor:
    """Returns each wire's 2 × 2 partial trace, (2, 2, n, B, X), of each run's (B, X, 2^k, 2^k)."""
    found = [
        (_partial_traces(k, matrix.dtype, matrix.device) @ matrix.flatten(2).flatten(0, 1).mT).view(
            2, 2, k, *matrix.shape[:2]
        )
        for k, matrix in zip(runs, by_run, strict=True)
    ]
    return found[0] if len(found) == 1 else torch.cat(found, 2)


@cache
def _partial_traces(n_wires: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Returns the (4k, 4^k) matrix that takes a flattened 2^k × 2^k to its k partial traces, (2, 2, k) flattened."""
    size = 1 << n_wires
    row, column = torch.arange(size)[:, None], torch.arange(size)[None]
    traces = torch.zeros(2, 2, n_wires, size, size)
    for wire in range(n_wires):
        bit = 1 << (n_wires - 1 - wire)
        is_same_elsewhere = (row & ~bit) == (column & ~bit)
        for i in (0, 1):
            for j in (0, 1):
                is_entry = is_same_elsewhere & (((row & bit) > 0) == i) & (((column & bit) > 0) == j)
                traces[i, j, wire] = is_entry.float()
    return traces.view(-1, size * size).to(device, dtype)
