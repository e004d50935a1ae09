"""The held-out test split. This is the only function that gives it out, and no search can import it.

The rows are those that `nas.training.datasets.load` sets aside before anything is scaled; scaling uses statistics of
the training split alone, as there.
"""

from dataclasses import replace

import torch
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from nas.spec.datasets import Dataset
from nas.training.datasets import SPLIT_SEED, TEST_SHARE, VALIDATION_SHARE, Data, load, principal_components, table


class SplitMismatch(RuntimeError):
    """The rows left over are not those that a search has never seen: nothing may be reported on them."""


def open_test_split(dataset: Dataset) -> Data:
    """Returns the data of a search on classes with the test split in the place of the validation split.

    Raises:
        SplitMismatch: the rest of the rows is not to the bit what a search trains and validates on.
    """
    whole = dataset.model_copy(update={"reduce": None})
    x, y = table(whole)
    x_seen, x_test, y_seen, y_test = train_test_split(x, y, test_size=TEST_SHARE, stratify=y, random_state=SPLIT_SEED)
    x_train, x_validation, _, _ = train_test_split(
        x_seen,
        y_seen,
        test_size=VALIDATION_SHARE / (1.0 - TEST_SHARE),
        stratify=y_seen,
        random_state=SPLIT_SEED,
    )
    scaler = StandardScaler().fit(x_train)
    data = load(whole)
    for name, rows, known in (
        ("training", x_train, data.train_x),
        ("validation", x_validation, data.validation_x),
    ):
        if not torch.equal(torch.tensor(scaler.transform(rows), dtype=torch.float64), known):
            raise SplitMismatch(f"the {name} split of {dataset.name} is not the one that searches see")
    tested = replace(
        data,
        validation_x=torch.tensor(scaler.transform(x_test), dtype=torch.float64),
        validation_y=torch.tensor(y_test, dtype=torch.int64),
    )
    # The components are those of the same training split.
    return tested if dataset.reduce is None else principal_components(tested, dataset.reduce.pca)
