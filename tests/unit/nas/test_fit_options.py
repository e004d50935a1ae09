"""Early stopping, class weights, sweeps of the learning rate and regression."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, mse_loss

from nas import evaluation
from nas.circuits import Architecture
from nas.engines import make_engine
from nas.errors import TrainingDiverged
from nas.evaluation import evaluate, evaluate_bundle
from nas.space import SearchSpace
from nas.spec import Protocol, parse_spec
from nas.spec.datasets import Dataset
from nas.spec.settings import GradientSettings
from nas.spec.training import Training
from nas.training.datasets import load, side_by_side
from nas.training.fit import fit
from nas.training.gradients import loss_gradients
from nas.training.hybrid import HybridNetworks
from nas.training.loss import TrainingLoss, sample_losses

ROUNDING = 1e-12


def case(*, dataset="iris", objective="validation_loss", space=None, training=None, also=(), **options):
    return parse_spec(
        {
            "name": "options",
            "dataset": {"name": dataset},
            "space": {"qubits": 2, "layers": 1, **(space or {})},
            "training": {"epochs": 6, **(training or {})},
            "objectives": [{"metric": objective}],
            "metrics": {"also": list(also), "gradient_variance": {"samples": 200, "batch_size": 4}},
            "engine": "batched",
            **options,
        }
    )


def only(spec):
    return SearchSpace.from_spec(spec).decode({}), Protocol.from_spec(spec)


def networks(spec, n_members=1):
    genome, protocol = only(spec)
    return HybridNetworks((Architecture.build(genome, protocol),) * n_members, make_engine("batched"))


def fits(spec, rates, training=None):
    data = side_by_side([load(spec.dataset)])
    rngs = [np.random.default_rng(1) for _ in rates]
    return fit(networks(spec, len(rates)), data, training or spec.training, learning_rates=rates, rngs=rngs)


def test_a_fit_stops_after_so_many_epochs_without_a_lower_validation_loss():
    (found,) = fits(case(training={"epochs": 40, "patience": 3}), [0.5])
    losses = [epoch.validation_loss for epoch in found.curve]
    assert found.epoch == 1 + int(np.argmin(losses))
    assert len(losses) == found.epoch + 3 < 40


def test_patience_does_not_change_the_epochs_that_are_run():
    with_patience, without = (
        fits(case(training=options), [0.5])[0] for options in ({"epochs": 40, "patience": 3}, {"epochs": 40})
    )
    assert with_patience.curve == without.curve[: len(with_patience.curve)]


def test_with_select_last_the_epoch_at_which_a_fit_stops_is_reported():
    (found,) = fits(case(training={"epochs": 40, "patience": 2, "select": "last"}), [0.5])
    assert found.epoch == len(found.curve) < 40


def test_members_of_a_bundle_stop_each_at_its_own_epoch_as_alone():
    spec = case(training={"epochs": 30, "patience": 2})
    together = fits(spec, [0.5, 0.01, 0.2])
    alone = [fits(spec, [rate])[0] for rate in (0.5, 0.01, 0.2)]
    assert len({len(one.curve) for one in together}) > 1
    for ours, theirs in zip(together, alone, strict=True):
        assert ours.curve == theirs.curve
        assert torch.equal(ours.parameters.circuit, theirs.parameters.circuit)
        assert torch.equal(ours.parameters.classical, theirs.parameters.classical)


def test_balanced_weights_are_inverse_to_the_size_of_the_class_and_have_mean_1():
    y = load(Dataset(name="breast-cancer")).train_y
    weights = TrainingLoss.of(Training(class_weights="balanced"), y).class_weights
    counts = torch.bincount(y)
    torch.testing.assert_close(weights * counts, (weights * counts)[:1].expand(2))
    assert weights[y].mean().item() == pytest.approx(1.0)


def test_the_weighted_loss_is_torchs():
    y = torch.tensor([0, 0, 0, 1])
    logits = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    loss = TrainingLoss.of(Training(class_weights="balanced"), y)
    expected = cross_entropy(logits, y, weight=torch.tensor([4 / 6, 2.0], dtype=torch.float64), reduction="none")
    torch.testing.assert_close(loss.of_samples(logits, y), expected)


def test_class_weights_are_in_training_and_not_in_validation():
    data = load(Dataset(name="breast-cancer"))
    plain, balanced = (
        fits(case(dataset="breast-cancer", training={"epochs": 1, "class_weights": kind}), [1e-12])[0]
        for kind in ("none", "balanced")
    )
    # A rate of nearly 0 leaves the parameters alone: what differs is the loss that is told.
    assert balanced.curve[0].validation_loss == pytest.approx(plain.curve[0].validation_loss, abs=1e-9)
    net = networks(case(dataset="breast-cancer"))
    logits = net.logits(net.draw([np.random.default_rng(1)]), data.train_x[None])[0]
    weights = TrainingLoss.of(Training(class_weights="balanced"), data.train_y).class_weights
    expected = (sample_losses(logits, data.train_y) * weights[data.train_y]).mean().item()
    assert balanced.curve[0].train_loss == pytest.approx(expected, abs=1e-9)
    assert plain.curve[0].train_loss != pytest.approx(expected, abs=1e-3)


def test_gradients_at_random_weights_are_of_the_weighted_loss():
    spec = case(dataset="breast-cancer", training={"class_weights": "balanced"}, also=["gradient_variance"])
    protocol = evaluate(*only(spec)).metrics["gradient_variance"].protocol
    assert protocol["cost"] == "class-weighted cross-entropy of a fixed batch"
    net, data = networks(spec), side_by_side([load(spec.dataset)])
    settings = GradientSettings(samples=200, batch_size=4)
    plain, doubled = (
        loss_gradients(net, data, settings, mode="quantum-only", rngs=[np.random.default_rng(1)], loss=loss)[0]
        for loss in (TrainingLoss(), TrainingLoss(torch.full((2,), 2.0, dtype=torch.float64)))
    )
    np.testing.assert_allclose(doubled.values, 2.0 * plain.values, atol=ROUNDING)


SWEEP = [0.5, 0.05, 1e-6]


def test_a_sweep_reports_the_rate_of_lowest_validation_loss():
    found = evaluate(*only(case(training={"learning_rate": SWEEP})))
    losses = {trial["learning_rate"]: trial["validation_loss"] for trial in found.training["sweep"]}
    assert list(losses) == SWEEP
    chosen = found.training["learning_rate"]
    assert losses[chosen] == min(losses.values()) == found.metrics["validation_loss"].value
    assert found.metrics["validation_loss"].protocol["chosen_learning_rate"] == chosen


def test_a_swept_rate_gives_what_a_sweep_of_it_alone_gives():
    together = evaluate(*only(case(training={"learning_rate": SWEEP})))
    alone = evaluate(*only(case(training={"learning_rate": [together.training["learning_rate"]]})))
    assert alone.curves == together.curves


def test_all_rates_of_a_sweep_start_from_the_same_parameters():
    found = evaluate(*only(case(training={"learning_rate": [1e-12, 2e-12], "epochs": 1})))
    first, second = (trial["validation_loss"] for trial in found.training["sweep"])
    assert first == pytest.approx(second, abs=1e-9)  # rates of nearly 0 leave the parameters where they are


def test_a_sweep_judges_a_rate_by_all_replicates():
    found = evaluate(*only(case(training={"learning_rate": SWEEP, "replicates": 2})))
    assert len(found.curves) == 2
    chosen = min(found.training["sweep"], key=lambda trial: trial["validation_loss"])
    assert found.metrics["validation_loss"].value == pytest.approx(chosen["validation_loss"])


def test_a_rate_that_diverges_is_out():
    found = evaluate(*only(case(training={"learning_rate": [1e300, 0.05], "optimizer": "sgd"})))
    assert found.training["learning_rate"] == 0.05
    assert found.training["sweep"][0]["validation_loss"] is None


def test_a_sweep_in_which_every_rate_diverges_has_diverged():
    with pytest.raises(TrainingDiverged, match="lower the learning rate"):
        evaluate(*only(case(training={"learning_rate": [1e300, 1e299], "optimizer": "sgd"})))


def test_a_bundle_sweeps_as_its_members_do_alone(monkeypatch):
    space = {"layers": [1, 2], "pre_layers": [[], [3]], "topology": ["none", "linear"]}
    spec = case(space=space, training={"learning_rate": SWEEP, "patience": 2, "epochs": 8, "replicates": 2})
    found, rng = SearchSpace.from_spec(spec), np.random.default_rng(3)
    genomes, protocol = [found.sample(rng) for _ in range(4)], Protocol.from_spec(spec)
    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "evaluate_bundle", None)  # the way out of a failure, which would hide one here
        together = evaluate_bundle(genomes, protocol)
    alone = [evaluate(genome, protocol) for genome in genomes]
    assert [one.to_json() for one in together] == [one.to_json() for one in alone]
    assert [one.weights for one in together] == [one.weights for one in alone]


@pytest.mark.parametrize("mode", ["full-hybrid", "quantum-only", "pure-quantum"])
@pytest.mark.parametrize("dataset", ["diabetes", "friedman1"])
def test_a_regression_is_learnt_in_every_mode(dataset, mode):
    spec = case(dataset=dataset, training={"mode": mode, "epochs": 15, "learning_rate": [0.1]}, also=["validation_r2"])
    found = evaluate(*only(spec))
    curve = found.curves[0]
    assert curve[-1].train_loss < curve[0].train_loss
    assert curve[-1].validation_accuracy is None
    assert set(curve[0].to_json()) == {"epoch", "train_loss", "validation_loss", "validation_r2"}
    assert found.metrics["validation_loss"].to_json()["unit"] == "variance of the training target"


def test_a_full_hybrid_explains_more_of_a_target_than_its_mean():
    found = evaluate(
        *only(case(dataset="diabetes", training={"learning_rate": [0.1], "epochs": 20}, also=["validation_r2"]))
    )
    assert found.metrics["validation_r2"].value > 0.2  # linear regression has about 0.45 here
    assert found.metrics["validation_loss"].value < 0.9


def test_the_squared_error_is_torchs():
    y = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    outputs = torch.tensor([[0.0], [1.0], [2.0]], dtype=torch.float64)
    torch.testing.assert_close(sample_losses(outputs, y), mse_loss(outputs[:, 0], y, reduction="none"))


def test_a_pure_circuit_gives_three_times_the_mean_of_its_expectations():
    spec = case(dataset="diabetes", space={"observable": "xyz-all"}, training={"mode": "pure-quantum"})
    net = networks(spec)
    parameters, x = net.draw([np.random.default_rng(1)]), load(spec.dataset).train_x[None, :5, :2]
    circuit = net.architectures[0].circuit
    expectations = net.engine.expectations(circuit, parameters.circuit, math.pi * torch.tanh(x[0]))
    expected = 3.0 * expectations.mean(1, keepdim=True)
    torch.testing.assert_close(net.logits(parameters, x)[0], expected, rtol=0.0, atol=ROUNDING)


def test_gradients_of_a_regression_are_of_its_squared_error():
    spec = case(dataset="diabetes", also=["gradient_variance"], training={"mode": "quantum-only"})
    measured = evaluate(*only(spec)).metrics["gradient_variance"]
    assert measured.protocol["cost"] == "squared error of a fixed batch"


def test_a_member_without_a_rate_says_so():
    genome, protocol = only(case())
    with pytest.raises(ValueError, match="no learning rate"):
        evaluate(dataclasses.replace(genome, learning_rate=None), protocol)
