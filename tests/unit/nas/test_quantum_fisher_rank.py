"""Quantum Fisher information against finite differences; closed forms on every engine are in tests/contract."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from known_circuits import layers, rotation
from strategies import circuits

from nas.circuits import GATES, Angle, Circuit, Operation
from nas.engines import make_engine
from nas.errors import BeyondMetric, UndefinedMetric
from nas.metrics.quantum_fisher_rank import fisher_spectra, quantum_fisher_rank_of, spectra
from nas.metrics.sampling import draw_weights
from nas.spec.settings import MetricSettings

ENGINE = make_engine("batched")
STEP = 1e-5  # of central differences: their error is about 1e-10, and the scales here are below 4


def rng(seed=1):
    return np.random.default_rng(seed)


def by_differences(circuit, weights):
    """Eigenvalues of F, descending, from states at weights a little apart."""
    features = torch.zeros(1, circuit.n_features, dtype=torch.float64)
    steps = STEP * np.eye(circuit.n_weights)
    rows = np.concatenate([weights[None], weights + steps, weights - steps])
    states = ENGINE.states(circuit, torch.from_numpy(rows), features).numpy()
    state, ahead, behind = states[0], *np.split(states[1:], 2)
    derivatives = (ahead - behind) / (2 * STEP)
    overlaps = derivatives.conj() @ state
    matrix = 4 * (derivatives.conj() @ derivatives.T - np.outer(overlaps, overlaps.conj())).real
    return np.linalg.eigvalsh(matrix)[::-1]


@settings(max_examples=25)
@given(st.integers(1, 4).flatmap(circuits), st.integers(0, 1_000))
def test_the_spectrum_is_that_of_finite_differences(circuit, seed):
    if not circuit.n_weights:
        return
    found = spectra(circuit, ENGINE, n_draws=2, rng=rng(seed))
    weights = draw_weights([circuit], 2, [rng(seed)])[0].numpy()
    for roots, row in zip(found.roots, weights, strict=True):
        np.testing.assert_allclose(roots**2, by_differences(circuit, row), atol=1e-6)


def test_every_gate_with_an_angle_has_its_own_derivative():
    """All of them in one circuit, so that a wrong phase of one shows against the others."""
    start = tuple(Operation("ry", (wire,), Angle(0.4 + wire)) for wire in range(3))
    gates = [gate for gate in GATES.values() if gate.has_angle]
    operations = tuple(
        Operation(gate.name, (i % 3, (i + 1) % 3)[: gate.n_wires], Angle(weight=i)) for i, gate in enumerate(gates)
    )
    circuit = Circuit(3, start + operations, ())
    (row,) = draw_weights([circuit], 1, [rng()])[0].numpy()
    found = spectra(circuit, ENGINE, n_draws=1, rng=rng())
    np.testing.assert_allclose(found.roots[0] ** 2, by_differences(circuit, row), atol=1e-6)


def test_a_circuit_without_weights_moves_nowhere():
    circuit = Circuit(1, (Operation("h", (0,)),), ())
    found = quantum_fisher_rank_of(spectra(circuit, ENGINE, n_draws=2, rng=rng()), circuit)
    assert (found.value, found.details["spectrum"], found.details["largest_possible"]) == (0, [], 0)


def test_more_weights_than_directions_are_redundant():
    circuit = layers(2, ("rx", "ry", "rz"), 4, "cx")
    found = quantum_fisher_rank_of(spectra(circuit, ENGINE, n_draws=2, rng=rng()), circuit)
    assert (found.value, found.details["largest_possible"], len(found.details["spectrum"])) == (6, 6, 24)


def test_features_are_zero():
    encoded = (Operation("ry", (0,), Angle(features=(0,))), rotation("rz", 0, 0))
    found = quantum_fisher_rank_of(
        spectra(Circuit(1, encoded, ()), ENGINE, n_draws=2, rng=rng()), Circuit(1, encoded, ())
    )
    assert found.value == 0  # an RZ of |0>


@pytest.mark.parametrize(
    "circuit", [layers(11, ("ry",), 1), layers(2, ("ry",), 300), Circuit(1, (rotation("ry", 0, 5_000),), ())]
)
def test_a_large_circuit_is_refused(circuit):
    with pytest.raises(BeyondMetric, match="is for at most 10 qubits, and 512 weights"):
        spectra(circuit, ENGINE, n_draws=2, rng=rng())


def test_states_that_are_not_finite_are_refused():
    circuit = Circuit(1, (Operation("ry", (0,), Angle(1e308, weight=0)),), ())
    with pytest.raises(UndefinedMetric, match="not finite"):
        spectra(circuit, ENGINE, n_draws=2, rng=rng())


class Pair:
    """Two circuits in one bundle, the second too wide."""

    circuits = (layers(2, ("ry",), 1), layers(2, ("ry",), 300))
    engine = ENGINE
    settings = MetricSettings()

    def rngs(self, _):
        return [rng(), rng()]


def test_a_member_that_is_too_large_leaves_the_others():
    first, second = fisher_spectra(Pair())
    assert (first.roots.shape, type(second)) == ((10, 2), BeyondMetric)
