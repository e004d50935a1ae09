"""Accuracy of a fitted network on a device: with gate and readout errors, and with a finite number of shots.

Nothing is trained anew: the parameters of the reported epoch run under noise, and the classical layers behind the
circuit see the noisy expectations. Over replicates the standard error is sd/√R. With one, or equal ones, it is that of
the validation samples (Laplace's rule, see `nas.metrics.performance`), of `noisy_accuracy` in quadrature with the
standard deviation over a bootstrap of the trajectories.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from nas.metrics.measurement import Measurement
from nas.metrics.performance import mean_over_replicates, share_error
from nas.spec.settings import NoiseSettings

#: Draws of the bootstrap over trajectories. The relative error of a standard deviation of 100 is 7 %.
TRAJECTORY_RESAMPLES: Final = 100

#: Independent estimates of all expectations, over which `shot_accuracy` is a mean.
SHOT_REPETITIONS: Final = 10


@dataclass(frozen=True, slots=True)
class RobustAccuracy:
    """One fitted network's share of correct classes, and what the simulation of the device adds to its error."""

    accuracy: float
    n_samples: int
    ideal: float  #: the share without noise
    simulation_error: float = 0.0

    @property
    def std_error(self) -> float:
        """Of validation samples and simulation together."""
        return float((share_error(self.accuracy, self.n_samples) ** 2 + self.simulation_error**2) ** 0.5)


def noisy_accuracy(
    replicates: Sequence[RobustAccuracy], settings: NoiseSettings, protocol: dict[str, Any]
) -> Measurement:
    """Returns the mean accuracy under the errors of a device; see `nas.metrics.noise` for the channels."""
    noise = {"noise": settings.model_dump(mode="json"), "channel": "depolarising after each gate, readout flips"}
    return _measurement("noisy_accuracy", replicates, {**protocol, **noise}, "validation samples and trajectories")


def shot_accuracy(replicates: Sequence[RobustAccuracy], n_shots: int, protocol: dict[str, Any]) -> Measurement:
    """Returns the mean accuracy when every expectation is estimated from `n_shots`; see `nas.metrics.shots`.

    It is a mean over 10 repetitions of all shots, so the error of the samples is an upper bound.
    """
    shots = {"shots": n_shots, "shots_each": "sample and basis", "repetitions": SHOT_REPETITIONS}
    return _measurement("shot_accuracy", replicates, {**protocol, **shots}, "validation samples and shots")


def _measurement(
    metric: str, replicates: Sequence[RobustAccuracy], protocol: dict[str, Any], error_from: str
) -> Measurement:
    values = [each.accuracy for each in replicates]
    found = mean_over_replicates(metric, values, replicates[0].std_error, protocol, error_from=error_from)
    found.details["ideal_per_replicate"] = [each.ideal for each in replicates]
    return found
