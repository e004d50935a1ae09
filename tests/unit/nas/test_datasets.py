"""Data sets: shapes, splits and scaling."""

import numpy as np
import pytest
import torch

from nas.spec.datasets import DATASETS, Dataset
from nas.training import datasets
from nas.training.datasets import load, principal_components

ROUNDING = 1e-9


@pytest.mark.parametrize("name", DATASETS)
def test_shapes_are_those_of_the_catalogue(name):
    info, data = DATASETS[name], load(Dataset(name=name))
    assert data.train_x.shape[1] == data.validation_x.shape[1] == info.n_features
    assert set(data.train_y.tolist()) == set(data.validation_y.tolist()) == set(range(info.n_classes))


@pytest.mark.parametrize("name", DATASETS)
def test_train_has_60_and_validation_20_percent(name):
    n_samples, data = DATASETS[name].n_samples, load(Dataset(name=name))
    assert len(data.train_y) == pytest.approx(0.6 * n_samples, abs=1.5)
    assert len(data.validation_y) == pytest.approx(0.2 * n_samples, abs=1.5)


@pytest.mark.parametrize("name", DATASETS)
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
    assert set(datasets.Data.__slots__) == {"train_x", "train_y", "validation_x", "validation_y"}


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
