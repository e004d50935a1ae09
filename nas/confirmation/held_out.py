"""The held-out test split. This is the only function that gives it out, and no search can import it.

The rows are those that `nas.training.datasets.load` sets aside before anything is scaled; they are cut and prepared by
the same functions, and scaling uses statistics of the training split alone, as there.
"""

import torch

from nas.spec.datasets import Dataset
from nas.training.datasets import TEST_SHARE, VALIDATION_SHARE, Data, cut, load, prepared
from nas.training.sources import SOURCES


class SplitMismatch(RuntimeError):
    """The rows left over are not those that a search has never seen: nothing may be reported on them."""


def open_test_split(dataset: Dataset) -> Data:
    """Returns the data of a search with the test split in the place of the validation split.

    Raises:
        SplitMismatch: the rest of the rows is not to the bit what a search trains and validates on.
    """
    seen, test = cut(SOURCES[dataset.name](dataset), TEST_SHARE, dataset.task)
    train, validation = cut(seen, VALIDATION_SHARE / (1.0 - TEST_SHARE), dataset.task)
    known, again = load(dataset), prepared(train, validation, dataset)
    for split in ("train", "validation"):
        if not all(torch.equal(getattr(again, f"{split}_{of}"), getattr(known, f"{split}_{of}")) for of in "xy"):
            raise SplitMismatch(f"the {split} split of {dataset.name} is not the one that searches see")
    return prepared(train, test, dataset)
