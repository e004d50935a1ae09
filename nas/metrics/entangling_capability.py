"""Entangling capability: the mean Meyer–Wallach Q of the states of a circuit at random weights, 0 to 1.

    Q = 2 (1 − mean_k Tr ρ_k²), with ρ_k the state of wire k

0 for product states, 1 for GHZ states; Haar-random states have mean (N − 2)/(N + 1).

Sources:
    [MW02] Meyer, Wallach 2002, J. Math. Phys. 43, 4273 (arXiv quant-ph/0108104).
    [Brennen03] Brennen 2003, Quantum Inf. Comput. 3, 619: the form by purities.
    [Sim19] Sim, Johnson, Aspuru-Guzik 2019 (arXiv 1905.10876), eq. 14. Their published table exceeds the Haar mean
        and is not reproduced here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.circuits import Circuit
from nas.engines import Engine
from nas.metrics.measurement import Measurement
from nas.metrics.sampling import UNIFORM_WEIGHTS, random_states, rounding_of
from nas.spec.engines import Precision

if TYPE_CHECKING:
    from nas.metrics.registry import Drawing

Floats = NDArray[np.float64]


def entangling_capability(circuit: Circuit, engine: Engine, *, n_states: int, rng: np.random.Generator) -> Measurement:
    """Returns the mean Q over `n_states` states, features at zero.

    Cost: n_states states of 2^n amplitudes.
    """
    values = entanglements([circuit], engine, n_states, [rng])[0]
    return entangling_capability_of(values, circuit, engine.precision)


def entangling_capability_of(values: Floats, circuit: Circuit, precision: Precision) -> Measurement:
    """Returns the mean of values of Q; exactly 0 for one qubit.

    The standard error is that of the mean, sd/√n_states, and at least rounding, which all states have alike.

    Raises:
        UndefinedMetric: a state was not finite.
    """
    protocol = {"samples": len(values), "weights": UNIFORM_WEIGHTS, "features": "zero"}
    if circuit.qubits == 1:
        return Measurement("entangling_capability", 0.0, None, protocol)
    std_error = float(np.hypot(values.std(ddof=1) / len(values) ** 0.5, rounding_of(circuit, precision)))
    return Measurement("entangling_capability", float(values.mean()), std_error, protocol)


def random_entanglements(drawing: "Drawing") -> list[Floats]:
    """Returns Q of as many states as the settings of `entangling_capability` say, (n_states,) of each circuit."""
    n_states = drawing.settings.entangling_capability.samples
    return list(entanglements(drawing.circuits, drawing.engine, n_states, drawing.rngs("entangling_capability")))


def entanglements(
    circuits: Sequence[Circuit], engine: Engine, n_states: int, rngs: Sequence[np.random.Generator]
) -> Floats:
    """Returns Q of states at random weights, (C, n_states); zeros for one qubit, where nothing is simulated."""
    if circuits[0].qubits == 1:
        return np.zeros((len(circuits), n_states))
    found = [
        torch.stack([meyer_wallach(of_one) for of_one in states])
        for states in random_states(circuits, engine, n_states, rngs)
    ]
    return torch.cat(found, 1).numpy()


def meyer_wallach(states: Tensor) -> Tensor:
    """Returns Q of each row of unit vectors, (rows, 2^n) to (rows,), clipped to [0, 1]."""
    n_qubits = states.shape[1].bit_length() - 1
    purity = torch.zeros(states.shape[0], dtype=torch.float64)
    for wire in range(n_qubits):
        halves = states.reshape(states.shape[0], 1 << wire, 2, -1)
        zero, one = halves[:, :, 0].flatten(1), halves[:, :, 1].flatten(1)
        p_zero, p_one = _squares(zero).sum(1), _squares(one).sum(1)
        purity += p_zero**2 + p_one**2 + 2.0 * _squares((zero * one.conj()).sum(1))
    return (2.0 * (1.0 - purity / n_qubits)).clamp(0.0, 1.0)


def _squares(values: Tensor) -> Tensor:
    return values.real.square() + values.imag.square()
