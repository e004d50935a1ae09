"""The built-in data sets, split and scaled.

60 % train, 20 % validation and 20 % test, stratified, at a fixed seed. The split comes before scaling, and scaling
and principal components use statistics of the training split alone. `load` gives out train and validation; the test
split does not leave this module, so that no search can select on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
import torch
from sklearn import datasets as sklearn_datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from nas.spec.datasets import Dataset

#: Of generation and of the split. Another value would be another data set.
DATA_SEED: Final = 20_260_525
SPLIT_SEED: Final = 1

VALIDATION_SHARE: Final = 0.2
TEST_SHARE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Data:
    """Training and validation splits; x is (rows, n_features) float64, y is (rows,) int64 from 0."""

    train_x: Tensor
    train_y: Tensor
    validation_x: Tensor
    validation_y: Tensor


@lru_cache(maxsize=16)
def load(dataset: Dataset) -> Data:
    """Returns the splits of a data set, standardised. They are shared between callers: do not write to them."""
    x, y = _SOURCES[dataset.name](dataset)
    x_seen, _, y_seen, _ = train_test_split(x, y, test_size=TEST_SHARE, stratify=y, random_state=SPLIT_SEED)
    x_train, x_validation, y_train, y_validation = train_test_split(
        x_seen,
        y_seen,
        test_size=VALIDATION_SHARE / (1.0 - TEST_SHARE),
        stratify=y_seen,
        random_state=SPLIT_SEED,
    )
    scaler = StandardScaler().fit(x_train)
    return Data(
        train_x=torch.tensor(scaler.transform(x_train), dtype=torch.float64),
        train_y=torch.tensor(y_train, dtype=torch.int64),
        validation_x=torch.tensor(scaler.transform(x_validation), dtype=torch.float64),
        validation_y=torch.tensor(y_validation, dtype=torch.int64),
    )


def table(dataset: Dataset) -> tuple[Any, Any]:
    """Returns all rows and their classes, unsplit and unscaled. A search has `load`, and no use for this."""
    return _SOURCES[dataset.name](dataset)


def principal_components(data: Data, n_components: int) -> Data:
    """Returns the data in its first principal components, each of unit variance on the training split.

    Components beyond the rank of the training split are 0. Data that have no more features than asked stay as they are.
    """
    if data.train_x.shape[1] <= n_components:
        return data
    train = data.train_x.numpy()
    rank = int(np.linalg.matrix_rank(train - train.mean(0)))
    pca = PCA(n_components=min(n_components, rank), whiten=True, svd_solver="full").fit(train)

    def transformed(x: Tensor) -> Tensor:
        components = torch.tensor(pca.transform(x.numpy()), dtype=torch.float64)
        return torch.nn.functional.pad(components, (0, n_components - components.shape[1]))

    return replace(data, train_x=transformed(data.train_x), validation_x=transformed(data.validation_x))


def side_by_side(of_members: Sequence[Data]) -> Data:
    """Returns the data of the members of a bundle with an axis of members in front of x, of length 1 where all agree.

    Narrower members are padded with columns of 0, which their circuits do not read.
    """
    first = of_members[0]
    if all(data is first for data in of_members):
        return replace(first, train_x=first.train_x[None], validation_x=first.validation_x[None])
    most = max(data.train_x.shape[1] for data in of_members)

    def stacked(xs: list[Tensor]) -> Tensor:
        return torch.stack([torch.nn.functional.pad(x, (0, most - x.shape[1])) for x in xs])

    return replace(
        first,
        train_x=stacked([data.train_x for data in of_members]),
        validation_x=stacked([data.validation_x for data in of_members]),
    )


_Table = tuple[Any, Any]


def _synthetic_binary(dataset: Dataset) -> _Table:
    table: _Table = sklearn_datasets.make_classification(
        n_samples=dataset.samples or dataset.info.n_samples,
        n_features=dataset.n_features,
        n_informative=dataset.n_features,
        n_redundant=0,
        n_clusters_per_class=2,
        flip_y=0.0,
        random_state=DATA_SEED,
    )
    return table


def _moons(dataset: Dataset) -> _Table:
    n_samples = dataset.samples or dataset.info.n_samples
    table: _Table = sklearn_datasets.make_moons(n_samples, noise=0.15, random_state=DATA_SEED)
    return table


def _circles(dataset: Dataset) -> _Table:
    n_samples = dataset.samples or dataset.info.n_samples
    table: _Table = sklearn_datasets.make_circles(n_samples, noise=0.1, factor=0.5, random_state=DATA_SEED)
    return table


def _bundled(loader: Callable[..., _Table]) -> Callable[[Dataset], _Table]:
    return lambda _dataset: loader(return_X_y=True)


_SOURCES: Final[dict[str, Callable[[Dataset], _Table]]] = {
    "synthetic-binary": _synthetic_binary,
    "moons": _moons,
    "circles": _circles,
    "iris": _bundled(sklearn_datasets.load_iris),
    "wine": _bundled(sklearn_datasets.load_wine),
    "breast-cancer": _bundled(sklearn_datasets.load_breast_cancer),
    "digits": _bundled(sklearn_datasets.load_digits),
}
