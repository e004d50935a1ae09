"""Every closed form of science.md, on every engine at each of its precisions; widths that only `batched` does quickly
are left to it. lightning.gpu is skipped where there is no card."""

import math

import closed_forms as forms
import pytest
from engines import CASES, make_case
from known_circuits import ghz, layers, rotation, w_state, z_word

from nas.circuits import Angle, Circuit, Operation


@pytest.fixture(params=CASES, scope="module")
def engine(request):
    return make_case(request.param)


def quick(engine, n_qubits, most):
    """Skips widths that this engine would take long for."""
    if engine.name == "batched":
        most = 8 if engine.precision == "complex128" else 5
    if n_qubits > most:
        pytest.skip(f"{engine.name} in {engine.precision} is asked for up to {most} qubits")


# Numbers as science.md prints them, so that a wrong formula in both places is seen.


@pytest.mark.parametrize(("n_qubits", "value"), [(1, 4.3175), (2, 12.9525), (3, 30.2224), (4, 64.7623)])
def test_an_idle_circuit_in_sim75(engine, n_qubits, value):
    assert (2**n_qubits - 1) * math.log(75) == pytest.approx(value, abs=1e-4)
    forms.check_idle(engine, n_qubits)


def test_one_rx_in_75_bins(engine):
    forms.check_rx(engine)


def test_one_rx_in_the_continuum(engine):
    quick(engine, 1, 0)
    forms.check_rx_continuum(engine)


@pytest.mark.parametrize(
    ("n_qubits", "sim75", "haar_quantile"),
    [
        (2, 0.0331, 0.032),
        (3, 0.1110, 0.108),
        (4, 0.19437, 0.215),
        (5, 0.2411, None),
        (6, None, 0.482),
        (8, None, 0.780),
    ],
)
def test_a_product_of_haar_qubits(engine, n_qubits, sim75, haar_quantile):
    exact = forms.product_distribution(n_qubits)
    for value, edges in ((sim75, forms.sim75_edges()), (haar_quantile, forms.quantile_edges(n_qubits))):
        if value is not None:
            assert forms.exact_divergence(exact, edges, n_qubits) == pytest.approx(value, abs=1e-3)
    quick(engine, n_qubits, 3)
    forms.check_product(engine, n_qubits)


@pytest.mark.parametrize(
    ("n_qubits", "sim75", "haar_quantile"),
    [(1, 0.1961, 0.196), (2, 0.1771, 0.181), (3, 0.1472, 0.180), (4, 0.11547, 0.180)],
)
def test_deep_real_circuits(engine, n_qubits, sim75, haar_quantile):
    exact = forms.real_distribution(n_qubits)
    assert forms.exact_divergence(exact, forms.sim75_edges(), n_qubits) == pytest.approx(sim75, abs=1e-4)
    edges = forms.quantile_edges(n_qubits)
    assert forms.exact_divergence(exact, edges, n_qubits) == pytest.approx(haar_quantile, abs=1e-3)
    quick(engine, n_qubits, 3)
    forms.check_real(engine, n_qubits)


@pytest.mark.parametrize("n_qubits", [1, 2, 3, 5])
def test_moments_and_frame_potentials_of_haar(engine, n_qubits):
    quick(engine, n_qubits, 3)
    forms.check_haar(engine, n_qubits)


@pytest.mark.parametrize(
    ("circuit", "moments"),
    [
        pytest.param(layers(2, (), 0), {1: 1.0, 2: 1.0, 3: 1.0}, id="idle"),
        pytest.param(layers(1, ("rx",), 1), {1: 1 / 2, 2: 3 / 8, 3: 5 / 16}, id="rx"),
        pytest.param(layers(3, ("rz", "ry"), 12), {1: 2.0**-3, 2: 3.0**-3}, id="product"),
        pytest.param(layers(2, ("ry",), 20, "cx"), {1: 1 / 4, 2: 3 / (4 * 6)}, id="real"),
    ],
)
def test_frame_potentials_of_known_fidelities(engine, circuit, moments):
    forms.check_frame_potentials(engine, circuit, moments)


@pytest.mark.parametrize("n_qubits", [2, 3, 5])
def test_product_states_have_no_entanglement(engine, n_qubits):
    forms.check_entanglement(engine, layers(n_qubits, ("ry", "rz"), 1), 0.0)


@pytest.mark.parametrize("n_qubits", [2, 3, 5])
def test_ghz_states_have_all(engine, n_qubits):
    forms.check_entanglement(engine, ghz(n_qubits), 1.0)


@pytest.mark.parametrize("n_qubits", [2, 3, 4, 5])
def test_w_states(engine, n_qubits):
    forms.check_entanglement(engine, w_state(n_qubits), 4 * (n_qubits - 1) / n_qubits**2)


@pytest.mark.parametrize(("n_qubits", "mean"), [(2, 0.4), (3, 0.6667), (4, 0.8235), (5, 0.9091)])
def test_deep_circuits_have_the_mean_entanglement_of_haar(engine, n_qubits, mean):
    exact = (2**n_qubits - 2) / (2**n_qubits + 1)
    assert exact == pytest.approx(mean, abs=1e-4)
    quick(engine, n_qubits, 3)
    circuit = layers(n_qubits, ("rx", "ry", "rz"), 4 * n_qubits, "cz")
    forms.check_entanglement(engine, circuit, exact, n_states=forms.samples(engine, 2_000))


def test_ry_on_zero_has_gradient_variance_one_half(engine):
    forms.check_ry(engine)


def test_an_rz_after_rx_is_dead(engine):
    forms.check_rz_after_rx(engine)


@pytest.mark.parametrize(
    ("n_qubits", "word", "value"),
    [
        pytest.param(2, z_word(0), 1 / 4, id="2-Z0"),
        pytest.param(2, z_word(0, 1), 5 / 48, id="2-ZZ"),
        pytest.param(3, z_word(0, 1), 5 / 48, id="3-ZZ"),
        pytest.param(3, z_word(0, 1, 2), (5 / 12) ** 2 / 4, id="3-ZZZ"),
    ],
)
def test_mcclean_at_depth_1(engine, n_qubits, word, value):
    quick(engine, n_qubits, 2)
    forms.check_mcclean_depth_1(engine, n_qubits, word, value)


@pytest.mark.parametrize(("n_qubits", "value"), [(2, 0.0889), (4, 0.0209), (6, 0.00521), (8, 0.00130)])
def test_mcclean_at_depth_10n(engine, n_qubits, value):
    exact = 2**n_qubits / (4**n_qubits - 1) / 3
    assert exact == pytest.approx(value, abs=1e-4)
    quick(engine, n_qubits, 2)
    n_circuits = 30 if n_qubits < 6 else 15
    forms.check_random_mcclean(
        engine, n_qubits, 10 * n_qubits, z_word(0, 1), exact, n_circuits=n_circuits, rel=forms.DEEP
    )


@pytest.mark.parametrize(
    ("n_qubits", "local", "everywhere"), [(4, 0.0477, 0.0198), (6, 0.0461, 0.0049), (8, 0.0462, 0.0012)]
)
def test_local_and_global_costs_part_at_depth_10(engine, n_qubits, local, everywhere):
    quick(engine, n_qubits, 3)
    for word, value in ((z_word(0, 1), local), (z_word(*range(n_qubits)), everywhere)):
        forms.check_random_mcclean(engine, n_qubits, 10, word, value, n_circuits=30)


def test_a_parameter_between_two_2_designs(engine):
    forms.check_between_2_designs(engine)


@pytest.mark.parametrize("n_qubits", [2, 4])
def test_cerezos_global_cost_decays_exponentially(engine, n_qubits):
    forms.check_cerezo_global(engine, n_qubits)


@pytest.mark.parametrize("n_qubits", [2, 4])
def test_cerezos_local_cost_decays_polynomially(engine, n_qubits):
    forms.check_cerezo_local(engine, n_qubits)


@pytest.mark.parametrize(
    ("circuit", "rank"),
    [
        pytest.param(layers(3, ("ry",), 1), 3, id="product"),
        pytest.param(layers(1, ("rx", "rz", "rx"), 1), 2, id="sphere"),
        pytest.param(layers(1, ("rz", "rz"), 1), 0, id="phases"),
        pytest.param(layers(2, ("rx", "rz"), 3, "cx"), 6, id="deep"),  # 2N - 2 of twelve weights
        pytest.param(layers(2, ("ry",), 4, "cx"), 3, id="real"),  # N - 1 of eight
        pytest.param(layers(3, ("ry",), 4, "cx"), 7, id="real-3"),
    ],
)
def test_the_rank_of_the_fisher_information(engine, circuit, rank):
    forms.check_fisher_rank(engine, circuit, rank)


HALF = Operation("ry", (0,), Angle(math.pi / 2))


@pytest.mark.parametrize(
    ("circuit", "spectrum"),
    [
        pytest.param(layers(2, ("ry",), 1), [1.0, 1.0], id="two-ry"),
        pytest.param(Circuit(1, (rotation("ry", 0, 0), rotation("ry", 0, 0)), ()), [4.0], id="shared"),
        pytest.param(Circuit(1, (Operation("ry", (0,), Angle(-0.5, weight=0)),), ()), [0.25], id="scaled"),
        # 4 Var G is the chance 1/2 of the control for G = |1><1| X/2, and 1 for G = |1><1| on |+>.
        pytest.param(Circuit(2, (HALF, Operation("crx", (0, 1), Angle(weight=0))), ()), [0.5], id="controlled"),
        pytest.param(Circuit(1, (HALF, rotation("p", 0, 0)), ()), [1.0], id="phase"),
        pytest.param(Circuit(2, (Operation("rxx", (0, 1), Angle(weight=0)),), ()), [1.0], id="two-wires"),
    ],
)
def test_the_spectrum_of_the_fisher_information(engine, circuit, spectrum):
    forms.check_fisher_spectrum(engine, circuit, spectrum)


def test_the_mean_trace_of_the_fisher_information(engine):
    forms.check_fisher_trace_of_rx_rz(engine)
