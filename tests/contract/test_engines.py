"""The contract of `nas.engines.base`, run against every engine."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from engines import CASES, TOLERANCE, make_case

from nas.circuits import AMPLITUDE, GATES, Angle, Circuit, Operation
from nas.engines import Engine, make_engine
from nas.errors import CircuitTooWide
from nas.spec.limits import ENGINE_QUBITS

ROUNDING = {"complex128": 1e-12, "complex64": 1e-6}  # a few gates
STEP = {"complex128": 1e-5, "complex64": 1e-2}  # of a central difference; rounding is divided by it
FINITE_DIFFERENCE = {"complex128": 1e-6, "complex64": 1e-3}

PAULI = {
    "i": np.eye(2),
    "x": np.array([[0, 1], [1, 0]]),
    "y": np.array([[0, -1j], [1j, 0]]),
    "z": np.diag([1, -1]),
}
FIXED = {
    "h": np.array([[1, 1], [1, -1]]) / math.sqrt(2),
    "x": PAULI["x"],
    "y": PAULI["y"],
    "z": PAULI["z"],
    "s": np.diag([1, 1j]),
    "t": np.diag([1, np.exp(0.25j * math.pi)]),
    "sx": np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2,
    "swap": np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]),
}
THETA = 0.7


@pytest.fixture(params=CASES)
def engine(request) -> Engine:
    return make_case(request.param)


def rows(*values):
    return torch.tensor(values, dtype=torch.float64)


NOTHING = torch.zeros(1, 0, dtype=torch.float64)
Z0 = ((("z", 0),),)


def rotation(word):
    matrix = np.eye(1)
    for axis in word:
        matrix = np.kron(matrix, PAULI[axis])
    return math.cos(THETA / 2) * np.eye(len(matrix)) - 1j * math.sin(THETA / 2) * matrix


def controlled(matrix):
    size = len(matrix)
    found = np.eye(2 * size, dtype=complex)
    found[size:, size:] = matrix
    return found


def matrix_of(name):
    if name in FIXED:
        return FIXED[name]
    if name == "p":
        return np.diag([1, np.exp(1j * THETA)])
    if name == "ccx":
        return controlled(controlled(PAULI["x"]))
    if name in ("cx", "cz"):
        return controlled(PAULI[name[1]])
    if name.startswith("cr"):
        return controlled(rotation(name[2]))
    return rotation(name[1:])


@pytest.mark.parametrize("name", GATES)
def test_a_gate_is_its_matrix(engine, name):
    gate = GATES[name]
    wires = tuple(range(gate.n_wires))
    # A different rotation on each wire first, so that every column of the matrix is seen.
    start = [Operation("ry", (wire,), Angle(0.3 + wire)) for wire in wires]
    start += [Operation("rz", (wire,), Angle(0.5 + wire)) for wire in wires]
    before = Circuit(gate.n_wires, tuple(start), ())
    operation = Operation(name, wires, Angle(THETA) if gate.has_angle else None)
    after = Circuit(gate.n_wires, (*start, operation), ())
    expected = matrix_of(name) @ engine.states(before, NOTHING, NOTHING)[0].numpy()
    np.testing.assert_allclose(engine.states(after, NOTHING, NOTHING)[0], expected, atol=ROUNDING[engine.precision])


def test_wire_0_is_the_most_significant_bit(engine):
    state = engine.states(Circuit(3, (Operation("x", (0,)),), ()), NOTHING, NOTHING)[0]
    assert state.abs().argmax() == 4


def test_an_empty_circuit_is_the_zero_state_on_all_wires(engine):
    state = engine.states(Circuit(3, (), ()), NOTHING, NOTHING)
    assert state.tolist() == [[1, 0, 0, 0, 0, 0, 0, 0]]


def test_controls_come_first(engine):
    circuit = Circuit(2, (Operation("x", (1,)), Operation("cx", (1, 0))), ())
    assert engine.states(circuit, NOTHING, NOTHING)[0].abs().argmax() == 3


@pytest.mark.parametrize("word", ["".join(axes) for axes in product("ixyz", repeat=2) if any(a != "i" for a in axes)])
def test_an_expectation_is_that_of_the_pauli_matrix(engine, word):
    operations = [Operation("ry", (0,), Angle(0.4)), Operation("rx", (1,), Angle(1.1)), Operation("cx", (0, 1))]
    operations += [Operation("rz", (0,), Angle(0.8)), Operation("crx", (1, 0), Angle(0.9))]
    factors = tuple((axis, wire) for wire, axis in enumerate(word) if axis != "i")
    circuit = Circuit(2, tuple(operations), (factors,))
    state = engine.states(circuit, NOTHING, NOTHING)[0].numpy()
    expected = (state.conj() @ np.kron(PAULI[word[0]], PAULI[word[1]]) @ state).real
    assert engine.expectations(circuit, NOTHING, NOTHING).item() == pytest.approx(
        expected, abs=ROUNDING[engine.precision]
    )


def test_z_after_ry_is_the_cosine(engine):
    circuit = Circuit(1, (Operation("ry", (0,), Angle(weight=0)),), Z0)
    weights = rows([0.3], [1.9]).requires_grad_()
    found = engine.expectations(circuit, weights, NOTHING)
    np.testing.assert_allclose(found.detach()[:, 0], np.cos([0.3, 1.9]), atol=ROUNDING[engine.precision])


def test_the_gradient_of_z_after_ry_is_minus_the_sine(engine):
    circuit = Circuit(1, (Operation("ry", (0,), Angle(weight=0)),), Z0)
    weights = rows([0.3], [1.9]).requires_grad_()
    engine.expectations(circuit, weights, NOTHING).sum().backward()
    np.testing.assert_allclose(weights.grad[:, 0], -np.sin([0.3, 1.9]), atol=ROUNDING[engine.precision])


def test_a_shared_weight_collects_all_its_gates_with_their_scales(engine):
    gates = (Operation("ry", (0,), Angle(weight=0)), Operation("ry", (0,), Angle(2.0, weight=0)))
    weights = rows([0.3]).requires_grad_()
    engine.expectations(Circuit(1, gates, Z0), weights, NOTHING).sum().backward()
    assert weights.grad.item() == pytest.approx(-3.0 * math.sin(0.9), abs=ROUNDING[engine.precision])


def test_a_product_of_features_is_differentiated_by_both(engine):
    circuit = Circuit(1, (Operation("rx", (0,), Angle(features=(0, 1))),), Z0)
    features = rows([0.5, 0.0], [0.5, 1.2]).requires_grad_()
    engine.expectations(circuit, NOTHING, features).sum().backward()
    expected = [[0.0, 0.0], [-1.2 * math.sin(0.6), -0.5 * math.sin(0.6)]]
    np.testing.assert_allclose(features.grad, expected, atol=ROUNDING[engine.precision])


def test_an_unread_weight_has_gradient_zero(engine):
    circuit = Circuit(1, (Operation("ry", (0,), Angle(weight=2)),), Z0)
    weights = rows([0.1, 0.2, 0.3]).requires_grad_()
    engine.expectations(circuit, weights, NOTHING).sum().backward()
    assert weights.grad[0, :2].tolist() == [0.0, 0.0]


def test_one_row_of_weights_stands_for_all_rows_of_features(engine):
    gates = (Operation("rx", (0,), Angle(features=(0,))), Operation("ry", (0,), Angle(weight=0)))
    circuit, features = Circuit(1, gates, Z0), rows([0.1], [0.2], [0.3])
    shared = engine.expectations(circuit, rows([0.7]), features)
    apart = engine.expectations(circuit, rows([0.7], [0.7], [0.7]), features)
    np.testing.assert_allclose(shared, apart, atol=ROUNDING[engine.precision])


def test_rows_that_nothing_depends_on_are_all_given(engine):
    circuit = Circuit(1, (Operation("ry", (0,), Angle(weight=0)),), Z0)
    features = torch.zeros(3, 2, dtype=torch.float64)
    assert engine.expectations(circuit, rows([0.7]), features).shape == (3, 1)


def test_states_of_shared_rows_are_all_given(engine):
    circuit = Circuit(1, (Operation("ry", (0,), Angle(weight=0)),), Z0)
    assert engine.states(circuit, rows([0.7]), torch.zeros(3, 0, dtype=torch.float64)).shape == (3, 2)


def amplitude_circuit():
    gates = (
        Operation(AMPLITUDE, (2, 0), features=(0, 2)),
        Operation("ry", (1,), Angle(weight=0)),
        Operation("cx", (0, 1)),
        Operation("rx", (2,), Angle(features=(2,))),
    )
    return Circuit(3, gates, ((("z", 0),), (("x", 1), ("y", 2))))


def test_amplitudes_are_padded_and_normalised(engine):
    circuit = Circuit(2, (Operation(AMPLITUDE, (0, 1), features=(0, 2)),), ())
    state = engine.states(circuit, NOTHING, rows([2.0, 0.0, -2.0]))
    np.testing.assert_allclose(state, [[math.sqrt(0.5), 0, -math.sqrt(0.5), 0]], atol=ROUNDING[engine.precision])


def test_amplitudes_follow_the_order_of_their_wires(engine):
    circuit = Circuit(2, (Operation(AMPLITUDE, (1, 0), features=(0, 1)),), ())
    assert engine.states(circuit, NOTHING, rows([0.0, 1.0]))[0].abs().argmax() == 2


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e300])
def test_a_vector_of_any_size_is_prepared(engine, size):
    circuit = Circuit(1, (Operation(AMPLITUDE, (0,), features=(0, 1)),), ())
    expected = [1.0, 0.0] if size == 0.0 else [math.sqrt(0.5), math.sqrt(0.5)]
    np.testing.assert_allclose(
        engine.states(circuit, NOTHING, rows([size, size]))[0], expected, atol=ROUNDING[engine.precision]
    )


def test_gradients_through_amplitudes_are_finite_differences(engine):
    circuit, weights = amplitude_circuit(), rows([0.4], [0.8])
    features = rows([0.3, -0.7, 0.5], [1.3, 0.2, -0.1])

    def cost(x):
        return (engine.expectations(circuit, weights, x) * rows([1.0, -0.6])).sum()

    (found,) = torch.autograd.grad(cost(features.requires_grad_()), features)
    width = STEP[engine.precision]
    for row, column in product(range(2), range(3)):
        step = torch.zeros_like(features)
        step[row, column] = width
        with torch.no_grad():
            slope = (cost(features + step) - cost(features - step)).item() / (2 * width)
        assert found[row, column].item() == pytest.approx(slope, abs=FINITE_DIFFERENCE[engine.precision])


def test_a_zero_vector_of_amplitudes_has_a_finite_gradient(engine):
    features = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    engine.expectations(amplitude_circuit(), rows([0.4]), features).sum().backward()
    assert features.grad.isfinite().all()


def test_the_same_call_gives_the_same_bits(engine):
    circuit, weights, features = amplitude_circuit(), rows([0.4]), rows([0.3, -0.7, 0.5])
    first = engine.expectations(circuit, weights, features)
    assert torch.equal(first, make_engine(engine.name, engine.precision).expectations(circuit, weights, features))


def test_states_have_the_precision_and_expectations_are_double(engine):
    circuit, weights, features = amplitude_circuit(), rows([0.4]), rows([0.3, -0.7, 0.5])
    assert engine.states(circuit, weights, features).dtype == getattr(torch, engine.precision)
    assert engine.expectations(circuit, weights, features).dtype == torch.float64


def test_sums_over_many_amplitudes_are_exact(engine):
    # In phase, 2^14 amplitudes add up to 1: single precision loses 1e-4 if they are added one by one.
    gates = [Operation("h", (wire,)) for wire in range(14)]
    gates += [Operation("rz", (wire,), Angle(weight=0)) for wire in range(14)]
    circuit = Circuit(14, tuple(gates), tuple((("x", wire),) for wire in range(14)))
    found = engine.expectations(circuit, rows([0.1]), NOTHING)
    np.testing.assert_allclose(found, np.full((1, 14), math.cos(0.1)), atol=TOLERANCE[engine.precision])


def test_a_large_angle_is_as_exact_as_a_small_one(engine):
    # 1e4 full turns of a rotation; single precision has only four digits behind its comma.
    circuit = Circuit(1, (Operation("ry", (0,), Angle(weight=0)),), Z0)
    turned = engine.expectations(circuit, rows([0.3 + 4e4 * math.pi]), NOTHING)
    assert turned.item() == pytest.approx(math.cos(0.3), abs=10 * ROUNDING[engine.precision])


def test_global_generators_are_left_alone(engine):
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002  # the global one is the subject
    make_engine(engine.name, engine.precision).states(amplitude_circuit(), rows([0.4]), rows([0.3, -0.7, 0.5]))
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def test_a_circuit_beyond_the_engine_is_refused(engine):
    wide = Circuit(ENGINE_QUBITS[engine.name] + 1, (), Z0)
    with pytest.raises(CircuitTooWide, match=r"holds at most \d+ qubits"):
        engine.states(wide, NOTHING, NOTHING)


def test_missing_weights_are_refused(engine):
    circuit = Circuit(1, (Operation("ry", (0,), Angle(weight=1)),), Z0)
    with pytest.raises(ValueError, match=r"weights must be float64 of shape \(…, 2\)"):
        engine.expectations(circuit, rows([0.1]), NOTHING)


def test_rows_that_do_not_fit_are_refused(engine):
    with pytest.raises(ValueError, match=r"weights \(2,\) do not fit runs of features \(3,\)"):
        engine.states(Circuit(1, (), Z0), torch.zeros(2, 0).double(), torch.zeros(3, 0).double())


def test_info_names_engine_precision_device_and_versions(engine):
    info = engine.info.to_json()
    device = "gpu" if engine.name.endswith("gpu") else "cpu"
    assert (info["name"], info["precision"], info["device"]) == (engine.name, engine.precision, device)
    assert "torch" in info["versions"]
