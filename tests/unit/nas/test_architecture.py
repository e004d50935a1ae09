"""What a genome builds, written out: which feature turns which wire, and what is read in which order."""

from typing import Any

import numpy as np
import pytest
import torch

from nas.circuits import Circuit
from nas.circuits.architecture import encoding_operations
from nas.engines import make_engine
from nas.space.layout import pauli_words

X = [0.3, -1.1, 0.7]


def written(encoding: str, n_qubits: int, n_inputs: int) -> list[tuple[Any, ...]]:
    """Returns gate, wires and features of each operation."""
    found = []
    for operation in encoding_operations(encoding, n_qubits, n_inputs):
        features = operation.features if operation.angle is None else operation.angle.features
        found.append((operation.gate, operation.wires, features))
    return found


@pytest.mark.parametrize(
    ("observable", "words"),
    [
        ("z-all", ["z0", "z1", "z2"]),
        ("z-first", ["z0"]),
        ("zz-pairs", ["z0z1", "z1z2"]),
        ("xyz-all", ["x0", "x1", "x2", "y0", "y1", "y2", "z0", "z1", "z2"]),
    ],
)
def test_observables_at_three_qubits_in_their_order(observable: str, words: list[str]) -> None:
    found = ["".join(f"{axis}{wire}" for axis, wire in word) for word in pauli_words(observable, 3)]
    assert found == words


@pytest.mark.parametrize("axis", ["x", "y"])
def test_angles_take_the_features_in_the_order_of_the_wires(axis: str) -> None:
    gate = f"r{axis}"
    assert written(f"angle-{axis}", 3, 3) == [(gate, (0,), (0,)), (gate, (1,), (1,)), (gate, (2,), (2,))]


def test_fewer_features_than_wires_begin_again() -> None:
    assert written("angle-y", 3, 2) == [("ry", (0,), (0,)), ("ry", (1,), (1,)), ("ry", (2,), (0,))]


def test_phases_come_behind_hadamards_on_all_wires() -> None:
    assert [one[0] for one in written("angle-z", 2, 2)] == ["h", "h", "rz", "rz"]


def test_iqp_has_a_phase_for_each_pair_by_the_product_of_their_features() -> None:
    assert written("iqp", 3, 3)[6:] == [("rzz", (0, 1), (0, 1)), ("rzz", (0, 2), (0, 2)), ("rzz", (1, 2), (1, 2))]


def test_amplitudes_take_the_first_features_on_all_wires() -> None:
    assert written("amplitude", 2, 3) == [("amplitude", (0, 1), (0, 2))]


def test_the_state_of_iqp_is_the_formula_of_its_paper() -> None:
    # exp(-i/2 (sum x_i Z_i + sum x_i x_j Z_i Z_j)) on the uniform state, wire 0 the most significant bit.
    circuit = Circuit(3, encoding_operations("iqp", 3, 3), ())
    found = make_engine("batched").states(circuit, torch.zeros(1, 0, dtype=torch.float64), torch.tensor([X]).double())
    signs = 1 - 2 * (np.arange(8)[:, None] >> np.array([2, 1, 0]) & 1)
    phase = signs @ X + sum(X[i] * X[j] * signs[:, i] * signs[:, j] for i, j in ((0, 1), (0, 2), (1, 2)))
    np.testing.assert_allclose(found[0].numpy(), np.exp(-0.5j * phase) / np.sqrt(8), atol=1e-12)
