"""Measures circuits one after another under the same conditions; the simulator is loaded when first needed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hqnas.cli.circuit_files import CannotMeasure
from hqnas.cli.failures import needs_worker_packages
from nas.circuits import Circuit
from nas.errors import UndefinedMetric
from nas.metrics.static import Description, static_measurement
from nas.spec import METRICS
from nas.spec.engines import Precision
from nas.spec.limits import MAX_GRADIENT_BYTES
from nas.spec.settings import MetricSettings

if TYPE_CHECKING:
    from nas.engines import Engine
    from nas.metrics.bare import BareCircuit

Document = dict[str, dict[str, Any]]

#: Fewer samples than these say nothing, not even how uncertain they are.
_FEWEST: Final = {"expressibility": 100, "entangling_capability": 10, "gradient_variance": 10}
#: Metrics that are made of the draws of another.
_SAMPLED_WITH: Final = {
    "frame_potential": "expressibility",
    "gradient_variance_pure": "gradient_variance",
    "dead_parameters": "gradient_variance",
}


def with_samples(settings: MetricSettings, samples: int | None) -> MetricSettings:
    """Returns settings with this number of pairs, states and gradients alike; None leaves them."""
    if samples is None:
        return settings
    # Not validated: a person who looks at one circuit may want fewer draws than a search has to take.
    blocks = {name: getattr(settings, name).model_copy(update={"samples": samples}) for name in _FEWEST}
    return settings.model_copy(update=blocks)


@dataclass
class Bench:
    """Conditions of measurement, and the engine once it is loaded."""

    engine_name: str
    precision: Precision
    settings: MetricSettings
    seed: int
    _engine: "Engine | None" = field(default=None, init=False)

    def measure(self, circuit: Circuit, metrics: Sequence[str]) -> Document:
        """Returns the JSON of every metric, in the order asked for.

        Raises:
            CannotMeasure: too few samples, or too many to keep.
            EvaluationError: a metric has no value for this circuit.
        """
        subject: BareCircuit | None = None
        found: Document = {}
        for name in metrics:
            if METRICS[name].is_static:
                found[name] = static_measurement(name, Description(circuit, self.settings)).to_json()
            else:
                self._check_samples(circuit, name)
                subject = subject or self._subject(circuit)
                found[name] = _sampled(name, subject)
                found[name]["protocol"] |= {"engine": self.engine_name, "precision": self.precision}
        return found

    def _check_samples(self, circuit: Circuit, name: str) -> None:
        block = _SAMPLED_WITH.get(name, name)
        if block not in _FEWEST:
            return
        n_samples = getattr(self.settings, block).samples
        if n_samples < _FEWEST[block]:
            raise CannotMeasure(f"{n_samples} samples are too few for {name}; take at least {_FEWEST[block]}")
        if block == "gradient_variance" and n_samples * circuit.n_weights * 8 > MAX_GRADIENT_BYTES:
            raise CannotMeasure(
                f"{n_samples} gradients of {circuit.n_weights} weights are too many to keep; lower --samples"
            )

    def _subject(self, circuit: Circuit) -> "BareCircuit":
        with needs_worker_packages("measure"):
            import torch

            from nas.engines import make_engine
            from nas.metrics.bare import BareCircuit
        if self._engine is None:
            torch.set_num_threads(1)  # the order of sums, and so the last digits, depends on it
            self._engine = make_engine(self.engine_name, self.precision)
        return BareCircuit(circuit, self._engine, self.settings, self.seed)


def _sampled(name: str, subject: "BareCircuit") -> dict[str, Any]:
    """Returns the JSON of a metric; of a gradient variance without value, null, the reason, and the parameters."""
    from nas.metrics.gradient_variance import parameter_details
    from nas.metrics.registry import MEASURES

    is_variance = name in ("gradient_variance", "gradient_variance_pure")
    if is_variance:
        draws = subject.gradients  # without these there is nothing to tell, and the error goes on
    try:
        return MEASURES[name](subject).to_json()
    except UndefinedMetric as error:
        if not is_variance:
            raise
        info = METRICS[name]
        return {
            "value": None,
            "std_error": None,
            "unit": info.unit,
            "version": info.version,
            "reason": str(error),
            "protocol": {"definition": draws.definition, **draws.protocol},
            **parameter_details(draws),
        }
