"""The training loop: minibatch gradient descent on the training loss, for a bundle of networks in step.

Members meet nothing of one another: each has its parameters, its learning rate, its order of minibatches. One that
diverges is told so, and the others go on.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.errors import TrainingDiverged
from nas.metrics.performance import Predictions
from nas.spec.training import Training
from nas.training.datasets import Data
from nas.training.hybrid import HybridNetworks, MemberParameters, Parameters
from nas.training.loss import TrainingLoss, sample_losses

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
    """One point of a learning curve; the training loss is the mean over the epoch's minibatches as they were met.

    Class weights are in the training loss alone.
    """

    epoch: int  #: from 1
    train_loss: float
    validation_loss: float
    validation_accuracy: float | None = None  #: of a classification
    validation_r2: float | None = None  #: of a regression

    def to_json(self) -> dict[str, Any]:
        """Returns the fields that the task has as JSON values."""
        return {name: value for name, value in asdict(self).items() if value is not None}


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
    With `training.patience`, a member stops after so many epochs in which its validation loss did not fall below its
    lowest; it is then computed on without effect until the others of its bundle have stopped too.
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
    loss = TrainingLoss.of(training, data.train_y)
    records = [_Record(training) for _ in rngs]
    for number in range(1, training.epochs + 1):
        order = torch.from_numpy(np.stack([rng.permutation(len(data.train_y)) for rng in rngs]))
        train_losses = _train_epoch(networks, parameters, data, descent, loss, order, training.batch_size)
        predictions = predict(networks, parameters, data.validation_x, data.validation_y)
        members = networks.of_members(parameters)
        for record, train_loss, predicted, own in zip(records, train_losses, predictions, members, strict=True):
            record.add(number, float(train_loss), predicted, own)
        if all(record.has_ended for record in records):
            break
    return [record.finish() for record in records]


class _Record:
    """What became of one member."""

    def __init__(self, training: Training) -> None:
        self.error: TrainingDiverged | None = None
        self.has_ended = False
        self._select = training.select
        self._patience = training.patience
        self._lowest: tuple[int, float] = 0, math.inf  # epoch and validation loss
        self._curve: list[Epoch] = []
        self._best: tuple[int, Predictions, MemberParameters] | None = None

    def add(self, number: int, train_loss: float, predictions: Predictions, parameters: MemberParameters) -> None:
        if self.has_ended:
            return
        loss = predictions.loss
        for split, value in (("training", train_loss), ("validation", loss)):
            if not math.isfinite(value):
                self.has_ended = True
                self.error = TrainingDiverged(
                    f"the {split} loss became {value} in epoch {number}; lower the learning rate"
                )
                return
        score = (
            {"validation_r2": predictions.r2}
            if predictions.is_regression
            else {"validation_accuracy": predictions.accuracy}
        )
        self._curve.append(Epoch(number, train_loss, loss, **score))
        is_lowest = loss < self._lowest[1]
        if is_lowest:
            self._lowest = number, loss
        if is_lowest or self._select == "last":
            self._best = number, predictions, parameters.copy()
        self.has_ended = self._patience is not None and number - self._lowest[0] >= self._patience

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
    """Returns what each member says of x, (C or 1, rows, n_features), whose classes or targets are y, (rows,)."""
    losses, outputs = [], []
    with torch.no_grad():
        for start in range(0, len(y), _ROWS_TOGETHER):
            of_rows = y[start : start + _ROWS_TOGETHER]
            found = networks.logits(parameters, x[:, start : start + _ROWS_TOGETHER])
            losses.append(sample_losses(found, of_rows.expand(len(found), -1)))
            outputs.append(found)
    pairs = zip(torch.cat(losses, 1).numpy(), torch.cat(outputs, 1).numpy(), strict=True)
    return [Predictions(of_one, its_outputs, y.numpy()) for of_one, its_outputs in pairs]


def _train_epoch(
    networks: HybridNetworks,
    parameters: Parameters,
    data: Data,
    descent: _Descent,
    loss: TrainingLoss,
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
        losses = loss.of_samples(networks.logits(parameters, batch), data.train_y[rows]).mean(1)
        descent.step(losses.sum())
        total += losses.detach() * rows.shape[1]
    means: NDArray[np.float64] = (total / n_rows).numpy()
    return means
