"""Networks as functions of their parameters, a bundle of one qubit count at a time.

Hybrid:        x ── Linear, ReLU … Linear ── π tanh ──▶ circuit ──▶ ⟨O⟩ ── Linear, ReLU … Linear ──▶ outputs
Pure quantum:  x ── principal components ── π tanh (of angles, not of amplitudes) ──▶ circuit ──▶ ⟨O⟩ ──▶ outputs

Outputs are logits, or the one number of a regression: the target in standard deviations of the training split.

The logits of a pure circuit are a fixed scale times the mean of the expectations whose index is the class modulo the
number of classes; one expectation E of two classes gives (E, −E). Its number is a fixed scale times the mean of all
expectations. Nothing of that is trained.

All circuits of a bundle go through the engine in one call. Classical layers go together where their widths are equal:
members whose layers have the same shape are a kind. C is the number of members. Parameters may have an axis of
independent draws behind that of the members: the same code then evaluates all draws at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from nas.circuits import Architecture
from nas.circuits.architecture import PURE_LOGIT_SCALE, PURE_TARGET_SCALE
from nas.engines import Engine


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of a bundle. A member's weights beyond those that its circuit has are 0 and have no effect."""

    classical: tuple[Tensor, ...]  #: for each kind, (members, [draws,] parameters) of its layers, in order
    circuit: Tensor  #: (C, [draws,] most weights)

    def trained(self, mode: str) -> list[Tensor]:
        """Returns what a training mode fits: in `quantum-only`, the circuits alone."""
        return [self.circuit] if mode == "quantum-only" else [*self.classical, self.circuit]


@dataclass(frozen=True, slots=True)
class MemberParameters:
    """Of one network: its classical layers in order, flat, and its circuit's weights."""

    classical: Tensor  #: (parameters,)
    circuit: Tensor  #: (n_weights,)

    def copy(self) -> "MemberParameters":
        """Returns the same numbers in memory of their own, without gradients."""
        return MemberParameters(self.classical.detach().clone(), self.circuit.detach().clone())


@dataclass(frozen=True, slots=True)
class _Kind:
    """Members whose classical layers have the same widths."""

    architecture: Architecture  #: of the first of them
    members: tuple[int, ...]

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of every layer, those before the circuit first."""
        return [*pairwise(self.architecture.pre_widths), *pairwise(self.architecture.post_widths)]


@dataclass(frozen=True, slots=True)
class HybridNetworks:
    """Architectures of one qubit count and one data set, on an engine."""

    architectures: tuple[Architecture, ...]
    engine: Engine
    _kinds: tuple[_Kind, ...] = field(init=False)

    def __post_init__(self) -> None:
        by_widths: dict[object, list[int]] = {}
        for member, each in enumerate(self.architectures):
            key = each.pre_widths, each.post_widths, each.circuit.has_amplitude, len(each.circuit.observables)
            by_widths.setdefault(key, []).append(member)
        kinds = (_Kind(self.architectures[members[0]], tuple(members)) for members in by_widths.values())
        object.__setattr__(self, "_kinds", tuple(kinds))

    @property
    def n_weights(self) -> int:
        """The most weights of a circuit."""
        return max(each.circuit.n_weights for each in self.architectures)

    def draw(self, rngs: Sequence[np.random.Generator], *, draws: int | None = None) -> Parameters:
        """Returns initial parameters, float64, each member's from its own generator; `draws` of them each.

        Layers come first, weights and then bias of each, then the circuit. Circuit weights are uniform on [0, 2π),
        those of a linear layer on ±1/√fan_in (torch's default).
        """
        of_layers = [self.draw_layers(member, rng, draws=draws) for member, rng in enumerate(rngs)]
        return Parameters(self.by_kind(of_layers), self.draw_circuits(rngs, draws=draws))

    def draw_circuits(self, rngs: Sequence[np.random.Generator], *, draws: int | None = None) -> Tensor:
        """Returns initial circuit weights alone."""
        leading = () if draws is None else (draws,)
        found = []
        for each, rng in zip(self.architectures, rngs, strict=True):
            n_weights = each.circuit.n_weights
            weights = torch.from_numpy(rng.uniform(0.0, 2.0 * math.pi, (*leading, n_weights)))
            found.append(pad(weights, (0, self.n_weights - n_weights)))
        return torch.stack(found)

    def draw_layers(self, member: int, rng: np.random.Generator, *, draws: int | None = None) -> Tensor:
        """Returns initial parameters of one member's classical layers, ([draws,] parameters)."""
        leading = () if draws is None else (draws,)
        drawn = [np.zeros((*leading, 0))]
        architecture = self.architectures[member]
        for n_in, n_out in (*pairwise(architecture.pre_widths), *pairwise(architecture.post_widths)):
            bound = 1.0 / math.sqrt(n_in)
            drawn += [rng.uniform(-bound, bound, (*leading, size)) for size in (n_out * n_in, n_out)]
        return torch.from_numpy(np.concatenate(drawn, -1))

    def by_kind(self, of_members: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Returns tensors of members of one kind stacked, kind by kind."""
        return tuple(torch.stack([of_members[member] for member in kind.members]) for kind in self._kinds)

    def by_member(self, of_kinds: Sequence[Tensor]) -> list[Tensor]:
        """Returns what `by_kind` stacked."""
        found = {
            member: tensor
            for kind, stacked in zip(self._kinds, of_kinds, strict=True)
            for member, tensor in zip(kind.members, stacked, strict=True)
        }
        return [found[member] for member in range(len(self.architectures))]

    def of_members(self, parameters: Parameters) -> list[MemberParameters]:
        """Returns each member's own part of parameters without an axis of draws, as views."""
        return [
            MemberParameters(layers, weights[: each.circuit.n_weights])
            for each, layers, weights in zip(
                self.architectures, self.by_member(parameters.classical), parameters.circuit, strict=True
            )
        ]

    def together(self, of_members: Sequence[MemberParameters]) -> Parameters:
        """Returns what `of_members` took apart."""
        circuits = [pad(each.circuit, (0, self.n_weights - len(each.circuit))) for each in of_members]
        return Parameters(self.by_kind([each.classical for each in of_members]), torch.stack(circuits))

    def logits(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Returns the outputs, (C, [draws,] rows, n_outputs), of x (C or 1, [1,] rows, at least n_features)."""
        expectations = self.engine.bundle_expectations(
            [each.circuit for each in self.architectures],
            parameters.circuit.unsqueeze(-2),
            self.circuit_inputs(parameters, x),
        )
        return self.outputs(parameters, expectations)

    def circuit_inputs(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Returns what enters the circuits, (C or 1, [draws,] rows, n_inputs): angles in radians, or amplitudes."""
        inputs = [
            _inputs(kind.architecture, *self._layers(number, parameters, before=True), self._of_kind(kind, x))
            for number, kind in enumerate(self._kinds)
        ]
        return self._joined(inputs)

    def outputs(self, parameters: Parameters, expectations: Tensor) -> Tensor:
        """Returns the outputs, (C, [draws,] rows, n_outputs), of expectations (C, [draws,] rows, n_observables)."""
        outputs = [
            _outputs(
                kind.architecture,
                *self._layers(number, parameters, before=False),
                self._of_kind(kind, expectations),
            )
            for number, kind in enumerate(self._kinds)
        ]
        return self._joined(outputs)

    def _layers(self, number: int, parameters: Parameters, *, before: bool) -> tuple[list[Tensor], list[Tensor]]:
        """Returns the weights, transposed, and the biases of a kind's layers before or behind the circuit."""
        kind = self._kinds[number]
        sizes = [size for n_in, n_out in kind.shapes for size in (n_in * n_out, n_out)]
        parts = torch.split(parameters.classical[number], sizes, -1) if sizes else ()
        n_before = max(0, len(kind.architecture.pre_widths) - 1)
        chosen = range(n_before) if before else range(n_before, len(kind.shapes))
        weights = [parts[2 * i].view(*parts[2 * i].shape[:-1], *kind.shapes[i][::-1]).mT for i in chosen]
        return weights, [parts[2 * i + 1].unsqueeze(-2) for i in chosen]

    def _of_kind(self, kind: _Kind, values: Tensor) -> Tensor:
        if len(self._kinds) == 1 or values.shape[0] == 1:
            return values
        return values[list(kind.members)]

    def _joined(self, of_kinds: list[Tensor]) -> Tensor:
        """Returns one tensor in the order of the members; the last axis is as wide as the widest."""
        if len(of_kinds) == 1:
            return of_kinds[0]
        most = max(values.shape[-1] for values in of_kinds)
        joined = torch.cat(
            [
                pad(values, (0, most - values.shape[-1])).expand(len(kind.members), *values.shape[1:-1], most)
                for values, kind in zip(of_kinds, self._kinds, strict=True)
            ]
        )
        order = [member for kind in self._kinds for member in kind.members]
        return joined[np.argsort(order)]


def _inputs(architecture: Architecture, weights: list[Tensor], biases: list[Tensor], x: Tensor) -> Tensor:
    """Returns what enters the circuit, angles in radians."""
    if architecture.is_hybrid:
        x = _chain(weights, biases, x)
    elif architecture.circuit.has_amplitude:
        return x
    return math.pi * torch.tanh(x)


def _outputs(architecture: Architecture, weights: list[Tensor], biases: list[Tensor], expectations: Tensor) -> Tensor:
    """Returns the outputs of expectations (…, at least n_observables)."""
    expectations = expectations[..., : len(architecture.circuit.observables)]
    if architecture.is_hybrid:
        return _chain(weights, biases, expectations)
    if architecture.task == "regression":
        return PURE_TARGET_SCALE * expectations.mean(-1, keepdim=True)
    if expectations.shape[-1] == 1:
        return PURE_LOGIT_SCALE * torch.cat([expectations, -expectations], -1)
    n_classes = architecture.n_outputs
    means = [expectations[..., label::n_classes].mean(-1) for label in range(n_classes)]
    return PURE_LOGIT_SCALE * torch.stack(means, -1)


def _chain(weights: list[Tensor], biases: list[Tensor], x: Tensor) -> Tensor:
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = x @ weight + bias
        if i < len(weights) - 1:
            x = torch.relu(x)
    return x
