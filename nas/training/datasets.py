"""The built-in data sets, split and scaled.

60 % train, 20 % validation and 20 % test, at a fixed seed; classes are stratified. The split comes before scaling, and
scaling and principal components use statistics of the training split alone, of the target of a regression too. `load`
gives out train and validation; the test split does not leave this module, so that no search can select on it. How rows
are cut and prepared stands here once, for the confirmation that opens the test split (`nas/confirmation/held_out.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from nas.circuits import Architecture
from nas.spec.datasets import Dataset, Task
from nas.training.sources import SOURCES, Table

#: Another value would be another split.
SPLIT_SEED: Final = 1

VALIDATION_SHARE: Final = 0.2
TEST_SHARE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Data:
    """Training and validation splits; x is (rows, n_features) float64.

    y is (rows,): int64 classes from 0, or float64 targets of mean 0 and variance 1 on the training split.
    """

    train_x: Tensor
    train_y: Tensor
    validation_x: Tensor
    validation_y: Tensor
    preparation: Mapping[str, Any] = field(default_factory=dict)  #: what was done to the rows, as JSON values


@lru_cache(maxsize=16)
def load(dataset: Dataset) -> Data:
    """Returns the splits of a data set, standardised and, where the spec says so, reduced to principal components.

    They are shared between callers: do not write to them.
    """
    seen, _ = cut(SOURCES[dataset.name](dataset), TEST_SHARE, dataset.task)
    train, validation = cut(seen, VALIDATION_SHARE / (1.0 - TEST_SHARE), dataset.task)
    return prepared(train, validation, dataset)


def cut(table: Table, share: float, task: Task) -> tuple[Table, Table]:
    """Returns the rest of a table, and a share of its rows at random; of classes, the same share of each."""
    x, y = table
    rest_x, part_x, rest_y, part_y = train_test_split(
        x, y, test_size=share, stratify=y if task == "classification" else None, random_state=SPLIT_SEED
    )
    return (rest_x, rest_y), (part_x, part_y)


def prepared(train: Table, other: Table, dataset: Dataset) -> Data:
    """Returns the training split with another one beside it, both as statistics of the training split make them."""
    (x_train, y_train), (x_other, y_other) = train, other
    has_classes = dataset.task == "classification"
    preparation: dict[str, Any] = {"source_features": x_train.shape[1], "scaling": "standardised on the training split"}
    if not has_classes:
        mean, scale = float(y_train.mean()), float(y_train.std())
        preparation["target"] = {"mean": mean, "std": scale}
        y_train, y_other = (y_train - mean) / scale, (y_other - mean) / scale
    scaler = StandardScaler().fit(x_train)
    of_y = torch.int64 if has_classes else torch.float64
    data = Data(
        train_x=torch.tensor(scaler.transform(x_train), dtype=torch.float64),
        train_y=torch.tensor(y_train, dtype=of_y),
        validation_x=torch.tensor(scaler.transform(x_other), dtype=torch.float64),
        validation_y=torch.tensor(y_other, dtype=of_y),
        preparation=preparation,
    )
    return data if dataset.reduce is None else principal_components(data, dataset.reduce.pca)


def principal_components(data: Data, n_components: int) -> Data:
    """Returns the data in its first principal components, each of unit variance on the training split.

    Components beyond the rank of the training split are 0. Data that have no more features than asked stay as they are.
    """
    if data.train_x.shape[1] <= n_components:
        return data
    explained = data.preparation.get("explained_variance")
    if explained is not None:
        # They are components already; of unit variance, so that a second analysis could not tell which come first.
        return replace(
            data,
            train_x=data.train_x[:, :n_components],
            validation_x=data.validation_x[:, :n_components],
            preparation={
                **data.preparation,
                "principal_components": n_components,
                "explained_variance": explained[:n_components],
            },
        )
    train = data.train_x.numpy()
    rank = int(np.linalg.matrix_rank(train - train.mean(0)))
    pca = PCA(n_components=min(n_components, rank), whiten=True, svd_solver="full").fit(train)

    def transformed(x: Tensor) -> Tensor:
        components = torch.tensor(pca.transform(x.numpy()), dtype=torch.float64)
        return torch.nn.functional.pad(components, (0, n_components - components.shape[1]))

    return replace(
        data,
        train_x=transformed(data.train_x),
        validation_x=transformed(data.validation_x),
        preparation={
            **data.preparation,
            "principal_components": n_components,
            "explained_variance": pca.explained_variance_ratio_.tolist(),
        },
    )


def description_of(data: Data, architecture: Architecture) -> dict[str, Any]:
    """Returns the rows of the splits, and how the data set's features became the circuit's inputs, as JSON values."""
    steps = []
    if "principal_components" in data.preparation:
        steps.append(f"principal components: {data.preparation['principal_components']}")
    if architecture.is_hybrid:
        steps.append(f"classical layers: {' to '.join(map(str, architecture.pre_widths))}")
    return {
        "train_rows": len(data.train_y),
        "validation_rows": len(data.validation_y),
        **data.preparation,
        "model_features": data.train_x.shape[1],
        "circuit_inputs": architecture.n_inputs,
        "reduction": ", then ".join(steps) or "none: every feature enters the circuit",
    }


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
