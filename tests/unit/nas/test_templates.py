"""The circuits of the literature are wired as in their papers."""

from math import gcd

import numpy as np
import pennylane as qml
import pytest
import torch

from nas.circuits import Circuit, build_circuit
from nas.engines import make_engine
from nas.metrics.costs import circuit_costs
from nas.metrics.entangling_capability import entangling_capability
from nas.metrics.expressibility import expressibility
from nas.space import Genome, SearchSpace
from nas.space.templates import FIGURES, TEMPLATES
from nas.spec import InvalidSpec, parse_spec
from nas.spec.checks import _most_gates

ENGINE = make_engine("batched")
AGREEMENT = 1e-12
N_PAIRS = 5_000
#: An order of two estimates holds if they are so many of their standard errors apart: false alarms below 1e-6.
SIGMAS = 5.0

SIM = [f"sim-{number}" for number in range(1, 20)]


def genome(template: str, qubits: int, layers: int, *, reuploading: bool = False) -> Genome:
    return Genome.canonical(
        qubits=qubits,
        layers=layers,
        encoding="angle-y",
        reuploading=reuploading,
        rotations=(),
        entangler=(),
        topology=(),
        observable="z-all",
        pre_layers=(),
        post_layers=(),
        learning_rate=None,
        template=template,
    )


def circuit(template: str, qubits: int, layers: int) -> Circuit:
    """Returns the template without an encoding."""
    whole = build_circuit(genome(template, qubits, layers), qubits)
    return Circuit(qubits, whole.operations[qubits:], whole.observables)


#: Figure 2 of the paper at four qubits, as several independent implementations of it agree: gates, then wires; of two
#: wires the control stands first. Circuit 10 has RY once in front of its layers.
FIGURE_2 = {
    1: "rx 0 1 2 3  rz 0 1 2 3",
    2: "rx 0 1 2 3  rz 0 1 2 3  cx 32 21 10",
    3: "rx 0 1 2 3  rz 0 1 2 3  crz 32 21 10",
    4: "rx 0 1 2 3  rz 0 1 2 3  crx 32 21 10",
    5: "rx 0 1 2 3  rz 0 1 2 3  crz 32 31 30 23 21 20 13 12 10 03 02 01  rx 0 1 2 3  rz 0 1 2 3",
    6: "rx 0 1 2 3  rz 0 1 2 3  crx 32 31 30 23 21 20 13 12 10 03 02 01  rx 0 1 2 3  rz 0 1 2 3",
    7: "rx 0 1 2 3  rz 0 1 2 3  crz 10 32  rx 0 1 2 3  rz 0 1 2 3  crz 21",
    8: "rx 0 1 2 3  rz 0 1 2 3  crx 10 32  rx 0 1 2 3  rz 0 1 2 3  crx 21",
    9: "h 0 1 2 3  cz 32 21 10  rx 0 1 2 3",
    10: "ry 0 1 2 3  cz 32 21 10 30  ry 0 1 2 3",
    11: "ry 0 1 2 3  rz 0 1 2 3  cx 10 32  ry 1 2  rz 1 2  cx 21",
    12: "ry 0 1 2 3  rz 0 1 2 3  cz 10 32  ry 1 2  rz 1 2  cz 21",
    13: "ry 0 1 2 3  crz 30 23 12 01  ry 0 1 2 3  crz 32 03 10 21",
    14: "ry 0 1 2 3  crx 30 23 12 01  ry 0 1 2 3  crx 32 03 10 21",
    15: "ry 0 1 2 3  cx 30 23 12 01  ry 0 1 2 3  cx 32 03 10 21",
    16: "rx 0 1 2 3  rz 0 1 2 3  crz 10 32  crz 21",
    17: "rx 0 1 2 3  rz 0 1 2 3  crx 10 32  crx 21",
    18: "rx 0 1 2 3  rz 0 1 2 3  crz 30 23 12 01",
    19: "rx 0 1 2 3  rz 0 1 2 3  crx 30 23 12 01",
}


@pytest.mark.parametrize("number", FIGURE_2)
def test_sim_circuits_have_the_gates_of_figure_2_in_their_order(number: int) -> None:
    gates: list[tuple[str, tuple[int, ...]]] = []
    gate = ""
    for word in FIGURE_2[number].split():
        if word.isdigit():
            gates.append((gate, tuple(map(int, word))))
        else:
            gate = word
    assert [(o.gate, o.wires) for o in circuit(f"sim-{number}", 4, 1).operations] == gates


#: Parameters and two-qubit gates of d layers on n qubits, as implementations quote the paper's table of costs. The
#: second ring of circuits 13 to 15 has range 3 there, which is a ring of n gates where 3 does not divide n.
COSTS = {
    1: lambda n, d: (2 * n * d, 0),
    2: lambda n, d: (2 * n * d, (n - 1) * d),
    3: lambda n, d: ((3 * n - 1) * d, (n - 1) * d),
    4: lambda n, d: ((3 * n - 1) * d, (n - 1) * d),
    5: lambda n, d: ((n * n + 3 * n) * d, (n * n - n) * d),
    6: lambda n, d: ((n * n + 3 * n) * d, (n * n - n) * d),
    7: lambda n, d: ((5 * n - 1) * d, (n - 1) * d),
    8: lambda n, d: ((5 * n - 1) * d, (n - 1) * d),
    9: lambda n, d: (n * d, (n - 1) * d),
    10: lambda n, d: (n * (d + 1), n * d),
    11: lambda n, d: ((4 * n - 4) * d, (n - 1) * d),
    12: lambda n, d: ((4 * n - 4) * d, (n - 1) * d),
    13: lambda n, d: ((3 * n + n // gcd(n, 3)) * d, (n + n // gcd(n, 3)) * d),
    14: lambda n, d: ((3 * n + n // gcd(n, 3)) * d, (n + n // gcd(n, 3)) * d),
    15: lambda n, d: (2 * n * d, (n + n // gcd(n, 3)) * d),
    16: lambda n, d: ((3 * n - 1) * d, (n - 1) * d),
    17: lambda n, d: ((3 * n - 1) * d, (n - 1) * d),
    18: lambda n, d: (3 * n * d, n * d),
    19: lambda n, d: (3 * n * d, n * d),
}


@pytest.mark.parametrize("number", COSTS)
def test_sim_circuits_cost_what_the_paper_says(number: int) -> None:
    for n_qubits, n_layers in ((4, 1), (4, 2), (4, 5), (5, 3), (7, 1), (8, 2)):
        costs = circuit_costs(circuit(f"sim-{number}", n_qubits, n_layers))
        assert (costs["quantum_parameters"], costs["two_qubit_gates"]) == COSTS[number](n_qubits, n_layers)


#: Columns of figure 2 at four qubits, each gate as far left as its wires allow.
DEPTHS = [2, 5, 5, 5, 15, 15, 6, 6, 5, 6, 6, 6, 9, 9, 9, 4, 4, 6, 6]


def test_sim_circuits_are_as_deep_as_drawn() -> None:
    assert [circuit_costs(circuit(name, 4, 1))["circuit_depth"] for name in SIM] == DEPTHS


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("n_qubits", [1, 2, 3, 6])
def test_every_template_can_be_built_on_any_number_of_qubits(name: str, n_qubits: int) -> None:
    built = circuit(name, n_qubits, 3)
    assert {wire for operation in built.operations for wire in operation.wires} == set(range(n_qubits))
    assert built.n_weights == sum(operation.angle is not None for operation in built.operations)


def test_the_catalogue_lists_the_templates_in_the_order_of_their_figures() -> None:
    assert ("layered", *FIGURES) == TEMPLATES


def test_hardware_efficient_has_the_parameters_of_kandala() -> None:
    assert [circuit("hardware-efficient", 6, depth).n_weights for depth in (1, 2, 3)] == [
        6 * (3 * depth + 2) for depth in (1, 2, 3)
    ]


def test_real_amplitudes_has_the_gates_of_qiskit() -> None:
    # RealAmplitudes(3, reps=2), whose default entanglement is reverse_linear.
    gates = " ".join(o.gate + "".join(map(str, o.wires)) for o in circuit("real-amplitudes", 3, 2).operations)
    assert gates == "ry0 ry1 ry2 cx12 cx01 ry0 ry1 ry2 cx12 cx01 ry0 ry1 ry2"


def state(built: Circuit, weights: np.ndarray) -> np.ndarray:
    found = ENGINE.bundle_states(
        [built], torch.from_numpy(weights)[None, None], torch.zeros(1, 1, 1, dtype=torch.float64)
    )
    return found[0, 0].numpy()


@pytest.mark.parametrize("n_qubits", [1, 2, 3, 4, 5])
def test_strongly_entangling_is_that_of_pennylane(n_qubits: int) -> None:
    n_layers = 4
    angles = np.random.default_rng(n_qubits).uniform(0, 2 * np.pi, (n_layers, n_qubits, 3))

    @qml.qnode(qml.device("default.qubit", wires=n_qubits))
    def theirs() -> object:
        qml.StronglyEntanglingLayers(angles, wires=range(n_qubits))
        return qml.state()

    # PennyLane's angles are ordered by wire, ours by gate.
    ours = state(circuit("strongly-entangling", n_qubits, n_layers), angles.transpose(0, 2, 1).ravel())
    assert np.abs(ours - theirs()).max() < AGREEMENT


@pytest.mark.parametrize("n_qubits", [2, 3, 4, 5])
def test_brickwork_is_the_simplified_two_design_of_pennylane(n_qubits: int) -> None:
    n_layers = 3
    rng = np.random.default_rng(n_qubits)
    first = rng.uniform(0, 2 * np.pi, n_qubits)
    angles = rng.uniform(0, 2 * np.pi, (n_layers, n_qubits - 1, 2))

    @qml.qnode(qml.device("default.qubit", wires=n_qubits))
    def theirs() -> object:
        qml.SimplifiedTwoDesign(first, angles, wires=range(n_qubits))
        return qml.state()

    ours = state(circuit("brickwork", n_qubits, n_layers), np.concatenate([first, angles.ravel()]))
    assert np.abs(ours - theirs()).max() < AGREEMENT


def entanglement(template: str, layers: int) -> tuple[float, float]:
    found = entangling_capability(circuit(template, 4, layers), ENGINE, n_states=1_000, rng=np.random.default_rng(1))
    return found.value, found.std_error or 0.0


@pytest.mark.parametrize("layers", [1, 4])
def test_circuit_1_never_entangles(layers: int) -> None:
    assert entanglement("sim-1", layers)[0] == pytest.approx(0.0, abs=AGREEMENT)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_few_layers_of_circuit_9_are_maximally_entangled(layers: int) -> None:
    # One layer is a cluster state, turned wire by wire.
    assert entanglement("sim-9", layers)[0] == pytest.approx(1.0, abs=AGREEMENT)


def test_circuit_14_entangles_more_than_circuit_16() -> None:
    # Rings of CRX against a line of CRZ, the two ends of the paper's comparison of arrangements.
    (high, error), (low, other) = entanglement("sim-14", 1), entanglement("sim-16", 1)
    assert high - low > SIGMAS * np.hypot(error, other)


@pytest.mark.parametrize("name", ["sim-10", "sim-15", "real-amplitudes", "brickwork"])
def test_templates_of_ry_and_cliffords_have_real_states(name: str) -> None:
    built = circuit(name, 4, 3)
    weights = np.random.default_rng(0).uniform(0, 2 * np.pi, built.n_weights)
    assert np.abs(state(built, weights).imag).max() < AGREEMENT


def expressibilities(*templates: str, layers: int) -> list[tuple[float, float]]:
    return [
        (found.value, found.std_error or 0.0)
        for name in templates
        for found in [
            expressibility(
                circuit(name, 4, layers), ENGINE, n_pairs=N_PAIRS, rng=np.random.default_rng(2), estimator="sim75"
            )
        ]
    ]


#: One layer, better first: CRX before CRZ in the same arrangement, as the paper's abstract says; and the extremes.
ORDERS = [("sim-6", "sim-5"), ("sim-14", "sim-13"), ("sim-4", "sim-3"), ("sim-19", "sim-18"), ("sim-14", "sim-1")]


@pytest.mark.parametrize(("better", "worse"), [*ORDERS, ("sim-6", "sim-1"), ("sim-1", "sim-9")])
def test_one_layer_is_as_expressive_beside_another_as_the_paper_says(better: str, worse: str) -> None:
    (low, error), (high, other) = expressibilities(better, worse, layers=1)
    assert high - low > SIGMAS * np.hypot(error, other)


#: Real Haar states of four qubits in `sim75`, see science.md.
REAL_FLOOR = 0.11547


def test_entanglers_at_the_very_end_that_do_not_turn_change_no_fidelity() -> None:
    one, other = expressibilities("sim-1", "sim-2", layers=1)
    assert one == pytest.approx(other, abs=AGREEMENT)


def test_deep_real_templates_reach_the_expressibility_of_real_states_and_no_more() -> None:
    for value, error in expressibilities("sim-15", "brickwork", layers=8):
        assert value == pytest.approx(REAL_FLOOR, abs=SIGMAS * error + 75 / (2 * N_PAIRS))


def test_re_uploading_stands_before_every_layer_and_what_is_once_is_there_once() -> None:
    built = build_circuit(genome("sim-10", 2, 3, reuploading=True), 2)
    gates = "".join("x" if o.angle is not None and o.angle.features else o.gate[0] for o in built.operations)
    assert gates == "xxrr" + "crr" + "xxcrr" * 2


@pytest.mark.parametrize("name", FIGURES)
def test_the_bound_on_gates_that_memory_is_checked_with_holds_for_each_template(name: str) -> None:
    for n_qubits, n_layers in ((1, 1), (2, 1), (4, 3), (9, 2)):
        space = {"qubits": n_qubits, "layers": n_layers, "template": name, "encoding": "iqp", "reuploading": True}
        spec = parse_spec(
            {"name": "t", "dataset": {"name": "iris"}, "space": space, "objectives": [{"metric": "expressibility"}]}
        )
        built = build_circuit(SearchSpace.from_spec(spec).decode({}), n_qubits)
        assert len(built.operations) <= _most_gates(spec)


def test_templates_too_large_for_a_stored_gradient_are_refused() -> None:
    space = {"qubits": 16, "layers": 10, "template": ["sim-1", "sim-6"]}
    document = {"name": "t", "dataset": {"name": "iris"}, "space": space, "objectives": [{"metric": "gates"}]}
    with pytest.raises(InvalidSpec, match="take fewer layers or qubits"):
        parse_spec({**document, "engine": "default.qubit"})
