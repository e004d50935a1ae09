"""What a search must not see: labels through the back door, and the test split at all."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from nas.evaluation import evaluate
from nas.space import SearchSpace
from nas.spec import METRICS, Protocol, parse_spec
from nas.spec.datasets import DATASETS, Dataset
from nas.training import datasets
from nas.training.datasets import load
from nas.training.sources import SOURCES

WITH_CLASSES = [name for name, info in DATASETS.items() if info.task == "classification"]
#: Standard deviations of a share of right guesses that chance may be off: 1 of 16,000 figures is, and there are thirty.
SIGMAS = 4.0


def shuffled(dataset, seed):
    """Returns the splits of a data set whose labels say nothing of their rows."""
    x, y = SOURCES[dataset.name](dataset)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SOURCES, dataset.name, lambda _: (x, np.random.default_rng(seed).permutation(y)))
        return load.__wrapped__(dataset)


def chance(y, n_classes, n_repeats=1):
    """Returns the interval of accuracies on y that chance gives, from the best to the worst constant guess."""
    shares = np.bincount(y, minlength=n_classes) / len(y)
    sigma = SIGMAS * np.sqrt(0.25 / (n_repeats * len(y)))
    return shares.min() - sigma, shares.max() + sigma


def memorised(data):
    """Returns the accuracy of what remembers every training row: a row that is in both splits, it knows."""
    model = KNeighborsClassifier(1).fit(data.train_x.numpy(), data.train_y.numpy())
    return model.score(data.validation_x.numpy(), data.validation_y.numpy())


@pytest.mark.parametrize("name", WITH_CLASSES)
def test_labels_that_say_nothing_are_learnt_by_chance_alone(name):
    dataset = Dataset(name=name)
    found = [shuffled(dataset, seed) for seed in range(3)]
    low, high = chance(found[0].validation_y.numpy(), dataset.n_classes, n_repeats=3)
    assert low <= np.mean([memorised(data) for data in found]) <= high


@pytest.mark.parametrize("mode", ["full-hybrid", "quantum-only", "pure-quantum"])
def test_a_network_has_chance_accuracy_on_labels_that_say_nothing(monkeypatch, mode):
    dataset = Dataset(name="synthetic-binary", samples=1_000)
    data = shuffled(dataset, 1)
    monkeypatch.setattr("nas.evaluation.load", lambda _: data)
    spec = parse_spec(
        {
            "name": "leakage",
            "dataset": dataset.model_dump(),
            "space": {"qubits": 3, "layers": 2, "topology": "ring", "learning_rate": 0.1},
            "training": {"mode": mode, "epochs": 5, "select": "last", "replicates": 2},
            "objectives": [{"metric": "validation_accuracy"}],
            "engine": "batched",
        }
    )
    found = evaluate(SearchSpace.from_spec(spec).decode({}), Protocol.from_spec(spec)).metrics["validation_accuracy"]
    low, high = chance(data.validation_y.numpy(), 2)
    assert low <= found.value <= high


def test_the_same_network_finds_the_labels_that_say_something():
    dataset = Dataset(name="synthetic-binary", samples=1_000)
    _, high = chance(load(dataset).validation_y.numpy(), 2)
    assert memorised(load(dataset)) > high


def test_a_leak_of_rows_would_be_seen():
    data = shuffled(Dataset(name="wine"), 1)
    leaking = datasets.replace(data, train_x=data.validation_x, train_y=data.validation_y)
    assert memorised(leaking) > chance(data.validation_y.numpy(), 3)[1]


class TouchedTestSplit(AssertionError):
    """Something asked for test data."""


class Tripwire:
    """Stands in the place of an array of test data: whatever is done with it raises."""

    def __getattribute__(self, name: str) -> Any:
        raise TouchedTestSplit(name)

    def _touched(self, *_: Any) -> Any:
        raise TouchedTestSplit

    __array__ = __len__ = __iter__ = __getitem__ = __bool__ = __eq__ = __float__ = __int__ = __add__ = __sub__ = (
        _touched
    )
    __hash__ = None


def wired(split, armed):
    """Returns `train_test_split` whose first cut, that of the test split, gives out tripwires for the test part."""

    def cut(x, y, **options):
        parts = split(x, y, **options)
        if options["test_size"] != datasets.TEST_SHARE:
            return parts
        armed.append(1)
        return [parts[0], Tripwire(), parts[2], Tripwire()]

    return cut


def everything(name, mode):
    """Returns a search that measures every metric that its data set and its mode have."""
    task = DATASETS[name].task
    of_loss = {"gradient_variance_quantum", "gradient_variance_hybrid"} if mode == "pure-quantum" else set()
    also = [
        metric
        for metric, info in METRICS.items()
        if not info.is_static and task in info.tasks and metric not in of_loss
    ]
    return parse_spec(
        {
            "name": "everything",
            "dataset": {"name": name},
            "space": {"qubits": 2, "layers": 1, "observable": "xyz-all"},
            "training": {"mode": mode, "epochs": 1, "learning_rate": [0.1, 0.01], "patience": 1},
            "objectives": [{"metric": "validation_loss"}],
            "metrics": {
                "also": also,
                "expressibility": {"samples": 100},
                "entangling_capability": {"samples": 10},
                "noise": {"trajectories": 2},
                "shots": 10,
            },
            "engine": "batched",
        }
    )


def measured(spec):
    return evaluate(SearchSpace.from_spec(spec).decode({}), Protocol.from_spec(spec))


@pytest.mark.parametrize("mode", ["full-hybrid", "quantum-only", "pure-quantum"])
@pytest.mark.parametrize("name", ["iris", "friedman1"])
def test_nothing_that_a_search_measures_touches_the_test_split(monkeypatch, name, mode):
    armed: list[int] = []
    monkeypatch.setattr(datasets, "train_test_split", wired(datasets.train_test_split, armed))
    monkeypatch.setattr("nas.evaluation.load", load.__wrapped__)  # past the cache, which may hold it from before
    spec = everything(name, mode)
    found = measured(spec)
    assert armed
    assert set(spec.measured) == set(found.metrics)


@pytest.mark.parametrize("name", DATASETS)
def test_no_data_set_is_scaled_or_reduced_with_its_test_split(monkeypatch, name):
    armed: list[int] = []
    monkeypatch.setattr(datasets, "train_test_split", wired(datasets.train_test_split, armed))
    dataset = Dataset.model_validate({"name": name, "reduce": {"pca": 2}})
    data = load.__wrapped__(dataset)
    assert armed
    assert data.train_x.shape[1] == 2


def test_a_search_that_trains_on_the_test_split_would_be_seen(monkeypatch):
    cut = wired(datasets.train_test_split, [])

    def wrong_way_round(x, y, **options):
        rest_x, test_x, rest_y, test_y = cut(x, y, **options)
        return [test_x, rest_x, test_y, rest_y]

    monkeypatch.setattr(datasets, "train_test_split", wrong_way_round)
    with pytest.raises(TouchedTestSplit):
        load.__wrapped__(Dataset(name="iris"))


def test_a_tripwire_is_seen_by_whatever_scales(monkeypatch):
    from sklearn.preprocessing import StandardScaler

    with pytest.raises(TouchedTestSplit):
        StandardScaler().fit(Tripwire())
    with pytest.raises(TouchedTestSplit):
        np.concatenate([np.zeros(1), Tripwire()])


def poisoned(dataset):
    """Returns the table with NaN in the rows of the test split, and in its targets; classes stratify, and stay."""
    x, y = SOURCES[dataset.name](dataset)
    has_classes = dataset.task == "classification"
    _, of_test = datasets.train_test_split(
        np.arange(len(y)),
        test_size=datasets.TEST_SHARE,
        stratify=y if has_classes else None,
        random_state=datasets.SPLIT_SEED,
    )
    x, y = x.copy(), y.copy()
    x[of_test] = np.nan
    if not has_classes:
        y[of_test] = np.nan
    return x, y


@pytest.mark.parametrize("name", DATASETS)
def test_test_rows_that_are_no_numbers_change_no_split(monkeypatch, name):
    dataset = Dataset.model_validate({"name": name, "reduce": {"pca": 2}})
    expected = load.__wrapped__(dataset)
    table = poisoned(dataset)
    monkeypatch.setitem(SOURCES, name, lambda _: table)
    found = load.__wrapped__(dataset)
    for part in ("train_x", "train_y", "validation_x", "validation_y"):
        assert torch.equal(getattr(found, part), getattr(expected, part))
    assert found.preparation == expected.preparation


@pytest.mark.parametrize("name", ["wine", "diabetes"])
def test_test_rows_that_are_no_numbers_change_no_result(monkeypatch, name):
    spec = everything(name, "full-hybrid")
    expected = measured(spec).to_json()
    table = poisoned(spec.dataset)
    monkeypatch.setitem(SOURCES, name, lambda _: table)
    monkeypatch.setattr("nas.evaluation.load", load.__wrapped__)
    assert measured(spec).to_json() == expected
