"""The interface of contenders.

A contender prepares work for one circuit, which may take long (compilation), and gives out a function that does the
work as often as it is called. Its numbers are its own kind of arrays; `as_arrays` makes them comparable, outside the
clock. A result is complete when the function returns: nothing is still being computed.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from benchmarks.problems import SEED, Problem, random_weights
from nas.circuits import Circuit

Arrays = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A training step: (weights, features) ↦ (expectations, gradient by weights[, gradient by features])."""

    run: Callable[[Any, Any], Arrays]
    weights: Any
    features: Any

    def __call__(self) -> Arrays:
        """Takes the step from where the problem starts."""
        return self.run(self.weights, self.features)

    def descend(self, n_steps: int, rate: float) -> Arrays:
        """Takes steps of plain gradient descent on the weights and returns where it ended."""
        weights = self.weights
        for _ in range(n_steps):
            weights = weights - rate * self.run(weights, self.features)[1]
        return (weights,)


class Contender(ABC):
    """One simulator at one precision, as its user would write it."""

    packages: ClassVar[tuple[str, ...]]  #: whose versions are named in the report
    has_gradient: ClassVar[bool] = True
    has_states: ClassVar[bool] = True
    is_compiled: ClassVar[bool] = False  #: whether preparation is long enough to be limited to few circuits

    def __init__(self, name: str, precision: str) -> None:
        self.name = name
        self.precision = precision

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the distributions that compute."""
        return {package: version(package) for package in self.packages}

    @abstractmethod
    def step(self, problem: Problem) -> Step:
        """Returns a training step of this problem."""

    @abstractmethod
    def sampler(self, circuit: Circuit, n_rows: int) -> Callable[[Tensor], Any]:
        """Returns a function from weights (n_rows, n_weights) to states (n_rows, 2^n), features at zero."""

    def pairs(self, circuit: Circuit, n_pairs: int) -> Callable[[], Arrays]:
        """Returns a function to the fidelities of pairs of states at random weights, ((n_pairs,),)."""
        sample = self.sampler(circuit, 2 * n_pairs)

        def run() -> Arrays:
            weights = random_weights(circuit, 2 * n_pairs, np.random.default_rng(SEED))
            states = np.asarray(sample(weights))
            return (np.abs((states[0::2].conj() * states[1::2]).sum(1)) ** 2,)

        return run


def torch_step(expectations: Callable[[Tensor, Tensor], Tensor], problem: Problem) -> Step:
    """Returns the step of a function that torch differentiates, from (weights, features) to (rows, n_observables)."""

    def run(weights: Tensor, features: Tensor) -> Arrays:
        leaves = [weights.detach().requires_grad_()]
        if problem.has_feature_gradient:
            features = features.detach().requires_grad_()
            leaves.append(features)
        values = expectations(leaves[0], features)
        return (values.detach(), *torch.autograd.grad(values.sum(1).mean(), leaves))

    return Step(run, problem.weights, problem.features)


def as_arrays(results: Sequence[Any]) -> list[Any]:
    """Returns the arrays of any contender as NumPy's."""
    return [np.asarray(result) for result in results]
