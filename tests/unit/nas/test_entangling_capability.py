"""Meyer–Wallach Q of states and circuits; closed forms on every engine are in tests/contract."""

import math

import numpy as np
import pytest
import torch
from known_circuits import layers

from nas.circuits import Angle, Circuit, Operation
from nas.engines import make_engine
from nas.metrics.entangling_capability import entangling_capability, entangling_capability_of, meyer_wallach

SIGMAS = 5.0
ROUNDING = 1e-12
ENGINE = make_engine("default.qubit")


def measured(circuit, n_states=500):
    return entangling_capability(circuit, ENGINE, n_states=n_states, rng=np.random.default_rng(1))


@pytest.mark.parametrize("n_qubits", [2, 3, 4, 5])
def test_w_states_are_known(n_qubits):
    state = torch.zeros(1, 1 << n_qubits, dtype=torch.complex128)
    state[0, [1 << wire for wire in range(n_qubits)]] = 1 / math.sqrt(n_qubits)
    assert meyer_wallach(state).item() == pytest.approx(4 * (n_qubits - 1) / n_qubits**2, abs=ROUNDING)


@pytest.mark.parametrize("n_qubits", [2, 3, 4, 5])
def test_haar_states_have_the_known_mean(n_qubits):
    normal = np.random.default_rng(n_qubits).normal(size=(2, 4_000, 1 << n_qubits))
    states = torch.from_numpy(normal[0] + 1j * normal[1])
    q = meyer_wallach(states / torch.linalg.vector_norm(states, dim=1, keepdim=True))
    exact = (2**n_qubits - 2) / (2**n_qubits + 1)
    assert q.mean().item() == pytest.approx(exact, abs=SIGMAS * q.std().item() / math.sqrt(len(q)))


def deep(n_qubits, depth):
    operations, n_weights = [], 0
    for _ in range(depth):
        for gate in ("rx", "ry", "rz"):
            for wire in range(n_qubits):
                operations.append(Operation(gate, (wire,), Angle(weight=n_weights)))
                n_weights += 1
        operations += [Operation("cz", (wire, wire + 1)) for wire in range(n_qubits - 1)]
    return Circuit(n_qubits, tuple(operations), ())


def test_a_cx_of_a_rotated_control_is_known():
    # Q = 4 det ρ = sin² θ of cos(θ/2)|00⟩ + sin(θ/2)|11⟩, with mean 1/2.
    circuit = Circuit(2, (Operation("ry", (0,), Angle(weight=0)), Operation("cx", (0, 1))), ())
    found = measured(circuit, 5_000)
    assert found.value == pytest.approx(0.5, abs=SIGMAS * found.std_error)


def test_the_error_is_that_of_the_mean_of_the_states():
    values = np.array([0.1, 0.4, 0.4, 0.7])
    found = entangling_capability_of(values, Circuit(2, (), ()), "complex128")
    assert (found.value, found.std_error) == (pytest.approx(0.4), pytest.approx(math.sqrt(0.18 / 3 / 4)))


def test_one_qubit_has_exactly_none():
    found = measured(Circuit(1, (Operation("ry", (0,), Angle(weight=0)),), ()))
    assert (found.value, found.std_error) == (0.0, None)


def test_local_rotations_at_the_end_change_nothing():
    circuit = deep(3, 2)
    longer = Circuit(3, (*circuit.operations, Operation("h", (1,)), Operation("s", (2,))), ())
    assert measured(circuit).value == pytest.approx(measured(longer).value, abs=ROUNDING)


def test_the_same_seed_gives_the_same_value():
    assert measured(deep(2, 1)) == measured(deep(2, 1))


@pytest.mark.parametrize("precision", ["complex128", "complex64"])
def test_rounding_of_a_deep_product_circuit_is_within_its_error(precision):
    # All states err to the same side, so that the spread among them does not show it.
    found = entangling_capability(
        layers(4, ("ry", "rz"), 64), make_engine("batched", precision), n_states=1_000, rng=np.random.default_rng(0)
    )
    assert 0.0 < found.value < 2 * found.std_error
