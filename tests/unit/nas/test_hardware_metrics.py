"""What a circuit costs a device: elementary gates, routing, expected success and shots."""

from itertools import pairwise

import networkx as nx
import numpy as np
import pennylane as qml
import pytest
import torch
from known_circuits import layers, rotation

from nas.circuits import AMPLITUDE, Angle, Circuit, Operation
from nas.circuits.elementary import elementary_operations, n_elementary_pairs
from nas.engines import make_engine
from nas.errors import BeyondMetric, UndefinedMetric
from nas.metrics import routing
from nas.metrics.expected_success import expected_success
from nas.metrics.routing import coupling_graph, route
from nas.metrics.shots_for_gradient import reading_groups, shots_for_gradient
from nas.spec.settings import ErrorRates, RoutingSettings

SIGMAS = 5.0
ENGINE = make_engine("batched")


def amplitudes(*wires):
    return Operation(AMPLITUDE, wires, features=(0, (1 << len(wires)) - 1))


def states(operations, n_qubits):
    """The columns of the unitary of operations without features."""
    found = []
    for index in range(1 << n_qubits):
        flips = [Operation("x", (wire,)) for wire in range(n_qubits) if index >> (n_qubits - 1 - wire) & 1]
        circuit = Circuit(n_qubits, (*flips, *operations), ())
        none = torch.zeros(1, 0, dtype=torch.float64)
        found.append(ENGINE.states(circuit, none, none)[0].numpy())
    return np.array(found)


# Elementary gates


@pytest.mark.parametrize(
    "operation", [Operation("ccx", (0, 1, 2)), Operation("ccx", (2, 0, 1)), Operation("swap", (2, 0))]
)
def test_what_is_taken_apart_is_the_same_unitary(operation):
    taken = tuple(elementary_operations(Circuit(3, (operation,), ())))
    assert max(len(each.wires) for each in taken) == 2
    np.testing.assert_allclose(states(taken, 3), states((operation,), 3), atol=1e-12)


@pytest.mark.parametrize("wires", [(0,), (1, 0), (2, 0, 1), (0, 1, 2, 3)])
def test_a_preparation_has_the_gates_of_pennylanes(wires):
    ours = [(each.gate, each.wires) for each in elementary_operations(Circuit(4, (amplitudes(*wires),), ()))]
    values = np.random.default_rng(1).normal(size=1 << len(wires))
    theirs = qml.MottonenStatePreparation(values / np.linalg.norm(values), wires=wires).decomposition()
    names = {"RY": "ry", "CNOT": "cx"}
    # Theirs ends with the phases of complex amplitudes, which real ones with signs in RY do not need.
    assert ours == [(names[op.name], tuple(op.wires)) for op in theirs if op.name in names][: len(ours)]


@pytest.mark.parametrize(
    ("operation", "pairs"),
    [(amplitudes(0, 1, 2), 6), (amplitudes(1), 0), (Operation("ccx", (0, 1, 2)), 6), (Operation("swap", (0, 1)), 3)],
)
def test_pairs_are_counted_without_a_list(operation, pairs):
    circuit = Circuit(3, (operation, Operation("h", (0,)), Operation("cz", (0, 2))), ())
    assert n_elementary_pairs(circuit) == pairs + 1
    assert sum(len(each.wires) == 2 for each in elementary_operations(circuit)) == pairs + 1


# Routing


def chain(n_qubits):
    return Circuit(n_qubits, tuple(Operation("cx", edge) for edge in pairwise(range(n_qubits))), ())


def crossed(n_qubits):
    """Each wire with the one across, and one-qubit gates between."""
    operations = []
    for wire in range(n_qubits // 2):
        operations += [Operation("cx", (wire, n_qubits - 1 - wire)), Operation("h", (wire,))]
    return Circuit(n_qubits, (*operations, *operations), ())


@pytest.mark.parametrize("coupling", ["line", "ring", "grid", "heavy-hex", [(3, 5), (5, 8), (8, 9), (9, 4), (4, 30)]])
def test_a_chain_fits_every_device_as_it_is(coupling):
    found = route(chain(6), RoutingSettings(coupling_map=coupling))
    assert (found.two_qubit_gates, found.depth, found.swaps) == (5, 5, 0)


def test_one_swap_brings_wires_together_that_are_two_apart():
    circuit = Circuit(3, (Operation("cx", (0, 1)), Operation("cx", (1, 2)), Operation("cx", (0, 2))), ())
    found = route(circuit, RoutingSettings(coupling_map="line"))
    assert (found.two_qubit_gates, found.depth, found.swaps) == (3 + 3, 3 + 3, 1)


def test_a_triangle_needs_none():
    circuit = Circuit(3, (Operation("cx", (0, 1)), Operation("cx", (1, 2)), Operation("cx", (0, 2))), ())
    assert route(circuit, RoutingSettings(coupling_map="ring")).swaps == 0


@pytest.mark.parametrize("coupling", ["line", "grid", "heavy-hex"])
def test_a_routed_circuit_acts_on_coupled_wires_and_is_the_same_circuit(coupling, monkeypatch):
    """The gates that the router gives, run as they are, make the state of the circuit, up to where its wires ended."""
    circuit, gates, ends = crossed(6), [], []
    genuine = routing._transpiled

    def kept(operations, device, at):
        found, at = genuine(operations, device, at)
        gates.extend(found)
        ends.append(at)
        return found, at

    monkeypatch.setattr(routing, "_transpiled", kept)
    monkeypatch.setattr(routing, "_CHUNK", 3)
    route(circuit, RoutingSettings(coupling_map=coupling, trials=1))
    device = coupling_graph(coupling, 6)
    pairs = [gate for gate in gates if len(gate.wires) == 2]
    assert all(device.has_edge(*gate.wires) for gate in pairs)
    # Follow the wires of the circuit through the SWAPs: the others are its gates, in its order.
    at = {wire: start for start, wire in enumerate(routing._depth_first(device, sorted(device))[:6])}
    seen = []
    for gate in gates:
        if gate.name == "SWAP":
            a, b = gate.wires
            at[a], at[b] = at.get(b), at.get(a)
        else:
            seen.append(tuple(at[wire] for wire in gate.wires))
    assert seen == [operation.wires for operation in circuit.operations]
    assert {start: wire for wire, start in at.items() if start is not None} == {w: ends[-1][w] for w in range(6)}


@pytest.mark.parametrize("chunk", [1, 5, 1_000])
def test_lengths_of_parts_change_nothing(monkeypatch, chunk):
    expected = route(crossed(8), RoutingSettings(coupling_map="grid"))
    monkeypatch.setattr(routing, "_CHUNK", chunk)
    assert route(crossed(8), RoutingSettings(coupling_map="grid")) == expected


def test_more_placements_are_never_worse():
    found = [route(crossed(8), RoutingSettings(coupling_map="line", trials=trials)) for trials in (1, 4, 16)]
    assert found == sorted(found, reverse=True)
    assert found[0].swaps > found[-1].swaps


def test_a_seed_chooses_the_placements():
    found = {route(crossed(8), RoutingSettings(coupling_map="line", trials=2, seed=seed)) for seed in range(6)}
    assert len(found) > 1
    again = [route(crossed(8), RoutingSettings(coupling_map="line", trials=2, seed=3)) for _ in range(2)]
    assert again[0] == again[1]


@pytest.mark.parametrize(
    ("coupling", "n_qubits", "n_wires", "n_couplings"),
    [
        ("line", 5, 5, 4),
        ("ring", 5, 5, 5),
        ("ring", 2, 2, 1),
        ("ring", 1, 1, 0),
        ("grid", 6, 6, 7),
        ("grid", 7, 9, 12),
        ("heavy-hex", 1, 1, 0),
        ("heavy-hex", 5, 19, 20),
        ("heavy-hex", 28, 57, 64),
    ],
)
def test_named_devices_have_their_wires(coupling, n_qubits, n_wires, n_couplings):
    device = coupling_graph(coupling, n_qubits)
    assert (device.number_of_nodes(), device.number_of_edges()) == (n_wires, n_couplings)
    assert nx.is_connected(device)
    assert max(dict(device.degree).values()) <= {"line": 2, "ring": 2, "grid": 4, "heavy-hex": 3}[coupling]


def test_preparation_of_amplitudes_is_routed_too():
    circuit = Circuit(3, (amplitudes(0, 1, 2),), ())
    assert route(circuit, RoutingSettings(coupling_map="ring")).two_qubit_gates == 6


@pytest.mark.parametrize(
    ("circuit", "coupling", "message"),
    [
        (layers(2, (), 2_001, "cx"), "line", "at most 2000 gates on two wires, and the circuit has 2001"),
        (Circuit(16, (amplitudes(*range(16)),), ()), "line", "the circuit has 65534, preparation"),
        (chain(4), [(0, 1), (1, 2)], "4 qubits do not fit a device of 3 wires"),
    ],
)
def test_what_is_too_large_to_route_is_refused(circuit, coupling, message):
    with pytest.raises(BeyondMetric, match=message):
        route(circuit, RoutingSettings(coupling_map=coupling))


def test_a_circuit_without_gates_has_depth_zero():
    assert route(Circuit(3, (), ()), RoutingSettings()).depth == 0


# Expected success

RATES = ErrorRates(one_qubit=0.1, two_qubit=0.2, readout=0.3)


@pytest.mark.parametrize(
    ("operations", "words", "value"),
    [
        ((), (), 1.0),
        ((Operation("h", (0,)),), (), 0.9),
        ((Operation("cx", (0, 1)), Operation("crx", (0, 1), Angle(0.3))), (), 0.8**2),
        ((), ((("z", 0), ("z", 1)), (("x", 1),)), 0.7**2),
        ((Operation("swap", (0, 1)),), (), 0.8**3),
        ((Operation("ccx", (0, 1, 2)),), (), 0.9**9 * 0.8**6),
        ((amplitudes(0, 1, 2),), (), 0.9**7 * 0.8**6),
    ],
)
def test_success_is_the_product_over_gates_and_wires_read(operations, words, value):
    found = expected_success(Circuit(3, operations, words), RATES)
    assert found.value == pytest.approx(value, rel=1e-12)
    assert found.std_error is None


def test_a_wire_that_several_words_name_is_read_once():
    words = ((("x", 0),), (("y", 0),), (("z", 0),), (("z", 0), ("z", 1)))
    rates = ErrorRates(one_qubit=0.0, two_qubit=0.0, readout=0.1)
    assert expected_success(Circuit(3, (), words), rates).value == pytest.approx(0.9**2)


def test_success_is_no_sum_of_errors():
    gates = tuple(Operation("cx", (0, 1)) for _ in range(20))
    assert expected_success(Circuit(2, gates, ()), RATES).value > 0.0 > 1 - 20 * 0.2


def test_nothing_fails_at_rates_of_zero():
    none = ErrorRates(one_qubit=0.0, two_qubit=0.0)
    assert expected_success(layers(3, ("rx",), 4, "cx"), none).value == 1.0


# Shots


def shots(*operations, words=((("z", 0),),), error=0.1):
    return shots_for_gradient(Circuit(3, operations, words), error).value


@pytest.mark.parametrize(
    ("operations", "value"),
    [
        ((), 0),
        ((Operation("ry", (0,), Angle(0.3)),), 0),
        ((rotation("ry", 0, 0),), 100),
        ((rotation("ry", 0, 0), rotation("rz", 0, 1)), 200),
        ((rotation("ry", 0, 0), rotation("ry", 1, 0)), 400),  # they share a weight, so their errors add up
        ((Operation("ry", (0,), Angle(-0.5, weight=0)),), 25),
    ],
)
def test_shots_are_the_formula(operations, value):
    assert shots(*operations) == value


def test_half_the_error_takes_four_times_the_shots():
    assert shots(rotation("ry", 0, 0), error=0.05) == 400


@pytest.mark.parametrize(
    ("words", "n_groups"),
    [
        ([(("z", 0),), (("z", 1),), (("z", 0), ("z", 1))], 1),
        ([(("x", 0),), (("y", 0),), (("z", 0),)], 3),
        ([(("x", 0),), (("z", 1),)], 1),
        ([(("x", 0), ("z", 1)), (("z", 0),), (("z", 1), ("y", 2))], 2),
    ],
)
def test_words_that_agree_are_read_together(words, n_groups):
    circuit = Circuit(3, (rotation("ry", 0, 0),), tuple(words))
    assert len(reading_groups(circuit)) == n_groups
    assert shots_for_gradient(circuit, 0.1).value == 100 * n_groups


def test_a_circuit_without_observable_has_no_gradient():
    with pytest.raises(UndefinedMetric, match="needs an observable"):
        shots(rotation("ry", 0, 0), words=())


def test_a_scale_beyond_all_numbers_is_refused():
    with pytest.raises(UndefinedMetric, match="too large"):
        shots(Operation("ry", (0,), Angle(1e308, weight=0)))


def test_so_many_shots_do_give_the_error():
    """RY at 0, where both shifted expectations are 0 and the bound is reached: 100 shots a gradient, error 0.1."""
    ahead, behind = (2 * np.random.default_rng(seed).binomial(50, 0.5, 20_000) / 50 - 1 for seed in (1, 2))
    assert ((ahead - behind) / 2).std() == pytest.approx(0.1, rel=0.03)  # known to 0.5 %


@pytest.mark.parametrize("frequencies", [(1.0,), (0.5, 1.0)])
def test_coefficients_of_shift_rules_sum_to_one(frequencies):
    """Of a rotation, and of a controlled one: the reason why both take as many shots."""
    assert np.abs(qml.gradients.generate_shift_rule(frequencies)[:, 0]).sum() == pytest.approx(1.0)
