"""Macro F1, AUC and R²: scikit-learn's values, closed forms, and the bootstrap's error."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, r2_score, roc_auc_score

from nas.errors import UndefinedMetric
from nas.metrics.performance import Predictions, validation_accuracy, validation_loss
from nas.metrics.scores import (
    bootstrap_counts,
    probabilities,
    resampled_auc,
    resampled_f1,
    resampled_r2,
    validation_auc,
    validation_f1,
    validation_r2,
)

ROUNDING = 1e-12
#: The bootstrap's error is itself known to 5 % (200 resamples) and of one sample; four times that and more.
BOOTSTRAP_ERROR = 0.25


def predictions(n_classes, n=120, seed=1, *, strength=1.0):
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % n_classes
    logits = rng.normal(size=(n, n_classes)) + strength * np.eye(n_classes)[truth]
    return Predictions(np.zeros(n), logits, truth)


def targets(n=100, seed=1, noise=0.5):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n)
    outputs = truth + noise * rng.normal(size=n)
    return Predictions((outputs - truth) ** 2, outputs[:, None], truth)


def rng(seed=2):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_f1_at_unit_weights_and_at_a_resample_is_sklearns(n_classes):
    found = predictions(n_classes)
    counts = np.stack([np.ones(120), *bootstrap_counts(found.truth, 3, rng())])
    expected = [f1_score(found.truth, found.classes, average="macro", sample_weight=row) for row in counts]
    np.testing.assert_allclose(resampled_f1(found, counts), expected, atol=ROUNDING)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_auc_at_unit_weights_and_at_a_resample_is_sklearns(n_classes):
    found = predictions(n_classes)
    # Equal scores across classes: half a pair each.
    found.outputs[:40] = np.round(found.outputs[:40])
    counts = np.stack([np.ones(120), *bootstrap_counts(found.truth, 3, rng())])
    scores = probabilities(found)
    expected = [
        np.mean(
            [
                roc_auc_score(found.truth == c, scores[:, c], sample_weight=row)
                for c in ([1] if n_classes == 2 else range(n_classes))
            ]
        )
        for row in counts
    ]
    np.testing.assert_allclose(resampled_auc(found, counts), expected, atol=ROUNDING)


def test_r2_at_unit_weights_and_at_a_resample_is_sklearns():
    found = targets()
    counts = np.stack([np.ones(100), *bootstrap_counts(np.zeros(100), 3, rng())])
    expected = [r2_score(found.truth, found.outputs[:, 0], sample_weight=row) for row in counts]
    np.testing.assert_allclose(resampled_r2(found, counts), expected, atol=ROUNDING)


def test_a_class_that_is_never_named_has_no_f1():
    found = Predictions(np.zeros(4), np.array([[1.0, 0.0]] * 4), np.array([0, 0, 1, 1]))
    # Class 0: precision 1/2, recall 1, F1 2/3. Class 1: 0.
    assert validation_f1([found], {}, rng()).value == pytest.approx(1 / 3)


def test_macro_f1_counts_a_rare_class_as_much_as_a_frequent_one():
    truth = np.array([0] * 98 + [1, 1])
    logits = np.eye(2)[np.array([0] * 98 + [1, 0])]
    found = validation_f1([Predictions(np.zeros(100), logits, truth)], {}, rng())
    assert found.value == pytest.approx((2 * 98 / (2 * 98 + 1) + 2 / 3) / 2)


def test_auc_of_a_rising_score_is_1_and_of_its_reverse_0():
    truth = np.array([0, 0, 1, 1])
    rising = np.array([[0.0, s] for s in (1.0, 2.0, 3.0, 4.0)])
    assert validation_auc([Predictions(np.zeros(4), rising, truth)], {}, rng()).value == 1.0
    assert validation_auc([Predictions(np.zeros(4), -rising, truth)], {}, rng()).value == 0.0


def test_auc_without_information_is_one_half():
    assert validation_auc([predictions(3, 3_000, strength=0.0)], {}, rng()).value == pytest.approx(0.5, abs=0.05)


def test_auc_without_a_class_in_the_split_has_no_value():
    found = Predictions(np.zeros(4), np.zeros((4, 3)), np.array([0, 0, 1, 1]))
    with pytest.raises(UndefinedMetric, match="lacks a class"):
        validation_auc([found], {}, rng())


def test_r2_of_the_mean_is_0_and_of_the_truth_1():
    truth = np.array([1.0, 2.0, 6.0])
    mean = Predictions((truth - 3.0) ** 2, np.full((3, 1), 3.0), truth)
    assert validation_r2([mean], {}, rng()).value == pytest.approx(0.0)
    assert validation_r2([Predictions(np.zeros(3), truth[:, None], truth)], {}, rng()).value == 1.0
    assert mean.r2 == pytest.approx(0.0)


@pytest.mark.parametrize(("measure", "make"), [(validation_f1, predictions), (validation_auc, predictions)])
def test_the_bootstraps_error_is_the_spread_over_fresh_samples(measure, make):
    fresh = np.std([measure([make(3, 150, seed)], {}, rng()).value for seed in range(150)], ddof=1)
    errors = np.mean([measure([make(3, 150, seed)], {}, rng()).std_error for seed in range(20)])
    assert errors == pytest.approx(fresh, rel=BOOTSTRAP_ERROR)


def test_the_error_of_r2_is_the_spread_over_fresh_samples():
    fresh = np.std([validation_r2([targets(200, seed)], {}, rng()).value for seed in range(150)], ddof=1)
    errors = np.mean([validation_r2([targets(200, seed)], {}, rng()).std_error for seed in range(20)])
    assert errors == pytest.approx(fresh, rel=BOOTSTRAP_ERROR)


def test_errors_shrink_with_the_root_of_the_samples():
    few, many = (validation_f1([predictions(3, n)], {}, rng()).std_error for n in (300, 4_800))
    assert few / many == pytest.approx(4.0, rel=BOOTSTRAP_ERROR)


def test_replicates_give_their_mean_and_its_error():
    replicates = [predictions(3, seed=seed) for seed in range(4)]
    found = validation_f1(replicates, {}, rng())
    values = found.details["per_replicate"]
    assert found.value == pytest.approx(np.mean(values))
    assert found.std_error == pytest.approx(np.std(values, ddof=1) / 2)
    assert found.protocol["std_error_from"] == "replicates"


def test_one_replicate_names_the_bootstrap():
    assert "200 resamples" in validation_auc([predictions(2)], {}, rng()).protocol["std_error_from"]


def test_resamples_keep_the_size_of_every_class():
    truth = np.array([0, 0, 0, 1, 1, 2])
    counts = bootstrap_counts(truth, 50, rng())
    for label, size in enumerate((3, 2, 1)):
        assert (counts[:, truth == label].sum(1) == size).all()
    assert counts.std(0)[:3].min() > 0.0


@pytest.mark.parametrize("measure", [validation_f1, validation_auc])
def test_replicates_that_agree_have_the_error_of_one(measure):
    one, several = (measure([predictions(3)] * n, {}, rng()) for n in (1, 3))
    assert several.std_error == one.std_error > 0.0
    assert several.protocol["std_error_from"] == one.protocol["std_error_from"]
    assert several.details["per_replicate"] == [one.value] * 3


@pytest.mark.parametrize("measure", [validation_accuracy, validation_loss])
def test_fits_that_agree_by_chance_are_not_known_exactly(measure):
    rows = targets() if measure is validation_loss else predictions(2)
    one, several = (measure([rows] * n, {}) for n in (1, 3))
    assert several.std_error == one.std_error > 0.0
    assert several.protocol["std_error_from"] == "validation samples"
