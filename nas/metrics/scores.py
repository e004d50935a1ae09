"""Scores of fitted models that are no mean over samples: macro F1, the area under the ROC curve, and R².

The values are scikit-learn's definitions. A standard error is sd/√R over replicates; with one replicate, or several
that agree, it is the standard deviation over a bootstrap of the validation samples. That of classes draws as many
samples of each class as there are, because the split is stratified, so that no resample lacks a class.

The bootstrap counts how often each sample is drawn and weighs it so; scikit-learn would take a second for each metric
of a candidate. At the weights 1 the sums here are scikit-learn's values (tests/unit/nas/test_scores.py).

Sources:
    [Efron79] Efron 1979, Ann. Statist. 7, 1: the bootstrap.
    [HandTill01] Hand and Till 2001, Mach. Learn. 45, 171, discuss the multi-class AUC; here each class stands against
        the rest, and classes count alike (Fawcett 2006, Pattern Recognit. Lett. 27, 861, section 9, equal weights).
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, r2_score, roc_auc_score

from nas.errors import UndefinedMetric
from nas.metrics.measurement import Measurement
from nas.metrics.performance import Predictions, has_spread, mean_over_replicates

Floats = NDArray[np.float64]

#: Draws of the bootstrap. The relative error of a standard deviation of 200 is 5 %.
RESAMPLES: Final = 200
FROM_STRATIFIED: Final = f"bootstrap of validation samples within classes, {RESAMPLES} resamples"
FROM_BOOTSTRAP: Final = f"bootstrap of validation samples, {RESAMPLES} resamples"


def validation_f1(replicates: Sequence[Predictions], protocol: dict[str, Any], rng: np.random.Generator) -> Measurement:
    """Returns the unweighted mean over classes of F1 = 2 TP/(2 TP + FP + FN); a class never named has 0."""
    values = [
        float(f1_score(each.truth, each.classes, labels=_labels(each), average="macro", zero_division=0.0))
        for each in replicates
    ]
    error = _bootstrap_error(replicates, values, rng, resampled_f1)
    return mean_over_replicates("validation_f1", values, error, protocol, error_from=FROM_STRATIFIED)


def validation_auc(
    replicates: Sequence[Predictions], protocol: dict[str, Any], rng: np.random.Generator
) -> Measurement:
    """Returns the unweighted mean over classes of the area under the ROC curve of each class against the rest.

    The score is the class's probability. Of two classes it is that of class 1, which both have alike.

    Raises:
        UndefinedMetric: the validation split lacks a class.
    """
    if len(np.unique(replicates[0].truth)) < replicates[0].outputs.shape[1]:
        raise UndefinedMetric("validation_auc has no value: the validation split lacks a class")
    values = [_auc(each) for each in replicates]
    error = _bootstrap_error(replicates, values, rng, resampled_auc)
    return mean_over_replicates("validation_auc", values, error, protocol, error_from=FROM_STRATIFIED)


def validation_r2(replicates: Sequence[Predictions], protocol: dict[str, Any], rng: np.random.Generator) -> Measurement:
    """Returns the coefficient of determination on the validation split: 1 is exact, 0 as good as its mean."""
    values = [float(r2_score(each.truth, each.outputs[:, 0])) for each in replicates]
    error = _bootstrap_error(replicates, values, rng, resampled_r2)
    return mean_over_replicates("validation_r2", values, error, protocol, error_from=FROM_BOOTSTRAP, task="regression")


def probabilities(predictions: Predictions) -> Floats:
    """Returns the softmax of the logits, (n, n_classes)."""
    shifted = np.exp(predictions.outputs - predictions.outputs.max(-1, keepdims=True))
    found: Floats = shifted / shifted.sum(-1, keepdims=True)
    return found


def resampled_f1(predictions: Predictions, counts: Floats) -> Floats:
    """Returns macro F1 of each row of counts, (B, n): how often each sample stands in the resample."""
    labels = _labels(predictions)
    is_named = predictions.classes[:, None] == labels
    is_true = predictions.truth[:, None] == labels
    hits = counts @ (is_named & is_true)
    both = counts @ is_named.astype(float) + counts @ is_true.astype(float)
    found: Floats = (2.0 * hits / np.where(both > 0, both, 1.0)).mean(1)
    return found


def resampled_auc(predictions: Predictions, counts: Floats) -> Floats:
    """Returns macro AUC of each row of counts, (B, n): the weight of rightly ordered pairs, ties half."""
    scores = probabilities(predictions)
    labels = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    areas = []
    for label in labels:
        is_true = predictions.truth == label
        ours, others = scores[is_true, label], scores[~is_true, label]
        order = np.sort(others)
        # Where a score of ours falls among the others, as the weight below it plus half of the weight beside it.
        by_rank = np.argsort(others, kind="stable")
        below = np.pad(np.cumsum(counts[:, ~is_true][:, by_rank], axis=1), ((0, 0), (1, 0)))
        left, right = np.searchsorted(order, ours, "left"), np.searchsorted(order, ours, "right")
        beaten = 0.5 * (below[:, left] + below[:, right])
        pairs = counts[:, is_true].sum(1) * counts[:, ~is_true].sum(1)
        areas.append((counts[:, is_true] * beaten).sum(1) / pairs)
    found: Floats = np.mean(areas, axis=0)
    return found


def resampled_r2(predictions: Predictions, counts: Floats) -> Floats:
    """Returns R² of each row of counts, (B, n), without those in which one sample stands alone and nothing varies."""
    counts = counts[(counts > 0).sum(1) > 1]
    means = counts @ predictions.truth / counts.sum(1)
    spread = (counts * np.square(predictions.truth - means[:, None])).sum(1)
    found: Floats = 1.0 - counts @ predictions.losses / spread
    return found


def bootstrap_counts(strata: NDArray[Any], n_resamples: int, rng: np.random.Generator) -> Floats:
    """Returns how often each sample stands in each resample, (n_resamples, n); within strata, sizes are kept."""
    counts = np.zeros((n_resamples, len(strata)))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        shares = np.full(len(members), 1.0 / len(members))
        counts[:, members] = rng.multinomial(len(members), shares, size=n_resamples)
    return counts


def _bootstrap_error(
    replicates: Sequence[Predictions],
    values: Sequence[float],
    rng: np.random.Generator,
    score: Callable[[Predictions, Floats], Floats],
) -> float:
    """Returns the standard deviation of the first replicate's score; 0, and nothing drawn, where replicates differ."""
    if has_spread(values):
        return 0.0
    first = replicates[0]
    strata = np.zeros(len(first.truth)) if first.is_regression else first.truth
    return float(score(first, bootstrap_counts(strata, RESAMPLES, rng)).std(ddof=1))


def _auc(predictions: Predictions) -> float:
    scores = probabilities(predictions)
    if scores.shape[1] == 2:
        return float(roc_auc_score(predictions.truth, scores[:, 1]))
    return float(
        roc_auc_score(predictions.truth, scores, multi_class="ovr", average="macro", labels=_labels(predictions))
    )


def _labels(predictions: Predictions) -> NDArray[np.int64]:
    return np.arange(predictions.outputs.shape[1])
