"""The held-out test split. This is the only function that gives it out, and no search can import it.

The rows are those that `nas.training.datasets.load` sets aside before anything is scaled; scaling uses statistics of
the training split alone, as there.
"""

from typing import Any

import torch
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from nas.spec.datasets import Dataset
from nas.training.datasets import SPLIT_SEED, TEST_SHARE, VALIDATION_SHARE, Data, load, principal_components
from nas.training.sources import SOURCES


class SplitMismatch(RuntimeError):
    """The rows left over are not those that a search has never seen: nothing may be reported on them."""


def open_test_split(dataset: Dataset) -> Data:
    """Returns the data of a search with the test split in the place of the validation split.

    Raises:
        SplitMismatch: the rest of the rows is not to the bit what a search trains and validates on.
    """
    x, y = SOURCES[dataset.name](dataset)
    has_classes = dataset.task == "classification"
    x_seen, x_test, y_seen, y_test = train_test_split(
        x, y, test_size=TEST_SHARE, stratify=y if has_classes else None, random_state=SPLIT_SEED
    )
    x_train, x_validation, y_train, y_validation = train_test_split(
        x_seen,
        y_seen,
        test_size=VALIDATION_SHARE / (1.0 - TEST_SHARE),
        stratify=y_seen if has_classes else None,
        random_state=SPLIT_SEED,
    )
    scaler = StandardScaler().fit(x_train)

    def prepared(other_x: Any, other_y: Any) -> Data:
        """Returns the training split with another beside it, as `load` prepares them."""
        mean, scale = (0, 1) if has_classes else (float(y_train.mean()), float(y_train.std()))
        of_y = torch.int64 if has_classes else torch.float64
        made = Data(
            train_x=torch.tensor(scaler.transform(x_train), dtype=torch.float64),
            train_y=torch.tensor(y_train if has_classes else (y_train - mean) / scale, dtype=of_y),
            validation_x=torch.tensor(scaler.transform(other_x), dtype=torch.float64),
            validation_y=torch.tensor(other_y if has_classes else (other_y - mean) / scale, dtype=of_y),
        )
        return made if dataset.reduce is None else principal_components(made, dataset.reduce.pca)

    known, seen = load(dataset), prepared(x_validation, y_validation)
    for split in ("train", "validation"):
        if not all(torch.equal(getattr(seen, f"{split}_{of}"), getattr(known, f"{split}_{of}")) for of in "xy"):
            raise SplitMismatch(f"the {split} split of {dataset.name} is not the one that searches see")
    return prepared(x_test, y_test)
