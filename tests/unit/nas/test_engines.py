"""What belongs to single engines; tests/contract holds all of them to the same."""

from types import SimpleNamespace

import pytest
import torch

from nas.circuits import Angle, Circuit, Operation
from nas.engines import default_qubit, lightning, make_engine, memory
from nas.errors import DeviceTooSmall, EngineUnavailable

#: Two simulators that apply up to 12 gates in double precision.
AGREEMENT = 1e-11
NOTHING = torch.zeros(1, 0, dtype=torch.float64)


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


def test_default_qubit_refuses_single_precision_rather_than_not_having_it():
    with pytest.raises(ValueError, match=r"default.qubit computes in complex128, not in complex64"):
        make_engine("default.qubit", "complex64")


def opening_fails_with(monkeypatch, error):
    def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(lightning.qml, "device", fail)


def test_an_absent_device_is_named_with_what_it_needs(monkeypatch):
    opening_fails_with(monkeypatch, lightning.qml.exceptions.DeviceError("Device lightning.gpu does not exist."))
    expected = (
        r"lightning.gpu cannot run here: .* does not exist\. It needs 'hqnas\[gpu\]', an NVIDIA GPU and its driver"
    )
    with pytest.raises(EngineUnavailable, match=expected):
        make_engine("lightning.gpu")


def test_a_machine_without_a_gpu_is_told_the_reason_alone(monkeypatch):
    # What pennylane-lightning-gpu 0.45.0 says on a machine that has the package and no driver.
    text = (
        "[/project/pennylane_lightning/core/utils/cuda_utils/DevicePool.hpp][Line:86][Method:getTotalDevices]: "
        "Error in PennyLane Lightning: CUDA driver version is insufficient for CUDA runtime version"
    )
    opening_fails_with(monkeypatch, RuntimeError(text))
    with pytest.raises(EngineUnavailable, match=r"run here: CUDA driver version is insufficient for CUDA runtime"):
        make_engine("lightning.gpu")


def test_a_card_that_is_too_old_makes_the_engine_unavailable(monkeypatch):
    opening_fails_with(monkeypatch, ValueError("CUDA device is an unsupported version: (6, 1)"))
    with pytest.raises(EngineUnavailable, match="unsupported version"):
        make_engine("lightning.gpu")


def free_bytes(monkeypatch, n_bytes):
    monkeypatch.setattr(memory, "host_memory", lambda: memory.Memory("this machine", n_bytes))


def test_too_little_memory_is_refused_before_any_is_taken(monkeypatch):
    free_bytes(monkeypatch, 3 * 2**20)
    engine = make_engine("lightning.qubit")
    monkeypatch.setattr(engine, "_new_state", lambda _: pytest.fail("a state vector was made"))
    expected = (
        r"lightning.qubit with 2 state vectors of 18 qubits in complex128 needs 8 MiB, and this machine has 3 MiB free"
    )
    with pytest.raises(DeviceTooSmall, match=expected):
        engine.expectations(layered(18), torch.zeros(1, 18, dtype=torch.float64), NOTHING)


def test_a_gradient_needs_more_memory_than_values(monkeypatch):
    free_bytes(monkeypatch, 2 * 16 << 10)
    engine, weights = make_engine("lightning.qubit"), torch.zeros(1, 10, dtype=torch.float64)
    engine.expectations(layered(10), weights, NOTHING)
    with pytest.raises(DeviceTooSmall):
        engine.expectations(layered(10), weights.requires_grad_(), NOTHING)


def test_a_gradient_in_complex64_needs_half_the_memory(monkeypatch):
    free_bytes(monkeypatch, 7 * 8 << 10)
    weights = torch.zeros(1, 10, dtype=torch.float64, requires_grad=True)
    make_engine("lightning.qubit", "complex64").expectations(layered(10), weights, NOTHING)
    with pytest.raises(DeviceTooSmall):
        make_engine("lightning.qubit", "complex128").expectations(layered(10), weights, NOTHING)


def test_memory_that_nobody_can_tell_is_not_refused():
    assert memory.require(2**60, None, purpose="this") == 0


def fake_cuda_runtime(*, error=0):
    """Returns what answers as libcudart does, through pointers."""

    def tell_memory(free, total):
        free._obj.value, total._obj.value = 5 * 2**30, 80 * 2**30
        return error

    def tell_properties(properties, _number):
        properties.value = b"NVIDIA H100"
        return 0

    return SimpleNamespace(
        cudaMemGetInfo=tell_memory, cudaGetDevice=lambda _number: 0, cudaGetDeviceProperties_v2=tell_properties
    )


def test_the_cuda_runtime_tells_the_card_and_its_free_memory():
    assert memory._from_cuda_runtime(fake_cuda_runtime()) == memory.Memory("NVIDIA H100", 5 * 2**30)


def test_a_cuda_runtime_without_a_card_tells_nothing():
    assert memory._from_cuda_runtime(fake_cuda_runtime(error=35)) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_card_has_room_for_less_than_it_had_once_a_state_is_made():
    engine, before = make_engine("lightning.gpu"), memory.gpu_memory()
    kept = engine._new_state(24)  # 256 MiB
    after = memory.gpu_memory()
    assert kept.num_wires == 24
    assert before is not None
    assert after is not None
    assert before.free_bytes - after.free_bytes >= 2**28


@pytest.mark.parametrize("error", [MemoryError("std::bad_alloc"), RuntimeError("custatevec memory allocation failed")])
def test_memory_that_runs_out_on_the_way_is_the_same_refusal(monkeypatch, error):
    engine = make_engine("lightning.qubit")

    def fail(_):
        raise error

    monkeypatch.setattr(engine, "_new_state", fail)
    with pytest.raises(DeviceTooSmall, match=r"memory ran out in a circuit of 3 qubits: .*alloc"):
        engine.states(layered(), torch.zeros(1, 3, dtype=torch.float64), NOTHING)


class Counted:
    """Counts the rows that an engine simulates."""

    def __init__(self, engine, monkeypatch):
        self.n = 0
        simulate = engine._zero_state

        def count(plan):
            self.n += 1
            return simulate(plan)

        monkeypatch.setattr(engine, "_zero_state", count)


@pytest.mark.parametrize("n_observables", [1, 2])
def test_a_backward_pass_simulates_no_row_again(monkeypatch, n_observables):
    engine, weights = make_engine("lightning.qubit"), torch.rand(5, 3, dtype=torch.float64, requires_grad=True)
    simulated = Counted(engine, monkeypatch)
    circuit = Circuit(3, layered().operations, layered().observables[:n_observables])
    engine.expectations(circuit, weights, NOTHING).sum().backward()
    assert simulated.n == 5


def test_states_that_cannot_be_kept_are_simulated_again_with_the_same_gradient(monkeypatch):
    engine, weights = make_engine("lightning.qubit"), torch.rand(5, 3, dtype=torch.float64, requires_grad=True)
    (kept,) = torch.autograd.grad(engine.expectations(layered(), weights, NOTHING).square().sum(), weights)
    monkeypatch.setitem(lightning.KEPT_BYTES, "lightning.qubit", 1)
    engine, weights_again = make_engine("lightning.qubit"), weights.detach().requires_grad_()
    simulated = Counted(engine, monkeypatch)
    values = engine.expectations(layered(), weights_again, NOTHING)
    (again,) = torch.autograd.grad(values.square().sum(), weights_again)
    assert simulated.n == 5 + 4  # the last row's state is the one that is kept
    assert torch.equal(kept, again)


def test_what_an_engine_does_in_between_leaves_a_gradient_alone():
    engine, weights = make_engine("lightning.qubit"), torch.rand(5, 4, dtype=torch.float64, requires_grad=True)
    values = engine.expectations(layered(4), weights, NOTHING).square().sum()
    (expected,) = torch.autograd.grad(values, weights, retain_graph=True)
    engine.expectations(layered(2), weights, NOTHING).sum().backward()
    engine.states(layered(4), weights.detach() + 1.0, NOTHING)
    (found,) = torch.autograd.grad(values, weights)
    assert torch.equal(found, expected)


def test_only_angles_that_need_a_gradient_are_swept(monkeypatch):
    gates = (
        Operation("ry", (0,), Angle(0.3)),
        Operation("ry", (0,), Angle(weight=0)),
        Operation("rx", (0,), Angle(features=(0,))),
    )
    circuit = Circuit(1, gates, ((("z", 0),),))
    weights, features = torch.tensor([[0.4]], dtype=torch.float64), torch.tensor([[0.5]], dtype=torch.float64)
    planned = []
    plan_of = lightning._Plan.of
    monkeypatch.setattr(lightning._Plan, "of", lambda *args: planned.append(plan_of(*args)) or planned[-1])
    make_engine("lightning.qubit").expectations(circuit, weights.requires_grad_(), features)
    assert planned[0].wanted == (1,)


def test_an_unknown_engine_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no engine 'qiskit'; choose from .*default.qubit"):
        make_engine("qiskit")
