"""Variances of gradients against closed forms (McClean et al. 2018; Cerezo et al. 2021, arXiv 2001.00550)."""

import math
from itertools import combinations, product

import numpy as np
import pytest
import torch

from nas.circuits import Angle, Circuit, Operation
from nas.engines import make_engine
from nas.errors import UndefinedMetric
from nas.metrics.gradient_variance import (
    GradientDraws,
    dead_parameters,
    gradient_variance,
    parameter_details,
    parameter_variances,
    pure_gradients,
)

SIGMAS = 5.0  # a false alarm once in two million
ENGINE = make_engine("default.qubit")


def rng(seed=1):
    return np.random.default_rng(seed)


def z_word(*wires):
    return tuple(("z", wire) for wire in wires)


def first_variance(circuit, n_draws, seed=1):
    variances = parameter_variances(pure_gradients(circuit, ENGINE, n_draws, rng(seed)))
    return variances.values[0], variances.std_errors[0]


def mcclean(n_qubits, gates, word):
    """RY(π/4) on all, then layers of chosen rotations, each followed by a ladder of CZ; gates is (depth, n_qubits)."""
    operations = [Operation("ry", (wire,), Angle(math.pi / 4)) for wire in range(n_qubits)]
    for layer, names in enumerate(gates):
        operations += [Operation(g, (w,), Angle(weight=layer * n_qubits + w)) for w, g in enumerate(names)]
        operations += [Operation("cz", (wire, wire + 1)) for wire in range(n_qubits - 1)]
    return Circuit(n_qubits, tuple(operations), (word,))


def mean_over_random_circuits(n_qubits, depth, word, *, n_circuits, n_draws):
    """Returns the first parameter's variance, averaged over random choices of gates, and its standard error."""
    choices = rng(5).choice(["rx", "ry", "rz"], (n_circuits, depth, n_qubits))
    found = [first_variance(mcclean(n_qubits, gates, word), n_draws, i)[0] for i, gates in enumerate(choices)]
    return np.mean(found), np.std(found, ddof=1) / math.sqrt(n_circuits)


def draws_of(values):
    return GradientDraws(np.asarray(values, dtype=np.float64), "pure", {})


def test_ry_on_zero_has_one_half():
    circuit = Circuit(1, (Operation("ry", (0,), Angle(weight=0)),), (z_word(0),))
    value, std_error = first_variance(circuit, 10_000)
    assert value == pytest.approx(0.5, abs=SIGMAS * std_error)


def test_gradient_variance_is_the_logarithm_of_that():
    circuit = Circuit(1, (Operation("ry", (0,), Angle(weight=0)),), (z_word(0),))
    found = gradient_variance(pure_gradients(circuit, ENGINE, 10_000, rng()))
    assert found.value == pytest.approx(math.log10(0.5), abs=SIGMAS * found.std_error)


def test_an_rz_after_rx_has_exactly_zero():
    circuit = Circuit(1, (Operation("rx", (0,), Angle(weight=0)), Operation("rz", (0,), Angle(weight=1))), (z_word(0),))
    assert parameter_variances(pure_gradients(circuit, ENGINE, 200, rng())).values[1] == 0.0


def test_an_rz_after_rx_is_the_dead_half_of_the_parameters():
    circuit = Circuit(1, (Operation("rx", (0,), Angle(weight=0)), Operation("rz", (0,), Angle(weight=1))), (z_word(0),))
    assert dead_parameters(pure_gradients(circuit, ENGINE, 200, rng())).value == 0.5


def test_a_weight_outside_the_light_cone_is_dead():
    circuit = Circuit(2, (Operation("ry", (0,), Angle(weight=0)), Operation("ry", (1,), Angle(weight=1))), (z_word(0),))
    assert pure_gradients(circuit, ENGINE, 200, rng()).is_live.tolist() == [True, False]


def test_a_weight_that_no_gate_reads_is_dead():
    circuit = Circuit(1, (Operation("ry", (0,), Angle(weight=2)),), (z_word(0),))
    assert dead_parameters(pure_gradients(circuit, ENGINE, 200, rng())).value == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("n_qubits", "word", "value"),
    [(2, z_word(0), 1 / 4), (2, z_word(0, 1), 5 / 48), (3, z_word(0, 1), 5 / 48), (3, z_word(0, 1, 2), 25 / 576)],
)
def test_mcclean_at_depth_1_is_known(n_qubits, word, value):
    found = [
        first_variance(mcclean(n_qubits, [gates], word), 2_000, seed)
        for seed, gates in enumerate(product(("rx", "ry", "rz"), repeat=n_qubits))
    ]
    values, std_errors = np.array(found).T
    std_error = np.sqrt((std_errors**2).sum()) / len(found)
    assert values.mean() == pytest.approx(value, abs=SIGMAS * std_error)


@pytest.mark.parametrize(("n_qubits", "value"), [(2, 0.0889), (4, 0.0209)])
def test_deep_mcclean_falls_with_the_dimension(n_qubits, value):
    exact = 2**n_qubits / (4**n_qubits - 1) / 3
    assert exact == pytest.approx(value, abs=1e-4)
    found, std_error = mean_over_random_circuits(n_qubits, 10 * n_qubits, z_word(0, 1), n_circuits=30, n_draws=50)
    # At this depth the circuits are 2-designs to a few percent (science.md gives 15 %).
    assert found == pytest.approx(exact, abs=SIGMAS * std_error + 0.05 * exact)


@pytest.mark.parametrize(("n_qubits", "word", "value"), [(4, z_word(0, 1), 0.0477), (4, z_word(0, 1, 2, 3), 0.0198)])
def test_local_and_global_costs_part_at_depth_10(n_qubits, word, value):
    found, std_error = mean_over_random_circuits(n_qubits, 10, word, n_circuits=50, n_draws=50)
    assert found == pytest.approx(value, abs=SIGMAS * std_error)


def test_a_parameter_between_two_2_designs_is_known():
    # N²/(2(N² − 1)(N + 1)) for a generator P/2 and one Pauli word, here at N = 4.
    depth = 13
    circuit = mcclean(2, [("rx", "ry"), ("rz", "rx"), ("ry", "rz")] * depth, z_word(0))
    variances = parameter_variances(pure_gradients(circuit, ENGINE, 4_000, rng()))
    middle = 3 * depth
    assert variances.values[middle] == pytest.approx(16 / 150, abs=SIGMAS * variances.std_errors[middle])


def cerezo(n_qubits, words, factor):
    """Gradient draws of factor · Σ ⟨words⟩ after one RX a qubit."""
    rotations = tuple(Operation("rx", (wire,), Angle(weight=wire)) for wire in range(n_qubits))
    circuit = Circuit(n_qubits, rotations, tuple(words))
    weights = torch.from_numpy(rng().uniform(0, 2 * math.pi, (20_000, n_qubits))).requires_grad_()
    cost = factor * ENGINE.expectations(circuit, weights, torch.zeros(1, 0, dtype=torch.float64)).sum()
    return draws_of(torch.autograd.grad(cost, weights)[0].numpy())


@pytest.mark.parametrize("n_qubits", [2, 4])
def test_cerezos_global_cost_decays_exponentially(n_qubits):
    # 1 − Π cos²(θ/2) = 1 − Π (1 + Z_i)/2, multiplied out.
    wires = range(n_qubits)
    words = [z_word(*some) for size in range(1, n_qubits + 1) for some in combinations(wires, size)]
    variances = parameter_variances(cerezo(n_qubits, words, -(2.0**-n_qubits)))
    exact = (3 / 8) ** (n_qubits - 1) / 8
    assert variances.values[0] == pytest.approx(exact, abs=SIGMAS * variances.std_errors[0])


@pytest.mark.parametrize("n_qubits", [2, 4])
def test_cerezos_local_cost_decays_polynomially(n_qubits):
    variances = parameter_variances(cerezo(n_qubits, [z_word(wire) for wire in range(n_qubits)], -0.5 / n_qubits))
    assert variances.values[0] == pytest.approx(1 / (8 * n_qubits**2), abs=SIGMAS * variances.std_errors[0])


def test_the_first_observable_alone_is_the_cost():
    gates = tuple(Operation("ry", (wire,), Angle(weight=wire)) for wire in range(2))
    found = pure_gradients(Circuit(2, gates, (z_word(1), z_word(0))), ENGINE, 50, rng())
    assert found.is_live.tolist() == [False, True]


def test_dead_parameters_do_not_dilute_the_mean():
    values = rng().normal(size=(300, 1))
    alone = gradient_variance(draws_of(values)).value
    assert gradient_variance(draws_of(np.hstack([values, np.zeros((300, 3))]))).value == alone


def test_copies_of_one_parameter_do_not_shrink_the_error():
    values = rng().normal(size=(300, 1))
    alone = gradient_variance(draws_of(values)).std_error
    assert gradient_variance(draws_of(np.repeat(values, 10, axis=1))).std_error == pytest.approx(alone)


def test_independent_parameters_shrink_the_error():
    values = rng().normal(size=(300, 25))
    alone = gradient_variance(draws_of(values[:, :1])).std_error
    assert gradient_variance(draws_of(values)).std_error == pytest.approx(alone / 5, rel=0.2)


def test_the_standard_error_is_the_spread_of_repeated_estimates():
    found = [gradient_variance(draws_of(rng(seed).normal(size=(200, 3)))) for seed in range(300)]
    spread = np.std([measurement.value for measurement in found])
    # The spread of 300 values is known to 4 %.
    assert np.mean([measurement.std_error for measurement in found]) == pytest.approx(spread, rel=0.15)


def test_the_variance_is_unbiased():
    found = [parameter_variances(draws_of(rng(seed).normal(size=(3, 1)))).values[0] for seed in range(4_000)]
    assert np.mean(found) == pytest.approx(1.0, abs=SIGMAS * np.std(found) / math.sqrt(4_000))


def test_the_interval_is_about_two_errors_wide_on_both_sides():
    found = gradient_variance(draws_of(rng().normal(size=(300, 2))))
    low, high = found.details["confidence_interval_95"]
    assert (high - low) / found.std_error == pytest.approx(2 * 1.96, abs=1e-3)


def test_without_a_live_parameter_it_has_no_value():
    with pytest.raises(UndefinedMetric, match="no parameter can change the cost"):
        gradient_variance(draws_of(np.zeros((200, 3))))


def test_without_a_live_parameter_all_are_dead():
    assert dead_parameters(draws_of(np.zeros((200, 3)))).value == 1.0


def test_equal_gradients_at_all_weights_have_no_logarithm():
    with pytest.raises(UndefinedMetric, match="the same at all weights"):
        gradient_variance(draws_of(np.ones((200, 3))))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_is_refused(value):
    with pytest.raises(UndefinedMetric, match="not finite"):
        draws_of([[0.1], [value]])


def test_a_circuit_without_observable_is_refused():
    circuit = Circuit(1, (Operation("ry", (0,), Angle(weight=0)),), ())
    with pytest.raises(UndefinedMetric, match="needs an observable"):
        pure_gradients(circuit, ENGINE, 10, rng())


def test_a_circuit_without_weights_has_no_share_of_dead_ones():
    circuit = Circuit(1, (Operation("h", (0,)),), (z_word(0),))
    assert parameter_details(pure_gradients(circuit, ENGINE, 10, rng()))["dead_parameters"] is None


def test_lightning_gives_the_same_draws():
    circuit = mcclean(2, [("rx", "ry"), ("rz", "rx")], z_word(0, 1))
    ours, theirs = (
        pure_gradients(circuit, make_engine(name), 20, rng()).values for name in ("default.qubit", "lightning.qubit")
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_the_mean_is_that_of_the_unbiased_variances_of_live_parameters():
    draws = draws_of(np.hstack([rng().normal(size=(5, 3)), np.zeros((5, 1))]))
    expected = np.var(draws.values[:, :3], axis=0, ddof=1).mean()
    assert gradient_variance(draws).details["mean_variance"] == pytest.approx(expected)


@pytest.mark.parametrize("engine", ["batched", "lightning.qubit"])
@pytest.mark.parametrize("precision", ["complex128", "complex64"])
def test_rounding_of_single_precision_does_not_revive_a_dead_parameter(engine, precision):
    # The last RZ commutes with Z, and the first leaves |0> as it is.
    gates = (Operation("rz", (0,), Angle(weight=0)), Operation("ry", (0,), Angle(weight=1)))
    gates += (Operation("cx", (0, 1)), Operation("ry", (1,), Angle(weight=2)), Operation("rz", (1,), Angle(weight=3)))
    draws = pure_gradients(Circuit(2, gates, (z_word(1),)), make_engine(engine, precision), 200, rng())
    assert draws.is_live.tolist() == [False, True, True, False]
