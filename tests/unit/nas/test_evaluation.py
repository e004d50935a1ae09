"""Whole evaluations."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from nas import evaluation, metrics
from nas.engines import ENGINES
from nas.errors import BeyondMetric, TrainingDiverged, UndefinedMetric, UnsupportedMetric
from nas.evaluation import evaluate, evaluate_bundle
from nas.metrics import expressibility
from nas.metrics.registry import _of_its_own_file
from nas.space import SearchSpace
from nas.spec import METRICS, Protocol, parse_spec

ALL = [name for name, info in METRICS.items() if not info.is_static and "classification" in info.tasks]
NOT_PURE = ("gradient_variance_quantum", "gradient_variance_hybrid")
AGREEMENT = 1e-8  # of engines after a few steps of training


def case(mode="full-hybrid", also=ALL, objective="validation_accuracy", **options):
    spec = case_spec(mode, also, objective, **options)
    return SearchSpace.from_spec(spec).decode({}), Protocol.from_spec(spec)


def case_spec(mode="full-hybrid", also=ALL, objective="validation_accuracy", **options):
    return parse_spec(
        {
            "name": "evaluation",
            "dataset": {"name": "iris"},
            "space": {"qubits": 2, "layers": 1, "observable": "xyz-all", **options.pop("space", {})},
            "training": {"mode": mode, "epochs": 2, **options.pop("training", {})},
            "objectives": [{"metric": objective}],
            "metrics": {
                "also": [name for name in also if mode != "pure-quantum" or name not in NOT_PURE],
                "expressibility": {"samples": 200},
                "entangling_capability": {"samples": 50},
                "gradient_variance": {"samples": 200, "batch_size": 2},
                "quantum_fisher_rank": {"samples": 2},
            },
            "engine": "default.qubit",
            **options,
        }
    )


@pytest.mark.parametrize("mode", ["full-hybrid", "quantum-only", "pure-quantum"])
def test_exactly_the_metrics_of_the_protocol_are_measured(mode):
    genome, protocol = case(mode)
    assert list(evaluate(genome, protocol).metrics) == list(protocol.metrics)


@pytest.mark.parametrize(
    ("mode", "definition"), [("full-hybrid", "hybrid"), ("quantum-only", "quantum"), ("pure-quantum", "pure")]
)
def test_the_definition_of_gradient_variance_follows_the_mode(mode, definition):
    found = evaluate(*case(mode, also=["gradient_variance"], objective="gradient_variance"))
    assert found.metrics["gradient_variance"].protocol["definition"] == definition


TRAINABILITY = [f"gradient_variance_{definition}" for definition in ("pure", "quantum", "hybrid")]


def trainability(mode, also=TRAINABILITY):
    space = {"observable": "z-all", "pre_layers": [[3]]} if mode != "pure-quantum" else {}
    return evaluate(*case(mode, also=also, objective="gradient_variance", space=space, engine="batched")).metrics


@pytest.mark.parametrize(("mode", "own"), [("full-hybrid", "hybrid"), ("quantum-only", "quantum")])
def test_a_hybrid_has_all_three_trainabilities_and_one_is_its_own(mode, own):
    found = trainability(mode)
    assert [found[name].protocol["definition"] for name in TRAINABILITY] == ["pure", "quantum", "hybrid"]
    assert found["gradient_variance"].value == found[f"gradient_variance_{own}"].value
    assert len({found[name].value for name in TRAINABILITY}) == 3


def test_a_pure_circuit_has_one_trainability():
    found = trainability("pure-quantum", also=["gradient_variance_pure"])
    assert found["gradient_variance"].value == found["gradient_variance_pure"].value


def test_a_definition_does_not_depend_on_the_training_mode():
    found, other = trainability("full-hybrid"), trainability("quantum-only")
    assert [found[name] for name in TRAINABILITY] == [other[name] for name in TRAINABILITY]


@pytest.mark.parametrize(("definition", "n_parameters"), [("pure", 4), ("quantum", 4), ("hybrid", 4 + 15 + 8 + 9)])
def test_a_trainability_keeps_every_parameter_the_draws_and_an_interval(definition, n_parameters):
    # Iris has 4 features and 3 classes: layers 4-3-2 before the circuit and 2-3 behind it.
    found = trainability("full-hybrid")[f"gradient_variance_{definition}"].to_json()
    assert len(found["per_parameter"]) == len(found["per_parameter_std_error"]) == n_parameters
    assert found["protocol"]["samples"] == 200
    assert found["confidence_interval_95"][0] < found["value"] < found["confidence_interval_95"][1]
    assert 0.0 <= found["dead_parameters"] < 1.0


def test_a_pure_circuit_has_no_loss_to_differentiate():
    genome, protocol = case("pure-quantum", also=[], objective="gradient_variance")
    by_hand = protocol.model_copy(update={"metrics": {"gradient_variance_quantum": 1}})
    with pytest.raises(UndefinedMetric, match="pure-quantum has no loss"):
        evaluate(genome, by_hand)


def test_metrics_of_the_same_draws_share_them(monkeypatch):
    calls = []
    genuine = expressibility.fidelities
    monkeypatch.setattr(expressibility, "fidelities", lambda *some: calls.append(1) or genuine(*some))
    evaluate(*case(also=["expressibility", "frame_potential"]))
    assert calls == [1]


def test_a_metric_is_found_in_the_file_of_its_name(tmp_path, monkeypatch):
    (tmp_path / "newcomer.py").write_text("def measure(subject):\n    return ('measured', subject)\n")
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(tmp_path)])
    assert _of_its_own_file("newcomer")("something") == ("measured", "something")


def test_a_member_that_is_too_large_for_a_metric_fails_alone():
    options = {"also": ["quantum_fisher_rank"], "objective": "gates", "engine": "batched"}
    small, protocol = case(space={"qubits": 4}, **options)
    large, _ = case(space={"qubits": 4, "layers": 40, "entangler": "crx", "topology": "full"}, **options)
    first, second = evaluate_bundle([small, large], protocol)
    assert isinstance(second, BeyondMetric)
    assert first.metrics["quantum_fisher_rank"].value > 0


@pytest.mark.parametrize("encoding", ["angle-x", "angle-y", "angle-z", "amplitude", "iqp"])
@pytest.mark.parametrize("mode", ["full-hybrid", "pure-quantum"])
def test_every_encoding_evaluates(mode, encoding):
    found = evaluate(*case(mode, space={"encoding": encoding}))
    assert 0.0 <= found.metrics["validation_accuracy"].value <= 1.0


def test_the_same_arguments_give_the_same_bits():
    first, second = (evaluate(*case()) for _ in range(2))
    assert first.to_json() == second.to_json()


def test_the_training_seed_changes_what_is_drawn():
    first, second = (evaluate(*case(training={"seed": seed})).to_json() for seed in (0, 1))
    assert first["metrics"]["expressibility"]["value"] != second["metrics"]["expressibility"]["value"]
    assert first["curves"] != second["curves"]


def test_a_metric_does_not_depend_on_what_else_is_measured():
    alone = evaluate(*case(also=["entangling_capability"], objective="entangling_capability"))
    # Without training the genome has no learning rate, and so another digest: compare under one genome.
    genome, protocol = case()
    together = evaluate(genome, protocol)
    few = protocol.model_copy(update={"metrics": {"entangling_capability": 1}})
    assert evaluate(genome, few).metrics["entangling_capability"] == together.metrics["entangling_capability"]
    assert alone.curves == ()


def test_nothing_is_trained_for_metrics_without_training():
    assert evaluate(*case(also=[], objective="expressibility")).curves == ()


def test_each_replicate_has_its_own_curve():
    curves = evaluate(*case(training={"replicates": 3})).curves
    assert len({curve[0].train_loss for curve in curves}) == 3


def test_replicates_give_a_mean_and_its_error():
    found = evaluate(*case(training={"replicates": 3})).metrics["validation_loss"]
    values = found.details["per_replicate"]
    assert found.value == pytest.approx(sum(values) / 3)
    assert found.protocol["std_error_from"] == "replicates"


def test_one_replicate_has_the_error_of_its_samples():
    found = evaluate(*case()).metrics["validation_accuracy"]
    # 30 validation samples
    smoothed = (found.value * 30 + 1) / 32
    assert found.std_error == pytest.approx((smoothed * (1 - smoothed) / 30) ** 0.5)
    assert found.protocol["std_error_from"] == "validation samples"


def test_an_evaluation_is_json_without_nan():
    document = json.loads(json.dumps(evaluate(*case()).to_json(), allow_nan=False))
    assert document["metrics"]["gates"]["std_error"] == "exact"
    assert document["engine"]["name"] == "default.qubit"
    assert set(document["curves"][0][0]) == {"epoch", "train_loss", "validation_loss", "validation_accuracy"}


@pytest.mark.parametrize("encoding", ["angle-y", "amplitude"])
def test_engines_agree_on_a_whole_evaluation(encoding):
    engines = [name for name in ENGINES if name != "lightning.gpu"]
    also = [name for name in ALL if not name.startswith("gradient_variance_")]  # one of them is gradient_variance
    reference, *others = (evaluate(*case(also=also, engine=name, space={"encoding": encoding})) for name in engines)
    for found in others:
        for name in found.metrics:
            assert found.metrics[name].value == pytest.approx(reference.metrics[name].value, abs=AGREEMENT)


def test_another_version_of_a_definition_is_refused():
    genome, protocol = case()
    newer = protocol.model_copy(update={"metrics": {"expressibility": 99}})
    with pytest.raises(UnsupportedMetric, match="version 99 of 'expressibility' is not installed"):
        evaluate(genome, newer)


SPACE = {
    "layers": [1, 2, 3],
    "encoding": ["angle-y", "iqp", "amplitude"],
    "reuploading": [False, True],
    "entangler": ["cnot", "crx", "cz", "crz"],
    "topology": ["none", "linear", "ring", "full"],
    "observable": ["z-all", "xyz-all", "z-first"],
    "pre_layers": [[], [3]],
    "learning_rate": {"min": 1e-3, "max": 1e-1, "log": True},
}


def bundle_case(n_members=8, mode="full-hybrid", **options):
    space = {name: gene for name, gene in SPACE.items() if mode != "pure-quantum" or name != "pre_layers"}
    if mode == "pure-quantum":
        space["observable"] = "xyz-all"
    spec = case_spec(mode, space=space, engine="batched", **options)
    found, rng = SearchSpace.from_spec(spec), np.random.default_rng(7)
    return [found.sample(rng) for _ in range(n_members)], Protocol.from_spec(spec)


@pytest.mark.parametrize("qubits", [2, 4])
@pytest.mark.parametrize("mode", ["full-hybrid", "quantum-only", "pure-quantum"])
def test_a_bundle_has_the_results_of_its_members_to_the_last_bit(monkeypatch, mode, qubits):
    genomes, protocol = bundle_case(mode=mode, training={"replicates": 2})
    genomes = [dataclasses.replace(genome, qubits=qubits) for genome in genomes]
    with monkeypatch.context() as patch:
        # The way out of a failure, which would hide one here.
        patch.setattr(evaluation, "evaluate_bundle", None)
        together = evaluate_bundle(genomes, protocol)
    assert [one.to_json() for one in together] == [evaluate(genome, protocol).to_json() for genome in genomes]


@pytest.mark.parametrize("qubits", [3, 5])
def test_a_bundle_wider_than_a_register_has_the_results_of_its_members_to_the_last_bit(qubits):
    # Sums and products of many columns are rounded in another order than those of few: 16 members reach that.
    spec = case_spec(also=[], engine="batched", space={"qubits": qubits, "layers": 2, "topology": "ring"})
    genome = SearchSpace.from_spec(spec).decode({})
    genomes = [dataclasses.replace(genome, learning_rate=0.1 + 0.001 * i) for i in range(16)]
    protocol = Protocol.from_spec(spec)
    together = [one.to_json() for one in evaluate_bundle(genomes, protocol)]
    assert together == [evaluate(one, protocol).to_json() for one in genomes]


def test_a_member_that_diverges_fails_alone():
    genomes, protocol = bundle_case(training={"optimizer": "sgd"})
    genomes[1] = dataclasses.replace(genomes[1], learning_rate=1e300)
    together = evaluate_bundle(genomes, protocol)
    assert isinstance(together[1], TrainingDiverged)
    alone = [evaluate(genome, protocol).to_json() for genome in (genomes[0], *genomes[2:])]
    assert [one.to_json() for one in (together[0], *together[2:])] == alone


def test_a_bundle_without_memory_is_computed_one_by_one(monkeypatch):
    genomes, protocol = bundle_case(3)
    expected = [one.to_json() for one in evaluate_bundle(genomes, protocol)]
    fit = evaluation.fit

    def poor(networks, *args, **kwargs):
        if len(networks.architectures) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return fit(networks, *args, **kwargs)

    monkeypatch.setattr(evaluation, "fit", poor)
    assert [one.to_json() for one in evaluate_bundle(genomes, protocol)] == expected


def test_an_engine_that_is_not_there_fails_every_member():
    genomes, protocol = bundle_case(2)
    found = evaluate_bundle(genomes, protocol.model_copy(update={"device": "gpu"}))
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert [type(one).__name__ for one in found] == ["EngineUnavailable", "EngineUnavailable"]


@pytest.mark.parametrize(
    ("mode", "dataset", "words"),
    [
        ("full-hybrid", {"name": "wine"}, "classical layers: 13 to 2"),
        (
            "full-hybrid",
            {"name": "wine", "reduce": {"pca": 5}},
            "principal components: 5, then classical layers: 5 to 2",
        ),
        ("pure-quantum", {"name": "wine"}, "principal components: 2"),
        ("pure-quantum", {"name": "moons"}, "none: every feature enters the circuit"),
    ],
)
def test_a_result_says_how_features_became_inputs(mode, dataset, words):
    found = evaluate(*case(mode, also=[], objective="gates", dataset=dataset)).data
    assert (found["reduction"], found["circuit_inputs"]) == (words, 2)
