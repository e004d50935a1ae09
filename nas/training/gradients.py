"""Gradients of the training loss at random initial parameters, for the definitions `quantum` and `hybrid`.

All draws of a member share one fixed batch of training data, so that the variance is over initial parameters alone.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from nas.errors import UndefinedMetric
from nas.metrics.gradient_variance import Definition, GradientDraws, checked_draws
from nas.metrics.sampling import UNIFORM_WEIGHTS
from nas.spec.settings import GradientSettings
from nas.training.datasets import Data
from nas.training.hybrid import HybridNetworks, Parameters
from nas.training.loss import TrainingLoss, loss_name

#: Training mode to what its gradients are of; pure-quantum has no loss around the circuit.
DEFINITIONS: Final[dict[str, Definition]] = {
    "pure-quantum": "pure",
    "quantum-only": "quantum",
    "full-hybrid": "hybrid",
}


def loss_gradients(
    networks: HybridNetworks,
    data: Data,
    settings: GradientSettings,
    *,
    mode: str,
    rngs: Sequence[np.random.Generator],
    loss: TrainingLoss | None = None,
) -> list[GradientDraws | UndefinedMetric]:
    """Returns each member's draws of the gradient of the training loss on a fixed batch, (samples, n_parameters).

    `quantum-only` draws the classical layers once, freezes them, and differentiates by circuit weights; `full-hybrid`
    draws everything anew and differentiates by everything, classical layers first. Every draw has its own copy of the
    parameters in one broadcast batch, so the gradient of the summed losses holds all gradients.

    Cost: samples · batch_size rows forward and backward for each member.
    """
    loss = loss or TrainingLoss()
    rows = torch.from_numpy(np.stack([rng.permutation(len(data.train_y))[: settings.batch_size] for rng in rngs]))
    index = rows.unsqueeze(-1).expand(-1, -1, data.train_x.shape[-1])
    x, y = data.train_x.expand(len(rngs), -1, -1).gather(1, index).unsqueeze(1), data.train_y[rows]
    frozen = networks.draw(rngs)
    widest = max((each.circuit for each in networks.architectures), key=lambda circuit: len(circuit.operations))
    n_fitting = networks.engine.rows_at_once(widest, with_gradient=True) // y.shape[1]
    found: list[list[Tensor]] = [[] for _ in rngs]
    for start in range(0, settings.samples, max(1, n_fitting)):
        n_draws = min(max(1, n_fitting), settings.samples - start)
        if mode == "quantum-only":
            layers = tuple(tensor.unsqueeze(1) for tensor in frozen.classical)
            drawn = Parameters(layers, networks.draw_circuits(rngs, draws=n_draws))
        else:
            drawn = networks.draw(rngs, draws=n_draws)
        for member, values in enumerate(_gradients(networks, drawn, mode, loss, x, y)):
            found[member].append(values)
    protocol = {
        "samples": settings.samples,
        "cost": f"{loss_name(y, loss)} of a fixed batch",
        "batch_size": y.shape[1],
        "weights": UNIFORM_WEIGHTS,
        "classical_layers": "drawn once, frozen" if mode == "quantum-only" else "uniform ±1/√fan_in",
    }
    precision = networks.engine.precision
    return [checked_draws(torch.cat(parts).numpy(), DEFINITIONS[mode], protocol, precision) for parts in found]


def _gradients(
    networks: HybridNetworks, parameters: Parameters, mode: str, loss: TrainingLoss, x: Tensor, y: Tensor
) -> list[Tensor]:
    """Returns each member's (draws, n_parameters)."""
    leaves = [tensor.requires_grad_() for tensor in parameters.trained(mode)]
    logits = networks.logits(parameters, x)
    n_draws, n_rows = logits.shape[1:3]
    losses = loss.of_samples(logits, y.unsqueeze(1).expand(-1, n_draws, -1))
    *by_layers, by_circuit = torch.autograd.grad(losses.sum() / n_rows, leaves, materialize_grads=True)
    of_layers = networks.by_member(by_layers) if by_layers else [by_circuit[0, :, :0]] * len(by_circuit)
    return [
        torch.cat([layers, weights[:, : each.circuit.n_weights]], 1)
        for layers, weights, each in zip(of_layers, by_circuit, networks.architectures, strict=True)
    ]
