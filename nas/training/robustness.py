"""Runs fitted networks on noisy devices: the circuit's expectations come from `nas.metrics.noise` or `shots`."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nas.circuits import Architecture, Circuit
from nas.engines import Engine
from nas.metrics.noise import noisy_expectations
from nas.metrics.robustness import SHOT_REPETITIONS, TRAJECTORY_RESAMPLES, RobustAccuracy
from nas.metrics.shots import shot_expectations
from nas.spec.settings import NoiseSettings
from nas.training.datasets import Data
from nas.training.fit import Fit
from nas.training.hybrid import HybridNetworks, Parameters


@dataclass(frozen=True, slots=True)
class FittedNetwork:
    """One network with the parameters that its fit reports. Results do not depend on what it was fitted beside."""

    networks: HybridNetworks  #: of one member
    parameters: Parameters
    fit: Fit

    @classmethod
    def of(cls, architecture: Architecture, engine: Engine, fit: Fit) -> "FittedNetwork":
        """Returns the network of a fit."""
        networks = HybridNetworks((architecture,), engine)
        return cls(networks, networks.together([fit.parameters]), fit)

    def noisy_accuracy(self, data: Data, settings: NoiseSettings, rng: np.random.Generator) -> RobustAccuracy:
        """Returns the accuracy on the validation split with the errors of a device."""
        found = noisy_expectations(self._circuit, self.networks.engine, *self._inputs(data), settings, rng)
        accuracy = self._share(found.mean(), data)
        n_batches = len(found.batches)
        shares = [0.0, 0.0]
        if n_batches:
            even = np.full(n_batches, 1.0 / n_batches)
            counts = rng.multinomial(n_batches, even, size=TRAJECTORY_RESAMPLES).astype(np.float64)
            shares = [self._share(found.mean(of_one), data) for of_one in counts]
        return self._found(accuracy, data, simulation_error=float(np.std(shares, ddof=1)))

    def shot_accuracy(self, data: Data, n_shots: int, rng: np.random.Generator) -> RobustAccuracy:
        """Returns the accuracy on the validation split with expectations from shots."""
        found = shot_expectations(
            self._circuit,
            self.networks.engine,
            *self._inputs(data),
            n_shots=n_shots,
            n_repetitions=SHOT_REPETITIONS,
            rng=rng,
        )
        shares = [self._share(expectations, data) for expectations in found]
        return self._found(float(np.mean(shares)), data)

    def _found(self, accuracy: float, data: Data, *, simulation_error: float = 0.0) -> RobustAccuracy:
        ideal = self.fit.predictions.accuracy
        return RobustAccuracy(accuracy, len(data.validation_y), ideal, simulation_error)

    @property
    def _circuit(self) -> Circuit:
        return self.networks.architectures[0].circuit

    def _inputs(self, data: Data) -> tuple[Tensor, Tensor]:
        """Returns the circuit's weights and what enters it for every validation row."""
        with torch.no_grad():
            inputs = self.networks.circuit_inputs(self.parameters, data.validation_x[None])[0]
        return self.parameters.circuit[0], inputs

    def _share(self, expectations: Tensor, data: Data) -> float:
        """Returns the share of validation rows whose class is right."""
        with torch.no_grad():
            outputs = self.networks.outputs(self.parameters, expectations[None])[0]
        return float((outputs.argmax(-1) == data.validation_y).double().mean())
