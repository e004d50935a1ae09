"""Built-in data sets: the catalogue of their shapes, known without loading them, and how a spec names one."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from nas.spec import limits
from nas.spec.base import SpecModel, known

Task = Literal["classification", "regression"]


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """Shape of a built-in data set, with the sizes that it has unless a spec chooses others."""

    name: str
    n_features: int
    n_classes: int  #: 0 of a regression
    n_samples: int
    summary: str
    has_size: bool = False  #: whether a spec may choose `samples`
    has_features: bool = False  #: whether a spec may choose `features`
    least_features: int = 2  #: that a spec may choose
    most_features: int = limits.MAX_FEATURES

    @property
    def task(self) -> Task:
        """What is to be learnt: a class, or a number."""
        return "classification" if self.n_classes else "regression"


_CATALOGUE = (
    DatasetInfo(
        "synthetic-binary", 4, 2, 400, "two Gaussian clusters a class in a hypercube", has_size=True, has_features=True
    ),
    DatasetInfo("moons", 2, 2, 400, "two interleaved half circles, noise 0.15", has_size=True),
    DatasetInfo("circles", 2, 2, 400, "a circle inside another, noise 0.1", has_size=True),
    DatasetInfo(
        "spiral",
        10,
        3,
        1_500,
        "three spiral arms, and non-linear functions of their two coordinates; noise grows with the features",
        has_size=True,
        has_features=True,
        least_features=10,
        most_features=110,
    ),
    DatasetInfo("iris", 4, 3, 150, "Fisher's iris"),
    DatasetInfo("wine", 13, 3, 178, "UCI wine recognition"),
    DatasetInfo("breast-cancer", 30, 2, 569, "UCI breast cancer Wisconsin (diagnostic)"),
    DatasetInfo("digits", 64, 10, 1797, "UCI handwritten digits, 8 x 8"),
    DatasetInfo("diabetes", 10, 0, 442, "regression: disease progression after a year (Efron et al. 2004)"),
    DatasetInfo(
        "friedman1",
        10,
        0,
        400,
        "regression: Friedman's first function, five informative features, noise 1",
        has_size=True,
        has_features=True,
        least_features=5,
    ),
)

DATASETS: Final[dict[str, DatasetInfo]] = {info.name: info for info in _CATALOGUE}


class Reduction(SpecModel):
    """How features are made fewer before any model sees them; fitted on the training split."""

    pca: StrictInt = Field(
        ge=1, le=limits.MAX_FEATURES, description="principal components to keep, each of unit variance"
    )


class Dataset(SpecModel):
    """A built-in data set by name; `samples` and `features` only where the set is generated."""

    LATER: ClassVar[frozenset[str]] = frozenset({"reduce"})

    name: Annotated[str, known("data set", DATASETS)]
    samples: StrictInt | None = Field(default=None, ge=40, le=limits.MAX_DATASET_SAMPLES)
    features: StrictInt | None = Field(default=None, ge=2, le=limits.MAX_FEATURES)
    reduce: Reduction | None = Field(
        default=None,
        description="without it all features enter: through the classical layers, or in pure-quantum as so many "
        "principal components as the circuit takes",
    )

    @property
    def info(self) -> DatasetInfo:
        """The catalogue's entry of this data set."""
        return DATASETS[self.name]

    @property
    def task(self) -> Task:
        """What is to be learnt: a class, or a number."""
        return self.info.task

    @property
    def n_source_features(self) -> int:
        """Number of columns of the data themselves."""
        return self.features or self.info.n_features

    @property
    def rows(self) -> tuple[str, int, int]:
        """Name, samples and columns: data sets that agree in these are the same rows in the same splits."""
        return self.name, self.samples or self.info.n_samples, self.n_source_features

    @property
    def n_features(self) -> int:
        """Number of columns that a model sees."""
        return self.n_source_features if self.reduce is None else self.reduce.pca

    @property
    def n_classes(self) -> int:
        """Number of classes to tell apart; 0 of a regression."""
        return self.info.n_classes

    @property
    def n_outputs(self) -> int:
        """Numbers that a network gives out: a logit a class, or the target in standard deviations."""
        return self.n_classes or 1

    @model_validator(mode="after")
    def _has_only_its_options(self) -> Self:
        for option, is_allowed in (("samples", self.info.has_size), ("features", self.info.has_features)):
            if getattr(self, option) is not None and not is_allowed:
                raise PydanticCustomError(
                    "dataset_option",
                    "'{name}' has a fixed number of {option}; remove '{option}'",
                    {"name": self.name, "option": option},
                )
        low, high = self.info.least_features, self.info.most_features
        if self.features is not None and not low <= self.features <= high:
            raise PydanticCustomError(
                "dataset_features",
                "'{name}' is defined for {low} to {high} features, not {features}",
                {"name": self.name, "low": low, "high": high, "features": self.features},
            )
        if self.reduce is not None and self.reduce.pca > self.n_source_features:
            raise PydanticCustomError(
                "dataset_reduction",
                "'{name}' has {n} features, and {pca} principal components are asked for; ask for at most {n}",
                {"name": self.name, "n": self.n_source_features, "pca": self.reduce.pca},
            )
        return self
