"""Quantum Fisher information at random weights: in how many directions the weights of a circuit move its state.

    F_kl = 4 Re( ⟨∂_kψ|∂_lψ⟩ − ⟨∂_kψ|ψ⟩⟨ψ|∂_lψ⟩ ) = J^T J,   J_k = 2 (1 − |ψ⟩⟨ψ|) |∂_kψ⟩, real and imaginary parts apart

The value is the largest rank of F over the draws, Haug's parameter dimension: at most min(P, 2N − 2) for P weights and
N = 2ⁿ. What P exceeds it by is redundant: as many combinations of weights change nothing. The spectrum is in the
details.

This, and not the effective dimension of [Abbas21], is what is measured: that one holds for a number of data and a
constant γ that its value depends on, needs the Fisher information of trained classes (of rank no more than classes
times data), and its estimate, the logarithm of a mean of determinants, is biased by an amount nobody knows. The rank
here needs no data, no constant and no limit, and a bare circuit has it.

Derivatives are exact: every gate that reads a weight is e^(−iθP/2), a controlled one, or a phase, whose derivatives are
sums of the gate at shifted angles. So any engine measures it, with 1 + 2U states a draw for U such gates.

Sources:
    [Haug21] Haug, Bharti, Kim 2021, PRX Quantum 2, 040309 (arXiv 2102.01659): parameter dimension, eqs. 3 and 4.
    [Abbas21] Abbas, Sutter, Zoufal, Lucchi, Figalli, Woerner 2021, Nat. Comput. Sci. 1, 403 (arXiv 2011.00027).
"""

from dataclasses import dataclass, replace
from math import pi
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray

from nas.circuits import GATES, Angle, Circuit
from nas.engines import Engine
from nas.errors import BeyondMetric, EvaluationError, UndefinedMetric
from nas.metrics.measurement import Measurement
from nas.metrics.sampling import UNIFORM_WEIGHTS, draw_weights
from nas.spec.engines import Precision
from nas.spec.limits import MAX_FISHER_ANGLES, MAX_FISHER_QUBITS

if TYPE_CHECKING:
    from nas.metrics.registry import Drawing, Subject

Floats = NDArray[np.float64]

#: Singular values of J below this times the longest that a column can be are rounding. They are square roots of the
#: eigenvalues of F, so an eigenvalue may be as small as the square of this.
RANK_TOLERANCE: Final[dict[Precision, float]] = {"complex128": 1e-9, "complex64": 3e-5}

#: ∂U/∂θ as Σ c U(θ + shift), by kind of gate.
_ROTATION: Final = ((pi, 0.5),)
_CONTROLLED: Final = ((pi, 0.25), (3.0 * pi, -0.25))
_PHASE: Final = ((pi / 2.0, 0.5), (3.0 * pi / 2.0, -0.5))


@dataclass(frozen=True, slots=True)
class FisherSpectra:
    """Square roots of the eigenvalues of F at independent draws of the weights, descending."""

    roots: Floats  #: (draws, P)
    tolerance: float  #: what is below it is 0


@dataclass(frozen=True, slots=True)
class _Unshared:
    """A circuit in which each gate that reads a weight has one of its own, and what these are of the original's."""

    circuit: Circuit
    scales: Floats  #: (U, P): angle u = Σ_k scales_uk θ_k, one of them not 0
    shifts: tuple[tuple[tuple[float, float], ...], ...]  #: for each of the U angles, (shift, coefficient)


def measure(subject: "Subject") -> Measurement:
    """Returns the rank of the quantum Fisher information, and its spectrum."""
    return quantum_fisher_rank_of(subject.drawn(fisher_spectra), subject.circuit)


def fisher_spectra(drawing: "Drawing") -> list[FisherSpectra | EvaluationError]:
    """Returns the spectra of each circuit of a bundle, one circuit after another."""
    n_draws = drawing.settings.quantum_fisher_rank.samples
    found: list[FisherSpectra | EvaluationError] = []
    for circuit, rng in zip(drawing.circuits, drawing.rngs("quantum_fisher_rank"), strict=True):
        try:
            found.append(spectra(circuit, drawing.engine, n_draws=n_draws, rng=rng))
        except (BeyondMetric, UndefinedMetric) as error:
            found.append(error)
    return found


def spectra(circuit: Circuit, engine: Engine, *, n_draws: int, rng: np.random.Generator) -> FisherSpectra:
    """Returns the spectra of F at `n_draws` draws of the weights, features at zero.

    Cost: n_draws · (1 + 2U) states of 2^n amplitudes, and as many decompositions of a matrix of 2^(n+1) × P.

    Raises:
        BeyondMetric: the circuit is too wide, or too many of its gates read weights.
        UndefinedMetric: a state was not finite.
    """
    unshared = _unshared(circuit)
    if circuit.qubits > MAX_FISHER_QUBITS or max(len(unshared.shifts), circuit.n_weights) > MAX_FISHER_ANGLES:
        raise BeyondMetric(
            f"quantum_fisher_rank is for at most {MAX_FISHER_QUBITS} qubits, and {MAX_FISHER_ANGLES} weights and gates "
            f"that read them; the circuit has {circuit.qubits}, {circuit.n_weights} and {len(unshared.shifts)}"
        )
    weights = draw_weights([circuit], n_draws, [rng])[0].numpy()
    roots = np.stack([np.linalg.svd(_jacobian(unshared, engine, row), compute_uv=False) for row in weights])
    padded = np.zeros((n_draws, circuit.n_weights))
    padded[:, : roots.shape[1]] = roots[:, : circuit.n_weights]
    longest = float(np.abs(unshared.scales).sum(0).max(initial=0.0)) * max(1, circuit.n_weights) ** 0.5
    return FisherSpectra(padded, RANK_TOLERANCE[engine.precision] * longest)


def quantum_fisher_rank_of(found: FisherSpectra, circuit: Circuit) -> Measurement:
    """Returns the largest rank over draws, 0 without weights.

    Exact: weights at which the rank is smaller have probability 0. The details have the mean of each eigenvalue over
    the draws with its standard error, the trace, and the bound min(P, 2N − 2).
    """
    n_draws, n_weights = found.roots.shape
    ranks = (found.roots > found.tolerance).sum(1)
    eigenvalues = np.where(found.roots > found.tolerance, found.roots**2, 0.0)
    details = {
        "spectrum": eigenvalues.mean(0).tolist(),
        "spectrum_std_error": (eigenvalues.std(0, ddof=1) / n_draws**0.5).tolist(),
        "trace": float(eigenvalues.sum(1).mean()),
        "largest_possible": min(n_weights, (2 << circuit.qubits) - 2),
    }
    protocol = {"samples": n_draws, "weights": UNIFORM_WEIGHTS, "features": "zero", "zero_below": found.tolerance**2}
    return Measurement("quantum_fisher_rank", int(ranks.max(initial=0)), None, protocol, details)


def _unshared(circuit: Circuit) -> _Unshared:
    operations, scales, shifts = [], [], []
    for operation in circuit.operations:
        angle = operation.angle
        if angle is not None and angle.weight is not None:
            scales.append(np.eye(1, circuit.n_weights, angle.weight)[0] * angle.scale)
            is_controlled = GATES[operation.gate].n_controls > 0
            shifts.append(_CONTROLLED if is_controlled else _PHASE if operation.gate == "p" else _ROTATION)
            operation = replace(operation, angle=Angle(weight=len(shifts) - 1))
        operations.append(operation)
    matrix = np.stack(scales) if scales else np.zeros((0, circuit.n_weights))
    return _Unshared(replace(circuit, operations=tuple(operations)), matrix, tuple(shifts))


def _jacobian(unshared: _Unshared, engine: Engine, weights: Floats) -> Floats:
    """Returns J at one draw, (2N, P)."""
    terms = [(u, shift, factor) for u, some in enumerate(unshared.shifts) for shift, factor in some]
    with np.errstate(over="ignore", invalid="ignore"):  # of absurd scales, whose states are refused below
        rows = np.repeat((unshared.scales @ weights)[None], 1 + len(terms), 0)
        for row, (u, shift, _) in enumerate(terms, start=1):
            rows[row, u] += shift
        features = torch.zeros(1, unshared.circuit.n_features, dtype=torch.float64)
        found = engine.states(unshared.circuit, torch.from_numpy(rows), features)
        states = found.to(torch.complex128).numpy()
        state, derivatives = states[0], np.zeros((len(unshared.shifts), states.shape[1]), dtype=np.complex128)
        for row, (u, _, factor) in enumerate(terms, start=1):
            derivatives[u] += factor * states[row]
        of_weights = unshared.scales.T @ derivatives
        horizontal = of_weights - np.outer(of_weights @ state.conj(), state)
        jacobian = 2.0 * np.concatenate([horizontal.real, horizontal.imag], axis=1).T
    if not np.isfinite(jacobian).all():
        raise UndefinedMetric("quantum_fisher_rank has no value: some states are not finite")
    return jacobian
