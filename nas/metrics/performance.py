"""Task performance: accuracy and loss of fitted models on the validation split.

The value is a mean over replicates with the standard error sd/√R. With one replicate the error comes from the
validation samples instead: sd/√n of a loss, √(p̃(1 − p̃)/n) of an accuracy with k of n correct, where p̃ = (k + 1)/(n + 2)
(Laplace's rule: a model that is right on every sample is not known to be right always). The protocol says which.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.metrics.measurement import Measurement


@dataclass(frozen=True, slots=True)
class Predictions:
    """What one fitted model said of the validation samples."""

    losses: NDArray[np.float64]  #: cross-entropy of each sample, nats
    is_correct: NDArray[np.bool_]

    @property
    def loss(self) -> float:
        """Mean cross-entropy, nats."""
        return float(self.losses.mean())

    @property
    def accuracy(self) -> float:
        """Share of correct classes."""
        return float(self.is_correct.mean())


def validation_accuracy(replicates: Sequence[Predictions], protocol: dict[str, Any]) -> Measurement:
    """Returns the mean share of correct classes over at least one replicate."""
    values = [predictions.accuracy for predictions in replicates]
    n_samples = len(replicates[0].is_correct)
    smoothed = (values[0] * n_samples + 1.0) / (n_samples + 2.0)
    sampling_error = float(np.sqrt(smoothed * (1.0 - smoothed) / n_samples))
    return _mean_over_replicates("validation_accuracy", values, sampling_error, protocol)


def validation_loss(replicates: Sequence[Predictions], protocol: dict[str, Any]) -> Measurement:
    """Returns the mean cross-entropy over at least one replicate."""
    losses = replicates[0].losses
    sampling_error = float(losses.std(ddof=1)) / len(losses) ** 0.5
    return _mean_over_replicates("validation_loss", [p.loss for p in replicates], sampling_error, protocol)


def _mean_over_replicates(
    metric: str, values: list[float], sampling_error: float, protocol: dict[str, Any]
) -> Measurement:
    n = len(values)
    std_error = sampling_error if n == 1 else float(np.std(values, ddof=1)) / n**0.5
    source = "validation samples" if n == 1 else "replicates"
    return Measurement(
        metric, float(np.mean(values)), std_error, {**protocol, "std_error_from": source}, {"per_replicate": values}
    )
