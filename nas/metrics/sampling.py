"""Random weights, and the states they lead to.

Weights are uniform on [0, 2π), independently, as in Sim, Johnson and Aspuru-Guzik 2019 (arXiv 1905.10876). Features
are zero: what is measured is the circuit, not the data.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from torch import Tensor

from nas.circuits import Circuit
from nas.engines import Engine

#: How the protocol of a measurement names the distribution.
UNIFORM_WEIGHTS: Final = "uniform [0, 2π)"

#: Rows of weights that are drawn at once, whatever the engine could hold.
_MAX_WEIGHTS: Final = 2**22


def draw_weights(circuit: Circuit, n_rows: int, rng: np.random.Generator) -> Tensor:
    """Returns independent weight vectors, (n_rows, n_weights), float64."""
    return torch.from_numpy(rng.uniform(0.0, 2.0 * np.pi, (n_rows, circuit.n_weights)))


def zero_features(circuit: Circuit) -> Tensor:
    """Returns one row of zeros that stands for all rows, (1, n_features)."""
    return torch.zeros(1, circuit.n_features, dtype=torch.float64)


def rows_at_once(circuit: Circuit, engine: Engine, *, with_gradient: bool) -> int:
    """Returns how many rows to draw and simulate together, at least 1."""
    fitting = engine.rows_at_once(circuit, with_gradient=with_gradient)
    return max(1, min(fitting, _MAX_WEIGHTS // max(1, circuit.n_weights)))


def random_states(circuit: Circuit, engine: Engine, n_states: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Yields states at random weights in batches of an even number of rows, (rows, 2^n), `n_states` (even) in all.

    The sequence of states does not depend on the sizes of the batches.
    """
    fitting = rows_at_once(circuit, engine, with_gradient=False)
    step = max(2, fitting - fitting % 2)
    for start in range(0, n_states, step):
        weights = draw_weights(circuit, min(step, n_states - start), rng)
        yield engine.states(circuit, weights, zero_features(circuit))
