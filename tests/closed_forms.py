"""Closed forms of science.md, each as a check that a metric on an engine has to pass.

A check measures with as many samples as the engine does quickly, and asserts within five standard errors of what it
measured: a false alarm once in two million. Rounding is that of the engine's precision.
"""

import math
from itertools import combinations, product

import numpy as np
import pytest
import torch
from engines import TOLERANCE
from known_circuits import layers, mcclean, rotation, z_word
from scipy.stats import beta

from nas.circuits import Circuit, Operation
from nas.engines import Engine
from nas.metrics import entangling_capability as entanglement
from nas.metrics import expressibility as fidelity
from nas.metrics import frame_potential as frame
from nas.metrics import gradient_variance as gradient
from nas.metrics import quantum_fisher_rank as fisher

SIGMAS = 5.0
BINS = 75
#: What deep circuits still lack of a 2-design; science.md gives 15 % at depth 10n.
DEEP = 0.15
#: Share of the samples that an engine takes: the rest are the batched engine's.
SHARE = {"batched": 1.0, "default.qubit": 0.3, "lightning.qubit": 0.015, "lightning.gpu": 0.015}


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def samples(engine: Engine, n: int) -> int:
    return max(100, int(n * SHARE[engine.name]) // 2 * 2)


# Expressibility -------------------------------------------------------------------------------------------------------


def fidelities_of(engine, circuit, n_pairs):
    return fidelity.fidelities([circuit], engine, samples(engine, n_pairs), [rng()])[0]


def sim75_edges():
    return np.linspace(0.0, 1.0, BINS + 1)


def quantile_edges(n_qubits):
    """Fidelities at the edges of equal bins of the Haar distribution function."""
    return 1.0 - (1.0 - np.linspace(0.0, 1.0, BINS + 1)) ** (1.0 / (2**n_qubits - 1))


def exact_divergence(distribution, edges, n_qubits):
    """KL of binned masses; `distribution` is P(F ≤ f)."""
    masses = np.diff([distribution(f) for f in edges])
    haar = -np.diff((1.0 - edges) ** (2**n_qubits - 1))
    return float(sum(p * math.log(p / q) for p, q in zip(masses, haar, strict=True) if p > 0))


def product_distribution(n_qubits):
    """F of products of Haar qubits is a product of n uniform numbers: P(F ≤ f) = f Σ_{k<n} (−ln f)^k / k!."""

    def probability(f):
        return f * sum((-math.log(f)) ** k / math.factorial(k) for k in range(n_qubits)) if f > 0 else 0.0

    return probability


def real_distribution(n_qubits):
    """F of real Haar states is Beta(1/2, (N − 1)/2)."""
    return beta(0.5, (2**n_qubits - 1) / 2).cdf


def check_divergences(found, n_qubits, *, sim75, haar_quantile):
    """Asserts both estimators on the same fidelities; sim75 keeps its bias of at most (B − 1)/(2S)."""
    if sim75 is not None:
        estimate, half = fidelity.sim75(found, n_qubits), BINS / (4 * len(found))
        assert estimate.value - half == pytest.approx(sim75, abs=SIGMAS * estimate.std_error + half)
    estimate = fidelity.haar_quantile(found, n_qubits)
    bias = BINS / (2 * len(found)) if len(found) < 10 * BINS else 0.0  # the correction is for bins well filled
    assert estimate.value == pytest.approx(haar_quantile, abs=SIGMAS * estimate.std_error + bias)


def check_idle(engine, n_qubits):
    idle = Circuit(n_qubits, (Operation("h", (0,)),), ())
    found = fidelity.expressibility(idle, engine, n_pairs=200, rng=rng(), estimator="sim75")
    assert found.value == pytest.approx((2**n_qubits - 1) * math.log(75), abs=1e-9)


def check_rx(engine):
    found = fidelities_of(engine, layers(1, ("rx",), 1), 50_000)
    check_divergences(found, 1, sim75=0.19612, haar_quantile=0.19612)


def check_rx_continuum(engine):
    # Bins still hide what falls with the root of their width, 0.005 here.
    n_pairs = int(1_000_000 * SHARE[engine.name])
    circuit = layers(1, ("rx",), 1)
    found = fidelity.expressibility(circuit, engine, n_pairs=n_pairs, rng=rng(), n_bins=n_pairs // 100)
    bins_hide = 0.005 * (1_000_000 / n_pairs) ** 0.5
    assert found.value == pytest.approx(math.log(4 / math.pi), abs=SIGMAS * found.std_error + bins_hide)


def check_product(engine, n_qubits):
    exact = product_distribution(n_qubits)
    found = fidelities_of(engine, layers(n_qubits, ("rz", "ry"), 12), 10_000)
    # Beyond five qubits the masses of bins of F underflow.
    check_divergences(
        found,
        n_qubits,
        sim75=exact_divergence(exact, sim75_edges(), n_qubits) if n_qubits <= 5 else None,
        haar_quantile=exact_divergence(exact, quantile_edges(n_qubits), n_qubits),
    )


def check_real(engine, n_qubits):
    exact = real_distribution(n_qubits)
    found = fidelities_of(engine, layers(n_qubits, ("ry",), 10 * n_qubits, "cx"), 6_000)
    check_divergences(
        found,
        n_qubits,
        sim75=exact_divergence(exact, sim75_edges(), n_qubits),
        haar_quantile=exact_divergence(exact, quantile_edges(n_qubits), n_qubits),
    )


def check_haar(engine, n_qubits):
    """A deep circuit reads 0, its fidelities have the moments of Haar, and its frame potentials are those of Haar."""
    found = fidelities_of(engine, layers(n_qubits, ("rx", "ry", "rz"), 4 * n_qubits, "cx"), 8_000)
    dimension = 2**n_qubits
    for t in (1, 2, 3):
        exact = math.factorial(t) * math.factorial(dimension - 1) / math.factorial(dimension + t - 1)
        powers = found**t
        assert powers.mean() == pytest.approx(exact, abs=SIGMAS * powers.std() / math.sqrt(len(powers)))
        ratio = frame.frame_potential_of(found, n_qubits, order=t)
        assert ratio.value == pytest.approx(1.0, abs=SIGMAS * ratio.std_error)
    if len(found) >= 10 * BINS:
        estimate = fidelity.haar_quantile(found, n_qubits)
        assert abs(estimate.value) < SIGMAS * estimate.std_error


def check_frame_potentials(engine, circuit, exact):
    """`exact` is E F^t by t."""
    found = fidelities_of(engine, circuit, 10_000)
    for t, moment in exact.items():
        ratio = frame.frame_potential_of(found, circuit.qubits, order=t, rounding=TOLERANCE[engine.precision])
        expected = moment * math.comb(2**circuit.qubits + t - 1, t)
        assert ratio.value == pytest.approx(expected, abs=SIGMAS * ratio.std_error)


# Entangling capability ------------------------------------------------------------------------------------------------


def check_entanglement(engine, circuit, q, *, n_states=100):
    found = entanglement.entangling_capability(circuit, engine, n_states=n_states, rng=rng())
    assert found.value == pytest.approx(q, abs=SIGMAS * found.std_error + 10 * TOLERANCE[engine.precision])


# Trainability ---------------------------------------------------------------------------------------------------------


def variances_of(engine, circuit, n_draws):
    draws = gradient.pure_gradients(circuit, engine, samples(engine, n_draws), rng())
    return gradient.parameter_variances(draws)


def check_ry(engine):
    circuit = Circuit(1, (rotation("ry", 0, 0),), (z_word(0),))
    variances = variances_of(engine, circuit, 10_000)
    assert variances.values[0] == pytest.approx(0.5, abs=SIGMAS * variances.std_errors[0])
    found = gradient.gradient_variance(gradient.pure_gradients(circuit, engine, samples(engine, 10_000), rng()))
    assert found.value == pytest.approx(math.log10(0.5), abs=SIGMAS * found.std_error)


def check_rz_after_rx(engine):
    circuit = Circuit(1, (rotation("rx", 0, 0), rotation("rz", 0, 1)), (z_word(0),))
    draws = gradient.pure_gradients(circuit, engine, 200, rng())
    assert gradient.parameter_variances(draws).values[1] == 0.0
    assert gradient.dead_parameters(draws).value == 0.5
    found = gradient.gradient_variance(draws)
    assert found.value == pytest.approx(math.log10(0.5), abs=SIGMAS * found.std_error)


def first_variances(engine, circuits, n_draws):
    """Returns the first parameter's variance in each circuit."""
    found = gradient.bundle_pure_gradients(circuits, engine, n_draws, [rng(i) for i in range(len(circuits))])
    return np.array([gradient.parameter_variances(draws).values[0] for draws in found])


def check_mcclean_depth_1(engine, n_qubits, word, exact):
    """The mean over all choices of gates."""
    circuits = [mcclean(n_qubits, [gates], word) for gates in product(("rx", "ry", "rz"), repeat=n_qubits)]
    n_draws = samples(engine, 2_000)
    found = gradient.bundle_pure_gradients(circuits, engine, n_draws, [rng(i) for i in range(len(circuits))])
    variances = [gradient.parameter_variances(draws) for draws in found]
    std_error = np.sqrt(sum(each.std_errors[0] ** 2 for each in variances)) / len(circuits)
    assert np.mean([each.values[0] for each in variances]) == pytest.approx(exact, abs=SIGMAS * std_error)


def check_random_mcclean(engine, n_qubits, depth, word, exact, *, n_circuits, rel=0.0):
    n_circuits = max(10, int(n_circuits * SHARE[engine.name]))
    choices = rng(5).choice(["rx", "ry", "rz"], (n_circuits, depth, n_qubits))
    found = first_variances(engine, [mcclean(n_qubits, gates, word) for gates in choices], 30)
    std_error = found.std(ddof=1) / math.sqrt(n_circuits)
    assert found.mean() == pytest.approx(exact, abs=SIGMAS * std_error + rel * exact)
    # Five standard errors are less than what a deviation for a variance would make of it.
    assert SIGMAS * std_error + rel * exact < math.sqrt(exact) - exact


def check_between_2_designs(engine):
    """N²/(2(N² − 1)(N + 1)) for a generator P/2 and one Pauli word, here at N = 4."""
    depth = 13
    circuit = mcclean(2, [("rx", "ry"), ("rz", "rx"), ("ry", "rz")] * depth, z_word(0))
    variances = variances_of(engine, circuit, 2_000)
    middle = 3 * depth
    assert variances.values[middle] == pytest.approx(16 / 150, abs=SIGMAS * variances.std_errors[middle])


def check_cerezo(engine, n_qubits, words, factor, exact):
    """The first gradient of factor · Σ ⟨words⟩ after one RX a qubit."""
    rotations = tuple(rotation("rx", wire, wire) for wire in range(n_qubits))
    circuit = Circuit(n_qubits, rotations, tuple(words))
    weights = torch.from_numpy(rng().uniform(0, 2 * math.pi, (samples(engine, 10_000), n_qubits))).requires_grad_()
    cost = factor * engine.expectations(circuit, weights, torch.zeros(1, 0, dtype=torch.float64)).sum()
    values = torch.autograd.grad(cost, weights)[0].numpy()
    variances = gradient.parameter_variances(gradient.GradientDraws(values, "pure", {}, engine.precision))
    assert variances.values[0] == pytest.approx(exact, abs=SIGMAS * variances.std_errors[0])


def check_cerezo_global(engine, n_qubits):
    """1 − Π cos²(θ/2) = 1 − Π (1 + Z_i)/2, multiplied out."""
    words = [z_word(*some) for size in range(1, n_qubits + 1) for some in combinations(range(n_qubits), size)]
    check_cerezo(engine, n_qubits, words, -(2.0**-n_qubits), (3 / 8) ** (n_qubits - 1) / 8)


def check_cerezo_local(engine, n_qubits):
    words = [z_word(wire) for wire in range(n_qubits)]
    check_cerezo(engine, n_qubits, words, -0.5 / n_qubits, 1 / (8 * n_qubits**2))


def check_variance_of_given_draws():
    """Unbiased, about the mean, and over live parameters alone."""
    values = np.hstack([rng().normal(3.0, 1.0, size=(5, 3)), np.zeros((5, 1))])
    draws = gradient.GradientDraws(values, "pure", {})
    expected = np.var(values[:, :3], axis=0, ddof=1)
    found = gradient.parameter_variances(draws)
    np.testing.assert_allclose(found.values, [*expected, 0.0], rtol=1e-12)
    # Of each variance, as of a mean over the five: sd/√5, made unbiased like the variance itself.
    squares = (values - values.mean(0)) ** 2
    np.testing.assert_allclose(found.std_errors, np.std(squares, axis=0, ddof=1) / math.sqrt(5) * 5 / 4, rtol=1e-12)
    assert gradient.gradient_variance(draws).details["mean_variance"] == pytest.approx(expected.mean(), rel=1e-12)


def check_haar_reads_zero_on_average():
    """Uncorrected, the mean would be (75 − 1)/4,000 = 0.0185, seventy standard errors away."""
    found = [
        fidelity.haar_quantile(-np.expm1(np.log1p(-rng(seed).uniform(size=2_000)) / 15.0), 4).value
        for seed in range(200)
    ]
    assert abs(np.mean(found)) < SIGMAS * np.std(found) / math.sqrt(200)


# Quantum Fisher information -------------------------------------------------------------------------------------------


def fisher_of(engine, circuit, *, n_draws=4):
    found = fisher.spectra(circuit, engine, n_draws=n_draws, rng=rng())
    return fisher.quantum_fisher_rank_of(found, circuit)


def check_fisher_rank(engine, circuit, rank):
    assert fisher_of(engine, circuit).value == rank


def check_fisher_spectrum(engine, circuit, spectrum):
    """Of a circuit whose spectrum does not depend on the draw."""
    found = fisher_of(engine, circuit)
    tolerance = 100 * TOLERANCE[engine.precision]
    np.testing.assert_allclose(found.details["spectrum"], spectrum, atol=tolerance)
    np.testing.assert_allclose(found.details["spectrum_std_error"], 0.0, atol=tolerance)


def check_fisher_trace_of_rx_rz(engine):
    """4 Var(X/2) = 1 of RX, and 4 Var(Z/2) = sin² θ of the RZ behind it, with mean 1/2."""
    circuit = Circuit(1, (rotation("rx", 0, 0), rotation("rz", 0, 1)), ())
    n_draws = samples(engine, 1_000)
    found = fisher_of(engine, circuit, n_draws=n_draws)
    error = math.sqrt(1 / 8 / n_draws)  # the variance of sin² is 1/8
    assert found.details["trace"] == pytest.approx(1.5, abs=SIGMAS * error)
