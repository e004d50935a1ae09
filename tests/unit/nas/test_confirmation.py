"""A candidate beside its controls: what each of them is, and what the test split is."""

import dataclasses
import json

import grimp
import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from torch.nn.functional import cross_entropy

from nas.circuits import AMPLITUDE, Architecture
from nas.circuits.circuit import Angle, Circuit, Operation
from nas.confirmation import held_out, trial
from nas.confirmation.arms import CONTROLS, Arm, classical_twin, frozen, has_entanglers, unentangled
from nas.confirmation.held_out import SplitMismatch, open_test_split
from nas.confirmation.networks import ClassicalNetworks, StartedNetworks
from nas.confirmation.trial import _Subject, confirm
from nas.engines import make_engine
from nas.errors import DeviceTooSmall, TrainingDiverged
from nas.metrics.costs import classical_parameters
from nas.space import SearchSpace
from nas.spec import parse_spec
from nas.spec.confirmation import ConfirmationProtocol
from nas.spec.datasets import DATASETS, Dataset
from nas.training.datasets import cut, load
from nas.training.fit import fit
from nas.training.hybrid import HybridNetworks, MemberParameters

AGREEMENT = 1e-10  # of engines and of two ways to write one product, in double precision
MODES = ["full-hybrid", "quantum-only", "pure-quantum"]


def case(mode="full-hybrid", *, dataset="iris", seeds=3, epochs=2, engine="batched", training=None, **space):
    spec = parse_spec(
        {
            "name": "confirmation",
            "dataset": {"name": dataset},
            "space": {"qubits": 3, "layers": 2, "topology": "ring", "learning_rate": 0.1, **space},
            "training": {"mode": mode, "epochs": 2, **(training or {})},
            "objectives": [{"metric": "validation_loss"}],
        }
    )
    protocol = ConfirmationProtocol.from_spec(spec, seeds=seeds, epochs=epochs, engine=engine)
    return SearchSpace.from_spec(spec).decode({}), protocol


def architecture(mode="full-hybrid", **options):
    return Architecture.build(*case(mode, **options))


def subject(*arguments, **options):
    genome, protocol = case(*arguments, **options)
    return _Subject(Architecture.build(genome, protocol), protocol)


def confirmed(*arguments, **options):
    found = confirm(*case(*arguments, **options))
    if isinstance(found, Exception):
        raise found
    return found


# The test split


def test_the_test_split_is_what_sklearn_sets_aside():
    x, y = load_wine(return_X_y=True)
    x_seen, x_test, y_seen, y_test = train_test_split(x, y, test_size=0.2, stratify=y, random_state=1)
    x_train, _, _, _ = train_test_split(x_seen, y_seen, test_size=0.25, stratify=y_seen, random_state=1)
    found = open_test_split(Dataset(name="wine"))
    np.testing.assert_allclose(found.validation_x.numpy(), (x_test - x_train.mean(0)) / x_train.std(0), atol=AGREEMENT)
    assert found.validation_y.tolist() == y_test.tolist()


@pytest.mark.parametrize("name", DATASETS)
def test_every_row_of_the_table_stands_in_exactly_one_split(name):
    dataset = Dataset(name=name)
    data, tested = load(dataset), open_test_split(dataset)
    splits = (data.train_x, data.validation_x, tested.validation_x)
    assert sum(map(len, splits)) == DATASETS[name].n_samples
    table, _ = held_out.SOURCES[name](dataset)
    rows = [tuple(row) for split in splits for row in split.tolist()]
    # As many different rows as the table has: iris and wine repeat some, and none is lost or doubled by the splits.
    assert len(set(rows)) == len(np.unique(table, axis=0))


@pytest.mark.parametrize("name", ["wine", "breast-cancer", "synthetic-binary", "digits"])
def test_no_row_of_the_test_split_was_trained_or_validated_on(name):
    data, tested = load(Dataset(name=name)), open_test_split(Dataset(name=name))
    seen = {tuple(row) for split in (data.train_x, data.validation_x) for row in split.tolist()}
    assert not any(tuple(row) in seen for row in tested.validation_x.tolist())


def test_the_training_split_stays_what_searches_train_on():
    data, tested = load(Dataset(name="wine")), open_test_split(Dataset(name="wine"))
    assert torch.equal(data.train_x, tested.train_x)
    assert torch.equal(data.train_y, tested.train_y)


def test_a_split_that_searches_do_not_have_is_never_reported_on(monkeypatch):
    monkeypatch.setattr(held_out, "cut", lambda table, *some: cut(tuple(part[::-1] for part in table), *some))
    with pytest.raises(SplitMismatch, match="train split of wine"):
        open_test_split(Dataset(name="wine"))


@pytest.mark.parametrize("importer", ["nas.evaluation", "nas.training.fit", "nas.algorithms", "worker.advance"])
def test_nothing_of_a_search_reaches_the_test_split(importer):
    graph = grimp.build_graph("nas", "worker", "models", "config")
    assert graph.find_shortest_chain(importer, "nas.confirmation.held_out", as_packages=True) is None


def test_the_module_that_gives_out_the_test_split_is_the_only_one():
    graph = grimp.build_graph("nas", "worker", "models", "config")
    assert graph.find_modules_that_directly_import("nas.confirmation.held_out") == {"nas.confirmation.trial"}


def test_fits_see_nothing_of_the_test_split(monkeypatch):
    usual = confirmed()

    def scrambled(dataset):
        data = open_test_split(dataset)
        return dataclasses.replace(data, validation_x=torch.zeros_like(data.validation_x))

    monkeypatch.setattr(trial, "open_test_split", scrambled)
    changed = confirmed()
    for arm in Arm:
        for a, b in zip(usual.arms[arm].trials, changed.arms[arm].trials, strict=True):
            assert (a.epoch, a.validation_loss) == (b.epoch, b.validation_loss)
            assert a.test_loss != b.test_loss


# The arms


def test_a_frozen_circuit_has_no_weight_left_and_computes_the_same():
    circuit = architecture(entangler="crx").circuit
    engine, rng = make_engine("default.qubit"), np.random.default_rng(1)
    weights = torch.from_numpy(rng.uniform(0, 6, (1, circuit.n_weights)))
    x = torch.from_numpy(rng.uniform(-1, 1, (4, circuit.n_features)))
    still = frozen(circuit, weights[0].tolist())
    assert still.n_weights == 0
    torch.testing.assert_close(
        engine.expectations(still, weights[:, :0], x), engine.expectations(circuit, weights, x), atol=AGREEMENT, rtol=0
    )


def test_a_frozen_weight_keeps_the_scale_of_its_angle():
    circuit = Circuit(1, (Operation("ry", (0,), Angle(scale=2.0, weight=0)),), ((("z", 0),),))
    assert frozen(circuit, [0.3]).operations[0].angle == Angle(scale=0.6)


@pytest.mark.parametrize("mode", MODES)
def test_the_frozen_arm_stays_at_the_candidates_start(mode):
    one = subject(mode)
    candidate, still, *_ = one._runners(0)
    assert still.architecture.circuit == frozen(candidate.architecture.circuit, candidate.start.circuit.tolist())
    assert torch.equal(still.start.classical, candidate.start.classical)
    assert still.n_trained == len(candidate.start.classical)


def test_a_fit_of_the_frozen_arm_moves_its_classical_layers_and_nothing_of_its_circuit():
    one = subject()
    still = one._runners(0)[1]
    networks = StartedNetworks((still.architecture,), one._engine, (still.start,))
    data = trial.side_by_side([one._data])
    rng = np.random.default_rng(0)
    (found,) = fit(networks, data, one._protocol.training, learning_rates=[0.1], rngs=[rng])
    assert found.parameters.circuit.numel() == 0
    assert not torch.equal(found.parameters.classical, still.start.classical)


@pytest.mark.parametrize("space", [{"encoding": "iqp"}, {"entangler": "crz"}, {"topology": "full"}])
def test_the_arm_without_entanglement_has_no_gate_on_two_wires(space):
    circuit = architecture(**space).circuit
    without, _ = unentangled(circuit)
    assert has_entanglers(circuit)
    assert not has_entanglers(without)
    assert all(len(one.wires) == 1 for one in without.operations)
    assert without.observables == circuit.observables


def test_wherever_the_gates_come_from_those_on_several_wires_go_and_weights_are_numbered_anew():
    words = ((("z", 0),),)
    shared = Operation("rz", (0,), Angle(weight=4))
    circuit = Circuit(
        3,
        (
            Operation("ry", (0,), Angle(weight=0)),
            Operation("rxx", (0, 1), Angle(weight=1)),
            Operation("ccx", (0, 1, 2)),
            Operation("ry", (1,), Angle(weight=3)),
            shared,
            Operation("crz", (1, 2), Angle(weight=4)),
        ),
        words,
    )
    without, kept = unentangled(circuit)
    assert kept == (0, 3, 4)
    assert [one.angle.weight for one in without.operations] == [0, 1, 2]
    assert without.n_weights == 3


def test_preparing_amplitudes_is_no_gate_and_stays():
    without, _ = unentangled(architecture(encoding="amplitude").circuit)
    assert without.operations[0].gate == AMPLITUDE


def test_the_arm_without_entanglement_starts_where_the_candidate_does():
    candidate, _, without, _ = subject(entangler="crx")._runners(0)
    _, kept = unentangled(candidate.architecture.circuit)
    assert torch.equal(without.start.circuit, candidate.start.circuit[list(kept)])
    assert len(kept) < len(candidate.start.circuit)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n_trained", [1, 9, 20, 66, 67, 500, 4_321])
def test_the_classical_net_is_the_closest_in_size(mode, n_trained):
    twin = classical_twin(architecture(mode, dataset="wine"), n_trained)
    n_in, hidden = twin.pre_widths

    def count(h):
        return n_in * h + h + h * 3 + 3

    assert classical_parameters(twin) == count(hidden)
    nearest = min(range(1, 1_000), key=lambda h: abs(count(h) - n_trained))
    assert abs(count(hidden) - n_trained) == abs(count(nearest) - n_trained)


def test_a_pure_circuits_classical_net_gets_the_same_principal_components():
    twin = classical_twin(architecture("pure-quantum", dataset="wine"), 12)
    assert twin.pre_widths[0] == architecture("pure-quantum", dataset="wine").n_inputs == 3


def test_the_classical_net_is_the_mlp_that_torch_has():
    twin = classical_twin(architecture(), 40)
    (n_in, hidden), n_out = twin.pre_widths, twin.n_outputs
    net = torch.nn.Sequential(torch.nn.Linear(n_in, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, n_out)).double()
    flat = torch.cat([parameter.detach().flatten() for parameter in net.parameters()])
    start = MemberParameters(flat, torch.zeros(0, dtype=torch.float64))
    networks = ClassicalNetworks((twin, twin), make_engine("default.qubit"), (start, start))
    x = torch.randn(2, 5, n_in, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(networks.logits(networks.draw([None, None]), x), net(x), atol=AGREEMENT, rtol=0)


def test_counts_of_both_are_told():
    arms = confirmed(dataset="wine").arms
    assert arms[Arm.CANDIDATE].size.parameters == arms[Arm.CANDIDATE].size.trained_parameters == 13 * 3 + 3 + 12 + 12
    assert arms[Arm.FROZEN_CIRCUIT].size.trained_parameters == 13 * 3 + 3 + 12
    assert (arms[Arm.CLASSICAL_NET].size.parameters, arms[Arm.CLASSICAL_NET].size.hidden) == (71, 4)
    assert arms[Arm.NO_ENTANGLEMENT].size.two_qubit_gates == 0 < arms[Arm.CANDIDATE].size.two_qubit_gates


@pytest.mark.parametrize("mode", MODES)
def test_every_arm_is_scored_with_every_seed(mode):
    found = confirmed(mode)
    assert set(found.arms) == {Arm.CANDIDATE, *CONTROLS}
    assert found.rows == {"train": 90, "validation": 30, "test": 30}
    for result in found.arms.values():
        assert [one.seed for one in result.trials] == [0, 1, 2]
        assert all(0.0 <= one.test_accuracy <= 1.0 and one.test_loss > 0.0 for one in result.trials)
    json.dumps(found.to_json(), allow_nan=False)


def test_without_training_a_frozen_pure_circuit_is_tested_at_its_start():
    trials = confirmed("pure-quantum").arms[Arm.FROZEN_CIRCUIT].trials
    assert [(one.epoch, one.validation_loss) for one in trials] == [(0, None)] * 3


def test_a_frozen_twin_of_quantum_only_trains_its_classical_layers():
    arms = confirmed("quantum-only").arms
    assert arms[Arm.CANDIDATE].size.trained_parameters == arms[Arm.CANDIDATE].size.quantum_parameters
    assert arms[Arm.FROZEN_CIRCUIT].size.trained_parameters == arms[Arm.CANDIDATE].size.parameters - 12


def test_a_control_that_would_be_the_candidate_is_void_and_not_trained():
    found = confirmed(topology="none").arms[Arm.NO_ENTANGLEMENT]
    assert (found.is_void, found.trials) == (True, ())


# The trials


def test_a_score_is_that_of_the_reported_epoch_on_the_test_split():
    one = subject(training={"select": "last"})
    candidate = one._runners(0)[0]
    networks = StartedNetworks((candidate.architecture,), one._engine, (candidate.start,))
    training = one._protocol.training
    data = trial.side_by_side([one._data])
    (found,) = fit(networks, data, training, learning_rates=[0.1], rngs=[one._rng("order", 0)])
    tested = open_test_split(Dataset(name="iris"))
    logits = networks.logits(networks.together([found.parameters]), tested.validation_x[None])[0].detach()
    score = confirmed(training={"select": "last"}).arms[Arm.CANDIDATE].trials[0]
    assert score.test_loss == pytest.approx(float(cross_entropy(logits, tested.validation_y)), rel=AGREEMENT)
    assert score.test_accuracy == (logits.argmax(-1) == tested.validation_y).double().mean()


def test_the_same_confirmation_again_gives_the_same_to_the_bit():
    assert confirmed().to_json() == confirmed().to_json()


def test_more_seeds_leave_the_first_as_they_are():
    few, more = confirmed(seeds=3), confirmed(seeds=4)
    for arm in Arm:
        assert few.arms[arm].trials == more.arms[arm].trials[:3]


def test_halves_of_what_memory_does_not_hold_give_the_same(monkeypatch):
    usual = confirmed().to_json()
    genuine = _Subject._run_together

    def small(self, group):
        if len(group) > 2:
            raise DeviceTooSmall("too much")
        return genuine(self, group)

    monkeypatch.setattr(_Subject, "_run_together", small)
    assert confirmed().to_json() == usual


def test_arms_of_one_seed_meet_the_training_rows_in_the_same_order(monkeypatch):
    orders = []

    def watched(networks, data, training, *, learning_rates, rngs):
        orders.append([rng.bit_generator.state["state"]["state"] for rng in rngs])
        return fit(networks, data, training, learning_rates=learning_rates, rngs=rngs)

    monkeypatch.setattr(trial, "fit", watched)
    confirmed()
    quantum, classical = orders
    assert quantum == [seed for seed in classical for _ in range(3)]
    assert len(set(classical)) == 3


def test_a_start_is_not_one_that_a_search_has_tried():
    genome, protocol = case()
    one = _Subject(Architecture.build(genome, protocol), protocol)
    starts = [one._runners(seed)[0].start.circuit for seed in range(2)]
    from nas.evaluation import _Bundle
    from nas.spec import Protocol

    spec = parse_spec(
        {
            "name": "x",
            "dataset": {"name": "iris"},
            "space": {"qubits": 3, "layers": 2, "topology": "ring", "learning_rate": 0.1},
            "training": {"mode": "full-hybrid", "epochs": 2},
            "objectives": [{"metric": "validation_loss"}],
        }
    )
    bundle = _Bundle([one._architecture], Protocol.from_spec(spec, engine="batched"))
    networks = HybridNetworks((one._architecture,), bundle.engine)
    (searched,) = networks.of_members(networks.draw([bundle.rng(0, "fit")]))
    assert not any(torch.equal(start, searched.circuit) for start in starts)


def test_engines_agree_on_a_confirmation():
    first, second = confirmed(engine="batched"), confirmed(engine="default.qubit")
    for arm in Arm:
        for a, b in zip(first.arms[arm].trials, second.arms[arm].trials, strict=True):
            assert a.test_loss == pytest.approx(b.test_loss, rel=1e-6)


def test_a_training_that_diverges_is_told_and_the_others_go_on(monkeypatch):
    def second_diverges(networks, data, training, *, learning_rates, rngs):
        found = fit(networks, data, training, learning_rates=learning_rates, rngs=rngs)
        return [found[0], TrainingDiverged("the loss became nan"), *found[2:]]

    monkeypatch.setattr(trial, "fit", second_diverges)
    found = confirmed().arms
    assert found[Arm.FROZEN_CIRCUIT].trials[0].error == "the loss became nan"
    assert found[Arm.FROZEN_CIRCUIT].trials[0].test_accuracy is None
    assert found[Arm.CANDIDATE].trials[0].error is None


def test_a_genome_that_was_never_trained_is_refused_with_a_sentence():
    genome, protocol = case()
    found = confirm(dataclasses.replace(genome, learning_rate=None), protocol)
    assert "the search trained nothing" in str(found)


def test_another_version_of_the_definition_is_left_to_another_worker():
    genome, protocol = case()
    assert "update this worker" in str(confirm(genome, protocol.model_copy(update={"version": 99})))


def test_protocols_differ_in_every_condition_and_from_those_of_searches():
    _, protocol = case()
    changes = [
        {"seeds": 4},
        {"engine": "lightning.qubit"},
        {"training": protocol.training.model_copy(update={"epochs": 9})},
    ]
    digests = {protocol.digest, *(protocol.model_copy(update=change).digest for change in changes)}
    assert len(digests) == 4
    assert protocol.to_json()["kind"] == "confirmation"


def test_a_regression_is_scored_by_its_r2():
    found = confirmed(dataset="diabetes", epochs=20)
    assert found.metric["name"] == "test_r2"
    trials = [one for result in found.arms.values() for one in result.trials]
    assert all(one.test_accuracy is None and one.test_r2 <= 1.0 for one in trials)
    assert max(one.test_r2 for one in trials) > 0.2  # a linear fit reaches about 0.5
    json.dumps(found.to_json(), allow_nan=False)


def test_of_several_rates_each_training_keeps_that_of_the_lowest_validation_loss(monkeypatch):
    genome, protocol = case()
    rates = [0.001, 0.1, 0.03]
    seen = []

    def watched(networks, data, training, *, learning_rates, rngs):
        fits = fit(networks, data, training, learning_rates=learning_rates, rngs=rngs)
        seen.append([one.predictions.loss for one in fits])
        return fits

    monkeypatch.setattr(trial, "fit", watched)
    swept = protocol.model_copy(update={"training": protocol.training.model_copy(update={"learning_rate": rates})})
    found = confirm(dataclasses.replace(genome, learning_rate=None), swept)
    assert not isinstance(found, Exception)
    assert found.learning_rate is None
    assert {arm: len(result.trials) for arm, result in found.arms.items()} == dict.fromkeys(Arm, 3)
    assert len(seen) == 2 * len(rates)  # those with a circuit, and the classical nets
    lowest = [min(losses) for losses in zip(*seen[3:], strict=True)]
    assert [one.validation_loss for one in found.arms[Arm.CLASSICAL_NET].trials] == lowest


def test_reduced_data_are_tested_in_the_same_components():
    whole, reduced = Dataset(name="wine"), Dataset.model_validate({"name": "wine", "reduce": {"pca": 3}})
    tested = open_test_split(reduced)
    assert tested.validation_x.shape == (36, 3)
    assert torch.equal(tested.train_x, load(reduced).train_x)
    assert torch.equal(tested.validation_y, open_test_split(whole).validation_y)
