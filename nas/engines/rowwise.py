"""Engines that take one circuit with rows of numbers at a time; bundles are run circuit by circuit."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from nas.circuits import Circuit
from nas.engines.base import Engine, Inputs
from nas.engines.binding import BoundCircuit, bind


class RowEngine(Engine):
    """An engine of bound circuits: rows of angles in, rows of states or expectations out."""

    @abstractmethod
    def _row_states(self, bound: BoundCircuit) -> Tensor:
        """Returns (rows, 2^qubits)."""

    @abstractmethod
    def _row_expectations(self, bound: BoundCircuit) -> Tensor:
        """Returns (rows, n_observables), differentiable in angles and amplitudes."""

    def _states(self, circuits: Sequence[Circuit], inputs: Inputs) -> Tensor:
        found = [self._row_states(_bound(circuit, inputs, i)) for i, circuit in enumerate(circuits)]
        return torch.stack(found).view(len(circuits), inputs.groups, inputs.rows, -1)

    def _expectations(self, circuits: Sequence[Circuit], inputs: Inputs) -> Tensor:
        found = [self._row_expectations(_bound(circuit, inputs, i)) for i, circuit in enumerate(circuits)]
        most = max(rows.shape[1] for rows in found)
        padded = torch.stack([pad(rows, (0, most - rows.shape[1])) for rows in found])
        return padded.view(len(circuits), inputs.groups, inputs.rows, most)


def _bound(circuit: Circuit, inputs: Inputs, number: int) -> BoundCircuit:
    """Returns one circuit with a row for each of its runs, or with what is alike for all of them as one row."""
    weights, features = inputs.weights[number], inputs.features[number]
    n_rows = inputs.groups * inputs.rows
    if len(weights) > 1:
        weights = weights[:, None].expand(-1, inputs.rows, -1).reshape(n_rows, -1)
    if features.shape[0] > 1 or features.shape[1] > 1:
        features = features.expand(inputs.groups, inputs.rows, -1).reshape(n_rows, -1)
    else:
        features = features[0]
    return bind(circuit, weights, features, n_rows)
