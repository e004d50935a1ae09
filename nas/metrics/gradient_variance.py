"""Trainability: the variance of gradients over random initial weights, and the share of dead parameters.

The statistics work on draws g_mk = ∂C/∂θ_k at the m-th draw of the weights, whatever C is. `pure_gradients` draws
them for C = ⟨O⟩ of the circuit alone; `nas.training.gradients` does for the loss of a hybrid.

Sources:
    [McClean18] McClean, Boixo, Smelyanskiy, Babbush, Neven 2018, Nat. Commun. 9, 4812 (arXiv 1803.11173).
    Departure: the variance is a mean over all live parameters, where [McClean18] follows one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from nas.circuits import Circuit
from nas.engines import Engine
from nas.errors import UndefinedMetric
from nas.metrics.measurement import Measurement
from nas.metrics.sampling import UNIFORM_WEIGHTS, draw_weights, most_weights, rows_at_once, zero_features
from nas.spec.engines import Precision

Floats = NDArray[np.float64]
Definition = Literal["pure", "quantum", "hybrid"]

#: A parameter is dead if no draw has a larger gradient. Rounding of a few thousand gates stays below 1e-13 (single
#: precision: 1e-7), and a plateau of 24 qubits has gradients of about 1e-4.
DEAD_BELOW: Final[dict[Precision, float]] = {"complex128": 1e-12, "complex64": 1e-6}

#: Fourth powers of smaller gradients, of which errors are made, are finite.
_LARGEST: Final = 1e75

#: Standard errors on either side of the value in a 95 % interval.
_Z95: Final = 1.959964


@dataclass(frozen=True, slots=True)
class GradientDraws:
    """Gradients at independent draws of the weights, and what they are gradients of.

    Raises:
        UndefinedMetric: a gradient is infinite or not a number.
    """

    values: Floats  #: (M, P)
    definition: Definition
    protocol: dict[str, Any]
    precision: Precision = "complex128"  #: of the engine that they come from

    def __post_init__(self) -> None:
        largest = float(np.abs(self.values).max(initial=0.0))
        if not np.isfinite(largest):
            raise UndefinedMetric("gradient_variance has no value: a gradient is not finite")
        if largest > _LARGEST:
            raise UndefinedMetric(f"gradient_variance has no value: a gradient is {largest:.3g}, too large to square")

    @property
    def dead_below(self) -> float:
        """The gradient that a live parameter exceeds in some draw."""
        return DEAD_BELOW[self.precision]

    @property
    def is_live(self) -> NDArray[np.bool_]:
        """Which parameters can change C, (P,)."""
        live: NDArray[np.bool_] = np.abs(self.values).max(0, initial=0.0) > self.dead_below
        return live


@dataclass(frozen=True, slots=True)
class Variances:
    """Unbiased variances over draws with their standard errors, both (P,); dead parameters have exactly 0."""

    values: Floats
    std_errors: Floats


def checked_draws(
    values: Floats, definition: Definition, protocol: dict[str, Any], precision: Precision
) -> GradientDraws | UndefinedMetric:
    """Returns draws, or why there are none: for a bundle, in which the others go on."""
    try:
        return GradientDraws(values, definition, protocol, precision)
    except UndefinedMetric as error:
        return error


def pure_gradients(circuit: Circuit, engine: Engine, n_draws: int, rng: np.random.Generator) -> GradientDraws:
    """Returns draws of ∂⟨O⟩/∂θ for O the first observable of the circuit and features at zero, (n_draws, n_weights).

    The first observable alone is the cost, also in a search in pure-quantum mode: an average over observables would
    hide a barren one behind the others. Cost: n_draws forward and backward passes.

    Raises:
        UndefinedMetric: the circuit has no observable, or a gradient is not finite.
    """
    (found,) = bundle_pure_gradients([circuit], engine, n_draws, [rng])
    if isinstance(found, UndefinedMetric):
        raise found
    return found


def bundle_pure_gradients(
    circuits: Sequence[Circuit], engine: Engine, n_draws: int, rngs: Sequence[np.random.Generator]
) -> list[GradientDraws | UndefinedMetric]:
    """Returns what `pure_gradients` does for each circuit of a bundle, from its own generator."""
    if not all(circuit.observables for circuit in circuits):
        raise UndefinedMetric("gradient_variance needs an observable, and the circuit has none")
    firsts = [replace(circuit, observables=circuit.observables[:1]) for circuit in circuits]
    step = max(1, rows_at_once(firsts, engine, with_gradient=True))
    found: list[list[Floats]] = [[np.zeros((0, circuit.n_weights))] for circuit in circuits]
    for start in range(0, n_draws if most_weights(firsts) else 0, step):
        weights = draw_weights(firsts, min(step, n_draws - start), rngs).requires_grad_()
        total = engine.bundle_expectations(firsts, weights, zero_features(firsts)).sum()
        (gradients,) = torch.autograd.grad(total, weights)
        for member, values in enumerate(gradients.numpy()):
            found[member].append(values[:, : circuits[member].n_weights])
    protocol = {"samples": n_draws, "cost": "first observable", "weights": UNIFORM_WEIGHTS, "features": "zero"}
    return [checked_draws(np.concatenate(parts), "pure", protocol, engine.precision) for parts in found]


def gradient_variance(draws: GradientDraws, *, name: str = "gradient_variance") -> Measurement:
    """Returns log10 of the mean over live parameters of the unbiased variance of their gradients.

    With s_m = mean_k (g_mk − ḡ_k)², the mean variance is V = Σ s_m/(M − 1), and its standard error sd(s)·√M/(M − 1)
    respects that the parameters of one draw are correlated. Of log10 V it is se(V)/(V ln 10), by the delta method.
    The metric's name says whether the definition follows the training mode or is one of its own.

    Raises:
        UndefinedMetric: no parameter is live, or the gradients of the live ones do not vary.
    """
    is_live = draws.is_live
    if not is_live.any():
        raise UndefinedMetric(f"{name} has no value: no parameter can change the cost")
    n_draws = _draw_count(draws)
    deviations = (draws.values[:, is_live] - draws.values[:, is_live].mean(0)) ** 2
    s = deviations.mean(1)
    mean_variance = float(s.sum() / (n_draws - 1))
    if mean_variance < draws.dead_below**2:
        raise UndefinedMetric(f"{name} has no value: the gradients are the same at all weights")
    relative_error = float(s.std(ddof=1)) * n_draws**0.5 / (n_draws - 1) / mean_variance
    value, std_error = float(np.log10(mean_variance)), relative_error / float(np.log(10.0))
    interval = [value - _Z95 * std_error, value + _Z95 * std_error]
    details = {"mean_variance": mean_variance, "confidence_interval_95": interval, **parameter_details(draws)}
    return Measurement(name, value, std_error, _protocol(draws), details)


def dead_parameters(draws: GradientDraws) -> Measurement:
    """Returns the share of parameters whose gradient is below `dead_below` in every draw.

    Exact: a parameter that can change C has a gradient above it with probability 1.

    Raises:
        UndefinedMetric: there are no parameters.
    """
    if not draws.values.shape[1]:
        raise UndefinedMetric("dead_parameters has no value: the circuit has no weights")
    return Measurement("dead_parameters", _dead_share(draws), None, _protocol(draws))


def parameter_variances(draws: GradientDraws) -> Variances:
    """Returns the variance of every parameter; with d = (g − ḡ)², the standard error is sd(d)·√M/(M − 1)."""
    n_draws = _draw_count(draws)
    deviations = (draws.values - draws.values.mean(0)) ** 2
    std_errors = deviations.std(0, ddof=1) * n_draws**0.5 / (n_draws - 1)
    variances = deviations.sum(0) / (n_draws - 1)
    return Variances(np.where(draws.is_live, variances, 0.0), np.where(draws.is_live, std_errors, 0.0))


def parameter_details(draws: GradientDraws) -> dict[str, Any]:
    """Returns per_parameter, per_parameter_std_error and dead_parameters (None without parameters) as JSON values."""
    if not draws.values.shape[1]:
        return {"per_parameter": [], "per_parameter_std_error": [], "dead_parameters": None}
    variances = parameter_variances(draws)
    return {
        "per_parameter": variances.values.tolist(),
        "per_parameter_std_error": variances.std_errors.tolist(),
        "dead_parameters": _dead_share(draws),
    }


def _dead_share(draws: GradientDraws) -> float:
    return float(1.0 - draws.is_live.mean())


def _protocol(draws: GradientDraws) -> dict[str, Any]:
    return {"definition": draws.definition, **draws.protocol, "dead_below": draws.dead_below}


def _draw_count(draws: GradientDraws) -> int:
    n_draws = len(draws.values)
    if n_draws < 2:
        raise ValueError(f"a variance needs at least 2 draws, not {n_draws}")
    return n_draws
