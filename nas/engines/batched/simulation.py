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
    fused_columns,
    kronecker,
    matrices_of,
    phase_gradient,
    phases_of,
    product_states,
)


@dataclass(frozen=True, slots=True)
class Simulation:
    """A program on groups and rows of numbers; what is the same for every call with these shapes.

    Rows differ in features only, and only the first block reads them, unless there is one row a group.
    """

    program: Program
    complex_dtype: torch.dtype
    keeps_states: bool

    def states(self, weights: Tensor, features: Tensor, prepared: Tensor | None) -> Tensor:
        """Returns the final states, (C, G, R, N), without gradient; see `expectations`."""
        first, rest = _First(self, weights, features, prepared), _Rest.of(self, weights, features)
        states = first.run()
        return (states if rest is None else rest.chain.run(states)).view(*first.shape, -1)

    def expectations(
        self, measurement: Measurement, weights: Tensor, features: Tensor, prepared: Tensor | None
    ) -> Tensor:
        """Returns (C, G, R, K) float64, differentiable.

        Args:
            measurement: the observables.
            weights: (C, G or 1, W).
            features: (C, G or 1, R, F), with products of features behind them.
            prepared: (C, G, R, N) complex, where amplitudes are encoded.
        """
        return _Expectations.apply(self, measurement, weights, features, prepared)  # type: ignore[no-any-return,no-untyped-call]  # torch


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
        first, rest = _First(simulation, weights, features, prepared), _Rest.of(simulation, weights, features)
        needs_gradient = any(ctx.needs_input_grad)
        kept: list[Tensor] | None = [] if simulation.keeps_states and needs_gradient else None
        states = first.run()
        if rest is not None:
            states = rest.chain.run(states, keep=kept)
        if needs_gradient:
            ctx.save_for_backward(weights, features, prepared)
            ctx.parts = simulation, measurement, first, rest, kept, states
        n_circuits = simulation.program.n_circuits
        return measurement.expectations(states.view(n_circuits, -1, states.shape[-1])).view(*first.shape, -1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_value: Tensor) -> tuple[Tensor | None, ...]:
        weights, features, prepared = ctx.saved_tensors
        simulation, measurement, first, rest, kept, states = ctx.parts
        ctx.parts = None
        n_circuits = simulation.program.n_circuits
        by_circuit = states.view(n_circuits, -1, states.shape[-1]), by_value.reshape(n_circuits, -1, by_value.shape[-1])
        cotangent = measurement.cotangents(*by_circuit).view(states.shape)
        by_weight, by_feature = _Sum(weights), _Sum(features)
        if rest is not None:
            cotangent = rest.pull_back(states, cotangent, kept, by_weight, by_feature)
        cotangent = first.pull_back(cotangent, by_weight, by_feature)
        by_prepared = None if prepared is None else cotangent.conj().view(prepared.shape)
        return None, None, by_weight.total(), by_feature.total(), by_prepared


class _Sum:
    """A gradient that several tables add to; axes on which the values are 1 are summed over."""

    def __init__(self, values: Tensor) -> None:
        self._values = values
        self._total: Tensor | None = None
        self.width = values.shape[-1]

    def add(self, gradient: Tensor) -> None:
        for axis, size in enumerate(self._values.shape):
            if size == 1 and gradient.shape[axis] > 1:
                gradient = _sum(gradient, axis)
        self._total = gradient if self._total is None else self._total + gradient

    def total(self) -> Tensor:
        return torch.zeros_like(self._values) if self._total is None else self._total


def _spread(table: AngleTable, gradient: Tensor, by_weight: _Sum, by_feature: _Sum, *, of_rows: bool) -> None:
    """Adds ∂L/∂h, (C, G, R, S) or (C, G, S), to the gradients of weights (C, G, W) and features (C, G, R, F)."""
    if table.by_weight is not None:
        summed = _sum(gradient, 2) if of_rows else gradient
        pulled = table.by_weight.pull_back(summed, by_weight.width)
        by_weight.add(pulled.squeeze(2) if of_rows else pulled)
    if table.by_feature is not None:
        pulled = table.by_feature.pull_back(gradient, by_feature.width)
        by_feature.add(pulled if of_rows else pulled.unsqueeze(2))


def _sum(values: Tensor, axis: int) -> Tensor:
    """Returns the sum over an axis, which is kept as 1.

    Along the last axis it is rounded alike wherever a column stands; along others, columns at the end of a tensor are
    summed in another order than the rest, and what a circuit gives would depend on the others in its bundle.
    """
    return values.movedim(axis, -1).contiguous().sum(-1).unsqueeze(axis)


class _First:
    """The first block: it makes the states, and its angles belong to rows."""

    def __init__(self, simulation: Simulation, weights: Tensor, features: Tensor, prepared: Tensor | None) -> None:
        self._prepared = prepared
        self._stage = simulation.program.first
        self.shape = (len(weights), max(weights.shape[1], features.shape[1]), features.shape[2])
        by_row = weights.unsqueeze(2), features
        self._matrices: tuple[Tensor, ...] = ()
        if prepared is None:
            angles = _at(self._stage.rotations.angles.angles(*by_row), self.shape)
            self._matrices = matrices_of(self._stage.rotations, angles)
        self._phases: Tensor | None = None
        if self._stage.phases is not None:
            angles = self._stage.phases.angles.angles(*by_row)
            turns = phases_of(self._stage.phases, angles, simulation.complex_dtype)
            self._phases = turns.squeeze(-2).expand(*self.shape, -1).flatten(0, 1)
        self._states: Tensor | None = None

    def run(self) -> Tensor:
        """Returns the states behind the block, (X, R, N)."""
        if self._prepared is None:
            states = product_states(fused_columns(self._matrices).squeeze(-3)).flatten(0, 1)
        else:
            states = self._prepared.flatten(0, 1)
        self._states = states
        if self._phases is not None:
            states = states * self._phases
        if self._stage.permutations is not None:
            states = permute(self._stage.permutations, 0, states, self.shape[0])
        return states

    def pull_back(self, cotangent: Tensor, by_weight: _Sum, by_feature: _Sum) -> Tensor:
        """Adds the gradients of the block, and returns μ before it."""
        assert self._states is not None
        if self._stage.permutations is not None:
            cotangent = permute_back(self._stage.permutations, 0, cotangent, self.shape[0])
        if self._phases is not None and self._stage.phases is not None:
            cotangent = cotangent * self._phases
            overlaps = (self._states * cotangent).view(*self.shape, 1, -1)
            by_phase = phase_gradient(self._stage.phases, overlaps)
            _spread(self._stage.phases.angles, by_phase, by_weight, by_feature, of_rows=True)
        if self._prepared is None:
            runs = self._stage.runs
            states, cotangents = (side.view(-1, 1, 1, side.shape[-1]) for side in (self._states, cotangent))
            rho = _by_wire(runs, [reduced(runs, states, cotangents, number) for number in range(len(runs))], self.shape)
            by_angle = angle_gradient(self._stage.rotations, self._matrices, rho)
            _spread(self._stage.rotations.angles, by_angle, by_weight, by_feature, of_rows=True)
        return cotangent


class _Rest:
    """The blocks behind the first: their angles belong to groups."""

    def __init__(self, simulation: Simulation, weights: Tensor, features: Tensor) -> None:
        assert simulation.program.rest is not None
        self._stage = simulation.program.rest
        self._shape = (len(weights), max(weights.shape[1], features.shape[1]))
        # With several rows a group, no block here reads features.
        by_group = weights, features[:, :, 0]
        angles = _at(self._stage.rotations.angles.angles(*by_group), self._shape)
        self._matrices = matrices_of(self._stage.rotations, angles)
        wires = fused(self._matrices)
        runs = [kronecker(run).flatten(0, 1) for run in torch.split(wires, list(self._stage.runs), -3)]
        turns: Tensor | None = None
        if self._stage.phases is not None:
            angles = _at(self._stage.phases.angles.angles(*by_group), self._shape)
            turns = phases_of(self._stage.phases, angles, simulation.complex_dtype).flatten(0, 1)
        self.chain = Chain(self._stage, simulation.program.n_circuits, runs, turns)

    @classmethod
    def of(cls, simulation: Simulation, weights: Tensor, features: Tensor) -> "_Rest | None":
        """Returns the blocks, or None where there are none."""
        return None if simulation.program.rest is None else cls(simulation, weights, features)

    def pull_back(
        self, states: Tensor, cotangent: Tensor, kept: list[Tensor] | None, by_weight: _Sum, by_feature: _Sum
    ) -> Tensor:
        """Adds the gradients of the blocks, and returns μ before them."""
        cotangent, by_run, overlaps = self.chain.pull_back(states, cotangent, kept)
        rho = _by_wire(self._stage.runs, by_run, self._shape)
        by_angle = angle_gradient(self._stage.rotations, self._matrices, rho)
        _spread(self._stage.rotations.angles, by_angle, by_weight, by_feature, of_rows=False)
        if overlaps is not None and self._stage.phases is not None:
            by_phase = phase_gradient(self._stage.phases, overlaps.view(*self._shape, *overlaps.shape[1:]))
            _spread(self._stage.phases.angles, by_phase, by_weight, by_feature, of_rows=False)
        return cotangent


def _at(angles: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Returns angles (C, …, S) at the full size of the axes in front of S."""
    return angles if angles.shape[:-1] == shape else angles.expand(*shape, -1)


def _by_wire(runs: tuple[int, ...], by_run: list[Tensor], shape: tuple[int, ...]) -> Tensor:
    """Returns each wire's 2 × 2 partial trace, (shape, B, n, 2, 2), of each run's (X, B, 2^k, 2^k)."""
    found = []
    for k, matrix in zip(runs, by_run, strict=True):
        # A product a circuit: in one of them all, how a row is rounded would depend on how many rows there are.
        of_circuits = matrix.reshape(shape[0], -1, 1 << 2 * k)
        traces = _partial_traces(k, matrix.dtype, matrix.device).expand(shape[0], -1, -1)
        found.append(torch.bmm(of_circuits, traces).view(*shape, matrix.shape[1], k, 2, 2))
    return found[0] if len(found) == 1 else torch.cat(found, -3)


@cache
def _partial_traces(n_wires: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Returns the (4^k, 4k) matrix that takes a flattened 2^k × 2^k to the partial traces of its k wires."""
    size = 1 << n_wires
    row, column = torch.arange(size)[:, None], torch.arange(size)[None]
    traces = torch.zeros(size, size, n_wires, 2, 2)
    for wire in range(n_wires):
        bit = 1 << (n_wires - 1 - wire)
        is_same_elsewhere = (row & ~bit) == (column & ~bit)
        for i in (0, 1):
            for j in (0, 1):
                is_entry = is_same_elsewhere & (((row & bit) > 0) == i) & (((column & bit) > 0) == j)
                traces[:, :, wire, i, j] = is_entry.float()
    return traces.view(size * size, -1).to(device, dtype)
