"""Which genes a metric depends on: permutation importance on a random forest.

A forest learns the metric from the genes; on candidates that it did not see, the values of one gene are shuffled, and
the loss of R² is that gene's importance. Genes that go together share their importance, and a forest that predicts
nothing says nothing about genes: its R² on unseen candidates stands beside.

Sources:
    [Breiman01] Breiman 2001, Mach. Learn. 45, 5. Departure: importance is taken on held-out folds, not out of bag.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold

from hqnas.export.genes import GENES, gene_of
from hqnas.report.study import Floats, Row

FEWEST: Final = 30  #: candidates; fewer do not teach a forest
_FOLDS: Final = 5
_TREES: Final = 100
_REPEATS: Final = 5
_SEED: Final = 1


@dataclass(frozen=True, slots=True)
class GeneImportance:
    """Loss of R² when a gene is shuffled: its mean over folds and repeats, and their standard deviation."""

    gene: str
    value: float
    spread: float


@dataclass(frozen=True, slots=True)
class Importance:
    """The importance of all genes that vary, largest first, for one metric."""

    metric: str
    n: int
    r2: float  #: of the forest on candidates that it did not see
    genes: tuple[GeneImportance, ...]


def importance(rows: Sequence[Row], metric: str) -> Importance | None:
    """Returns the importance of genes for a metric; None for fewer than 30 candidates or where nothing varies."""
    rows = [row for row in rows if np.isfinite(row.value(metric))]
    y = np.array([row.value(metric) for row in rows])
    if len(rows) < FEWEST or np.ptp(y) == 0:
        return None
    columns = _columns(rows)
    if not columns:
        return None
    x = np.column_stack(list(columns.values()))
    predicted, losses = np.zeros_like(y), []
    for train, test in KFold(_FOLDS, shuffle=True, random_state=_SEED).split(x):
        forest = RandomForestRegressor(_TREES, random_state=_SEED, min_samples_leaf=2).fit(x[train], y[train])
        predicted[test] = forest.predict(x[test])
        found = permutation_importance(forest, x[test], y[test], scoring="r2", n_repeats=_REPEATS, random_state=_SEED)
        losses.append(found.importances)
    of_folds = np.concatenate(losses, axis=1)
    genes = [
        GeneImportance(gene, float(values.mean()), float(values.std(ddof=1)))
        for gene, values in zip(columns, of_folds, strict=True)
    ]
    return Importance(metric, len(rows), float(r2_score(y, predicted)), tuple(sorted(genes, key=lambda g: -g.value)))


def _columns(rows: Sequence[Row]) -> dict[str, Floats]:
    """Returns a column of numbers for each gene that varies: numbers themselves, names as places in the alphabet.

    Trees cut a column in two anywhere, so an order of names costs them little. An entangler that the topology decides
    is left out: the importance of both would fall to either by chance.
    """
    found: dict[str, Floats] = {}
    for gene in GENES:
        values = [row.candidate.genome.get(gene) for row in rows]
        if all(isinstance(value, int | float) for value in values):
            column = np.array(values, dtype=float)
        else:
            column = _codes([gene_of(row.candidate.genome, gene) for row in rows])
        if np.ptp(column) > 0:
            found[gene] = column
    return {gene: column for gene, column in found.items() if not _is_decided(gene, found)}


def _is_decided(gene: str, columns: dict[str, Floats]) -> bool:
    """Says whether the topology alone tells the entangler, which is then one gate, or none where nothing is wired."""
    if gene != "entangler" or "topology" not in columns:
        return False
    topology = columns["topology"]
    return len(np.unique(np.column_stack([columns[gene], topology]), axis=0)) == len(np.unique(topology))


def _codes(texts: Sequence[str]) -> Floats:
    places = {text: place for place, text in enumerate(sorted(set(texts)))}
    return np.array([places[text] for text in texts], dtype=float)
