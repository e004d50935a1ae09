"""The training loop: minibatch gradient descent on the cross-entropy, for a bundle of networks in step.

Members meet nothing of one another: each has its parameters, its learning rate, its order of minibatches. One that
diverges is told so, and the others go on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from nas.errors import TrainingDiverged
from nas.metrics.performance import Predictions
from nas.spec.training import Training
from nas.training.datasets import Data
from nas.training.hybrid import HybridNetworks, MemberParameters, Parameters

_OPTIMIZERS: Final[dict[str, type[torch.optim.Optimizer]]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}

#: Rows that are predicted together.
_ROWS_TOGETHER: Final = 4_096


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
    """A finished training: its curve, the epoch that is reported, and what that epoch predicts and is."""

    curve: tuple[Epoch, ...]
    epoch: int
    predictions: Predictions
    parameters: MemberParameters


def fit(
    networks: HybridNetworks,
    data: Data,
    training: Training,
    *,
    learning_rates: Sequence[float],
    rngs: Sequence[np.random.Generator],
) -> list[Fit | TrainingDiverged]:
    """Returns each member's fit from initial parameters and an order of minibatches that are drawn from its generator.

    The reported epoch is that of the lowest validation loss, the earliest of equals, or the last (`training.select`).
    Optimisers have torch's default settings but for the learning rate. A member has diverged when the loss of a
    minibatch or of the validation split is not finite.

    Args:
        networks: C members.
        data: with x of (C, rows, n_features), or (1, rows, n_features) for all members.
        training: epochs, batch size, optimiser, mode.
        learning_rates: of each member.
        rngs: of each member.
    """
    parameters = networks.draw(rngs)
    descent = _Descent(networks, parameters, training, learning_rates)
    records = [_Record(training.select) for _ in rngs]
    for number in range(1, training.epochs + 1):
        order = torch.from_numpy(np.stack([rng.permutation(len(data.train_y)) for rng in rngs]))
        train_losses = _train_epoch(networks, parameters, data, descent, order, training.batch_size)
        predictions = predict(networks, parameters, data.validation_x, data.validation_y)
        members = networks.of_members(parameters)
        for record, train_loss, predicted, own in zip(records, train_losses, predictions, members, strict=True):
            record.add(number, float(train_loss), predicted, own)
        if all(record.error for record in records):
            break
    return [record.finish() for record in records]


class _Record:
    """What became of one member."""

    def __init__(self, select: str) -> None:
        self.error: TrainingDiverged | None = None
        self._select = select
        self._curve: list[Epoch] = []
        self._best: tuple[int, Predictions, MemberParameters] | None = None

    def add(self, number: int, train_loss: float, predictions: Predictions, parameters: MemberParameters) -> None:
        if self.error is not None:
            return
        loss = predictions.loss
        for split, value in (("training", train_loss), ("validation", loss)):
            if not math.isfinite(value):
                self.error = TrainingDiverged(
                    f"the {split} loss became {value} in epoch {number}; lower the learning rate"
                )
                return
        self._curve.append(Epoch(number, train_loss, loss, predictions.accuracy))
        if self._best is None or self._select == "last" or loss < self._best[1].loss:
            self._best = number, predictions, parameters.copy()

    def finish(self) -> Fit | TrainingDiverged:
        if self.error is not None:
            return self.error
        assert self._best is not None
        return Fit(tuple(self._curve), *self._best)


class _Descent:
    """Torch's optimiser with a learning rate for each member.

    The steps of all four are proportional to the learning rate, so a step at rate 1 is taken and scaled.
    """

    def __init__(
        self, networks: HybridNetworks, parameters: Parameters, training: Training, learning_rates: Sequence[float]
    ) -> None:
        rates = [torch.tensor([rate], dtype=torch.float64) for rate in learning_rates]
        of_tensors = Parameters(networks.by_kind(rates), torch.stack(rates)).trained(training.mode)
        pairs = list(zip(parameters.trained(training.mode), of_tensors, strict=True))
        self._trained = [tensor.requires_grad_() for tensor, _ in pairs if tensor.numel()]
        self._rates = [rate for tensor, rate in pairs if tensor.numel()]
        self._optimizer = _OPTIMIZERS[training.optimizer](self._trained, lr=1.0)  # type: ignore[call-arg]  # the base class has no lr

    def step(self, loss: Tensor) -> None:
        """Moves all parameters down the gradient of a loss that is the sum of the members' own."""
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch
        before = [tensor.detach().clone() for tensor in self._trained]
        self._optimizer.step()
        with torch.no_grad():
            for tensor, start, rate in zip(self._trained, before, self._rates, strict=True):
                torch.lerp(start, tensor, rate, out=tensor)


def predict(networks: HybridNetworks, parameters: Parameters, x: Tensor, y: Tensor) -> list[Predictions]:
    """Returns each member's losses and hits on x, (C or 1, rows, n_features), whose classes are y, (rows,)."""
    losses, hits = [], []
    with torch.no_grad():
        for start in range(0, len(y), _ROWS_TOGETHER):
            of_rows = y[start : start + _ROWS_TOGETHER]
            logits = networks.logits(parameters, x[:, start : start + _ROWS_TOGETHER])
            losses.append(sample_losses(logits, of_rows.expand(len(logits), -1)))
            hits.append(logits.argmax(-1) == of_rows)
    pairs = zip(torch.cat(losses, 1).numpy(), torch.cat(hits, 1).numpy(), strict=True)
    return [Predictions(of_one, is_correct) for of_one, is_correct in pairs]


def sample_losses(logits: Tensor, y: Tensor) -> Tensor:
    """Returns the cross-entropy of every sample, in the shape of y, of logits (…, n_classes)."""
    return cross_entropy(logits.flatten(0, -2), y.flatten(), reduction="none").view(y.shape)


def _train_epoch(
    networks: HybridNetworks,
    parameters: Parameters,
    data: Data,
    descent: _Descent,
    order: Tensor,
    batch_size: int,
) -> NDArray[np.float64]:
    """Returns each member's mean loss over all training samples, each at the time of its minibatch."""
    n_members, n_rows = order.shape
    x = data.train_x.expand(n_members, -1, -1)
    total = torch.zeros(n_members, dtype=torch.float64)
    for start in range(0, n_rows, batch_size):
        rows = order[:, start : start + batch_size]
        batch = x.gather(1, rows.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
        losses = sample_losses(networks.logits(parameters, batch), data.train_y[rows]).mean(1)
        descent.step(losses.sum())
        total += losses.detach() * rows.shape[1]
    means: NDArray[np.float64] = (total / n_rows).numpy()
    return means
