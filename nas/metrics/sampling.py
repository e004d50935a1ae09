"""Random weights, and the states they lead to.

Weights are uniform on [0, 2π), independently, as in Sim, Johnson and Aspuru-Guzik 2019 (arXiv 1905.10876). Features
are zero: what is measured is the circuit, not the data.
"""

from collections.abc import Iterator, Sequence
from math import sqrt
from typing import Final

import numpy as np
import torch
from torch import Tensor

from nas.circuits import Circuit
from nas.engines import Engine
from nas.spec.engines import Precision

#: How the protocol of a measurement names the distribution.
UNIFORM_WEIGHTS: Final = "uniform [0, 2π)"

#: Of a probability of a state behind a hundred gates. Rounding walks at random: it grows as the root of their number.
_ROUNDING: Final[dict[Precision, float]] = {"complex128": 1e-14, "complex64": 5e-6}
_GATES: Final = 100

#: Rows of weights that are drawn at once, whatever the engine could hold.
_MAX_WEIGHTS: Final = 2**22


def rounding_of(circuit: Circuit, precision: Precision) -> float:
    """Returns how far rounding moves purities and fidelities of the circuit's states, of all states alike.

    It is a part of the error of their means that no number of samples shows.
    """
    return _ROUNDING[precision] * max(1.0, sqrt(len(circuit.operations) / _GATES))


def most_weights(circuits: Sequence[Circuit]) -> int:
    """Returns the most weights of a circuit of a bundle."""
    return max(circuit.n_weights for circuit in circuits)


def draw_weights(circuits: Sequence[Circuit], n_rows: int, rngs: Sequence[np.random.Generator]) -> Tensor:
    """Returns independent weight vectors of each circuit from its own generator, (C, n_rows, most weights), float64.

    Weights that a circuit does not have are 0.
    """
    weights = np.zeros((len(circuits), n_rows, most_weights(circuits)))
    for of_one, circuit, rng in zip(weights, circuits, rngs, strict=True):
        of_one[:, : circuit.n_weights] = rng.uniform(0.0, 2.0 * np.pi, (n_rows, circuit.n_weights))
    return torch.from_numpy(weights)


def zero_features(circuits: Sequence[Circuit]) -> Tensor:
    """Returns one row of zeros that stands for all rows of all circuits, (1, 1, most features)."""
    return torch.zeros(1, 1, max(circuit.n_features for circuit in circuits), dtype=torch.float64)


def rows_at_once(circuits: Sequence[Circuit], engine: Engine, *, with_gradient: bool) -> int:
    """Returns how many rows of each circuit to draw and simulate together, at least 1."""
    longest = max(circuits, key=lambda circuit: len(circuit.operations))
    fitting = engine.rows_at_once(longest, with_gradient=with_gradient)
    return max(1, min(fitting, _MAX_WEIGHTS // max(1, most_weights(circuits))))


def random_states(
    circuits: Sequence[Circuit], engine: Engine, n_states: int, rngs: Sequence[np.random.Generator]
) -> Iterator[Tensor]:
    """Yields states at random weights in batches of an even number of rows, (C, rows, 2^n), `n_states` (even) in all.

    The sequence of a circuit's states depends on its generator alone, not on the sizes of the batches.
    """
    fitting = rows_at_once(circuits, engine, with_gradient=False)
    step = max(2, fitting - fitting % 2)
    for start in range(0, n_states, step):
        weights = draw_weights(circuits, min(step, n_states - start), rngs)
        yield engine.bundle_states(circuits, weights, zero_features(circuits))
