"""The fits of one candidate: its replicates at its learning rate, or at the best of the rates that it tries.

A rate is judged by the mean validation loss of the reported epochs over the replicates; one at which a replicate
diverges is out. All rates start from the same parameters and meet the minibatches in the same order. Choosing by
validation loss makes the reported figures a little optimistic, as choosing the epoch does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nas.errors import TrainingDiverged
from nas.training.fit import Fit


@dataclass(frozen=True, slots=True)
class Trial:
    """One learning rate: the fits of all replicates, or why there are none."""

    learning_rate: float
    outcome: tuple[Fit, ...] | TrainingDiverged

    @classmethod
    def of(cls, learning_rate: float, found: Sequence[Fit | TrainingDiverged]) -> "Trial":
        """Returns the trial of a rate: it diverged where any replicate did."""
        fits = tuple(one for one in found if isinstance(one, Fit))
        failed = next((one for one in found if isinstance(one, TrainingDiverged)), None)
        return cls(learning_rate, fits if failed is None else failed)

    @property
    def validation_loss(self) -> float | None:
        """Mean over replicates; None where one diverged."""
        if isinstance(self.outcome, TrainingDiverged):
            return None
        return sum(fit.predictions.loss for fit in self.outcome) / len(self.outcome)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is reported of a candidate's training: the fits at one rate, and what the other rates gave."""

    learning_rate: float
    fits: tuple[Fit, ...]  #: one a replicate
    trials: tuple[Trial, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the rate, the epochs that were run and reported, and the sweep if there was one."""
        document: dict[str, Any] = {
            "learning_rate": self.learning_rate,
            "epochs_run": [len(fit.curve) for fit in self.fits],
            "epochs_reported": [fit.epoch for fit in self.fits],
        }
        return {**document, "sweep": self.sweep} if self.sweep else document

    @property
    def sweep(self) -> list[dict[str, Any]]:
        """Each rate with its mean validation loss, None where it diverged; empty with a single rate."""
        if len(self.trials) == 1:
            return []
        return [
            {"learning_rate": trial.learning_rate, "validation_loss": trial.validation_loss} for trial in self.trials
        ]


def best_of(trials: Sequence[Trial]) -> Fitted | TrainingDiverged:
    """Returns the fits at the rate of lowest validation loss, the first of equals; or the first rate's divergence."""
    best: tuple[float, Trial] | None = None
    for trial in trials:
        loss = trial.validation_loss
        if loss is not None and (best is None or loss < best[0]):
            best = loss, trial
    if best is None:
        return next(trial.outcome for trial in trials if isinstance(trial.outcome, TrainingDiverged))
    chosen = best[1]
    assert not isinstance(chosen.outcome, TrainingDiverged)
    return Fitted(chosen.learning_rate, chosen.outcome, tuple(trials))
