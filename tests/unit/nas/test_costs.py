"""Exact costs, counted by hand."""

import subprocess
import sys

import pytest

from nas.circuits import AMPLITUDE, Angle, Architecture, Circuit, Operation
from nas.metrics.costs import circuit_costs, circuit_depth, exact_costs, flops, quantum_flops
from nas.metrics.static import Description, static_measurement
from nas.space import SearchSpace
from nas.spec import METRICS, parse_spec
from nas.spec.settings import MetricSettings


def architecture(mode="full-hybrid", **space):
    genes = {"qubits": 2, "layers": 2, "topology": "linear", "entangler": "crz"}
    genes |= {"pre_layers": [[8]], "post_layers": [[5, 3]]} if mode != "pure-quantum" else {}
    spec = parse_spec(
        {
            "name": "costs",
            "dataset": {"name": "iris"},
            "space": genes | space,
            "training": {"mode": mode},
            "objectives": [{"metric": "validation_accuracy"}],
        }
    )
    return Architecture.build(SearchSpace.from_spec(spec).decode({}), spec)


def test_every_metric_that_is_always_measured_is_there():
    assert set(exact_costs(architecture())) == {name for name, info in METRICS.items() if info.is_always_measured}


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("qubits", 2),
        ("layers", 2),
        ("circuit_depth", 1 + 3 + 3),  # encoding, then RY, RZ and CRZ of each layer
        ("gates", 2 + 2 * 5),
        ("two_qubit_gates", 2),
        ("quantum_parameters", 2 * 5),
        ("classical_parameters", (4 * 8 + 8) + (8 * 2 + 2) + (2 * 5 + 5) + (5 * 3 + 3) + (3 * 3 + 3)),
    ],
)
def test_a_small_hybrid_is_counted(metric, value):
    assert exact_costs(architecture())[metric] == value


def test_a_pure_circuit_has_no_classical_parameters():
    pure = architecture("pure-quantum", observable="xyz-all")
    assert exact_costs(pure)["classical_parameters"] == 0


def test_depth_counts_the_longest_chain():
    gates = (Operation("h", (0,)), Operation("cx", (0, 1)), Operation("h", (2,)), Operation("cx", (2, 3)))
    assert circuit_depth(Circuit(4, (*gates, Operation("x", (3,))), ())) == 3


def test_an_empty_circuit_has_depth_zero():
    assert circuit_depth(Circuit(2, (), ())) == 0


def test_preparation_is_an_operation_but_no_two_qubit_gate():
    found = circuit_costs(Circuit(2, (Operation(AMPLITUDE, (0, 1), features=(0, 3)),), ()))
    assert (found["gates"], found["two_qubit_gates"], found["circuit_depth"]) == (1, 0, 1)


def test_a_toffoli_is_no_two_qubit_gate():
    assert circuit_costs(Circuit(3, (Operation("ccx", (0, 1, 2)),), ()))["two_qubit_gates"] == 0


def test_flops_of_one_rotation_are_the_formula():
    # N = 2: gate 14·2, expectation 8·2; backward two gates, one derivative (28 + 16), one observable 4·2.
    circuit = Circuit(1, (Operation("ry", (0,), Angle(weight=0)),), ((("z", 0),),))
    assert quantum_flops(circuit) == (28 + 16, 56 + 44 + 8)


def test_flops_of_a_controlled_gate_are_those_of_half_the_amplitudes():
    assert quantum_flops(Circuit(2, (Operation("cx", (0, 1)),), ()))[0] == 14 * 2


def test_flops_of_a_constant_angle_have_no_derivative():
    assert quantum_flops(Circuit(1, (Operation("ry", (0,), Angle(0.3)),), ())) == (28, 56)


def test_classical_flops_are_the_formula():
    found = flops(architecture())
    products = 4 * 8 + 8 * 2 + 2 * 5 + 5 * 3 + 3 * 3
    activations = 8 + 2 + 5 + 3
    assert (found.classical_forward, found.classical_backward) == (
        2 * products + activations,
        4 * products + activations,
    )


def test_flops_are_the_sum_of_their_parts():
    parts = flops(architecture())
    expected = parts.classical_forward + parts.classical_backward + parts.quantum_forward + parts.quantum_backward
    assert exact_costs(architecture())["flops"] == expected


def test_flops_are_told_apart():
    network = architecture()
    found = static_measurement("flops", Description(network.circuit, MetricSettings(), network))
    assert sum(found.details.values()) == found.value
    assert set(found.details) == {"classical_forward", "classical_backward", "quantum_forward", "quantum_backward"}


def test_costs_load_no_simulator():
    program = (
        "import sys, nas.metrics.static, nas.metrics.expected_success, nas.metrics.shots_for_gradient\n"
        "import nas.circuits.drawing, nas.circuits.pennylane_source\n"
        "print([m for m in ('numpy', 'pennylane', 'torch') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
