"""Fits hybrid models: data, the network as a function of its parameters, the training loop, and gradient draws.

sources ──▶ datasets ──▶ train and validation splits ──▶ fit, at each rate of a sweep ──▶ curve, predictions, parameters
                                                      │                                └─▶ robustness, weights
                                                      └─▶ gradients ──▶ draws for nas.metrics.gradient_variance
"""

from nas.training.datasets import Data, load
from nas.training.fit import Fit, fit
from nas.training.gradients import loss_gradients
from nas.training.hybrid import HybridNetworks

__all__ = ["Data", "Fit", "HybridNetworks", "fit", "load", "loss_gradients"]
