"""Networks whose start is given, and the classical net as one of them, so that one training loop fits every arm."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nas.training.hybrid import HybridNetworks, MemberParameters, Parameters


@dataclass(frozen=True, slots=True)
class StartedNetworks(HybridNetworks):
    """Networks that start from given parameters.

    The generators of a fit are then left for the order of minibatches alone, which arms of one seed have in common.
    """

    starts: tuple[MemberParameters, ...]

    def draw(self, rngs: Sequence[np.random.Generator], *, draws: int | None = None) -> Parameters:
        """Returns the given parameters, in memory of their own; nothing is drawn."""
        if draws is not None or len(rngs) != len(self.starts):
            raise ValueError("networks with a given start have one start each, and draw no others")
        return self.together([start.copy() for start in self.starts])


@dataclass(frozen=True, slots=True)
class ClassicalNetworks(StartedNetworks):
    """MLPs of one shape: x ── Linear ── ReLU ── Linear ──▶ logits. No circuit is simulated."""

    def logits(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Returns (C, rows, n_classes) of inputs (C or 1, rows, at least n_features)."""
        first = self.architectures[0]
        (n_in, hidden), (_, n_out) = first.pre_widths, first.post_widths
        (layers,) = parameters.classical
        parts = torch.split(layers, [n_in * hidden, hidden, hidden * n_out, n_out], -1)
        weights = parts[0].view(-1, hidden, n_in).mT, parts[2].view(-1, n_out, hidden).mT
        active = torch.relu(x[..., :n_in] @ weights[0] + parts[1].unsqueeze(-2))
        return active @ weights[1] + parts[3].unsqueeze(-2)
