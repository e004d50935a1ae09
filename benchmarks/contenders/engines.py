"""hqnas's own engines."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from benchmarks.contenders.base import Arrays, Contender, Step, torch_step
from benchmarks.problems import SEED, Problem
from nas.circuits import Circuit
from nas.engines import Engine, make_engine
from nas.metrics.expressibility import fidelities


class EngineContender(Contender):
    """An engine, with what hqnas does around it. It is made anew for each circuit, so that nothing is prepared."""

    packages = ()

    def __init__(self, name: str, engine: str, precision: str, *, device: str = "cpu") -> None:
        super().__init__(name, precision)
        self.engine = engine
        self.device = device

    def make(self) -> Engine:
        """Returns a new engine."""
        return make_engine(self.engine, self.precision, self.device)

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the libraries that the engine computes with."""
        return self.make().info.versions

    def step(self, problem: Problem) -> Step:
        """Returns the step that a fit takes."""
        engine = self.make()
        return torch_step(lambda weights, features: engine.expectations(problem.circuit, weights, features), problem)

    def sampler(self, circuit: Circuit, n_rows: int) -> Callable[[Tensor], Any]:
        """Refuses: `pairs` asks hqnas itself."""
        raise NotImplementedError

    def pairs(self, circuit: Circuit, n_pairs: int) -> Callable[[], Arrays]:
        """Returns the fidelities as `expressibility` draws them."""
        engine = self.make()
        return lambda: (fidelities([circuit], engine, n_pairs, [np.random.default_rng(SEED)])[0],)
