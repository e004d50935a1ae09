"""The batched engine: where gates go, what it keeps in memory, and bundles."""

import pytest
import torch

from nas.circuits import AMPLITUDE, Angle, Circuit, Operation
from nas.engines import make_engine, memory
from nas.engines.batched import engine as batched_engine
from nas.engines.batched import program
from nas.engines.batched.schedule import schedule
from nas.errors import DeviceTooSmall

ROUNDING = 1e-12
Z0 = ((("z", 0),),)


def weight(index):
    return Angle(weight=index)


def feature(*indices):
    return Angle(features=indices)


def layered(qubits=3, layers=3, entangler="cx", *, reuploading=False, observables=Z0):
    """Encoding RY, then RY and RZ on every wire and a ring of entanglers, layer by layer."""
    encoding = [Operation("ry", (wire,), feature(wire)) for wire in range(qubits)]
    operations, n_weights = [], 0
    for layer in range(layers):
        operations += encoding if layer == 0 or reuploading else []
        for gate in ("ry", "rz"):
            operations += [Operation(gate, (wire,), weight(n_weights + wire)) for wire in range(qubits)]
            n_weights += qubits
        for wire in range(qubits):
            angle = weight(n_weights + wire) if entangler.startswith("cr") else None
            operations.append(Operation(entangler, (wire, (wire + 1) % qubits), angle))
        n_weights += qubits if entangler.startswith("cr") else 0
    return Circuit(qubits, tuple(operations), observables)


def numbers(circuit, n_rows=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(1, circuit.n_weights, dtype=torch.float64, generator=generator)
    features = torch.randn(n_rows, max(1, circuit.n_features), dtype=torch.float64, generator=generator)
    return weights, features


def values_and_gradients(engine, circuit, weights, features):
    weights, features = weights.clone().requires_grad_(), features.clone().requires_grad_()
    values = engine.expectations(circuit, weights, features)
    factors = torch.linspace(0.5, 1.5, values.numel(), dtype=torch.float64).view(values.shape)
    gradients = torch.autograd.grad((values * factors).sum(), (weights, features), materialize_grads=True)
    return values.detach(), *gradients


def assert_same(first, second, tolerance=ROUNDING):
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other, rtol=0.0, atol=tolerance)


def n_blocks(*operations, apart=False, qubits=3):
    return len(schedule(Circuit(qubits, operations, Z0), sets_encoding_apart=apart).blocks)


def test_neighbouring_rotations_share_a_block():
    assert n_blocks(Operation("ry", (0,), weight(0)), Operation("h", (0,)), Operation("rz", (0,), weight(1))) == 1


def test_a_whole_ring_of_cnots_is_one_permutation():
    ring = [Operation("cx", (wire, (wire + 1) % 3)) for wire in range(3)]
    assert n_blocks(Operation("ry", (0,), weight(0)), *ring) == 1


def test_a_rotation_behind_an_entangler_starts_a_block():
    assert n_blocks(Operation("cx", (0, 1)), Operation("ry", (1,), weight(0))) == 2


def test_a_rotation_beside_an_entangler_does_not():
    assert n_blocks(Operation("cx", (0, 1)), Operation("ry", (2,), weight(0))) == 1


def test_a_phase_behind_a_permutation_starts_a_block():
    assert n_blocks(Operation("cx", (0, 1)), Operation("rzz", (0, 1), weight(0))) == 2


def test_the_encoding_can_be_set_apart():
    operations = Operation("ry", (0,), feature(0)), Operation("rz", (0,), weight(0))
    assert (n_blocks(*operations), n_blocks(*operations, apart=True)) == (1, 2)


def test_features_behind_the_first_block_are_seen():
    late = Circuit(1, (Operation("cx", (0, 1)), Operation("ry", (1,), feature(0))), Z0)
    late = Circuit(2, late.operations, Z0)
    assert schedule(late, sets_encoding_apart=True).reads_features_late


@pytest.mark.parametrize("reuploading", [False, True])
@pytest.mark.parametrize("entangler", ["cx", "cz", "crx", "cry", "crz"])
@pytest.mark.parametrize("qubits", [3, 6])
def test_undone_states_give_the_gradients_of_stored_ones(monkeypatch, qubits, entangler, reuploading):
    circuit = layered(qubits, 3, entangler, reuploading=reuploading)
    inputs = numbers(circuit)
    stored = values_and_gradients(make_engine("batched"), circuit, *inputs)
    monkeypatch.setattr(batched_engine.Part, "_bytes", lambda _part, *, keeps_states: 2**40 if keeps_states else 1)
    assert_same(values_and_gradients(make_engine("batched"), circuit, *inputs), stored)


@pytest.mark.parametrize("reuploading", [False, True])
def test_results_do_not_depend_on_how_the_memory_is_split(monkeypatch, reuploading):
    circuit = layered(4, 2, reuploading=reuploading)
    inputs = numbers(circuit, n_rows=9)
    whole = values_and_gradients(make_engine("batched"), circuit, *inputs)
    monkeypatch.setattr(batched_engine, "MAX_BYTES", 20_000)
    assert_same(values_and_gradients(make_engine("batched"), circuit, *inputs), whole)


def test_states_do_not_depend_on_how_the_memory_is_split(monkeypatch):
    circuit = layered(3)
    weights = torch.randn(200, circuit.n_weights, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    whole = make_engine("batched").states(circuit, weights, torch.zeros(1, 3, dtype=torch.float64))
    monkeypatch.setattr(batched_engine, "_CACHED_BYTES", 5_000)
    split = make_engine("batched").states(circuit, weights, torch.zeros(1, 3, dtype=torch.float64))
    torch.testing.assert_close(split, whole, rtol=0.0, atol=ROUNDING)


@pytest.mark.parametrize("entangler", ["cx", "cz", "crx", "crz"])
def test_many_states_wire_by_wire_are_those_of_matrix_products(monkeypatch, entangler):
    circuit = layered(3, 2, entangler)
    weights = torch.randn(70, circuit.n_weights, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    features = torch.ones(1, 3, dtype=torch.float64)
    by_wires = make_engine("batched").states(circuit, weights, features)
    monkeypatch.setattr("nas.engines.batched.wires.FEWEST_GROUPS", 10**9)
    torch.testing.assert_close(
        by_wires, make_engine("batched").states(circuit, weights, features), rtol=0, atol=ROUNDING
    )


def test_many_rows_of_features_share_one_row_of_weights():
    circuit = layered(3, 2, reuploading=True)
    weights, features = numbers(circuit, n_rows=70)
    expected = make_engine("default.qubit").states(circuit, weights, features)
    torch.testing.assert_close(
        make_engine("batched").states(circuit, weights, features), expected, rtol=0, atol=ROUNDING
    )


def bundle():
    """Circuits of one width that differ in everything else."""
    words = ((("z", 0),), (("x", 1), ("y", 2)), (("z", 1), ("z", 2)))
    prepared = Operation(AMPLITUDE, (2, 0), features=(0, 2))
    return [
        layered(3, 1),
        layered(3, 3, "crx", observables=words),
        layered(3, 2, "cz", reuploading=True),
        layered(3, 3, "crz", reuploading=True),
        Circuit(3, (prepared, *layered(3, 2).operations[3:]), Z0),
        Circuit(3, (prepared, *layered(3, 1, "crz").operations[3:]), words[1:]),
        Circuit(3, (), Z0),
        Circuit(3, (Operation("rzz", (0, 2), feature(0, 1)), Operation("h", (1,))), words[:2]),
    ]


def bundle_numbers(circuits, *, with_draws=False):
    generator = torch.Generator().manual_seed(3)
    leading = (len(circuits), 4) if with_draws else (len(circuits),)
    weights = torch.randn(*leading, 1, max(c.n_weights for c in circuits), dtype=torch.float64, generator=generator)
    features = torch.randn(*leading, 5, 3, dtype=torch.float64, generator=generator)
    return weights, features


@pytest.mark.parametrize("with_draws", [False, True])
@pytest.mark.parametrize("name", ["batched", "default.qubit"])
def test_a_bundle_is_its_members_with_zeros_for_missing_observables(name, with_draws):
    engine, circuits = make_engine(name), bundle()
    weights, features = bundle_numbers(circuits, with_draws=with_draws)
    found = engine.bundle_expectations(circuits, weights, features)
    for i, circuit in enumerate(circuits):
        n_words = len(circuit.observables)
        assert torch.equal(found[i, ..., :n_words], engine.expectations(circuit, weights[i], features[i]))
        assert (found[i, ..., n_words:] == 0).all()


def test_gradients_of_a_bundle_are_those_of_its_members():
    engine, circuits = make_engine("batched"), bundle()
    weights, features = (values.requires_grad_() for values in bundle_numbers(circuits))
    together = torch.autograd.grad(engine.bundle_expectations(circuits, weights, features).sum(), (weights, features))
    for i, circuit in enumerate(circuits):
        apart = [weights[i].detach().requires_grad_(), features[i].detach().requires_grad_()]
        total = engine.expectations(circuit, *apart).sum()
        if total.requires_grad:
            for one, other in zip(together, torch.autograd.grad(total, apart, materialize_grads=True), strict=True):
                assert torch.equal(one[i], other)


def test_states_of_a_bundle_are_those_of_its_members():
    engine, circuits = make_engine("batched"), bundle()
    weights, features = bundle_numbers(circuits)
    found = engine.bundle_states(circuits, weights, features)
    for i, circuit in enumerate(circuits):
        assert torch.equal(found[i], engine.states(circuit, weights[i], features[i]))


def test_a_member_that_is_not_finite_leaves_the_others_as_they_are():
    engine, circuits = make_engine("batched"), [layered(3, 2), layered(3, 2), layered(3, 2)]
    weights, features = bundle_numbers(circuits)
    expected = engine.bundle_expectations(circuits, weights, features)
    weights[1] = torch.nan
    found = engine.bundle_expectations(circuits, weights, features)
    assert found[1].isnan().all()
    assert torch.equal(found[[0, 2]], expected[[0, 2]])


def test_a_bundle_of_two_widths_is_refused():
    circuits = [layered(2), layered(3)]
    with pytest.raises(ValueError, match="differ in qubits"):
        make_engine("batched").bundle_states(circuits, *bundle_numbers(circuits))


def test_single_precision_is_kept():
    circuit = layered(3)
    assert make_engine("batched", "complex64").states(circuit, *numbers(circuit)).dtype == torch.complex64


def test_a_gpu_that_is_not_there_is_named():
    from nas.errors import EngineUnavailable

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(EngineUnavailable, match="torch sees none"):
        make_engine("batched", device="gpu")


def bits_alone_and_beside(circuits, n_rows, seed=0):
    """Values and gradients of the first circuit, alone and in a bundle with the others."""
    generator = torch.Generator().manual_seed(seed)
    shape = len(circuits), 1, max(circuit.n_weights for circuit in circuits)
    weights = torch.randn(shape, dtype=torch.float64, generator=generator)
    shape = len(circuits), n_rows, max(max(1, circuit.n_features) for circuit in circuits)
    features = torch.randn(shape, dtype=torch.float64, generator=generator)

    def first(n):
        w, f = weights[:n].clone().requires_grad_(), features[:n].clone().requires_grad_()
        values = make_engine("batched").bundle_expectations(circuits[:n], w, f)[:, :, : len(circuits[0].observables)]
        factors = torch.linspace(0.5, 1.5, values[0].numel(), dtype=torch.float64).view(values[0].shape)
        gradients = torch.autograd.grad((values * factors).sum(), (w, f), materialize_grads=True)
        return [values[0].detach(), *(gradient[0] for gradient in gradients)]

    return first(1), first(len(circuits))


def prepared(qubits, gates, axes):
    """Amplitude encoding, rotations, and all Pauli words of one wire along the axes."""
    rotations = [
        Operation(gate, (wire,), weight(i * qubits + wire)) for i, gate in enumerate(gates) for wire in range(qubits)
    ]
    encoding = Operation(AMPLITUDE, tuple(range(qubits)), features=(0, (1 << qubits) - 1))
    return Circuit(qubits, (encoding, *rotations), tuple(((axis, wire),) for axis in axes for wire in range(qubits)))


@pytest.mark.parametrize("n_rows", [1, 2, 5, 32])
@pytest.mark.parametrize(
    "circuits",
    [
        # Fewer amplitudes than torch multiplies at a time, and words of others among those of the first.
        pytest.param([prepared(1, ("ry", "rz", "ry"), "xyz"), prepared(1, ("ry",), "z")], id="one qubit"),
        pytest.param([prepared(5, ("ry", "rz"), "xyz"), prepared(5, ("ry", "rz", "rx"), "z")], id="observables"),
        # More rows than a product of matrices takes at a time.
        pytest.param([layered(5, 2)] * 16, id="sixteen"),
        pytest.param([layered(4, 2), layered(4, 30)], id="depth"),
        pytest.param([layered(3, 2, reuploading=True), layered(3, 2, "crx")], id="kinds"),
    ],
)
def test_a_member_has_the_bits_that_it_has_alone(circuits, n_rows):
    for alone, beside in zip(*bits_alone_and_beside(circuits, n_rows), strict=True):
        common = alone[..., : beside.shape[-1]], beside[..., : alone.shape[-1]]
        assert torch.equal(*common)


def test_a_bundle_that_does_not_fit_at_once_is_its_members_to_the_last_bit(monkeypatch):
    circuits = [layered(3, 4), layered(3, 5)]
    small = batched_engine.Part  # a bundle of two is above a limit that each is below
    of_one = small._bytes
    monkeypatch.setattr(small, "_bytes", lambda part, **options: of_one(part, **options) * len(part.circuits) ** 20)
    for alone, beside in zip(*bits_alone_and_beside(circuits, 32), strict=True):
        assert torch.equal(alone, beside[..., : alone.shape[-1]])


def test_circuits_without_observables_stand_beside_others():
    prepared = Circuit(2, (Operation(AMPLITUDE, (0, 1), features=(0, 1)),), ())
    measured = Circuit(2, (Operation("ry", (0,), weight(0)),), Z0)
    features = torch.ones(2, 3, 2, dtype=torch.float64)
    found = make_engine("batched").bundle_expectations([prepared, measured], torch.zeros(2, 1, 1).double(), features)
    assert found.squeeze(-1).tolist() == [[0, 0, 0], [1, 1, 1]]


def test_tables_that_do_not_fit_the_memory_are_refused_before_they_are_made(monkeypatch):
    free = memory.Memory("this machine", 2**30)
    monkeypatch.setattr(memory, "host_memory", lambda: free)
    circuit = Circuit(16, tuple(Operation(gate, (0, 1)[: 1 + (gate == "cx")]) for gate in ("h", "cx") * 1_000), Z0)
    with pytest.raises(DeviceTooSmall, match="for 1,000 blocks on 16 qubits, needs 4,000 MiB, and this machine has"):
        make_engine("batched").expectations(circuit, torch.zeros(0).double(), torch.zeros(0).double())


def test_phases_in_pieces_are_those_at_once(monkeypatch):
    circuit = layered(4, 3, "crz")
    weights, features = numbers(circuit)
    expected = values_and_gradients(make_engine("batched"), circuit, weights, features)
    monkeypatch.setattr(program, "_MOST_AT_ONCE", 50)
    assert_same(values_and_gradients(make_engine("batched"), circuit, weights, features), expected)
