"""The loss of a sample, by what is learnt: cross-entropy of classes, squared error of a standardised target.

Classes have integers as their truth, and targets real numbers; that alone says which loss it is.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from nas.spec.training import Training


@dataclass(frozen=True, slots=True)
class TrainingLoss:
    """What training lowers: the loss of each sample, times the weight of its class where classes have weights."""

    class_weights: Tensor | None = None  #: (n_classes,)

    @classmethod
    def of(cls, training: Training, train_y: Tensor) -> Self:
        """Returns the loss of a spec on a training split.

        `balanced` gives class c the weight n/(K n_c), for n_c of n samples and K classes: the weights of all samples
        have mean 1 (King and Zeng 2001, Political Analysis 9, 137).
        """
        if training.class_weights == "none":
            return cls()
        counts = torch.bincount(train_y).double()
        return cls(len(train_y) / (len(counts) * counts))

    def of_samples(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Returns the loss of every sample, in the shape of y, of outputs (…, n_outputs)."""
        losses = sample_losses(outputs, y)
        return losses if self.class_weights is None else losses * self.class_weights[y]

    @property
    def is_weighted(self) -> bool:
        """Whether classes have weights."""
        return self.class_weights is not None


def sample_losses(outputs: Tensor, y: Tensor) -> Tensor:
    """Returns the unweighted loss of every sample, in the shape of y, of outputs (…, n_outputs).

    −log softmax(outputs)_y in nats for classes y; (output − y)² for targets y, in units of the target's variance.
    """
    if y.is_floating_point():
        return (outputs.squeeze(-1) - y).square()
    return cross_entropy(outputs.flatten(0, -2), y.flatten(), reduction="none").view(y.shape)


def loss_name(y: Tensor, loss: TrainingLoss) -> str:
    """Returns how a protocol names the loss."""
    if y.is_floating_point():
        return "squared error"
    return "class-weighted cross-entropy" if loss.is_weighted else "cross-entropy"
