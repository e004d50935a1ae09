"""Where the rows of the built-in data sets come from: generated at a fixed seed, or bundled with scikit-learn."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from sklearn import datasets as sklearn_datasets

from nas.spec.datasets import Dataset

#: Of generation. Another value would be another data set.
DATA_SEED: Final = 20_260_525

#: x, (rows, features), and y, (rows,): classes from 0, or targets in their own unit.
Table = tuple[Any, Any]

#: [Kashif24]'s noise, as a standard deviation: this, and this much more for each feature.
SPIRAL_NOISE: Final = 0.1
SPIRAL_NOISE_PER_FEATURE: Final = 0.003
#: Turns of an arm from the centre to radius 1.
SPIRAL_TURNS: Final = 0.75


def spiral(n_samples: int, n_features: int, *, seed: int = DATA_SEED) -> Table:
    """Returns three spiral arms in a plane, and further features that are functions of the two coordinates.

    Follows [Kashif24]: 1,500 points in 3 classes, 10 to 110 features, the further ones "through non-linear
    transformations of the existing features", and noise 0.1 + 0.003·n_features. What is not published is ours: on arm
    c, with t uniform on [0, 1], the point is t(cos φ, sin φ) with φ = 2π(c/3 + 0.75 t); a further feature is
    cos(k·p + b), with k from a normal distribution of standard deviation 3 in both coordinates and b uniform on
    [0, 2π) (random Fourier features, Rahimi and Recht 2007); independent normal noise of the standard deviation
    above is on every feature, scaled by the 0.5 that the coordinates spread.

    Source:
        [Kashif24] Kashif, Marchisio, Shafique, "Computational Advantage in Hybrid Quantum Neural Networks: Myth or
        Reality?" (arXiv 2412.04991).
    """
    rng = np.random.default_rng(seed)
    y = np.arange(n_samples) % 3
    t = rng.uniform(0.0, 1.0, n_samples)
    angle = 2.0 * np.pi * (y / 3.0 + SPIRAL_TURNS * t)
    points = np.stack([t * np.cos(angle), t * np.sin(angle)], 1)
    waves = rng.normal(0.0, 3.0, (2, n_features - 2))
    phases = rng.uniform(0.0, 2.0 * np.pi, n_features - 2)
    x = np.concatenate([points, np.cos(points @ waves + phases)], 1)
    noise = 0.5 * (SPIRAL_NOISE + SPIRAL_NOISE_PER_FEATURE * n_features)
    return x + rng.normal(0.0, noise, x.shape), y


def _synthetic_binary(dataset: Dataset) -> Table:
    table: Table = sklearn_datasets.make_classification(
        n_samples=_n_samples(dataset),
        n_features=dataset.n_source_features,
        n_informative=dataset.n_source_features,
        n_redundant=0,
        n_clusters_per_class=2,
        flip_y=0.0,
        random_state=DATA_SEED,
    )
    return table


def _moons(dataset: Dataset) -> Table:
    table: Table = sklearn_datasets.make_moons(_n_samples(dataset), noise=0.15, random_state=DATA_SEED)
    return table


def _circles(dataset: Dataset) -> Table:
    table: Table = sklearn_datasets.make_circles(_n_samples(dataset), noise=0.1, factor=0.5, random_state=DATA_SEED)
    return table


def _friedman1(dataset: Dataset) -> Table:
    # y = 10 sin(π x₁x₂) + 20 (x₃ − ½)² + 10 x₄ + 5 x₅ + noise: Friedman 1991, Ann. Statist. 19, 1.
    table: Table = sklearn_datasets.make_friedman1(
        _n_samples(dataset), dataset.n_source_features, noise=1.0, random_state=DATA_SEED
    )
    return table


def _n_samples(dataset: Dataset) -> int:
    return dataset.samples or dataset.info.n_samples


def _bundled(loader: Callable[..., Table]) -> Callable[[Dataset], Table]:
    return lambda _dataset: loader(return_X_y=True)


SOURCES: Final[dict[str, Callable[[Dataset], Table]]] = {
    "synthetic-binary": _synthetic_binary,
    "moons": _moons,
    "circles": _circles,
    "spiral": lambda dataset: spiral(_n_samples(dataset), dataset.n_source_features),
    "iris": _bundled(sklearn_datasets.load_iris),
    "wine": _bundled(sklearn_datasets.load_wine),
    "breast-cancer": _bundled(sklearn_datasets.load_breast_cancer),
    "digits": _bundled(sklearn_datasets.load_digits),
    "diabetes": _bundled(sklearn_datasets.load_diabetes),
    "friedman1": _friedman1,
}
