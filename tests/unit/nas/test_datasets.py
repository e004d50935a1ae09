"""Data sets: shapes, splits and scaling."""

import numpy as np
import pytest
import torch

from nas.spec.datasets import DATASETS, Dataset
from nas.training import datasets, sources
from nas.training.datasets import load, principal_components
from nas.training.sources import SOURCES, spiral

ROUNDING = 1e-9
WITH_CLASSES = [name for name, info in DATASETS.items() if info.task == "classification"]
WITH_TARGETS = [name for name in DATASETS if name not in WITH_CLASSES]


@pytest.mark.parametrize("name", DATASETS)
def test_shapes_are_those_of_the_catalogue(name):
    info, data = DATASETS[name], load(Dataset(name=name))
    assert data.train_x.shape[1] == data.validation_x.shape[1] == info.n_features
    assert data.train_y.is_floating_point() == (info.task == "regression")


@pytest.mark.parametrize("name", WITH_CLASSES)
def test_every_class_is_in_both_splits(name):
    data = load(Dataset(name=name))
    assert set(data.train_y.tolist()) == set(data.validation_y.tolist()) == set(range(DATASETS[name].n_classes))


@pytest.mark.parametrize("name", DATASETS)
def test_train_has_60_and_validation_20_percent(name):
    n_samples, data = DATASETS[name].n_samples, load(Dataset(name=name))
    assert len(data.train_y) == pytest.approx(0.6 * n_samples, abs=1.5)
    assert len(data.validation_y) == pytest.approx(0.2 * n_samples, abs=1.5)


@pytest.mark.parametrize("name", WITH_CLASSES)
def test_splits_are_stratified(name):
    data = load(Dataset(name=name))
    for label in range(DATASETS[name].n_classes):
        shares = [(y == label).double().mean().item() for y in (data.train_y, data.validation_y)]
        assert shares[0] == pytest.approx(shares[1], abs=1.5 / len(data.validation_y))


def test_only_the_training_split_is_standardised_exactly():
    data = load(Dataset(name="wine"))
    assert data.train_x.mean(0).abs().max() < ROUNDING
    assert data.validation_x.mean(0).abs().max() > 0.01


def test_options_of_a_generated_set_are_met():
    data = load(Dataset(name="synthetic-binary", samples=100, features=6))
    assert (len(data.train_y), data.train_x.shape[1]) == (60, 6)


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_is_the_same_when_made_again(name):
    dataset = Dataset(name=name)
    assert torch.equal(load.__wrapped__(dataset).train_x, load.__wrapped__(dataset).train_x)


def test_validation_rows_do_not_stand_in_train():
    data = load(Dataset(name="breast-cancer"))
    rows = {tuple(row) for row in data.train_x.tolist()}
    assert not any(tuple(row) in rows for row in data.validation_x.tolist())


def test_the_test_split_has_no_way_out():
    assert {name for name in vars(datasets) if "test" in name.lower()} == {"TEST_SHARE", "train_test_split"}
    assert set(datasets.Data.__slots__) == {"train_x", "train_y", "validation_x", "validation_y", "preparation"}


def test_principal_components_are_white_on_the_training_split():
    data = principal_components(load(Dataset(name="wine")), 4)
    np.testing.assert_allclose(np.cov(data.train_x.numpy().T), np.eye(4), atol=ROUNDING)


def test_principal_components_ignore_the_validation_split():
    data = load(Dataset(name="wine"))
    changed = datasets.replace(data, validation_x=100.0 * data.validation_x)
    assert torch.equal(principal_components(data, 3).train_x, principal_components(changed, 3).train_x)


def test_data_that_fit_stay_as_they_are():
    data = load(Dataset(name="iris"))
    assert principal_components(data, 4) is data


def test_components_beyond_the_rank_are_zero():
    data = principal_components(load(Dataset(name="synthetic-binary", samples=40, features=64)), 30)
    # 24 training rows span 23 dimensions around their mean.
    assert data.train_x.shape == (24, 30)
    assert data.train_x[:, 23:].abs().max() == 0.0


@pytest.mark.parametrize("name", WITH_TARGETS)
def test_targets_are_standardised_by_the_training_split_alone(name):
    data = load(Dataset(name=name))
    assert data.train_y.mean().item() == pytest.approx(0.0, abs=ROUNDING)
    assert data.train_y.std(correction=0).item() == pytest.approx(1.0)
    assert abs(data.validation_y.mean().item()) > 0.001


def test_the_units_of_a_target_are_kept():
    from sklearn.datasets import load_diabetes

    data = load(Dataset(name="diabetes"))
    target = data.preparation["target"]
    again = np.sort((data.train_y * target["std"] + target["mean"]).numpy().round(6))
    assert set(again) <= set(load_diabetes(return_X_y=True)[1])


def test_a_reduction_is_fitted_on_the_training_split_and_shown():
    data = load(Dataset.model_validate({"name": "digits", "reduce": {"pca": 8}}))
    assert (data.train_x.shape[1], data.validation_x.shape[1]) == (8, 8)
    np.testing.assert_allclose(np.cov(data.train_x.numpy().T), np.eye(8), atol=ROUNDING)
    assert (data.preparation["principal_components"], data.preparation["source_features"]) == (8, 64)
    assert sorted(data.preparation["explained_variance"], reverse=True) == data.preparation["explained_variance"]


def test_a_reduction_is_what_a_pure_circuit_would_have_reduced_to():
    reduced = load(Dataset.model_validate({"name": "digits", "reduce": {"pca": 8}}))
    ours, theirs = principal_components(reduced, 3), principal_components(load(Dataset(name="digits")), 3)
    torch.testing.assert_close(ours.validation_x, theirs.validation_x, rtol=0.0, atol=ROUNDING)
    assert ours.preparation["explained_variance"] == pytest.approx(theirs.preparation["explained_variance"])


def test_spiral_has_three_arms_of_five_hundred_points_and_ten_features():
    x, y = SOURCES["spiral"](Dataset(name="spiral"))
    assert x.shape == (1_500, 10)
    assert np.bincount(y).tolist() == [500, 500, 500]


@pytest.mark.parametrize("n_features", [10, 60, 110])
def test_the_noise_of_spiral_grows_with_its_features_as_published(n_features):
    noise = 0.5 * (0.1 + 0.003 * n_features)
    x, _ = spiral(10_000, n_features)
    clean, _ = _without_noise(10_000, n_features)
    # The relative error of the standard deviation of 100,000 numbers and more is below 0.3 %.
    assert (x - clean).std() == pytest.approx(noise, rel=0.01)


def _without_noise(n_samples, n_features):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "SPIRAL_NOISE", 0.0)
        patch.setattr(sources, "SPIRAL_NOISE_PER_FEATURE", 0.0)
        return spiral(n_samples, n_features)


def test_arms_of_a_spiral_are_one_another_turned():
    points, y = _without_noise(3_000, 10)
    radius, angle = np.hypot(*points[:, :2].T), np.arctan2(points[:, 1], points[:, 0])
    unwound = (angle - 2 * np.pi * (y / 3 + 0.75 * radius)) / (2 * np.pi)
    np.testing.assert_allclose(unwound - np.round(unwound), 0.0, atol=ROUNDING)
    assert radius.max() <= 1.0


def test_a_spiral_is_no_task_for_a_line():
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    data = load(Dataset(name="spiral"))
    rows = (data.train_x[:, :2].numpy(), data.train_y.numpy())
    seen = (data.validation_x[:, :2].numpy(), data.validation_y.numpy())
    assert LogisticRegression().fit(*rows).score(*seen) < KNeighborsClassifier(15).fit(*rows).score(*seen) - 0.1


def test_friedmans_function_has_five_features_that_count():
    x, y = SOURCES["friedman1"](Dataset(name="friedman1", samples=10_000, features=8))
    expected = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    # The relative error of the standard deviation of 10,000 numbers is 0.7 %.
    assert (y - expected).std() == pytest.approx(1.0, rel=0.03)
