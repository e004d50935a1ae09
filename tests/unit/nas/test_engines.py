"""Engines beside one another, and what belongs to one of them."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas.circuits import AMPLITUDE, GATES, Angle, Circuit, Operation
from nas.engines import default_qubit, lightning, make_engine
from nas.errors import EngineUnavailable

N_QUBITS, N_WEIGHTS, N_FEATURES, N_ROWS = 3, 3, 4, 2
#: Two simulators that apply up to 12 gates in double precision.
AGREEMENT = 1e-11

real = st.floats(-3, 3).map(lambda value: round(value, 3))
scale = st.sampled_from([1.0, -1.0, 0.5, 3.14159])
angle = st.one_of(
    st.builds(Angle, real),
    st.builds(lambda s, w: Angle(s, weight=w), scale, st.integers(0, N_WEIGHTS - 1)),
    st.builds(
        lambda s, f: Angle(s, features=tuple(f)),
        scale,
        st.lists(st.integers(0, N_FEATURES - 1), min_size=1, max_size=3),
    ),
)


@st.composite
def gate(draw):
    found = GATES[draw(st.sampled_from(sorted(GATES)))]
    wires = draw(st.permutations(range(N_QUBITS)))[: found.n_wires]
    return Operation(found.name, tuple(wires), draw(angle) if found.has_angle else None)


@st.composite
def preparation(draw):
    wires = draw(st.permutations(range(N_QUBITS)))[: draw(st.integers(1, 2))]
    last = draw(st.integers(1, min(1 << len(wires), N_FEATURES) - 1))
    return Operation(AMPLITUDE, tuple(wires), features=(0, last))


@st.composite
def word(draw):
    wires = sorted(draw(st.permutations(range(N_QUBITS)))[: draw(st.integers(1, N_QUBITS))])
    return tuple((draw(st.sampled_from("xyz")), wire) for wire in wires)


@st.composite
def circuits(draw):
    start = draw(st.lists(preparation(), max_size=1))
    gates = draw(st.lists(gate(), max_size=12))
    return Circuit(N_QUBITS, (*start, *gates), tuple(draw(st.lists(word(), min_size=1, max_size=3))))


def table(n_rows, n_columns):
    values = st.lists(real, min_size=n_rows * n_columns, max_size=n_rows * n_columns)
    return values.map(lambda flat: torch.tensor(flat, dtype=torch.float64).reshape(n_rows, n_columns))


ENGINES = [make_engine("default.qubit"), make_engine("lightning.qubit")]


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(circuits(), table(1, N_WEIGHTS) | table(N_ROWS, N_WEIGHTS), table(N_ROWS, N_FEATURES))
def test_default_qubit_and_lightning_agree_in_values_and_gradients(circuit, weights, features):
    cotangent = torch.tensor([0.3, -1.1, 0.7], dtype=torch.float64)[: len(circuit.observables)]
    found = []
    for engine in ENGINES:
        w, x = weights.clone().requires_grad_(), features.clone().requires_grad_()
        values = engine.expectations(circuit, w, x)
        total = (values * cotangent).sum() + 0.0 * (w.sum() + x.sum())
        gradients = torch.autograd.grad(total, [w, x])
        found.append([engine.states(circuit, weights, features), values, *gradients])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0.0, atol=AGREEMENT)


def layered(n_qubits=3):
    gates = [Operation("ry", (wire,), Angle(weight=wire)) for wire in range(n_qubits)]
    gates += [Operation("cx", (wire, wire + 1)) for wire in range(n_qubits - 1)]
    return Circuit(n_qubits, tuple(gates), ((("z", n_qubits - 1),), (("x", 0),)))


def test_a_split_batch_has_the_values_of_a_whole_one(monkeypatch):
    weights, none = torch.rand(50, 3, dtype=torch.float64), torch.zeros(1, 0, dtype=torch.float64)
    engine = make_engine("default.qubit")
    whole = engine.states(layered(), weights, none)
    monkeypatch.setattr(default_qubit, "MAX_BYTES", 3 * 4 * 16 << 3)
    assert engine.rows_at_once(layered(), with_gradient=False) == 3
    torch.testing.assert_close(engine.states(layered(), weights, none), whole, rtol=0.0, atol=AGREEMENT)


def test_a_split_batch_has_the_gradients_of_a_whole_one(monkeypatch):
    none = torch.zeros(1, 0, dtype=torch.float64)
    engine, weights = make_engine("default.qubit"), torch.rand(20, 3, dtype=torch.float64, requires_grad=True)
    (whole,) = torch.autograd.grad(engine.expectations(layered(), weights, none).square().sum(), weights)
    monkeypatch.setattr(default_qubit, "MAX_BYTES", 1)
    assert engine.rows_at_once(layered(), with_gradient=True) == 1
    (split,) = torch.autograd.grad(engine.expectations(layered(), weights, none).square().sum(), weights)
    torch.testing.assert_close(split, whole, rtol=0.0, atol=AGREEMENT)


def test_an_absent_device_is_named_with_what_to_install(monkeypatch):
    def absent(*_args, **_kwargs):
        raise lightning.qml.exceptions.DeviceError("Device lightning.gpu does not exist.")

    monkeypatch.setattr(lightning.qml, "device", absent)
    with pytest.raises(EngineUnavailable, match=r"lightning.gpu cannot run here: .* Install 'hqnas\[gpu\]'"):
        make_engine("lightning.gpu")


def test_an_unknown_engine_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no engine 'qiskit'; choose from default.qubit"):
        make_engine("qiskit")
