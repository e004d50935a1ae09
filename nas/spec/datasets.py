"""The catalogue of built-in data sets: their shapes, known without loading them."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """Shape of a built-in data set; a `None` default means that the size is fixed by the data."""

    name: str
    n_features: int
    n_classes: int
    n_samples: int
    summary: str
    has_size: bool = False  #: whether a spec may choose `samples`
    has_features: bool = False  #: whether a spec may choose `features`


_CATALOGUE = (
    DatasetInfo(
        "synthetic-binary", 4, 2, 400, "two Gaussian clusters a class in a hypercube", has_size=True, has_features=True
    ),
    DatasetInfo("moons", 2, 2, 400, "two interleaved half circles, noise 0.15", has_size=True),
    DatasetInfo("circles", 2, 2, 400, "a circle inside another, noise 0.1", has_size=True),
    DatasetInfo("iris", 4, 3, 150, "Fisher's iris"),
    DatasetInfo("wine", 13, 3, 178, "UCI wine recognition"),
    DatasetInfo("breast-cancer", 30, 2, 569, "UCI breast cancer Wisconsin (diagnostic)"),
    DatasetInfo("digits", 64, 10, 1797, "UCI handwritten digits, 8 x 8"),
)

DATASETS: Final[dict[str, DatasetInfo]] = {info.name: info for info in _CATALOGUE}
