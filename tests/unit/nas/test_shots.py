"""Finite shots: bases, the spread of estimates, and the accuracy of a fitted network."""

import math

import numpy as np
import pytest
import torch

from nas.circuits import Angle, Circuit, Operation
from nas.engines import make_engine
from nas.evaluation import evaluate
from nas.metrics.shots import bases_of, shot_expectations
from nas.space.layout import pauli_words

ENGINE = make_engine("batched")
#: Standard errors that a figure may be off: 1 of 16,000 right ones is further off, and there are fewer than a hundred.
SIGMAS = 4.0


def circuit(words, n_qubits=3):
    gates = [Operation("ry", (w,), Angle(weight=w)) for w in range(n_qubits)]
    gates += [Operation("crx", (w, w + 1), Angle(features=(0,))) for w in range(n_qubits - 1)]
    return Circuit(n_qubits, tuple(gates), tuple(words))


def estimates(of, *, shots, repetitions, seed=1):
    weights = torch.linspace(0.3, 2.0, of.n_weights, dtype=torch.float64)
    features = torch.tensor([[0.4], [1.9]], dtype=torch.float64)
    rng = np.random.default_rng(seed)
    found = shot_expectations(of, ENGINE, weights, features, n_shots=shots, n_repetitions=repetitions, rng=rng)
    return found, ENGINE.expectations(of, weights[None], features)


@pytest.mark.parametrize(("observable", "n_bases"), [("z-all", 1), ("z-first", 1), ("zz-pairs", 1), ("xyz-all", 3)])
def test_words_that_agree_share_a_basis(observable, n_bases):
    bases = bases_of(pauli_words(observable, 4))
    assert len(bases) == n_bases
    assert sorted(i for basis in bases for i in basis.words) == list(range(len(pauli_words(observable, 4))))


def test_words_that_contradict_one_another_have_bases_of_their_own():
    words = ((("x", 0), ("z", 1)), (("x", 0),), (("z", 0),), (("z", 0), ("z", 1)))
    assert [basis.words for basis in bases_of(words)] == [(0, 1), (2, 3)]


@pytest.mark.parametrize("shots", [4, 2_000])
def test_estimates_have_the_mean_and_the_variance_of_shots(shots):
    # 4 shots are drawn one by one and 2,000 as counts: 2³ strings lie between.
    words = [*pauli_words("xyz-all", 3), *pauli_words("zz-pairs", 3), (("y", 0), ("x", 2))]
    found, exact = estimates(circuit(words), shots=shots, repetitions=1_000)
    variance = ((1.0 - exact**2) / shots).numpy()
    off = (found.mean(0) - exact).abs().numpy()
    assert (off <= SIGMAS * np.sqrt(variance / 1_000) + 1e-12).all()
    # The relative error of a variance of 1,000 estimates is at most √(2/999), more for the few values of 4 shots.
    np.testing.assert_allclose(found.var(0).numpy(), variance, rtol=SIGMAS * 0.06, atol=1e-4)


def test_words_of_one_basis_are_read_from_the_same_shots():
    bell = Circuit(2, (Operation("h", (0,)), Operation("cx", (0, 1))), ((("z", 0),), (("z", 1),), (("z", 0), ("z", 1))))
    rng = np.random.default_rng(1)
    found = shot_expectations(
        bell, ENGINE, torch.zeros(0).double(), torch.zeros(1, 0).double(), n_shots=25, n_repetitions=8, rng=rng
    )
    assert torch.equal(found[..., 0], found[..., 1])
    assert (found[..., 2] == 1.0).all()
    assert found[..., 0].std() > 0.0


def test_many_shots_give_the_expectations():
    found, exact = estimates(circuit(pauli_words("xyz-all", 3)), shots=1_000_000, repetitions=1)
    torch.testing.assert_close(found[0], exact, rtol=0.0, atol=SIGMAS / math.sqrt(1_000_000))


def case(shots, **training):
    from nas.space import SearchSpace
    from nas.spec import Protocol, parse_spec

    spec = parse_spec(
        {
            "name": "shots",
            "dataset": {"name": "iris"},
            "space": {"qubits": 2, "layers": 2, "learning_rate": 0.1, "observable": "xyz-all"},
            "training": {"epochs": 8, **training},
            "objectives": [{"metric": "shot_accuracy"}],
            "metrics": {"also": ["validation_accuracy"], "shots": shots},
            "engine": "batched",
        }
    )
    return SearchSpace.from_spec(spec).decode({}), Protocol.from_spec(spec)


def test_many_shots_have_the_accuracy_of_the_fit():
    found = evaluate(*case(100_000)).metrics
    # One validation sample in thirty may lie at a boundary.
    assert found["shot_accuracy"].value == pytest.approx(found["validation_accuracy"].value, abs=1 / 30)


def test_one_shot_is_worse_than_many():
    one, many = (evaluate(*case(shots)).metrics["shot_accuracy"] for shots in (1, 10_000))
    assert one.value < many.value - 2 * one.std_error
    assert one.protocol["shots"] == 1


def test_the_error_is_that_of_the_validation_samples():
    found = evaluate(*case(100)).metrics["shot_accuracy"]
    smoothed = (found.value * 30 + 1) / 32
    assert found.std_error == pytest.approx(math.sqrt(smoothed * (1 - smoothed) / 30))
    assert found.protocol["std_error_from"] == "validation samples and shots"


def test_the_same_arguments_give_the_same_bits():
    first, second = (evaluate(*case(50, replicates=2)).metrics["shot_accuracy"].to_json() for _ in range(2))
    assert first == second
