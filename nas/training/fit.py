"""The training loop: minibatch gradient descent on the cross-entropy."""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from nas.errors import TrainingDiverged
from nas.metrics.performance import Predictions
from nas.spec.search import Training
from nas.training.datasets import Data
from nas.training.hybrid import HybridNetwork, Parameters, trainable_names

_OPTIMIZERS: Final[dict[str, type[torch.optim.Optimizer]]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}

#: Rows of the validation split that are evaluated together.
_VALIDATION_ROWS: Final = 4_096


@dataclass(frozen=True, slots=True)
class Epoch:
    """One point of a learning curve; the training loss is the mean over the epoch's minibatches as they were met."""

    epoch: int  #: from 1
    train_loss: float
    validation_loss: float
    validation_accuracy: float

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return {
            "epoch": self.epoch,
            "train_loss": self.train_loss,
            "validation_loss": self.validation_loss,
            "validation_accuracy": self.validation_accuracy,
        }


@dataclass(frozen=True, slots=True)
class Fit:
    """A finished training: its curve, the epoch that is reported, and the predictions of that epoch."""

    curve: tuple[Epoch, ...]
    epoch: int
    predictions: Predictions


def fit(
    network: HybridNetwork, data: Data, training: Training, *, learning_rate: float, rng: np.random.Generator
) -> Fit:
    """Returns the fit from initial parameters and an order of minibatches that are drawn from `rng`.

    The reported epoch is that of the lowest validation loss, the earliest of equals, or the last (`training.select`).
    Optimisers have torch's default settings but for the learning rate.

    Raises:
        TrainingDiverged: the loss of a minibatch or of the validation split is not finite.
    """
    parameters = network.draw(rng)
    trained = [parameters[name].requires_grad_() for name in trainable_names(parameters, training.mode)]
    optimizer = _OPTIMIZERS[training.optimizer](trained, lr=learning_rate)  # type: ignore[call-arg]  # the base class has no lr
    curve: list[Epoch] = []
    best: Predictions | None = None
    reported = 0
    for number in range(1, training.epochs + 1):
        train_loss = _train_epoch(network, parameters, data, optimizer, training.batch_size, number, rng)
        predictions = predict(network, parameters, data)
        _require_finite(predictions.loss, "validation", number)
        curve.append(Epoch(number, train_loss, predictions.loss, predictions.accuracy))
        if best is None or training.select == "last" or predictions.loss < best.loss:
            best, reported = predictions, number
    assert best is not None
    return Fit(tuple(curve), reported, best)


def predict(network: HybridNetwork, parameters: Parameters, data: Data) -> Predictions:
    """Returns losses and hits on the validation split."""
    losses, hits = [], []
    with torch.no_grad():
        for start in range(0, len(data.validation_y), _VALIDATION_ROWS):
            y = data.validation_y[start : start + _VALIDATION_ROWS]
            logits = network.logits(parameters, data.validation_x[start : start + _VALIDATION_ROWS])
            losses.append(cross_entropy(logits, y, reduction="none"))
            hits.append(logits.argmax(1) == y)
    return Predictions(torch.cat(losses).numpy(), torch.cat(hits).numpy())


def _train_epoch(
    network: HybridNetwork,
    parameters: Parameters,
    data: Data,
    optimizer: torch.optim.Optimizer,
    batch_size: int,
    number: int,
    rng: np.random.Generator,
) -> float:
    """Returns the mean loss over all training samples, each at the time of its minibatch."""
    n_rows = len(data.train_y)
    order = torch.from_numpy(rng.permutation(n_rows))
    total = 0.0
    for start in range(0, n_rows, batch_size):
        rows = order[start : start + batch_size]
        optimizer.zero_grad()
        loss = cross_entropy(network.logits(parameters, data.train_x[rows]), data.train_y[rows])
        value = float(loss.detach())
        _require_finite(value, "training", number)
        loss.backward()  # type: ignore[no-untyped-call]  # torch
        optimizer.step()
        total += value * len(rows)
    return total / n_rows


def _require_finite(loss: float, split: str, epoch: int) -> None:
    if not math.isfinite(loss):
        raise TrainingDiverged(f"the {split} loss became {loss} in epoch {epoch}; lower the learning rate")
