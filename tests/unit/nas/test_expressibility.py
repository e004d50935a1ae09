"""Expressibility against closed forms.

Product of Haar qubits: F is a product of n uniform numbers, P(F ≤ f) = f Σ_{k<n} (−ln f)^k / k!.
Real Haar states: F ~ Beta(1/2, (N − 1)/2). Complex Haar states: P(F > f) = (1 − f)^(N−1).
"""

import math

import numpy as np
import pytest
from scipy.stats import beta

from nas.circuits import Angle, Circuit, Operation
from nas.engines import make_engine
from nas.metrics.expressibility import expressibility, fidelities, haar_quantile, sim75

SIGMAS = 5.0  # a false alarm once in two million
BINS = 75
ENGINE = make_engine("default.qubit")


def rng(seed=1):
    return np.random.default_rng(seed)


def layers(n_qubits, gates, depth, entangler=None):
    """Rotations on all wires, then a ladder of entanglers, `depth` times; every rotation has its own weight."""
    operations = []
    n_weights = 0
    for _ in range(depth):
        for gate in gates:
            for wire in range(n_qubits):
                operations.append(Operation(gate, (wire,), Angle(weight=n_weights)))
                n_weights += 1
        if entangler:
            operations += [Operation(entangler, (wire, wire + 1)) for wire in range(n_qubits - 1)]
    return Circuit(n_qubits, tuple(operations), ())


def sim75_edges():
    return np.linspace(0.0, 1.0, BINS + 1)


def quantile_edges(n_qubits):
    """Fidelities at the edges of equal bins of the Haar distribution function."""
    return 1.0 - (1.0 - np.linspace(0.0, 1.0, BINS + 1)) ** (1.0 / (2**n_qubits - 1))


def exact_divergence(distribution, edges, n_qubits):
    masses = np.diff([distribution(f) for f in edges])
    haar = -np.diff((1.0 - edges) ** (2**n_qubits - 1))
    return float(sum(p * math.log(p / q) for p, q in zip(masses, haar, strict=True) if p > 0))


def product_distribution(n_qubits):
    def probability(f):
        return f * sum((-math.log(f)) ** k / math.factorial(k) for k in range(n_qubits)) if f > 0 else 0.0

    return probability


def real_distribution(n_qubits):
    return beta(0.5, (2**n_qubits - 1) / 2).cdf


@pytest.mark.parametrize(("n_qubits", "value"), [(1, 4.3175), (2, 12.9525), (3, 30.2224), (4, 64.7623)])
def test_an_idle_circuit_has_its_closed_form_in_sim75(n_qubits, value):
    idle = Circuit(n_qubits, (Operation("h", (0,)),), ())
    found = expressibility(idle, ENGINE, n_pairs=200, rng=rng(), estimator="sim75")
    assert found.value == pytest.approx((2**n_qubits - 1) * math.log(75), abs=1e-10)
    assert found.value == pytest.approx(value, abs=1e-4)


def test_one_rx_on_one_qubit_is_known_in_sim75():
    circuit = Circuit(1, (Operation("rx", (0,), Angle(weight=0)),), ())
    found = expressibility(circuit, ENGINE, n_pairs=100_000, rng=rng(), estimator="sim75")
    assert found.value - 0.19612 == pytest.approx(0.0, abs=SIGMAS * found.std_error + BINS / 200_000)


def test_one_rx_approaches_ln_4_over_pi_with_finer_bins():
    circuit = Circuit(1, (Operation("rx", (0,), Angle(weight=0)),), ())
    # What the bins still hide falls with the square root of their width and is below 0.005 here.
    found = expressibility(circuit, ENGINE, n_pairs=1_000_000, rng=rng(), n_bins=10_000)
    assert found.value == pytest.approx(math.log(4 / math.pi), abs=SIGMAS * found.std_error + 0.005)


@pytest.mark.parametrize(("n_qubits", "value"), [(2, 0.0331), (3, 0.1110), (4, 0.19437), (5, 0.2411)])
def test_a_product_of_haar_qubits_is_known_in_sim75(n_qubits, value):
    exact = exact_divergence(product_distribution(n_qubits), sim75_edges(), n_qubits)
    assert exact == pytest.approx(value, abs=1e-4)
    circuit = layers(n_qubits, ("rz", "ry"), 12)
    found = expressibility(circuit, ENGINE, n_pairs=10_000, rng=rng(), estimator="sim75")
    assert found.value == pytest.approx(exact, abs=SIGMAS * found.std_error + BINS / 20_000)


@pytest.mark.parametrize(("n_qubits", "value"), [(6, 0.482), (8, 0.780)])
def test_products_of_uniform_fidelities_are_known_in_haar_quantile(n_qubits, value):
    exact = exact_divergence(product_distribution(n_qubits), quantile_edges(n_qubits), n_qubits)
    assert exact == pytest.approx(value, abs=1e-3)
    found = haar_quantile(rng().uniform(size=(50_000, n_qubits)).prod(1), n_qubits)
    assert found.value == pytest.approx(exact, abs=SIGMAS * found.std_error)


@pytest.mark.parametrize(("n_qubits", "value"), [(2, 0.032), (3, 0.108), (4, 0.215)])
def test_a_product_of_haar_qubits_is_known_in_haar_quantile(n_qubits, value):
    exact = exact_divergence(product_distribution(n_qubits), quantile_edges(n_qubits), n_qubits)
    assert exact == pytest.approx(value, abs=1e-3)
    circuit = layers(n_qubits, ("rz", "ry"), 12)
    found = expressibility(circuit, ENGINE, n_pairs=5_000, rng=rng())
    assert found.value == pytest.approx(exact, abs=SIGMAS * found.std_error)


@pytest.mark.parametrize(("n_qubits", "value"), [(2, 0.181), (3, 0.180), (4, 0.180)])
def test_deep_real_circuits_are_known_in_haar_quantile(n_qubits, value):
    exact = exact_divergence(real_distribution(n_qubits), quantile_edges(n_qubits), n_qubits)
    assert exact == pytest.approx(value, abs=1e-3)
    circuit = layers(n_qubits, ("ry",), 10 * n_qubits, "cx")
    found = expressibility(circuit, ENGINE, n_pairs=8_000, rng=rng())
    assert found.value == pytest.approx(exact, abs=SIGMAS * found.std_error)


@pytest.mark.parametrize(("n_qubits", "value"), [(1, 0.1961), (2, 0.1771), (3, 0.1472), (4, 0.11547)])
def test_real_states_are_known_in_sim75(n_qubits, value):
    exact = exact_divergence(real_distribution(n_qubits), sim75_edges(), n_qubits)
    assert exact == pytest.approx(value, abs=1e-4)
    drawn = beta(0.5, (2**n_qubits - 1) / 2).rvs(50_000, random_state=rng())
    found = sim75(drawn, n_qubits)
    assert found.value == pytest.approx(exact, abs=SIGMAS * found.std_error + BINS / 100_000)


def test_a_deep_circuit_is_haar_within_its_error():
    found = expressibility(layers(3, ("rx", "ry", "rz"), 12, "cx"), ENGINE, n_pairs=8_000, rng=rng())
    assert abs(found.value) < SIGMAS * found.std_error


def test_fidelities_of_a_deep_circuit_have_the_moments_of_haar():
    found = fidelities([layers(3, ("rx", "ry", "rz"), 12, "cx")], ENGINE, 8_000, [rng()])[0]
    for t in (1, 2, 3):
        exact = math.factorial(t) * math.factorial(7) / math.factorial(7 + t)
        powers = found**t
        assert powers.mean() == pytest.approx(exact, abs=SIGMAS * powers.std() / math.sqrt(len(powers)))


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
