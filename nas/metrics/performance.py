"""Task performance: accuracy and loss of fitted models on the validation split.

The value is a mean over replicates with the standard error sd/√R. With one replicate the error comes from the
validation samples instead: sd/√n of a loss, √(p̃(1 − p̃)/n) of an accuracy with k of n correct, where p̃ = (k + 1)/(n + 2)
(Laplace's rule: a model that is right on every sample is not known to be right always). So it does where all replicates
agree to the last digit, which says nothing of their spread, and no more than one of them. The protocol says which.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.metrics.measurement import Measurement
from nas.spec.datasets import Task

#: How a protocol names the source of a standard error.
FROM_SAMPLES = "validation samples"
FROM_REPLICATES = "replicates"


@dataclass(frozen=True, slots=True)
class Predictions:
    """What one fitted model said of n validation samples."""

    losses: NDArray[np.float64]  #: (n,): cross-entropy, nats; or squared error, in variances of the training target
    outputs: NDArray[np.float64]  #: (n, n_outputs): logits; or targets, in standard deviations of the training split
    truth: NDArray[Any]  #: (n,): classes, whole numbers from 0; or targets, real numbers

    @property
    def is_regression(self) -> bool:
        """Whether the truth is numbers and not classes."""
        return bool(np.issubdtype(self.truth.dtype, np.floating))

    @property
    def loss(self) -> float:
        """Mean loss over the samples."""
        return float(self.losses.mean())

    @property
    def classes(self) -> NDArray[np.int64]:
        """The class of the largest logit of each sample, the first of equals."""
        found: NDArray[np.int64] = self.outputs.argmax(-1)
        return found

    @property
    def is_correct(self) -> NDArray[np.bool_]:
        """Whether the class of each sample is right."""
        correct: NDArray[np.bool_] = self.classes == self.truth
        return correct

    @property
    def accuracy(self) -> float:
        """Share of correct classes."""
        return float(self.is_correct.mean())

    @property
    def r2(self) -> float:
        """Coefficient of determination, 1 − Σ(y − ŷ)²/Σ(y − ȳ)², with ȳ the mean of these samples."""
        return 1.0 - float(self.losses.sum() / np.square(self.truth - self.truth.mean()).sum())


def validation_accuracy(replicates: Sequence[Predictions], protocol: dict[str, Any]) -> Measurement:
    """Returns the mean share of correct classes over at least one replicate."""
    values = [predictions.accuracy for predictions in replicates]
    sampling_error = share_error(values[0], len(replicates[0].truth))
    return mean_over_replicates("validation_accuracy", values, sampling_error, protocol)


def validation_loss(replicates: Sequence[Predictions], protocol: dict[str, Any]) -> Measurement:
    """Returns the mean loss over at least one replicate: cross-entropy in nats, or squared error of the target.

    The squared error is in units of the variance of the training target: 1 is what its mean alone would have.
    """
    losses = replicates[0].losses
    sampling_error = float(losses.std(ddof=1)) / len(losses) ** 0.5
    values = [predictions.loss for predictions in replicates]
    return mean_over_replicates(
        "validation_loss",
        values,
        sampling_error,
        protocol,
        task="regression" if replicates[0].is_regression else "classification",
    )


def share_error(share: float, n_samples: int) -> float:
    """Returns the standard error of a share of n independent samples, by Laplace's rule; see the module."""
    smoothed = (share * n_samples + 1.0) / (n_samples + 2.0)
    return float(np.sqrt(smoothed * (1.0 - smoothed) / n_samples))


def has_spread(values: Sequence[float]) -> bool:
    """Whether some of the replicates' values differ, so that their spread tells their error."""
    return bool(np.ptp(values))


def mean_over_replicates(
    metric: str,
    values: Sequence[float],
    sampling_error: float,
    protocol: dict[str, Any],
    *,
    error_from: str = FROM_SAMPLES,
    task: Task = "classification",
) -> Measurement:
    """Returns the mean of a figure with the error sd/√R, or for one replicate, or equal ones, with `sampling_error`.

    Args:
        metric: its name in the catalogue.
        values: one a replicate.
        sampling_error: of the first replicate's value.
        protocol: the conditions of the fits.
        error_from: what `sampling_error` comes from, in words.
        task: of the data set, for the unit.
    """
    n = len(values)
    is_spread = has_spread(values)
    std_error = float(np.std(values, ddof=1)) / n**0.5 if is_spread else sampling_error
    source = FROM_REPLICATES if is_spread else error_from
    return Measurement(
        metric,
        float(np.mean(values)),
        std_error,
        {**protocol, "std_error_from": source},
        {"per_replicate": list(values)},
        task=task,
    )
