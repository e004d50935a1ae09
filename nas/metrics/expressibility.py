"""Expressibility: how far the states of a circuit at random weights are from Haar-random states.

KL(circuit ‖ Haar) of the distribution of fidelities F = |⟨ψ|φ⟩|² between independent pairs, in nats; lower is more
expressive, and 0 is Haar. The Haar density on N = 2ⁿ dimensions is (N − 1)(1 − F)^(N−2).

Sources:
    [Sim19] Sim, Johnson, Aspuru-Guzik 2019, Adv. Quantum Technol. 2, 1900070 (arXiv 1905.10876), eqs. 9 to 12.
    [Roulston99] Roulston 1999, Physica D 125, 285: bias and variance of entropies estimated from histograms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from nas.circuits import Circuit
from nas.engines import Engine
from nas.errors import UndefinedMetric
from nas.metrics.measurement import Measurement
from nas.metrics.sampling import UNIFORM_WEIGHTS, random_states

if TYPE_CHECKING:
    from nas.metrics.registry import Drawing

Floats = NDArray[np.float64]
Estimator = Literal["haar_quantile", "sim75"]

SIM_BINS: Final = 75


@dataclass(frozen=True, slots=True)
class Divergence:
    """An estimated KL divergence in nats, and its standard error."""

    value: float
    std_error: float


def expressibility(
    circuit: Circuit,
    engine: Engine,
    *,
    n_pairs: int,
    rng: np.random.Generator,
    estimator: Estimator = "haar_quantile",
    n_bins: int = SIM_BINS,
) -> Measurement:
    """Returns the expressibility of a circuit from `n_pairs` pairs of states, features at zero.

    Cost: 2 · n_pairs states of 2^n amplitudes. `sim75` has 75 bins whatever `n_bins` says.
    """
    found = fidelities([circuit], engine, n_pairs, [rng])[0]
    return expressibility_of(found, circuit.qubits, estimator=estimator, n_bins=n_bins)


def expressibility_of(fidelities: Floats, n_qubits: int, *, estimator: Estimator, n_bins: int) -> Measurement:
    """Returns the expressibility that fidelities of pairs show.

    Raises:
        UndefinedMetric: a state was not finite, for angles beyond what floating point holds.
    """
    if not np.isfinite(fidelities).all():
        raise UndefinedMetric("expressibility has no value: some states are not finite")
    if estimator == "sim75":
        n_bins, divergence = SIM_BINS, sim75(fidelities, n_qubits)
    else:
        divergence = haar_quantile(fidelities, n_qubits, n_bins=n_bins)
    protocol: dict[str, Any] = {
        "estimator": estimator,
        "samples": len(fidelities),
        "bins": n_bins,
        "weights": UNIFORM_WEIGHTS,
        "features": "zero",
    }
    return Measurement("expressibility", divergence.value, divergence.std_error, protocol)


def random_fidelities(drawing: "Drawing") -> list[Floats]:
    """Returns the fidelities of as many pairs as the settings of `expressibility` say, (n_pairs,) of each circuit."""
    n_pairs = drawing.settings.expressibility.samples
    return list(fidelities(drawing.circuits, drawing.engine, n_pairs, drawing.rngs("expressibility")))


def fidelities(
    circuits: Sequence[Circuit], engine: Engine, n_pairs: int, rngs: Sequence[np.random.Generator]
) -> Floats:
    """Returns |⟨ψ|φ⟩|² of independent pairs of states at random weights, (C, n_pairs), clipped to [0, 1].

    Not a number where a state is not finite.
    """
    found = []
    for states in random_states(circuits, engine, 2 * n_pairs, rngs):
        overlaps = (states[:, 0::2].conj() * states[:, 1::2]).sum(-1)
        found.append((overlaps.real.square() + overlaps.imag.square()).clamp(0.0, 1.0).double())
    return torch.cat(found, 1).numpy()


def haar_quantile(fidelities: Floats, n_qubits: int, *, n_bins: int = SIM_BINS) -> Divergence:
    """Returns the divergence over equal bins of u = 1 − (1 − F)^(N−1), which is uniform under Haar for every n.

    Σ p ln(p B) − (B − 1)/(2S), the second term being the bias of a Haar circuit [Roulston99]; values may therefore
    fall a little below 0. Comparable across qubit counts, which equal bins of F are not. A departure from [Sim19].
    """
    with np.errstate(divide="ignore"):  # F = 1 has logarithm −∞ and u = 1
        u = -np.expm1((2.0**n_qubits - 1.0) * np.log1p(-fidelities))
    raw = _divergence(u, n_bins, np.full(n_bins, -np.log(n_bins)))
    return Divergence(raw.value - (n_bins - 1) / (2.0 * len(fidelities)), raw.std_error)


def sim75(fidelities: Floats, n_qubits: int) -> Divergence:
    """Returns the divergence over 75 equal bins of F, uncorrected, as in [Sim19]; comparable at one qubit count only.

    The Haar mass of a bin is (1 − a)^(N−1) − (1 − b)^(N−1), kept as a logarithm since it underflows for wide circuits.
    """
    edges = np.linspace(0.0, 1.0, SIM_BINS + 1)
    with np.errstate(divide="ignore"):  # the last edge is 1
        log_tails = (2.0**n_qubits - 1.0) * np.log1p(-edges)
    log_masses = log_tails[:-1] + np.log(-np.expm1(log_tails[1:] - log_tails[:-1]))
    return _divergence(fidelities, SIM_BINS, log_masses)


def _divergence(values: Floats, n_bins: int, log_masses: Floats) -> Divergence:
    """Returns Σ p ln(p/q) over the bins with p > 0, and its standard error.

    Delta method with the second-order term that remains where the first vanishes, for b occupied bins and S values:
    √( (Σ p ln²(p/q) − KL² − (b − 1)/S)/S + (b − 1)/(2S²) ), the first bracket not below 0. Its last term is what that
    spread amounts to by chance where p estimates q itself.
    """
    n_values = len(values)
    bins = np.minimum((values * n_bins).astype(np.int64), n_bins - 1)
    counts = np.bincount(bins, minlength=n_bins)
    is_occupied = counts > 0
    p = counts[is_occupied] / n_values
    log_ratio = np.log(p) - log_masses[is_occupied]
    value = float(p @ log_ratio)
    n_free = int(is_occupied.sum()) - 1
    spread = max(0.0, float(p @ log_ratio**2) - value**2 - n_free / n_values) / n_values
    return Divergence(value, float(np.sqrt(spread + n_free / (2.0 * n_values**2))))
