"""The statistics of gradients; closed forms of circuits (McClean, Cerezo) are in tests/contract."""

import math

import numpy as np
import pytest
from known_circuits import mcclean, z_word

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


def draws_of(values):
    return GradientDraws(np.asarray(values, dtype=np.float64), "pure", {})


def test_a_weight_outside_the_light_cone_is_dead():
    circuit = Circuit(2, (Operation("ry", (0,), Angle(weight=0)), Operation("ry", (1,), Angle(weight=1))), (z_word(0),))
    assert pure_gradients(circuit, ENGINE, 200, rng()).is_live.tolist() == [True, False]


def test_a_weight_that_no_gate_reads_is_dead():
    circuit = Circuit(1, (Operation("ry", (0,), Angle(weight=2)),), (z_word(0),))
    assert dead_parameters(pure_gradients(circuit, ENGINE, 200, rng())).value == pytest.approx(2 / 3)


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


def test_the_error_of_each_parameter_is_the_spread_of_its_repeated_estimates():
    found = [parameter_variances(draws_of(rng(seed).normal(size=(200, 3)))) for seed in range(300)]
    spread = np.std([each.values for each in found], axis=0)
    np.testing.assert_allclose(np.mean([each.std_errors for each in found], axis=0), spread, rtol=0.15)


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


@pytest.mark.parametrize("value", [1e80, -1e200, 1.7e308])
def test_a_gradient_whose_square_overflows_is_refused(value):
    with pytest.raises(UndefinedMetric, match="too large to square"):
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
