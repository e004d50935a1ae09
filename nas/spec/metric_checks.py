"""Checks of the metrics that a spec names: what they need, and how large a space they bear."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from nas.spec import limits
from nas.spec.coupling import n_wires
from nas.spec.genes import choices_of
from nas.spec.objectives import Constraint, Objective

if TYPE_CHECKING:
    from nas.spec.search import SearchSpec

#: Path, sentence and value, as in `nas.spec.checks`.
Finding = tuple[tuple[str | int, ...], str, Any]

_OF_THE_LOSS: Final = ("gradient_variance_quantum", "gradient_variance_hybrid")
_ROUTED: Final = ("routed_two_qubit_gates", "routed_depth")


def metric_problems(spec: "SearchSpec") -> list[Finding]:
    """Returns what the metrics of a spec lack, at the path where each is named."""
    return [*_mode_problems(spec), *_rate_problems(spec), *_routing_problems(spec), *_fisher_problems(spec)]


def _places(spec: "SearchSpec", *names: str) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yields path and name of every mention of these metrics."""
    blocks: dict[str, Sequence[Objective | Constraint]] = {
        "objectives": spec.objectives,
        "constraints": spec.constraints,
    }
    for block, items in blocks.items():
        for i, item in enumerate(items):
            if item.metric in names:
                yield (block, i, "metric"), item.metric
    for i, name in enumerate(spec.metrics.also):
        if name in names:
            yield ("metrics", "also", i), name


def _mode_problems(spec: "SearchSpec") -> list[Finding]:
    if spec.training.mode != "pure-quantum":
        return []
    text = "pure-quantum has no loss around the circuit; take gradient_variance, or change training.mode"
    return [(path, text, name) for path, name in _places(spec, *_OF_THE_LOSS)]


def _rate_problems(spec: "SearchSpec") -> list[Finding]:
    if spec.metrics.error_rates is not None:
        return []
    text = "'expected_success' needs metrics.error_rates: {one_qubit: …, two_qubit: …, readout: …}"
    return [(path, text, name) for path, name in _places(spec, "expected_success")]


def _routing_problems(spec: "SearchSpec") -> list[Finding]:
    coupling, qubits = spec.metrics.routing.coupling_map, max(choices_of(spec.space.qubits))
    if isinstance(coupling, str) or n_wires(coupling) >= qubits or not any(_places(spec, *_ROUTED)):
        return []
    text = f"the device has {n_wires(coupling)} wires, and the space reaches {qubits} qubits; couple more wires"
    return [(("metrics", "routing", "coupling_map"), text, coupling)]


def _fisher_problems(spec: "SearchSpec") -> list[Finding]:
    qubits = max(choices_of(spec.space.qubits))
    if qubits <= limits.MAX_FISHER_QUBITS:
        return []
    text = (
        f"'quantum_fisher_rank' is for circuits of at most {limits.MAX_FISHER_QUBITS} qubits, and the space reaches "
        f"{qubits}; take fewer qubits, or leave it out"
    )
    return [(path, text, name) for path, name in _places(spec, "quantum_fisher_rank")]
