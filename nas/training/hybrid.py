"""The network of an architecture, as a function of its parameters.

Hybrid:        x ── Linear, ReLU … Linear ── π tanh ──▶ circuit ──▶ ⟨O⟩ ── Linear, ReLU … Linear ──▶ logits
Pure quantum:  x ── principal components ── π tanh (angles; amplitudes enter as they are) ──▶ circuit ──▶ ⟨O⟩ ──▶ logits

The logits of a pure circuit are a fixed scale times the mean of the expectations whose index is the class modulo the
number of classes; one expectation E of two classes gives (E, −E). Nothing of that is trained.

Parameters may have a leading axis of independent draws: the same code then evaluates all draws in one batch.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from torch import Tensor

from nas.circuits import Architecture
from nas.circuits.architecture import PURE_LOGIT_SCALE
from nas.engines import Engine

#: Tensors by name: "circuit" is (W,), "pre.0.weight" is (out, in), "pre.0.bias" is (out,), and so on; (M, …) in draws.
Parameters = dict[str, Tensor]

CIRCUIT: Final = "circuit"


@dataclass(frozen=True, slots=True)
class HybridNetwork:
    """An architecture on an engine."""

    architecture: Architecture
    engine: Engine

    def draw(
        self, rng: np.random.Generator, *, draws: int | None = None, only: Sequence[str] | None = None
    ) -> Parameters:
        """Returns initial parameters, float64, without gradient; `draws` of them along a leading axis.

        Circuit weights are uniform on [0, 2π), those of a linear layer on ±1/√fan_in (torch's default).
        `only` limits which are drawn; all are, if it is left out.
        """
        leading = () if draws is None else (draws,)
        parameters: Parameters = {}
        for name, (shape, low, high) in self._ranges().items():
            if only is None or name in only:
                parameters[name] = torch.from_numpy(rng.uniform(low, high, (*leading, *shape)))
        return parameters

    def logits(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Returns (rows, n_classes) of inputs (rows, n_features), or (M, rows, n_classes) of M draws of parameters."""
        if not self.architecture.is_hybrid:
            return self._class_means(self._expectations(parameters, self._pure_inputs(x)))
        inputs = math.pi * torch.tanh(_linear_chain("pre", self.architecture.pre_widths, parameters, x))
        return _linear_chain("post", self.architecture.post_widths, parameters, self._expectations(parameters, inputs))

    def _ranges(self) -> dict[str, tuple[tuple[int, ...], float, float]]:
        ranges: dict[str, tuple[tuple[int, ...], float, float]] = {}
        chains = (("pre", self.architecture.pre_widths), ("post", self.architecture.post_widths))
        for prefix, widths in chains:
            for i, (n_in, n_out) in enumerate(pairwise(widths)):
                bound = 1.0 / math.sqrt(n_in)
                ranges[f"{prefix}.{i}.weight"] = ((n_out, n_in), -bound, bound)
                ranges[f"{prefix}.{i}.bias"] = ((n_out,), -bound, bound)
        ranges[CIRCUIT] = ((self.architecture.circuit.n_weights,), 0.0, 2.0 * math.pi)
        return ranges

    def _expectations(self, parameters: Parameters, inputs: Tensor) -> Tensor:
        """Returns (…, rows, n_observables) for inputs (…, rows, n_inputs)."""
        circuit, weights = self.architecture.circuit, parameters[CIRCUIT]
        if weights.ndim == 1:
            weights = weights[None]
        else:
            n_rows = inputs.shape[-2]
            weights = weights.repeat_interleave(n_rows, 0)
            inputs = inputs.expand(parameters[CIRCUIT].shape[0], -1, -1)
        found = self.engine.expectations(circuit, weights, inputs.reshape(-1, inputs.shape[-1]))
        return found.reshape(*inputs.shape[:-1], -1)

    def _pure_inputs(self, x: Tensor) -> Tensor:
        return x if self.architecture.circuit.has_amplitude else math.pi * torch.tanh(x)

    def _class_means(self, expectations: Tensor) -> Tensor:
        if expectations.shape[-1] == 1:
            return PURE_LOGIT_SCALE * torch.cat([expectations, -expectations], -1)
        n_classes = self.architecture.n_classes
        means = [expectations[..., label::n_classes].mean(-1) for label in range(n_classes)]
        return PURE_LOGIT_SCALE * torch.stack(means, -1)


def trainable_names(parameters: Iterable[str], mode: str) -> list[str]:
    """Returns which parameters a training mode fits: in `quantum-only`, those of the circuit alone."""
    return [name for name in parameters if mode != "quantum-only" or name == CIRCUIT]


def _linear_chain(prefix: str, widths: tuple[int, ...], parameters: Parameters, x: Tensor) -> Tensor:
    n_layers = len(widths) - 1
    for i in range(n_layers):
        weight, bias = parameters[f"{prefix}.{i}.weight"], parameters[f"{prefix}.{i}.bias"]
        x = x @ weight.transpose(-1, -2) + bias.unsqueeze(-2)
        if i < n_layers - 1:
            x = torch.relu(x)
    return x
