"""Noise: closed forms, PennyLane's density matrices as a second implementation, and fitted networks."""

import math
from itertools import pairwise

import numpy as np
import pennylane as qml
import pytest
import torch

from nas.circuits import Angle, Circuit, Operation
from nas.engines import make_engine
from nas.engines.pennylane import operators, word_operator
from nas.evaluation import evaluate
from nas.metrics.noise import NoisyCircuit, noisy_expectations
from nas.space import SearchSpace
from nas.spec import Protocol, parse_spec
from nas.spec.settings import NoiseSettings

ENGINE = make_engine("batched")
ROUNDING = 1e-12
#: Standard errors that a mean over trajectories may be off: 1 of 16,000 right figures is further off, and there are
#: fewer than a hundred, at fixed seeds.
SIGMAS = 4.0


def settings(one_qubit=0.0, two_qubit=0.0, readout=0.0, trajectories=1_000):
    return NoiseSettings(one_qubit=one_qubit, two_qubit=two_qubit, readout=readout, trajectories=trajectories)


def found_of(circuit, noise, *, weights=(), features=((),), seed=1, engine=ENGINE):
    weights = torch.tensor(weights, dtype=torch.float64)
    features = torch.tensor(features, dtype=torch.float64)
    return noisy_expectations(circuit, engine, weights, features, noise, np.random.default_rng(seed))


def std_errors(found):
    """Of the mean, from the spread of the batches."""
    n_batches = len(found.batches)
    return (1.0 - found.ideal_probability) * found.batches.std(0) / math.sqrt(n_batches)


def one_ry(angle=0.7, n_gates=1):
    gates = [Operation("ry", (0,), Angle(scale=angle / n_gates))] * n_gates
    return Circuit(1, tuple(gates), ((("z", 0),), (("x", 0),)))


def layered():
    """Two qubits, every kind of gate that a genome has, weights and features."""
    operations = [
        Operation("ry", (0,), Angle(features=(0,))),
        Operation("rx", (1,), Angle(features=(1,))),
        Operation("ry", (0,), Angle(weight=0)),
        Operation("rz", (1,), Angle(weight=1)),
        Operation("cx", (0, 1)),
        Operation("crx", (1, 0), Angle(weight=2)),
        Operation("h", (1,)),
        Operation("rzz", (0, 1), Angle(features=(0, 1))),
    ]
    return Circuit(2, tuple(operations), ((("z", 0),), (("z", 0), ("z", 1)), (("x", 1),), (("y", 0),)))


WEIGHTS, FEATURES = (0.3, 1.1, 2.0), ((0.4, 0.9), (1.3, -0.5))


def depolarising(probability, wires):
    """Returns the channel on one qubit or two, by its Kraus matrices."""
    paulis = [np.eye(2), qml.X.compute_matrix(), qml.Y.compute_matrix(), qml.Z.compute_matrix()]
    words = paulis if len(wires) == 1 else [np.kron(a, b) for a in paulis for b in paulis]
    shares = [1.0 - probability, *[probability / (len(words) - 1)] * (len(words) - 1)]
    kraus = [math.sqrt(share) * word.astype(complex) for share, word in zip(shares, words, strict=True)]
    return qml.QubitChannel(kraus, wires=wires)


def exact(circuit, noise, weights, features):
    """Returns the expectations of one row on `default.mixed`; a wrong reading is a flip before the measurement."""
    device = qml.device("default.mixed", wires=circuit.qubits)
    angles = [operation.angle for operation in circuit.operations if operation.angle is not None]
    numbers = [
        angle.scale
        * math.prod([features[i] for i in angle.features] + [weights[i] for i in (angle.weight,) if i is not None])
        for angle in angles
    ]
    gates = [gate for gate in operators(circuit, numbers, None) if not isinstance(gate, qml.Identity)]

    @qml.qnode(device)
    def run(word):
        for gate in gates:
            qml.apply(gate)
            depolarising(noise.one_qubit if len(gate.wires) == 1 else noise.two_qubit, gate.wires)
        for axis, wire in word:
            flip = qml.Z.compute_matrix() if axis == "x" else qml.X.compute_matrix()
            kraus = [math.sqrt(1.0 - noise.readout) * np.eye(2), math.sqrt(noise.readout) * flip]
            qml.QubitChannel(kraus, wires=wire)
        return qml.expval(word_operator(word))

    return [float(run(word)) for word in circuit.observables]


def test_depolarising_one_rotation_shrinks_its_expectations_by_four_thirds_of_the_rate():
    found = found_of(one_ry(), settings(one_qubit=0.3, trajectories=1_000))
    expected = (1.0 - 4.0 / 3.0 * 0.3) * np.array([math.cos(0.7), math.sin(0.7)])
    assert (np.abs(found.mean()[0].numpy() - expected) <= SIGMAS * std_errors(found)[0].numpy()).all()


def test_a_chain_of_gates_shrinks_expectations_by_each_of_them():
    found = found_of(one_ry(n_gates=20), settings(one_qubit=0.02))
    expected = (1.0 - 4.0 / 3.0 * 0.02) ** 20 * math.cos(0.7)
    assert found.mean()[0, 0].item() == pytest.approx(expected, abs=SIGMAS * std_errors(found)[0, 0].item())


def test_readout_flips_shrink_a_word_by_its_length_exactly():
    circuit = Circuit(3, (), ((("z", 0),), (("z", 0), ("z", 2)), (("z", 0), ("z", 1), ("z", 2))))
    found = found_of(circuit, settings(readout=0.1))
    np.testing.assert_allclose(found.mean()[0], [0.8, 0.8**2, 0.8**3], atol=ROUNDING)


def test_without_errors_the_expectations_are_those_of_the_engine():
    found = found_of(layered(), settings(), weights=WEIGHTS, features=FEATURES)
    weights, features = (torch.tensor(values, dtype=torch.float64) for values in ([WEIGHTS], FEATURES))
    expected = ENGINE.expectations(layered(), weights, features)
    torch.testing.assert_close(found.mean(), expected, rtol=0.0, atol=ROUNDING)
    assert len(found.batches) == 0


@pytest.mark.parametrize("rates", [(0.05, 0.0, 0.0), (0.0, 0.2, 0.0), (0.03, 0.1, 0.05)])
def test_trajectories_agree_with_density_matrices(rates):
    noise = settings(*rates)
    found = found_of(layered(), noise, weights=WEIGHTS, features=FEATURES)
    expected = np.array([exact(layered(), noise, WEIGHTS, row) for row in FEATURES])
    assert (np.abs(found.mean().numpy() - expected) <= SIGMAS * std_errors(found).numpy() + ROUNDING).all()
    # The noise is far above what the trajectories leave open, so that agreement says something.
    ideal = np.array([exact(layered(), settings(), WEIGHTS, row) for row in FEATURES])
    assert np.abs(expected - ideal).max() > 5 * std_errors(found).max().item()


def test_engines_agree_on_trajectories():
    noise = settings(0.03, 0.1, 0.02, trajectories=20)
    first, second = (
        found_of(layered(), noise, weights=WEIGHTS, features=FEATURES, engine=make_engine(name)).mean()
        for name in ("batched", "default.qubit")
    )
    torch.testing.assert_close(first, second, rtol=0.0, atol=1e-10)


def test_every_drawn_run_has_an_error_and_few_have_more():
    noisy = NoisyCircuit.of(layered(), settings(0.01, 0.01))
    angles = noisy.draw(1_000, np.random.default_rng(1))
    assert angles.shape == (1_000, 2 * (5 + 2 * 3))
    assert (angles != 0).any(1).all()
    assert noisy.ideal_probability == pytest.approx(0.99**8)


def test_errors_are_as_frequent_as_their_rates_say():
    noisy = NoisyCircuit.of(layered(), settings(0.1, 0.3))
    angles = noisy.draw(4_000, np.random.default_rng(1)).numpy()
    starts = np.concatenate([[0], np.cumsum(2 * noisy.sites)])
    erred = np.stack([(angles[:, a:b] != 0).any(1) for a, b in pairwise(starts)], 1)
    # Given that some gate errs, gate g does with p_g / (1 - P0).
    expected = noisy.rates / (1.0 - noisy.ideal_probability)
    spread = np.sqrt(expected * (1 - expected) / 4_000)
    assert (np.abs(erred.mean(0) - expected) <= SIGMAS * spread).all()


def test_all_fifteen_words_follow_a_gate_on_two_qubits_alike():
    noisy = NoisyCircuit.of(Circuit(2, (Operation("cx", (0, 1)),), ((("z", 0),),)), settings(two_qubit=0.5))
    angles = noisy.draw(3_000, np.random.default_rng(1)).numpy()
    names = (angles != 0) @ np.array([8, 4, 2, 1])
    counts = np.bincount(names, minlength=16)
    assert counts[0] == 0
    assert (np.abs(counts[1:] - 200) <= SIGMAS * math.sqrt(200)).all()


def case(metric="noisy_accuracy", *, dataset="iris", training=None, engine="batched", **metrics):
    spec = parse_spec(
        {
            "name": "noise",
            "dataset": {"name": dataset},
            "space": {"qubits": 2, "layers": 2, "learning_rate": 0.1},
            "training": {"epochs": 8, **(training or {})},
            "objectives": [{"metric": metric}],
            "metrics": {"also": ["validation_accuracy"], **metrics},
            "engine": engine,
        }
    )
    return SearchSpace.from_spec(spec).decode({}), Protocol.from_spec(spec)


def test_a_device_without_errors_has_the_accuracy_of_the_fit():
    found = evaluate(*case(noise={"one_qubit": 0, "two_qubit": 0, "readout": 0})).metrics
    assert found["noisy_accuracy"].value == found["validation_accuracy"].value
    assert found["noisy_accuracy"].std_error == found["validation_accuracy"].std_error


def test_a_device_that_only_errs_has_the_accuracy_of_one_answer():
    # At 15/16 and 3/4 a gate leaves the maximally mixed state, and at 1/2 a reading says nothing: all rows are alike.
    found = evaluate(*case(noise={"one_qubit": 0.75, "two_qubit": 0.9375, "readout": 0.5})).metrics["noisy_accuracy"]
    assert found.value == pytest.approx(1 / 3)


def test_noise_adds_the_trajectories_to_the_error():
    found = evaluate(*case(noise={"one_qubit": 0.2, "two_qubit": 0.3, "trajectories": 10})).metrics["noisy_accuracy"]
    smoothed = (found.value * 30 + 1) / 32
    assert found.std_error > math.sqrt(smoothed * (1 - smoothed) / 30)
    assert found.protocol["noise"]["trajectories"] == 10


def test_the_same_arguments_give_the_same_bits():
    first, second = (evaluate(*case()).metrics["noisy_accuracy"].to_json() for _ in range(2))
    assert first == second


def test_replicates_have_trajectories_of_their_own():
    found = evaluate(*case(training={"replicates": 2})).metrics["noisy_accuracy"]
    assert len(found.details["per_replicate"]) == len(found.details["ideal_per_replicate"]) == 2
    assert found.protocol["std_error_from"] == "replicates"
