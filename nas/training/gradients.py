"""Gradients of the training loss at random initial parameters, for the definitions `quantum` and `hybrid`.

All draws share one fixed batch of training data, so that the variance is over initial parameters alone.
"""

from typing import Final

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from nas.metrics.gradient_variance import Definition, GradientDraws
from nas.metrics.sampling import UNIFORM_WEIGHTS
from nas.spec.search import GradientSettings
from nas.training.datasets import Data
from nas.training.hybrid import CIRCUIT, HybridNetwork, Parameters

#: Training mode to what its gradients are of; pure-quantum has no loss around the circuit.
DEFINITIONS: Final[dict[str, Definition]] = {
    "pure-quantum": "pure",
    "quantum-only": "quantum",
    "full-hybrid": "hybrid",
}


def loss_gradients(
    network: HybridNetwork, data: Data, settings: GradientSettings, *, mode: str, rng: np.random.Generator
) -> GradientDraws:
    """Returns draws of the gradient of the cross-entropy on a fixed batch, (samples, n_parameters).

    `quantum-only` draws the classical layers once, freezes them, and differentiates by circuit weights; `full-hybrid`
    draws everything anew and differentiates by everything, classical layers first. Every draw has its own copy of the
    parameters in one broadcast batch, so the gradient of the summed losses holds all gradients.

    Cost: samples · batch_size rows forward and backward.
    """
    rows = torch.from_numpy(rng.permutation(len(data.train_y))[: settings.batch_size])
    x, y = data.train_x[rows], data.train_y[rows]
    frozen = network.draw(rng)
    varied = [CIRCUIT] if mode == "quantum-only" else list(frozen)
    circuit = network.architecture.circuit
    step = max(1, network.engine.rows_at_once(circuit, with_gradient=True) // len(y))
    found = []
    for start in range(0, settings.samples, step):
        n_draws = min(step, settings.samples - start)
        drawn = network.draw(rng, draws=n_draws, only=varied)
        found.append(_gradients(network, {**frozen, **drawn}, varied, x, y))
    protocol = {
        "samples": settings.samples,
        "cost": "cross-entropy of a fixed batch",
        "batch_size": len(y),
        "weights": UNIFORM_WEIGHTS,
        "classical_layers": "drawn once, frozen" if mode == "quantum-only" else "uniform ±1/√fan_in",
    }
    return GradientDraws(np.concatenate(found), DEFINITIONS[mode], protocol)


def _gradients(
    network: HybridNetwork, parameters: Parameters, varied: list[str], x: torch.Tensor, y: torch.Tensor
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Returns (draws, n_parameters) for parameters of which the varied ones have a leading axis of draws."""
    leaves = [parameters[name].requires_grad_() for name in varied]
    logits = network.logits(parameters, x)
    n_draws, n_rows, n_classes = logits.shape
    losses = cross_entropy(logits.reshape(-1, n_classes), y.repeat(n_draws), reduction="none")
    gradients = torch.autograd.grad(losses.sum() / n_rows, leaves)
    return torch.cat([gradient.reshape(n_draws, -1) for gradient in gradients], 1).numpy()
