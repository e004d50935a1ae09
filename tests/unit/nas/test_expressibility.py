"""The estimators of expressibility on fidelities drawn from known laws; circuits are in tests/contract.

Complex Haar states have P(F > f) = (1 − f)^(N−1).
"""

import math

import numpy as np
import pytest
from closed_forms import (
    exact_divergence,
    product_distribution,
    quantile_edges,
    real_distribution,
    sim75_edges,
)
from known_circuits import layers
from scipy.stats import beta

from nas.circuits import Circuit, Operation
from nas.engines import make_engine
from nas.metrics.expressibility import expressibility, fidelities, haar_quantile, sim75

SIGMAS = 5.0  # a false alarm once in two million
BINS = 75
ENGINE = make_engine("default.qubit")


def rng(seed=1):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("n_qubits", "value"), [(6, 0.482), (8, 0.780)])
def test_products_of_uniform_fidelities_are_known_in_haar_quantile(n_qubits, value):
    exact = exact_divergence(product_distribution(n_qubits), quantile_edges(n_qubits), n_qubits)
    assert exact == pytest.approx(value, abs=1e-3)
    found = haar_quantile(rng().uniform(size=(50_000, n_qubits)).prod(1), n_qubits)
    assert found.value == pytest.approx(exact, abs=SIGMAS * found.std_error)


@pytest.mark.parametrize(("n_qubits", "value"), [(1, 0.1961), (2, 0.1771), (3, 0.1472), (4, 0.11547)])
def test_real_states_are_known_in_sim75(n_qubits, value):
    exact = exact_divergence(real_distribution(n_qubits), sim75_edges(), n_qubits)
    assert exact == pytest.approx(value, abs=1e-4)
    drawn = beta(0.5, (2**n_qubits - 1) / 2).rvs(50_000, random_state=rng())
    found = sim75(drawn, n_qubits)
    assert found.value == pytest.approx(exact, abs=SIGMAS * found.std_error + BINS / 100_000)


@pytest.mark.parametrize("n_qubits", [2, 8, 12])
def test_real_states_read_alike_at_every_width(n_qubits):
    drawn = beta(0.5, (2**n_qubits - 1) / 2).rvs(50_000, random_state=rng())
    found = haar_quantile(drawn, n_qubits)
    assert found.value == pytest.approx(0.180, abs=SIGMAS * found.std_error + 1e-3)


def haar_fidelities(n_qubits, n_values, seed):
    return -np.expm1(np.log1p(-rng(seed).uniform(size=n_values)) / (2.0**n_qubits - 1.0))


@pytest.mark.parametrize("n_qubits", [1, 4, 8, 16, 24])
def test_haar_reads_zero_at_every_width(n_qubits):
    found = haar_quantile(haar_fidelities(n_qubits, 5_000, 3), n_qubits)
    assert abs(found.value) < SIGMAS * found.std_error


@pytest.mark.parametrize("n_qubits", [8, 16, 24])
def test_sim75_is_finite_where_bin_masses_underflow(n_qubits):
    found = sim75(np.array([0.0, 0.5, 0.999, 1.0]), n_qubits)
    assert math.isfinite(found.value)


def test_the_noise_floor_of_sim75_is_that_of_its_bins():
    values = [sim75(haar_fidelities(4, 5_000, seed), 4).value for seed in range(50)]
    assert np.mean(values) == pytest.approx(0.0037, abs=5 * 0.0008 / math.sqrt(50))


@pytest.mark.parametrize("n_qubits", [2, 4])
def test_the_standard_error_is_the_spread_of_repeated_estimates(n_qubits):
    real = beta(0.5, (2**n_qubits - 1) / 2)
    found = [haar_quantile(real.rvs(2_000, random_state=rng(seed)), n_qubits) for seed in range(200)]
    spread = np.std([divergence.value for divergence in found])
    # The spread of 200 values is known to 5 %.
    assert np.mean([divergence.std_error for divergence in found]) == pytest.approx(spread, rel=0.2)


def test_the_same_seed_gives_the_same_value():
    circuit = layers(2, ("ry",), 2, "cx")
    first, second = (expressibility(circuit, ENGINE, n_pairs=200, rng=rng(7)) for _ in range(2))
    assert first == second


def test_another_seed_gives_another_value():
    circuit = layers(2, ("ry",), 2, "cx")
    first, second = (expressibility(circuit, ENGINE, n_pairs=200, rng=rng(seed)) for seed in (7, 8))
    assert first.value != second.value


def test_a_fixed_gate_at_the_end_changes_nothing():
    circuit = layers(2, ("rx", "rz"), 2, "cx")
    longer = Circuit(2, (*circuit.operations, Operation("h", (0,)), Operation("cx", (0, 1))), ())
    first, second = (fidelities([each], ENGINE, 100, [rng()])[0] for each in (circuit, longer))
    np.testing.assert_allclose(first, second, atol=1e-12)


def test_lightning_gives_the_same_value():
    circuit = layers(2, ("ry",), 2, "cx")
    engines = (ENGINE, make_engine("lightning.qubit"))
    first, second = (fidelities([circuit], engine, 100, [rng()])[0] for engine in engines)
    np.testing.assert_allclose(first, second, atol=1e-12)


def test_a_haar_circuit_reads_zero_on_average():
    found = [haar_quantile(haar_fidelities(4, 2_000, seed), 4).value for seed in range(200)]
    # Uncorrected, the mean would be (75 - 1) / 4,000 = 0.0185, seventy standard errors away.
    assert abs(np.mean(found)) < SIGMAS * np.std(found) / math.sqrt(200)


def test_a_complex_state_has_fidelity_1_with_itself():
    circuit = Circuit(1, (Operation("h", (0,)), Operation("s", (0,))), ())
    np.testing.assert_allclose(fidelities([circuit], ENGINE, 3, [rng()]), 1.0, atol=1e-12)


def test_the_error_of_a_haar_circuit_is_the_spread_of_its_estimates():
    rng = np.random.default_rng(5)
    # u is uniform under Haar; with one qubit it is the fidelity itself.
    found = [haar_quantile(rng.random(3_000), 1) for _ in range(400)]
    spread = np.std([divergence.value for divergence in found])
    # The spread of 400 estimates is known to 3.5 %; without its last term the error would be 1.7 times as large.
    assert np.mean([divergence.std_error for divergence in found]) == pytest.approx(spread, rel=0.15)
