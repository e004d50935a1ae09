"""Built-in data sets: the catalogue of their shapes, known without loading them, and how a spec names one."""

from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import Field, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from nas.spec import limits
from nas.spec.base import SpecModel, known


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


class Dataset(SpecModel):
    """A built-in data set by name; `samples` and `features` only where the set is generated."""

    name: Annotated[str, known("data set", DATASETS)]
    samples: StrictInt | None = Field(default=None, ge=40, le=limits.MAX_DATASET_SAMPLES)
    features: StrictInt | None = Field(default=None, ge=2, le=limits.MAX_FEATURES)

    @property
    def info(self) -> DatasetInfo:
        """The catalogue's entry of this data set."""
        return DATASETS[self.name]

    @property
    def n_features(self) -> int:
        """Number of columns that a model sees."""
        return self.features or self.info.n_features

    @property
    def n_classes(self) -> int:
        """Number of classes to tell apart."""
        return self.info.n_classes

    @model_validator(mode="after")
    def _has_only_its_options(self) -> Self:
        for option, is_allowed in (("samples", self.info.has_size), ("features", self.info.has_features)):
            if getattr(self, option) is not None and not is_allowed:
                raise PydanticCustomError(
                    "dataset_option",
                    "'{name}' has a fixed number of {option}; remove '{option}'",
                    {"name": self.name, "option": option},
                )
        return self
