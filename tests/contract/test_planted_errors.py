"""Wrong on purpose: each planted error has to fail the closed form that is there to find it.

So a known value is not merely met: its tolerance is narrow enough to tell the definition from what it is mistaken for.
"""

import dataclasses
import math

import closed_forms as forms
import numpy as np
import pytest
from known_circuits import ghz, layers, w_state, z_word

from nas.circuits import Angle, Operation
from nas.engines import make_engine
from nas.metrics import entangling_capability as entanglement
from nas.metrics import expressibility as fidelity
from nas.metrics import frame_potential as frame
from nas.metrics import gradient_variance as gradient
from nas.metrics import quantum_fisher_rank as fisher
from nas.metrics import sampling

ENGINE = make_engine("batched")
BINS = fidelity.SIM_BINS


def must_fail(check, *args, **options):
    check(*args, **options)  # right as it is
    return pytest.raises(AssertionError)


# Trainability

VARIANCES = {
    "ry": (forms.check_ry, ENGINE),
    "depth-1": (forms.check_mcclean_depth_1, ENGINE, 2, z_word(0, 1), 5 / 48),
    "2-designs": (forms.check_between_2_designs, ENGINE),
    "global": (forms.check_cerezo_global, ENGINE, 2),
    "local": (forms.check_cerezo_local, ENGINE, 2),
    "given": (forms.check_variance_of_given_draws,),
}


def root_of_variance(draws):
    found = GENUINE_VARIANCES(draws)
    return dataclasses.replace(found, values=np.sqrt(found.values))


def biased_variance(draws):
    found = GENUINE_VARIANCES(draws)
    return dataclasses.replace(found, values=found.values * (1 - 1 / len(draws.values)))


def second_moment(draws):
    return dataclasses.replace(GENUINE_VARIANCES(draws), values=(draws.values**2).mean(0))


GENUINE_VARIANCES = gradient.parameter_variances


@pytest.mark.parametrize("case", VARIANCES)
def test_a_standard_deviation_for_a_variance_is_found(monkeypatch, case):
    with must_fail(*VARIANCES[case]):
        monkeypatch.setattr(gradient, "parameter_variances", root_of_variance)
        VARIANCES[case][0](*VARIANCES[case][1:])


def test_a_deviation_is_found_where_the_plateau_is_barren(monkeypatch):
    arguments = (ENGINE, 4, 40, z_word(0, 1), 16 / 255 / 3)
    options = {"n_circuits": 30, "rel": forms.DEEP}
    with must_fail(forms.check_random_mcclean, *arguments, **options):
        monkeypatch.setattr(gradient, "parameter_variances", root_of_variance)
        forms.check_random_mcclean(*arguments, **options)


def error_of_one_draw(draws):
    found = GENUINE_VARIANCES(draws)
    return dataclasses.replace(found, std_errors=found.std_errors * len(draws.values) ** 0.5)


@pytest.mark.parametrize("wrong", [biased_variance, second_moment, error_of_one_draw])
def test_another_moment_for_a_variance_is_found(monkeypatch, wrong):
    with must_fail(forms.check_variance_of_given_draws):
        monkeypatch.setattr(gradient, "parameter_variances", wrong)
        forms.check_variance_of_given_draws()


def test_dead_parameters_in_the_mean_are_found(monkeypatch):
    everything = property(lambda draws: np.ones(draws.values.shape[1], dtype=bool))
    with must_fail(forms.check_rz_after_rx, ENGINE):
        monkeypatch.setattr(gradient.GradientDraws, "is_live", everything)
        forms.check_rz_after_rx(ENGINE)


def test_the_root_in_the_objective_is_found(monkeypatch):
    genuine = gradient.gradient_variance

    def half_the_logarithm(draws):
        found = genuine(draws)
        return dataclasses.replace(found, value=found.value / 2)

    with must_fail(forms.check_rz_after_rx, ENGINE):
        monkeypatch.setattr(gradient, "gradient_variance", half_the_logarithm)
        forms.check_rz_after_rx(ENGINE)


# Random weights


@pytest.mark.parametrize(
    ("module", "check"),
    [(gradient, forms.check_ry), (sampling, forms.check_rx)],
    ids=["gradients", "states"],
)
def test_half_the_range_of_weights_is_found(monkeypatch, module, check):
    genuine = sampling.draw_weights
    with must_fail(check, ENGINE):
        monkeypatch.setattr(module, "draw_weights", lambda *some: genuine(*some) / 2)
        check(ENGINE)


# Expressibility


def sim75_by_centres(values, n_qubits):
    """The Haar density in the middle of each bin times its width, instead of its mass."""
    centres = (np.arange(BINS) + 0.5) / BINS
    dimension = 2.0**n_qubits
    log_masses = np.log((dimension - 1) / BINS) + (dimension - 2) * np.log1p(-centres)
    return fidelity._divergence(values, BINS, log_masses)


@pytest.mark.parametrize("n_qubits", [2, 3, 4])
def test_bin_centres_for_bin_masses_are_found(monkeypatch, n_qubits):
    # An idle circuit tells: between states that are not near one another, centres are nearly as good.
    with must_fail(forms.check_idle, ENGINE, n_qubits):
        monkeypatch.setattr(fidelity, "sim75", sim75_by_centres)
        forms.check_idle(ENGINE, n_qubits)


def reversed_divergence(values, n_bins, log_masses):
    """KL(Haar ‖ circuit) over the bins that are occupied."""
    counts = np.bincount(np.minimum((values * n_bins).astype(np.int64), n_bins - 1), minlength=n_bins)
    p, q = counts[counts > 0] / len(values), np.exp(log_masses[counts > 0])
    genuine = GENUINE_DIVERGENCE(values, n_bins, log_masses)
    return dataclasses.replace(genuine, value=float(q @ np.log(q / p)))


GENUINE_DIVERGENCE = fidelity._divergence


def test_the_other_direction_of_the_divergence_is_found(monkeypatch):
    with must_fail(forms.check_rx, ENGINE):
        monkeypatch.setattr(fidelity, "_divergence", reversed_divergence)
        forms.check_rx(ENGINE)


def test_a_bias_that_is_left_in_is_found(monkeypatch):
    genuine = fidelity.haar_quantile

    def uncorrected(values, n_qubits):
        found = genuine(values, n_qubits)
        return dataclasses.replace(found, value=found.value + (BINS - 1) / (2 * len(values)))

    with must_fail(forms.check_haar_reads_zero_on_average):
        monkeypatch.setattr(fidelity, "haar_quantile", uncorrected)
        forms.check_haar_reads_zero_on_average()


def test_a_wrong_exponent_of_haar_is_found(monkeypatch):
    def one_too_many(values, n_qubits):
        with np.errstate(divide="ignore"):
            u = -np.expm1(2.0**n_qubits * np.log1p(-values))
        raw = GENUINE_DIVERGENCE(u, BINS, np.full(BINS, -np.log(BINS)))
        return dataclasses.replace(raw, value=raw.value - (BINS - 1) / (2 * len(values)))

    with must_fail(forms.check_haar, ENGINE, 2):
        monkeypatch.setattr(fidelity, "haar_quantile", one_too_many)
        forms.check_haar(ENGINE, 2)


def test_an_overlap_that_is_not_squared_is_found(monkeypatch):
    genuine = fidelity.fidelities
    with must_fail(forms.check_haar, ENGINE, 2):
        monkeypatch.setattr(fidelity, "fidelities", lambda *some: np.sqrt(genuine(*some)))
        forms.check_haar(ENGINE, 2)


# Frame potential

REAL = (layers(2, ("ry",), 20, "cx"), {1: 1 / 4, 2: 1 / 8})


def test_half_the_power_in_a_frame_potential_is_found(monkeypatch):
    genuine = frame._of_order
    with must_fail(forms.check_frame_potentials, ENGINE, *REAL):
        monkeypatch.setattr(frame, "_of_order", lambda values, *some: genuine(np.sqrt(values), *some))
        forms.check_frame_potentials(ENGINE, *REAL)


def test_the_frame_potential_of_wide_circuits_for_haar_is_found(monkeypatch):
    with must_fail(forms.check_haar, ENGINE, 2):
        monkeypatch.setattr(frame, "haar_frame_potential", lambda n, t: math.factorial(t) / 2.0 ** (n * t))
        forms.check_haar(ENGINE, 2)


# Entangling capability


@pytest.mark.parametrize(("circuit", "q"), [(ghz(3), 1.0), (w_state(4), 0.75)], ids=["ghz", "w"])
def test_a_missing_factor_of_meyer_and_wallach_is_found(monkeypatch, circuit, q):
    genuine = entanglement.meyer_wallach
    with must_fail(forms.check_entanglement, ENGINE, circuit, q):
        monkeypatch.setattr(entanglement, "meyer_wallach", lambda states: genuine(states) / 2)
        forms.check_entanglement(ENGINE, circuit, q)


def test_one_wire_for_the_mean_over_wires_is_found(monkeypatch):
    def first_wire(states):
        halves = states.reshape(states.shape[0], 2, -1)
        rho = halves @ halves.mH
        return 2.0 * (1.0 - (rho @ rho).diagonal(dim1=1, dim2=2).sum(1).real)

    # A Bell pair beside two wires that nothing entangles: half of all wires.
    circuit = dataclasses.replace(ghz(2), qubits=4)
    with must_fail(forms.check_entanglement, ENGINE, circuit, 0.5):
        monkeypatch.setattr(entanglement, "meyer_wallach", first_wire)
        forms.check_entanglement(ENGINE, circuit, 0.5)


# Quantum Fisher information


def test_a_global_phase_that_is_left_in_the_fisher_information_is_found(monkeypatch):
    sphere = layers(1, ("rx", "rz", "rx"), 1)
    with must_fail(forms.check_fisher_rank, ENGINE, sphere, 2):
        monkeypatch.setattr(np, "outer", lambda a, b: np.zeros((len(a), len(b))))
        forms.check_fisher_rank(ENGINE, sphere, 2)


def test_a_missing_factor_of_the_fisher_information_is_found(monkeypatch):
    genuine = fisher._jacobian
    case = (ENGINE, layers(2, ("ry",), 1), [1.0, 1.0])
    with must_fail(forms.check_fisher_spectrum, *case):
        monkeypatch.setattr(fisher, "_jacobian", lambda *some: genuine(*some) / 2)
        forms.check_fisher_spectrum(*case)


def test_controlled_gates_taken_for_rotations_are_found(monkeypatch):
    circuit = layers(1, (), 0)
    operations = (Operation("ry", (0,), Angle(1.0)), Operation("crx", (0, 1), Angle(weight=0)))
    circuit = dataclasses.replace(circuit, qubits=2, operations=operations)
    case = (ENGINE, circuit, [math.sin(0.5) ** 2])
    with must_fail(forms.check_fisher_spectrum, *case):
        monkeypatch.setattr(fisher, "_CONTROLLED", fisher._ROTATION)
        forms.check_fisher_spectrum(*case)
